//! What is written is what the runner reads, and what the next who publishes reads.

use jiff::SignedDuration;
use larder_artifact::{Expected, Trust, Url};

use super::*;

const SLACK: Release<'_> = Release {
    prefix: "watchy",
    monitor: "slack",
};

fn build(platform: &str) -> Build {
    Build {
        platform: platform.to_owned(),
        sha256: "ab".repeat(32),
        size: 30_256_930,
        compression: Compression::Gzip,
        key: SLACK.versioned(&format!("1.0-{platform}")),
    }
}

fn document<'a>(plain: &'a Build, others: &'a [Build]) -> Document<'a> {
    let now = Timestamp::now();
    Document {
        release: SLACK,
        version: "1.0",
        url: "https://releases.example.com",
        plain,
        others,
        epoch: 7,
        published: now,
        expires: now + SignedDuration::from_hours(1),
        min_runner: MIN_RUNNER,
        binary_type: "rust",
        origin: Origin {
            git_commit: Some("da23b42".to_owned()),
            ..Origin::default()
        },
    }
}

/// What monitor-runner would make of it.
fn read(document: &Value, platform: &str, trust: &Trust) -> larder_artifact::Release {
    let base = Url::parse("https://releases.example.com/binaries/slack-monitor/metadata.json");
    let expected = Expected {
        name: "slack",
        platform,
        runner: &semver::Version::new(0, 1, 0),
        base: &base.unwrap(),
        max_size: 256 << 20,
        trust,
    };
    larder_artifact::Release::parse(document.to_string().as_bytes(), &expected).unwrap()
}

#[test]
fn its_reader_finds_each_platform_and_believes_the_signature() {
    let signer = Signer::generate().unwrap();
    let key = signer.public_key();
    let trust = Trust::new([key.as_str()], true, 0).unwrap();
    let (plain, other) = (build("linux-x86_64"), build("linux-aarch64"));
    let one = document(&plain, &[]).to_json(Some(&signer)).unwrap();
    let others = [other.clone()];
    let both = document(&plain, &others).to_json(Some(&signer)).unwrap();
    for (document, build) in [(&one, &plain), (&both, &plain), (&both, &other)] {
        let release = read(document, &build.platform, &trust);
        assert_eq!(release.sha256.to_string(), build.sha256);
        assert_eq!(release.url.path(), format!("/{}", build.key));
        assert_eq!(
            (release.size, release.compression),
            (build.size, Compression::Gzip)
        );
    }
    assert_eq!(both["sha256"], plain.sha256);
    assert_eq!(both["gitCommit"], "da23b42");
    assert_eq!(both["buildNumber"], Value::Null);
    let unsigned = document(&plain, &[]).to_json(None).unwrap();
    assert_eq!(unsigned.get("signed"), None);
    read(&unsigned, "linux-x86_64", &Trust::default());
}

#[test]
fn what_was_published_is_known_again() {
    let [signer, other] = [(); 2].map(|()| Signer::generate().unwrap());
    let (plain, others) = (build("linux-x86_64"), [build("linux-aarch64")]);
    let document = document(&plain, &others);
    let json = document.to_json(Some(&signer)).unwrap();
    let published = Published::parse(json.to_string().as_bytes()).unwrap();
    assert!(published.offers(&document));
    assert_eq!(published.epoch(), Some(7));
    assert_eq!(published.expires(), Some(document.expires));
    assert!(published.is_signed_by(&signer) && !published.is_signed_by(&other));
    assert_eq!(published.origin.git_commit.as_deref(), Some("da23b42"));

    let newer = Document {
        version: "1.1",
        ..document.clone()
    };
    let alone = Document {
        others: &[],
        ..document.clone()
    };
    let moved = Document {
        url: "https://example.org",
        ..document.clone()
    };
    let turned = Document {
        plain: &others[0],
        others: std::slice::from_ref(&plain),
        ..document.clone()
    };
    for changed in [newer, alone, moved, turned] {
        assert!(!published.offers(&changed));
    }
    let unsigned = document.to_json(None).unwrap();
    let unsigned = Published::parse(unsigned.to_string().as_bytes()).unwrap();
    assert_eq!((unsigned.epoch(), unsigned.expires()), (None, None));
    assert!(unsigned.offers(&document) && !unsigned.is_signed_by(&signer));
}

#[test]
fn what_others_published_is_read_as_far_as_it_goes() {
    let original = r#"{"version":"2025.08.31.200811-da23b42","buildTime":"2025-08-31T20:08:11Z","gitCommit":"c","buildNumber":"123",
        "downloadUrl":"https://releases.watchy.cloud/binaries/slack-monitor/watchy-slack-monitor-2025.08.31.200811-da23b42",
        "latestUrl":"https://releases.watchy.cloud/binaries/slack-monitor/watchy-slack-monitor-latest",
        "sha256":"ab","binarySize":30256930,"target_platform":"linux-x86_64","lambda_compatible":true,"binary_type":"nuitka"}"#;
    let published = Published::parse(original.as_bytes()).unwrap();
    assert_eq!(published.version, "2025.08.31.200811-da23b42");
    assert_eq!(published.origin.build_number.as_deref(), Some("123"));
    assert_eq!(published.epoch(), None);
    for none in ["", "[]", "{}", r#"{"version":1}"#] {
        assert!(Published::parse(none.as_bytes()).is_err(), "{none}");
    }
}
