//! metadata.json, as anybody on the way may have written it: refused, or within its bounds.
#![no_main]

use std::sync::LazyLock;

use larder_artifact::{Expected, Release, Trust, Url};
use libfuzzer_sys::fuzz_target;

const MAX_SIZE: u64 = 1 << 28;

static BASE: LazyLock<Url> =
    LazyLock::new(|| Url::parse("https://releases.example.com/binaries/slack-monitor/metadata.json").unwrap());
static RUNNER: LazyLock<semver::Version> = LazyLock::new(|| semver::Version::new(0, 1, 0));
static TRUSTING: LazyLock<Trust> = LazyLock::new(Trust::default);
static CAREFUL: LazyLock<Trust> = LazyLock::new(|| {
    Trust::new(["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"], true, 0).unwrap()
});

fuzz_target!(|json: &[u8]| {
    let parse = |trust| {
        let expected = Expected {
            name: "slack",
            platform: "linux-x86_64",
            runner: &RUNNER,
            base: &BASE,
            max_size: MAX_SIZE,
            trust,
        };
        Release::parse(json, &expected)
    };
    if let Ok(release) = parse(&TRUSTING) {
        assert_eq!(release.url.origin(), BASE.origin());
        assert!((1..=MAX_SIZE).contains(&release.size));
        assert!(release.version.len() <= 128);
    }
    // Nobody can sign with that key, so nothing gets through.
    assert!(parse(&CAREFUL).is_err());
});
