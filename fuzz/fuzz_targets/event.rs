//! An event: refused, or names that are fit for a path and a URL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_runner::Event;

fuzz_target!(|json: &[u8]| {
    if let Ok(Event::Monitors(names)) = serde_json::from_slice(json) {
        assert!((1..=64).contains(&names.len()));
        for name in names {
            let name = name.as_str();
            assert!(!name.is_empty() && name.len() <= 64);
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
});
