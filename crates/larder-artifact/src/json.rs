//! JSON as other programs write it: what a strict reader refuses though its writer meant no harm. Pure.

use std::borrow::Cow;

/// The mark that some editors and shells put before a text, and that is no part of it.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// How many bytes of a scalar value are shown.
const SHOWN: usize = 40;

/// How long an escape such as `\ud83d` is.
const ESCAPE: usize = 6;

/// Replaces escapes of half a surrogate pair by that of U+FFFD, as `JavaScript` and Python print a text
/// that was cut within an emoji. The length stays.
#[must_use]
pub fn mend_surrogates(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        let next = escape.saturating_add(ESCAPE);
        at = match (unit(text, escape), unit(text, next)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => next.saturating_add(ESCAPE),
            (Some(0xD800..=0xDFFF), _) => {
                mended.push_str(text.get(copied..escape).unwrap_or_default());
                mended.push_str("\\ufffd");
                copied = next;
                next
            }
            (Some(_), _) => next,
            // A backslash and what it escapes, which may be a backslash.
            (None, _) => {
                let escaped = text.get(escape + 1..).and_then(|rest| rest.chars().next());
                escape + 1 + escaped.map_or(0, char::len_utf8)
            }
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(mended)
}

/// The UTF-16 unit that is escaped at this place, if one is.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(is_hex.then_some(digits)?, 16).ok()
}

/// A value as an error shows it: a short number or text as it is written, else its kind.
pub(crate) fn shown(value: &str) -> String {
    let kind = match value.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        _ if value.len() <= SHOWN => value,
        Some(b'"') => "a long text",
        _ => "a long number",
    };
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;

    #[test]
    fn mends_halves_of_surrogate_pairs_and_nothing_else() {
        for (text, mended) in [
            (r#""cut \ud83d""#, r#""cut \ufffd""#),
            (r#""\uDE00 alone""#, r#""\ufffd alone""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n\u0041""#, r#""\ufffd\n\u0041""#),
            (r#""whole \ud83d\ude00""#, r#""whole \ud83d\ude00""#),
            (r#""no escape \\ud83d""#, r#""no escape \\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\é\ud83d""#, r#""\é\ufffd""#),
            (r#""\ud8""#, r#""\ud8""#),
            (r#""\u+123""#, r#""\u+123""#),
            ("\\", "\\"),
            ("", ""),
        ] {
            assert_eq!(mend_surrogates(text), mended, "{text}");
        }
    }

    #[test]
    fn shows_short_scalars_and_the_kind_of_the_rest() {
        for (value, said) in [("-1", "-1"), (r#""zip""#, r#""zip""#), ("null", "null")] {
            assert_eq!(shown(value), said);
        }
        assert_eq!(shown("{\"a\":1}"), "an object");
        assert_eq!(shown("[1]"), "a list");
        assert_eq!(shown(&format!("\"{}\"", "x".repeat(50))), "a long text");
        assert_eq!(shown(&"9".repeat(50)), "a long number");
    }

    proptest! {
        #[test]
        fn text_that_a_lenient_reader_takes_is_read_once_mended(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["\\ud83d", "\\ude00", "\\uD800", "\\\\", "\\n", "u", "d83d", "é", "\\u0041", "\\\""]),
                0..12,
            ),
        ) {
            let text = format!("\"{}\"", pieces.concat());
            let mended = mend_surrogates(&text);
            prop_assert_eq!(mended.len(), text.len());
            prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok());
            prop_assert!(serde_json::from_str::<Value>(&mended).is_ok(), "{}", mended);
        }
    }
}
