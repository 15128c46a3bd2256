//! What EC2 answers, read as from somebody who may answer anything: refused, or instances with real ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_ledger::ec2::{parse_answer, parse_refusal};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(page) = parse_answer(bytes, jiff::Timestamp::UNIX_EPOCH) {
        assert!(page.instances.iter().all(|it| it.instance.as_str().starts_with("i-")));
    }
    if let Some((code, message)) = parse_refusal(bytes) {
        assert!(code.chars().count() <= 300 && message.chars().count() <= 300);
    }
});
