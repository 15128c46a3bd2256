//! What a Redis server says, read as from somebody who may say anything: refused, or an answer of as many
//! entries as were asked for, whose frames are refused or read.
#![no_main]

use larder::{frame::Frame, tier::redis::parse_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u8, &[u8])| {
    let (entries, bytes) = (usize::from(data.0 % 8), data.1);
    let Ok(value) = redis::parse_redis_value(bytes) else {
        return;
    };
    if let Some(answer) = parse_answer(value, entries) {
        assert_eq!(answer.found.len(), entries);
        for found in answer.found.iter().flatten() {
            let _ = Frame::decode(&found.bytes, 0);
            let _ = larder::frame::tags(&found.bytes).count();
        }
    }
});
