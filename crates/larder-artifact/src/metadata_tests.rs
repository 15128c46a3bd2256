use minisign::KeyPair;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn base() -> Url {
    Url::parse("https://releases.example.com/binaries/slack-monitor/metadata.json").unwrap()
}

fn plain() -> Value {
    json!({
        "version": "2025.08.31.200811-da23b42",
        "buildTime": "2025-08-31T20:08:11Z",
        "downloadUrl": "https://releases.example.com/binaries/slack-monitor/watchy-slack-monitor-2025.08.31.200811-da23b42",
        "latestUrl": "https://releases.example.com/binaries/slack-monitor/watchy-slack-monitor-latest",
        "sha256": SHA,
        "binarySize": 30_256_930,
        "target_platform": "linux-x86_64",
        "lambda_compatible": true,
        "binary_type": "nuitka",
    })
}

fn parse_with(document: &Value, trust: &Trust) -> Result<Release, InvalidMetadata> {
    Release::parse(
        document.to_string().as_bytes(),
        &Expected {
            name: "slack",
            platform: "linux-x86_64",
            runner: &semver::Version::new(0, 1, 0),
            base: &base(),
            max_size: 268_435_456,
            trust,
        },
    )
}

fn parse(document: &Value) -> Result<Release, InvalidMetadata> {
    parse_with(document, &Trust::default())
}

fn with(mut document: Value, field: &str, value: impl Into<Value>) -> Value {
    document[field] = value.into();
    document
}

/// A key pair and metadata that it signed, the signed text changed by `change` first.
fn signed(change: impl FnOnce(&mut Value)) -> (Trust, Value) {
    let mut document = plain();
    let mut text = json!({
        "schema": 1, "monitor": "slack", "target": "linux-x86_64", "version": document["version"], "epoch": 7,
        "published_at": "2026-11-01T00:00:00Z", "expires_at": "2026-12-01T00:00:00Z",
        "sha256": SHA, "size": 30_256_930, "url": document["downloadUrl"], "min_runner": "0.1.0",
    });
    change(&mut text);
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    let text = text.to_string();
    let sig = minisign::sign(None, &keys.sk, text.as_bytes(), None, None).unwrap();
    document["signed"] = text.into();
    document["sig"] = sig.into_string().into();
    (
        Trust::new([keys.pk.to_base64().as_str()], true, 0).unwrap(),
        document,
    )
}

fn message(error: &InvalidMetadata) -> String {
    error.to_string()
}

#[test]
fn the_originals_metadata_is_read() {
    let release = parse(&plain()).unwrap();
    assert_eq!(release.version, "2025.08.31.200811-da23b42");
    assert_eq!(release.sha256.to_string(), SHA);
    assert_eq!(release.size, 30_256_930);
    assert!(
        release.url.path().ends_with("-2025.08.31.200811-da23b42"),
        "the versioned URL, not the latest"
    );
    assert_eq!(release.compression, Compression::None);
    assert_eq!(release.epoch(), 0);
}

#[test]
fn a_wrong_field_is_named() {
    for (field, value) in [
        ("version", json!(null)),
        ("version", json!("../../etc/passwd")),
        ("version", json!("v".repeat(129))),
        ("sha256", json!("abc")),
        ("binarySize", json!(0)),
        ("binarySize", json!(268_435_457_u64)),
        ("downloadUrl", json!(null)),
        ("downloadUrl", json!("https://evil.example.com/x")),
        ("downloadUrl", json!("http://releases.example.com/x")),
        ("downloadUrl", json!("https://user@releases.example.com/x")),
        ("downloadUrl", json!("https://releases.example.com:8443/x")),
        ("downloadUrl", json!("file:///bin/sh")),
        ("version", json!(17)),
        ("binarySize", json!(-1)),
        ("binarySize", json!("5")),
        ("compression", json!("zstd")),
        ("target_platform", json!({})),
        ("platforms", json!([])),
        ("platforms", json!({ "linux-x86_64": null })),
        ("signed", json!(["x"])),
    ] {
        let error = message(&parse(&with(plain(), field, value.clone())).unwrap_err());
        assert!(
            error.contains(&format!("`{field}`")),
            "{field}={value}: {error}"
        );
    }
}

#[test]
fn metadata_without_bounds_is_refused_unread() {
    assert!(matches!(
        parse(&with(plain(), "note", "x".repeat(MAX_BYTES))),
        Err(InvalidMetadata::TooLong { .. })
    ));
}

#[test]
fn a_build_for_another_machine_is_refused_by_name() {
    let error = message(&parse(&with(plain(), "target_platform", "linux-aarch64")).unwrap_err());
    assert!(
        error.contains("linux-aarch64") && error.contains("linux-x86_64"),
        "{error}"
    );
    parse(&with(plain(), "target_platform", "linux-amd64")).unwrap();
    parse(&with(plain(), "target_platform", Value::Null)).unwrap();
}

#[test]
fn one_metadata_may_hold_a_build_for_each_machine() {
    let arm = with(
        with(plain(), "binarySize", 11),
        "target_platform",
        "linux-aarch64",
    );
    let document =
        json!({ "version": "1.0", "platforms": { "linux-aarch64": arm, "linux-x86_64": plain() } });
    assert_eq!(parse(&document).unwrap().size, 30_256_930);

    let only_arm = json!({ "version": "1.0", "platforms": { "linux-arm64": plain() } });
    assert!(message(&parse(&only_arm).unwrap_err()).contains("linux-arm64"));
}

#[test]
fn only_the_chosen_build_is_read() {
    for other in [
        json!({ "compression": "zip" }),
        json!({ "compression": "zstd", "binarySize": -1 }),
        json!(null),
        json!([17]),
        json!({ "sha256": 5 }),
    ] {
        let builds =
            json!({ "linux-x86_64": plain(), "windows-x86_64": other, "linux-arm64": other });
        let mut document = json!({ "version": "1.0", "platforms": builds });
        assert_eq!(parse(&document).unwrap().size, 30_256_930, "{document}");
        // What stands beside the map is for older readers.
        document["binarySize"] = json!("thirty");
        assert_eq!(parse(&document).unwrap().size, 30_256_930, "{document}");
        let chosen = json!({ "version": "1.0", "platforms": { "linux-x86_64": other } });
        parse(&chosen).unwrap_err();
    }
    let elsewhere = with(
        with(plain(), "compression", "zip"),
        "target_platform",
        "windows-x86_64",
    );
    let error = parse(&elsewhere).unwrap_err();
    assert!(matches!(error, InvalidMetadata::Platform { .. }), "{error}");
}

/// What strict readers refuse of a field, and its owner may still have written.
fn unreadable() -> [(&'static str, String); 4] {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    [
        ("half of a surrogate pair", r#""fix \ud83d""#.to_owned()),
        ("a number out of range", "1e999".to_owned()),
        ("130 lists", nested(130)),
        ("5,000 lists", nested(5_000)),
    ]
}

fn parse_bytes(bytes: &[u8]) -> Result<Release, InvalidMetadata> {
    let expected = Expected {
        name: "slack",
        platform: "linux-x86_64",
        runner: &semver::Version::new(0, 1, 0),
        base: &base(),
        max_size: 268_435_456,
        trust: &Trust::default(),
    };
    Release::parse(bytes, &expected)
}

#[test]
fn unknown_fields_may_hold_anything() {
    let both = json!({ "version": "1.0", "platforms": { "linux-x86_64": plain() } });
    for (what, value) in unreadable() {
        for document in [plain(), both.clone()] {
            for name in ["notes", r"cut \ud83d"] {
                let field = format!("{{\"{name}\":{value},");
                let text = document.to_string().replace('{', &field);
                let release = parse_bytes(text.as_bytes());
                assert_eq!(release.unwrap().size, 30_256_930, "{what}: {text}");
            }
        }
        let own = format!("{{\"sha256\":{value},\"version\":\"1.0\"}}");
        let error = message(&parse_bytes(own.as_bytes()).unwrap_err());
        assert!(error.contains("`sha256`"), "{what}: {error}");
    }
    let latin = [br#"{"notes":"gr"#.as_slice(), b"\xfc\xdf", br#"e","#].concat();
    let text = [&latin, &plain().to_string().as_bytes()[1..]].concat();
    parse_bytes(&text).unwrap();
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = format!("\u{feff}{}", plain());
    assert_eq!(parse_bytes(text.as_bytes()).unwrap().size, 30_256_930);
}

#[test]
fn a_good_signature_is_kept_with_its_epoch() {
    let (trust, document) = signed(|_| ());
    let release = parse_with(&document, &trust).unwrap();
    assert_eq!(release.epoch(), 7);
    assert_eq!(release.signature.unwrap().proof.signed, document["signed"]);
}

#[test]
fn plain_fields_have_to_equal_the_signed_ones() {
    for (field, value) in [
        ("version", json!("2026.1")),
        ("sha256", json!(SHA.replace("ba", "ab"))),
        ("binarySize", json!(5)),
        ("downloadUrl", json!("https://releases.example.com/other")),
    ] {
        let (trust, document) = signed(|_| ());
        let error = parse_with(&with(document, field, value), &trust).unwrap_err();
        assert!(
            matches!(error, InvalidMetadata::Disagrees(named) if named == field),
            "{error}"
        );
    }
}

#[test]
fn a_signature_for_another_monitor_or_machine_does_not_count() {
    let (trust, document) = signed(|text| text["monitor"] = "zoom".into());
    assert!(message(&parse_with(&document, &trust).unwrap_err()).contains("zoom"));
    let (trust, document) = signed(|text| text["target"] = "linux-aarch64".into());
    assert!(matches!(
        parse_with(&document, &trust),
        Err(InvalidMetadata::Platform { .. })
    ));
    let (trust, document) = signed(|text| text["min_runner"] = "9.0.0".into());
    assert!(matches!(
        parse_with(&document, &trust),
        Err(InvalidMetadata::Runner { .. })
    ));
    let (trust, document) = signed(|text| text["schema"] = 2.into());
    assert!(message(&parse_with(&document, &trust).unwrap_err()).contains("schema 2"));
}

#[test]
fn there_is_no_way_back_from_signed_to_unsigned() {
    let (trust, document) = signed(|_| ());
    assert!(
        matches!(
            parse_with(&plain(), &trust),
            Err(InvalidMetadata::Signature(_))
        ),
        "required, so not without"
    );

    let half = with(document.clone(), "sig", Value::Null);
    assert!(
        matches!(parse(&half), Err(InvalidMetadata::Signature(_))),
        "half a signature is none"
    );

    let (stranger, _) = signed(|_| ());
    assert!(matches!(
        parse_with(&document, &stranger),
        Err(InvalidMetadata::Signature(_))
    ));
    let (_, other) = signed(|_| ());
    let swapped = with(document, "sig", other["sig"].clone());
    assert!(matches!(
        parse_with(&swapped, &trust),
        Err(InvalidMetadata::Signature(_))
    ));
}

#[test]
fn unsigned_metadata_will_do_where_nothing_is_required_yet_a_wrong_signature_never_does() {
    let (_, document) = signed(|_| ());
    let (other, _) = signed(|_| ());
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let optional = Trust::new([key], false, 0).unwrap();
    parse_with(&plain(), &optional).unwrap();
    assert!(matches!(
        parse_with(&document, &optional),
        Err(InvalidMetadata::Signature(_))
    ));
    assert!(parse_with(&document, &other).is_err());
    assert_eq!(
        parse(&document).unwrap().signature,
        None,
        "without keys nothing is claimed to be verified"
    );
}

#[test]
fn epoch_and_expiry_are_checked_at_the_time_of_use() {
    let (trust, document) = signed(|_| ());
    let release = parse_with(&document, &trust).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    release.check_now(at("2026-11-21T00:00:00Z"), 7).unwrap();
    assert!(matches!(
        release.check_now(at("2026-12-01T00:00:00Z"), 7),
        Err(InvalidMetadata::Expired { .. })
    ));
    assert!(matches!(
        release.check_now(at("2026-11-21T00:00:00Z"), 8),
        Err(InvalidMetadata::RolledBack { epoch: 7, floor: 8 })
    ));
    let unsigned = parse(&plain()).unwrap();
    unsigned.check_now(at("2026-11-21T00:00:00Z"), 0).unwrap();
    assert!(unsigned.check_now(at("2026-11-21T00:00:00Z"), 1).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Release::parse(&bytes, &Expected {
            name: "slack", platform: "linux-x86_64", runner: &semver::Version::new(0, 1, 0), base: &base(),
            max_size: 1 << 28, trust: &Trust::default(),
        });
    }

    #[test]
    fn whatever_is_accepted_stays_on_the_origin(path in "\\PC{0,40}") {
        if let Ok(release) = parse(&with(plain(), "downloadUrl", path)) {
            prop_assert_eq!(release.url.origin(), base().origin());
        }
    }
}
