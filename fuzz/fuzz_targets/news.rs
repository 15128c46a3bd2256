//! Headlines from a server that may answer anything: refused, or a few lines that lead to the web.
#![no_main]

use libfuzzer_sys::fuzz_target;
use report_generator::news::parse;

fuzz_target!(|bytes: &[u8]| {
    for article in parse(bytes).unwrap_or_default() {
        assert!(!article.title.is_empty() && article.title.chars().count() <= 200);
        assert!(!article.title.contains(['{', '}', '\n']));
        assert!(article.url.starts_with("http://") || article.url.starts_with("https://"));
    }
});
