//! Prices from a server that may answer anything: refused, or days in their order with prices that indicators can be made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use report_generator::{indicators::Columns, market::parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(series) = parse(bytes, "D05.SI") else {
        return;
    };
    assert!(!series.bars.is_empty() && series.bars.len() <= 1_000);
    assert!(series.bars.is_sorted_by(|one, next| one.date < next.date));
    assert!(series.name.chars().count() <= 80 && !series.name.contains(['{', '}', '\n']));
    for bar in &series.bars {
        for price in [bar.open, bar.high, bar.low, bar.close] {
            assert!(price.is_finite() && price > 0.0 && bar.low <= price && price <= bar.high);
        }
    }
    for (name, reading) in Columns::of(&series.bars).readings() {
        assert!(reading.value.is_none_or(f64::is_finite), "{name}");
        assert!(reading.percentile.is_none_or(|it| (0.0..=100.0).contains(&it)), "{name}");
    }
});
