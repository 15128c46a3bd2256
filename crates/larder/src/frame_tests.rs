//! Frames: what is written is read, and nothing else is.

use proptest::prelude::*;

use super::*;

const SCHEMA: u64 = 0x0123_4567_89ab_cdef;

fn life(negative: bool) -> Life {
    Life {
        created: WallMillis::new(1_795_338_000_000),
        fresh_until: WallMillis::new(1_795_338_300_000),
        revalidate_until: WallMillis::new(1_795_338_360_000),
        stale_until: WallMillis::new(1_795_341_900_000),
        load_cost: Duration::from_micros(300_250),
        negative,
    }
}

fn frame() -> Frame<'static> {
    Frame {
        schema: SCHEMA,
        life: life(false),
        tags: vec![1, u64::MAX],
        etag: Some("\"v1\""),
        packed: false,
        sealed: false,
        payload: b"payload",
    }
}

/// A frame with a change inside, and a checksum that is right for it.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = frame().encode().unwrap();
    bytes.truncate(bytes.len() - CHECKSUM);
    change(&mut bytes);
    let checksum = XxHash3_64::oneshot(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn the_format_is_the_one_that_is_documented() {
    let bytes = frame().encode().unwrap();
    assert_eq!(bytes.len(), 72 + 2 * 8 + 4 + 7);
    assert_eq!(bytes.len(), frame().encoded_len());
    assert_eq!(bytes[..8], [b'L', b'R', b'D', b'R', 1, 0, 2, 0]);
    assert_eq!(bytes[8..16], SCHEMA.to_le_bytes());
    assert_eq!(bytes[24..32], 1_795_338_300_000_u64.to_le_bytes());
    assert_eq!(bytes[56..64], [7, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(&bytes[80..91], b"\"v1\"payload");
}

#[test]
fn an_entry_of_another_schema_or_version_is_told_apart_from_a_corrupt_one() {
    let bytes = frame().encode().unwrap();
    assert_eq!(
        Frame::decode(&bytes, SCHEMA + 1),
        Err(Undecodable::Schema {
            expected: SCHEMA + 1,
            found: SCHEMA
        })
    );
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert_eq!(Frame::decode(&newer, SCHEMA), Err(Undecodable::Version(2)));
    let mut rotten = bytes.clone();
    rotten[90] ^= 1;
    assert_eq!(Frame::decode(&rotten, SCHEMA), Err(Undecodable::Corrupt));
    for foreign in [&b""[..], b"LRD", b"{\"version\":1}", b"PK\x03\x04"] {
        assert_eq!(Frame::decode(foreign, SCHEMA), Err(Undecodable::Foreign));
    }
}

type Change = fn(&mut Vec<u8>);

#[test]
fn what_this_never_writes_is_not_read_even_with_a_right_checksum() {
    assert!(Frame::decode(&forged(|_| {}), SCHEMA).is_ok());
    let changes: [(&str, Change); 9] = [
        ("an unknown flag", |bytes| bytes[5] = 8),
        ("nothing, and that packed", |bytes| bytes[5] = 3),
        ("reserved bytes", |bytes| bytes[63] = 1),
        ("more tags than there are", |bytes| bytes[6] = 60),
        ("more tags than there may be", |bytes| bytes[7] = 1),
        ("a longer payload", |bytes| bytes[56] += 1),
        ("a shorter payload", |bytes| bytes[56] -= 1),
        ("stale before it is fresh", |bytes| bytes[40..48].fill(0)),
        ("an ETag that is no text", |bytes| bytes[80] = 0xff),
    ];
    for (what, change) in changes {
        assert_eq!(
            Frame::decode(&forged(change), SCHEMA),
            Err(Undecodable::Malformed),
            "{what}"
        );
    }
}

#[test]
fn what_is_too_large_is_refused_with_its_size() {
    let tags = Frame {
        tags: vec![0; MAX_TAGS + 1],
        ..frame()
    };
    assert_eq!(tags.encode(), Err(TooLarge::Tags(65)));
    let long = "x".repeat(MAX_ETAG + 1);
    let etag = Frame {
        etag: Some(&long),
        ..frame()
    };
    assert_eq!(etag.encode(), Err(TooLarge::Etag(1025)));
    let bytes = vec![0; MAX_PAYLOAD + 1];
    let payload = Frame {
        payload: &bytes,
        ..frame()
    };
    assert_eq!(payload.encode(), Err(TooLarge::Payload(MAX_PAYLOAD + 1)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        schema: u64,
        negative: bool,
        tags in prop::collection::vec(any::<u64>(), 0..=MAX_TAGS),
        etag in prop::option::of("[ -~é]{1,64}"),
        packed: bool,
        sealed: bool,
        payload: Vec<u8>,
    ) {
        let frame = Frame { schema, life: life(negative), tags, etag: etag.as_deref(), packed: packed && !negative, sealed, payload: &payload };
        let bytes = frame.encode().unwrap();
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        prop_assert_eq!(Frame::decode(&bytes, schema), Ok(frame));
    }

    #[test]
    fn a_flipped_bit_or_a_missing_end_is_noticed(at: prop::sample::Index, bit in 0..8_u32, cut: bool) {
        let mut bytes = frame().encode().unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        prop_assert!(Frame::decode(&bytes, SCHEMA).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, behind_magic: bool) {
        let bytes = if behind_magic { [&MAGIC[..], &[VERSION], &bytes].concat() } else { bytes };
        let _ = Frame::decode(&bytes, SCHEMA);
    }
}
