//! A model's answer: refused, or five sections of bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use report_generator::narrative::parse;

fuzz_target!(|bytes: &[u8]| {
    let (read, _) = parse(bytes);
    match read {
        Ok((sections, _)) => {
            for text in [
                &sections.stock_story,
                &sections.what_to_know,
                &sections.what_to_do,
                &sections.risks,
                &sections.percentile_analysis,
            ] {
                assert!(!text.is_empty() && text.chars().count() <= 3_000);
            }
        }
        Err(error) => assert!(error.to_string().len() < 2_000),
    }
});
