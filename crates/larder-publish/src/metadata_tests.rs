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

#[test]
fn fields_and_builds_of_others_may_hold_anything() {
    let (plain, others) = (build("linux-x86_64"), [build("linux-aarch64")]);
    let document = document(&plain, &others);
    let json = document.to_json(None).unwrap().to_string();
    let nested = format!("{}{}", "[".repeat(130), "]".repeat(130));
    for value in ["17", r#""fix \ud83d""#, "1e999", "null", nested.as_str()] {
        for field in ["buildNumber", "notes", r"cut \ud83d", "gitCommit"] {
            let json = json.replace(r#""gitCommit":"da23b42","#, "");
            let json = json.replacen('{', &format!("{{\"{field}\":{value},"), 1);
            let published = Published::parse(json.as_bytes()).unwrap();
            assert!(published.offers(&document), "{json}");
        }
    }
    let json = json.replacen('{', r#"{"buildNumber":17,"#, 1);
    let published = Published::parse(json.as_bytes()).unwrap();
    assert_eq!(published.origin.build_number.as_deref(), Some("17"));
    let marked = format!("\u{feff}{json}");
    assert!(
        Published::parse(marked.as_bytes())
            .unwrap()
            .offers(&document)
    );
}

#[test]
fn only_builds_of_its_own_platforms_have_to_be_readable() {
    let signer = Signer::generate().unwrap();
    let (plain, others) = (build("linux-x86_64"), [build("linux-aarch64")]);
    let both = document(&plain, &others);
    let mut json = both.to_json(Some(&signer)).unwrap();
    let mut theirs = json["platforms"]["linux-x86_64"].clone();
    theirs["compression"] = "zip".into();
    json["platforms"]["windows-x86_64"] = theirs;
    json["platforms"]["darwin-arm64"] = Value::Null;
    let published = Published::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!((published.builds.len(), published.others.len()), (2, 2));
    assert_eq!(published.epoch(), Some(7));
    assert!(!published.offers(&both), "there is more than that");
    for alone in [
        json!({ "binarySize": 3 }),
        json!({ "compression": "zip" }),
        Value::Null,
    ] {
        json["platforms"]["linux-arm64"] = alone;
        let error = Published::parse(json.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, InvalidMetadata::Field { .. }), "{error}");
    }

    let mut only = both.to_json(None).unwrap();
    for (field, _) in json["platforms"]["linux-x86_64"].as_object().unwrap() {
        only.as_object_mut().unwrap().remove(field);
    }
    let only = Published::parse(only.to_string().as_bytes()).unwrap();
    assert_eq!(
        only.builds.len(),
        2,
        "the map is enough, as for its readers"
    );
}

#[test]
fn a_refusal_names_the_field() {
    let plain = build("linux-x86_64");
    let json = document(&plain, &[]).to_json(Some(&Signer::generate().unwrap()));
    let json = json.unwrap();
    for (field, value, said) in [
        ("version", json!(17), "is 17, not a text"),
        ("version", Value::Null, "is missing"),
        (
            "binarySize",
            json!("thirty"),
            "is \"thirty\", not a whole number of bytes",
        ),
        ("sha256", json!({}), "is an object, not a text"),
        ("downloadUrl", Value::Null, "is missing"),
        (
            "compression",
            json!("zstd"),
            "is \"zstd\", not `none` or `gzip`",
        ),
        ("signed", json!("{}"), "has no epoch"),
        ("platforms", json!(5), "is 5, not an object"),
    ] {
        let mut json = json.clone();
        json[field] = value;
        let error = Published::parse(json.to_string().as_bytes()).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(&format!("`{field}` {said}")), "{told}");
    }
}
