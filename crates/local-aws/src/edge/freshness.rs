//! How long an answer may be kept. Pure.

use std::time::Duration;

/// CloudFront's default TTL, where the origin says nothing.
const DEFAULT: Duration = Duration::from_hours(24);

/// CloudFront's default maximum TTL.
const MAX: Duration = Duration::from_hours(24 * 365);

/// CloudFront's default "error caching minimum TTL".
const ERROR: Duration = Duration::from_secs(10);

/// For how long an answer with this `Cache-Control` stays fresh. Zero: it is not kept at all.
pub(super) fn lifetime(success: bool, cache_control: Option<&str>) -> Duration {
    if !success {
        return ERROR;
    }
    let Some(cache_control) = cache_control else {
        return DEFAULT;
    };
    let directives = || {
        cache_control
            .split(',')
            .map(|directive| directive.trim().to_ascii_lowercase())
    };
    if directives()
        .any(|directive| matches!(directive.as_str(), "no-cache" | "no-store" | "private"))
    {
        return Duration::ZERO;
    }
    let seconds =
        |name: &str| directives().find_map(|directive| directive.strip_prefix(name)?.parse().ok());
    // What is said to shared caches counts before what is said to all.
    let seconds = seconds("s-maxage=").or_else(|| seconds("max-age="));
    seconds.map_or(DEFAULT, Duration::from_secs).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_decide_between_the_default_limits() {
        let of = |cache_control| lifetime(true, Some(cache_control)).as_secs();
        assert_eq!(lifetime(true, None), DEFAULT);
        assert_eq!(of("public, max-age=60"), 60);
        assert_eq!(of("max-age=60, s-maxage=5"), 5);
        assert_eq!(of("public, max-age=31536000, immutable"), 31_536_000);
        assert_eq!(of("max-age=99999999999"), MAX.as_secs());
        assert_eq!(of("No-Cache"), 0);
        assert_eq!(of("max-age=60, private"), 0);
        assert_eq!(of("public"), DEFAULT.as_secs());
        assert_eq!(lifetime(false, Some("max-age=60")), ERROR);
    }
}
