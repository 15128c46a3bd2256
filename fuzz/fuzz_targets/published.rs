//! The metadata in a bucket, which somebody else may have written: refused, or what a release offers.
#![no_main]

use larder_publish::metadata::Published;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(published) = Published::parse(bytes) {
        let _ = (published.epoch(), published.expires());
    }
});
