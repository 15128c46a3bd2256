//! A webhook of LINE's, and any text as messages: bounded, and no letter cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use report_generator::line::{is_signed, parse, split};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(webhook) = parse(bytes) {
        assert!(webhook.len() <= 100);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(!is_signed(bytes, text, b"secret"));
        let messages = split(text);
        assert!(messages.len() <= 5);
        for message in messages {
            assert!((1..=5_000).contains(&message.encode_utf16().count()));
        }
    }
});
