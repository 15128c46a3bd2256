//! What a Redis server says, read as from somebody who may say anything: refused, or an answer of as many
//! entries as were asked for, whose frames are refused or read.
#![no_main]

use larder::{
    frame::Frame,
    tier::{
        News,
        redis::{parse_answer, parse_plain_answer},
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u8, &[u8])| {
    let (entries, bytes) = (usize::from(data.0 % 8), data.1);
    let Ok(value) = redis::parse_redis_value(bytes) else {
        return;
    };
    let news = match data.0 / 8 % 3 {
        0 => News::None,
        1 => News::FromNow,
        _ => News::Since(u64::from(data.0 / 24)),
    };
    let plain = parse_plain_answer(value.clone(), entries, news);
    for answer in parse_answer(value, entries).into_iter().chain(plain) {
        assert_eq!(answer.found.len(), entries);
        for found in answer.found.iter().flatten() {
            let _ = Frame::decode(&found.bytes, 0);
            let _ = larder::frame::tags(&found.bytes).count();
        }
    }
});
