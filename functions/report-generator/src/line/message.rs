//! Texts as LINE takes them: five messages at most, of 5,000 UTF-16 units each ("Messaging API reference", text message).

use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    language::Language,
    ticker::{Ticker, Unknown},
};

/// The longest message, in UTF-16 units.
const MAX_UNITS: usize = 5_000;
/// The most messages of one answer.
const MOST: usize = 5;
/// Of a text that is longer than all of them.
const REST: &str = "…";

/// `text` as messages: cut where a paragraph ends, or a line, or a word, and never within what a reader takes for one letter.
#[must_use]
pub fn split(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let last = messages.len() + 1 == MOST;
        let fits = head(rest, MAX_UNITS);
        if fits.len() == rest.len() {
            messages.push(rest.to_owned());
            break;
        }
        if last {
            messages.push(format!("{}{REST}", head(rest, MAX_UNITS - 1)));
            break;
        }
        let end = good_end(fits);
        let (message, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        messages.push(message.trim_end().to_owned());
        rest = after.trim_start();
    }
    messages
}

/// As many whole letters of `text` as have `units` at most.
fn head(text: &str, units: usize) -> &str {
    let mut left = units;
    let mut end = 0;
    for letter in text.graphemes(true) {
        let length = letter.encode_utf16().count();
        if length > left && !(end == 0 && length > units) {
            break;
        }
        if length > units {
            // One letter of thousands of marks: whoever sends that gets a part of it.
            let part: usize = letter.chars().take(units / 2).map(char::len_utf8).sum();
            return text.get(..part).unwrap_or_default();
        }
        left -= length;
        end += letter.len();
    }
    text.get(..end).unwrap_or_default()
}

/// Where to cut what fits: not in its first half, so that messages are not many and short.
fn good_end(fits: &str) -> usize {
    let half = fits.len() / 2;
    let ends = ["\n\n", "\n", " "].map(|end| fits.rfind(end).filter(|at| *at > half));
    ends.into_iter().flatten().next().unwrap_or(fits.len())
}

/// That the report is being made.
pub(super) fn working(ticker: &Ticker, language: Language) -> String {
    match language {
        Language::Thai => format!("กำลังจัดทำรายงานของ {ticker} จะส่งให้ทันทีที่เสร็จ"),
        Language::English => format!(
            "The report on {ticker} is being written. You will have it as soon as it is done."
        ),
    }
}

/// That there is none.
pub(super) fn failed(ticker: &Ticker, language: Language) -> String {
    match language {
        Language::Thai => format!("ขออภัย ขณะนี้ไม่สามารถจัดทำรายงานของ {ticker} ได้ กรุณาลองใหม่ภายหลัง"),
        Language::English => format!(
            "Sorry, there is no report on {ticker} to be had just now. Please try again later."
        ),
    }
}

/// That there is no such ticker.
pub(super) fn unknown(unknown: &Unknown, language: Language) -> String {
    let ticker = &unknown.ticker;
    let names: Vec<_> = unknown.nearest.iter().map(Ticker::as_str).collect();
    let nearest = names.join(", ");
    match (language, names.is_empty()) {
        (Language::Thai, true) => format!("ไม่พบ {ticker} กรุณาพิมพ์ชื่อย่อ เช่น DBS19"),
        (Language::Thai, false) => format!("ไม่พบ {ticker} คุณหมายถึง {nearest} หรือไม่?"),
        (Language::English, true) => {
            format!("There is no {ticker}. Write a ticker, such as DBS19.")
        }
        (Language::English, false) => format!("There is no {ticker}. Did you mean {nearest}?"),
    }
}

/// What to write.
pub(super) fn help(language: Language) -> String {
    match language {
        Language::Thai => {
            "พิมพ์ชื่อย่อของหุ้น เช่น DBS19 เพื่อรับรายงาน พิมพ์ DBS19 en เพื่อรับเป็นภาษาอังกฤษ".to_owned()
        }
        Language::English => {
            "Write a ticker such as DBS19 to get its report; DBS19 th for Thai.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    #[test]
    fn a_short_text_is_one_message_and_none_is_none() {
        assert_eq!(split("DBS19"), ["DBS19"]);
        assert!(split(" \n").is_empty());
    }

    #[test]
    fn a_long_text_is_cut_between_paragraphs_and_its_end_is_marked() {
        let paragraph = format!("{}\n\n", "ราคาขึ้น ".repeat(300));
        let messages = split(&paragraph.repeat(3));
        assert_eq!(messages.len(), 3);
        let endless = split(&"🎯".repeat(20_000));
        assert_eq!(endless.len(), MOST);
        assert!(endless[4].ends_with(REST));
        assert!(endless.iter().all(|message| units(message) <= MAX_UNITS));
    }

    #[test]
    fn no_letter_is_cut_whatever_it_is_made_of() {
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
        for message in split(&family.repeat(1_500)) {
            assert_eq!(message.trim_end_matches(REST).len() % family.len(), 0);
        }
        let zalgo = format!("a{}", "\u{301}".repeat(20_000));
        assert!(
            split(&zalgo)
                .iter()
                .all(|message| units(message) <= MAX_UNITS)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "[a-zก-๙ \n🎯]{0,9000}") {
            let messages = split(&text);
            prop_assert!(messages.iter().all(|message| (1..=MAX_UNITS).contains(&units(message))));
            let kept: String = messages.concat().split_whitespace().collect();
            let all: String = text.split_whitespace().collect();
            prop_assert_eq!(kept, all);
        }
    }
}
