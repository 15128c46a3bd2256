//! What becomes of the metadata: when it is left alone, signed anew, replaced, and refused.

use clap::Parser as _;

use super::*;
use crate::{
    arguments::{Arguments, Command},
    metadata::Build,
};

const NOW: u64 = 1_800_000_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn arguments(more: &[&str]) -> Monitor {
    let all = [
        "larder-publish",
        "monitor",
        "--monitor",
        "slack",
        "--version",
        "1.0",
        "--binary",
        "slack",
        "--bucket",
        "b",
        "--url",
        "https://releases.example.com",
    ];
    let arguments = Arguments::try_parse_from(all.iter().chain(more)).unwrap();
    match arguments.command {
        Command::Monitor(monitor) => *monitor,
        _ => panic!("a monitor"),
    }
}

fn build() -> Build {
    Build {
        platform: "linux-x86_64".to_owned(),
        sha256: "ab".repeat(32),
        size: 3,
        compression: larder_artifact::Compression::None,
        key: "binaries/slack-monitor/watchy-slack-monitor-1.0".to_owned(),
    }
}

fn document<'a>(version: &'a str, plain: &'a Build, good_for: SignedDuration) -> Document<'a> {
    let now = Timestamp::now();
    Document {
        release: Release {
            prefix: "watchy",
            monitor: "slack",
        },
        version,
        url: "https://releases.example.com",
        plain,
        others: &[],
        epoch: 7,
        published: now,
        expires: now + good_for,
        min_runner: "0.1.0",
        binary_type: "rust",
        origin: Origin {
            build_time: Some("then".to_owned()),
            ..Origin::default()
        },
    }
}

fn published(document: &Document<'_>, signer: Option<&Signer>) -> Before {
    let bytes = document.to_json(signer).unwrap().to_string().into_bytes();
    Before {
        problem: None,
        published: Some(Published::parse(&bytes).unwrap()),
        held: Some(Held {
            bytes,
            etag: "\"e\"".to_owned(),
        }),
    }
}

#[test]
fn what_is_published_already_is_left_alone_until_half_of_its_time_is_over() {
    let build = build();
    let [signer, other] = [(); 2].map(|()| Signer::generate().unwrap());
    let now = document("1.0", &build, DAY * 14);
    let next = |good_for, signer: Option<&Signer>, more: &[&str]| {
        let before = published(&document("1.0", &build, good_for), Some(&other));
        next(&arguments(more), (&before, &now), signer, NOW).unwrap()
    };
    assert_eq!(next(DAY * 8, Some(&other), &[]), Next::Keep);
    assert_eq!(
        next(DAY * 6, Some(&other), &[]),
        Next::Write(7),
        "the same epoch"
    );
    assert_eq!(next(DAY * 6, None, &[]), Next::Keep, "nobody can sign it");
    assert_eq!(
        next(DAY * 8, Some(&signer), &[]),
        Next::Write(7),
        "by another key"
    );
    assert_eq!(
        next(DAY * 8, Some(&other), &["--epoch", "9"]),
        Next::Write(9)
    );
    assert_eq!(next(DAY * 8, Some(&other), &["--epoch", "7"]), Next::Keep);
    assert_eq!(
        next(DAY * 8, Some(&other), &["--valid-days", "30"]),
        Next::Write(7)
    );

    let unsigned = published(&now, None);
    let sign = super::next(&arguments(&[]), (&unsigned, &now), Some(&signer), NOW);
    assert_eq!(sign.unwrap(), Next::Write(NOW));
}

#[test]
fn no_epoch_goes_back_and_no_signature_is_taken_away() {
    let build = build();
    let signer = Signer::generate().unwrap();
    let (old, new) = (document("1.0", &build, DAY), document("1.1", &build, DAY));
    let before = published(&old, Some(&signer));
    let of = |signer, more: &[&str], now| {
        let next = next(&arguments(more), (&before, &new), signer, now);
        next.map_err(|error| error.to_string())
    };
    assert_eq!(of(Some(&signer), &[], NOW), Ok(Next::Write(NOW)));
    assert_eq!(
        of(Some(&signer), &["--epoch", "7"], NOW),
        Ok(Next::Write(7))
    );
    for (signer, more, now, said) in [
        (Some(&signer), &["--epoch", "6"][..], NOW, "under 7"),
        (Some(&signer), &[][..], 6, "give --epoch 7 or more"),
        (None, &[][..], NOW, "give --sign-key"),
    ] {
        let told = of(signer, more, now).unwrap_err();
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn metadata_that_cannot_be_read_is_replaced_only_with_an_epoch() {
    let build = build();
    let new = document("1.0", &build, DAY);
    let unreadable = |bytes: &[u8]| Before {
        held: Some(Held {
            bytes: bytes.to_vec(),
            etag: String::new(),
        }),
        published: None,
        problem: Published::parse(bytes).err(),
    };
    let garbage = unreadable(b"<html>");
    let wrong = unreadable(br#"{"version":"1.0","sha256":17}"#);
    let nothing = Before {
        held: None,
        published: None,
        problem: None,
    };
    let of = |before, more: &[&str]| next(&arguments(more), (before, &new), None, NOW);
    assert_eq!(of(&nothing, &[]).unwrap(), Next::Write(NOW));
    assert!(
        of(&garbage, &[])
            .unwrap_err()
            .to_string()
            .contains("give --epoch")
    );
    let told = of(&wrong, &[]).unwrap_err().to_string();
    assert!(told.contains("its field `sha256` is 17"), "{told}");
    assert_eq!(of(&garbage, &["--epoch", "3"]).unwrap(), Next::Write(3));
}

#[test]
fn signed_anew_a_release_still_comes_from_where_it_came_from() {
    let build = build();
    let before = published(&document("1.0", &build, DAY), None);
    let again = Document {
        origin: Origin {
            git_commit: Some("c".to_owned()),
            ..Origin::default()
        },
        ..document("1.0", &build, DAY)
    };
    let again = again.with(8, before.published.as_ref());
    assert_eq!(again.epoch, 8);
    assert_eq!(again.origin.build_time.as_deref(), Some("then"));
    assert_eq!(again.origin.git_commit.as_deref(), Some("c"));
    let newer = document("1.1", &build, DAY).with(8, before.published.as_ref());
    assert_eq!(newer.origin.git_commit, None);
}
