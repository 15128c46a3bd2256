//! A cache entry, from whatever lies in a tier: refused, or exactly what would be written for it.
#![no_main]

use larder::frame::Frame;
use libfuzzer_sys::fuzz_target;
use twox_hash::XxHash3_64;

fuzz_target!(|body: &[u8]| {
    // As it is, and with a checksum that is right, or nothing would ever get past that.
    let _ = Frame::decode(body, 0);
    let mut whole = body.to_vec();
    whole.extend_from_slice(&XxHash3_64::oneshot(body).to_le_bytes());
    let schema = body.get(8..16).and_then(|schema| schema.try_into().ok());
    if let Ok(frame) = Frame::decode(&whole, schema.map_or(0, u64::from_le_bytes)) {
        assert_eq!(frame.encode().unwrap(), whole, "there is one way to write an entry");
    }
});
