//! What the answers of functions have in common.

use std::time::Duration;

/// How long something took, in milliseconds. Microseconds are what the clock is good for, so no more is told.
#[must_use]
pub fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_told_than_microseconds() {
        let told = milliseconds(Duration::from_nanos(1_234_567_890));
        assert!((told - 1_234.568).abs() < 1e-9, "{told}");
    }
}
