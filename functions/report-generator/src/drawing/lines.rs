//! A paragraph → lines no wider than a column. Thai writes no spaces between words: where one ends is looked up in a
//! dictionary.

use std::ops::Range;
use std::sync::LazyLock;

use icu_segmenter::options::LineBreakOptions;
use icu_segmenter::{LineSegmenter, LineSegmenterBorrowed};

use super::text::{Measured, Weight, may_cut};

static SEGMENTER: LazyLock<LineSegmenterBorrowed<'static>> =
    LazyLock::new(|| LineSegmenter::new_dictionary(LineBreakOptions::default()));

/// A paragraph that was measured once, and can be broken for any width.
pub(super) struct Paragraph {
    text: String,
    measured: Measured,
    /// Where a line may end, in order; the last is the end of the text.
    breaks: Vec<usize>,
}

impl Paragraph {
    pub(super) fn new(text: &str, weight: Weight) -> Self {
        let mut breaks: Vec<usize> = SEGMENTER
            .segment_str(text)
            .filter(|at| *at > 0 && *at < text.len() && is_between_words(text, *at))
            .collect();
        breaks.push(text.len());
        Self {
            text: text.to_owned(),
            measured: Measured::of(text, weight),
            breaks,
        }
    }

    /// The lines, none of them wider than `width` ems unless a single letter is.
    pub(super) fn lines(&self, width: f64) -> Vec<&str> {
        let mut lines = Vec::new();
        let mut start = 0;
        let mut end = 0;
        for at in &self.breaks {
            if end > start && self.width(start..*at) > width {
                lines.push(start..end);
                start = end;
            }
            // A word that is wider than the column is cut anywhere.
            while self.width(start..*at) > width {
                let cut = self.cut(start..*at, width);
                if cut >= *at {
                    break;
                }
                lines.push(start..cut);
                start = cut;
            }
            end = *at;
        }
        lines.push(start..self.text.len());
        let text = |line: Range<usize>| self.text.get(line).unwrap_or_default().trim_end();
        lines.into_iter().map(text).collect()
    }

    /// How wide a line is: the space at its end does not count.
    fn width(&self, range: Range<usize>) -> f64 {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let end = range.start + text.trim_end().len();
        self.measured.between(range.start..end)
    }

    /// Where `range` has to end for its beginning to fit, at least one letter later.
    fn cut(&self, range: Range<usize>, width: f64) -> usize {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let ends = text.char_indices().skip(1).filter(|(at, _)| {
            let (head, tail) = text.split_at(*at);
            may_cut(head, tail)
        });
        let mut ends = ends.map(|(at, _)| range.start + at);
        let first = ends.next().unwrap_or(range.end);
        let fits = |end: &usize| self.measured.between(range.start..*end) <= width;
        ends.take_while(fits).last().unwrap_or(first)
    }
}

/// The dictionary does not know every word, and guesses at names: what no reader would break stays together.
fn is_between_words(text: &str, at: usize) -> bool {
    let Some((head, tail)) = text.split_at_checked(at) else {
        return false;
    };
    // Mai yamok repeats the word before it.
    let repeats = tail.trim_start().starts_with('\u{e46}');
    // `SGD 53.90` and `RSI 14` are one thing each.
    let capital = head
        .trim_end()
        .ends_with(|sign: char| sign.is_ascii_uppercase());
    let amount = capital && tail.starts_with(|sign: char| sign.is_ascii_digit());
    may_cut(head, tail) && !repeats && !amount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str, width: f64) -> Vec<String> {
        let paragraph = Paragraph::new(text, Weight::Regular);
        let lines = paragraph.lines(width);
        lines.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn lines_end_between_thai_words() {
        let words = [
            "ราคา",
            "หุ้น",
            "ธนาคาร",
            "ปรับ",
            "ตัว",
            "ขึ้น",
            "ต่อ",
            "เนื่อง",
            "แต่",
            "นัก",
            "ลงทุน",
            "ควร",
            "ระวัง",
            "ความ",
            "ผันผวน",
            "ที่",
            "สูง",
            "กว่า",
            "ปกติ",
        ];
        let text = words.concat();
        let ends: Vec<usize> = words
            .iter()
            .scan(0, |end, word| {
                *end += word.len();
                Some(*end)
            })
            .collect();
        for width in 5..30 {
            let mut end = 0;
            for line in broken(&text, f64::from(width)) {
                end += line.len();
                assert!(ends.contains(&end), "{width}: {line}");
            }
            assert_eq!(end, text.len());
        }
    }

    #[test]
    fn no_mark_begins_a_line_however_narrow_it_is() {
        let text = "เกี่ยวกับน้ำมันดิบเบรนท์ที่ปรับตัวลง ค่อยๆ ฟื้น ก็ตาม";
        for width in [0.1, 0.5, 1.0, 1.7, 3.0, 8.0] {
            let lines = broken(text, width);
            let length: usize = lines.iter().map(String::len).sum();
            assert!(length >= text.replace(' ', "").len());
            for pair in lines.windows(2) {
                assert!(may_cut(&pair[0], &pair[1]), "{pair:?}");
            }
        }
    }

    #[test]
    fn lines_are_as_wide_as_their_column_at_most() {
        let text = "The moving averages cross where nobody looks: https://example.com/a/very/long/address/that/nobody/breaks/";
        for width in 4..40 {
            let width = f64::from(width);
            for line in broken(text, width) {
                assert!(Measured::of(&line, Weight::Regular).width() <= width + 1e-9);
            }
        }
        assert_eq!(broken("one two", 100.0), ["one two"]);
        assert_eq!(broken("", 10.0), [""]);
    }

    #[test]
    fn an_amount_stays_with_its_currency() {
        for width in 4..20 {
            let lines = broken("ราคาปิดล่าสุดอยู่ที่ SGD 245.28 ต่ำกว่าเมื่อวาน", f64::from(width));
            assert!(lines.iter().all(|line| !line.ends_with("SGD")), "{lines:?}");
        }
    }

    #[test]
    fn numbers_and_their_signs_stay_together() {
        for line in broken("กำไรเพิ่มขึ้น 12.5% เป็น SGD 2,345.67 ล้าน (เทียบกับปีก่อน)", 5.0)
        {
            assert!(!line.starts_with(['%', ')', '.', ',']), "{line}");
        }
    }
}
