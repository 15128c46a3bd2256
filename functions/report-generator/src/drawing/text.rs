//! What the bundled fonts can draw of a text, and how wide that is.

use std::ops::Range;
use std::sync::LazyLock;

use rustybuzz::{BufferClusterLevel, Direction, Face, ShapePlan, UnicodeBuffer, script};

/// The Latin and Thai letters of both weights.
pub(super) const REGULAR: &[u8] = include_bytes!("../../fonts/Sarabun-Regular.ttf");
pub(super) const SEMI_BOLD: &[u8] = include_bytes!("../../fonts/Sarabun-SemiBold.ttf");

static REGULAR_FONT: LazyLock<Option<Shaper>> = LazyLock::new(|| Shaper::new(REGULAR));
static SEMI_BOLD_FONT: LazyLock<Option<Shaper>> = LazyLock::new(|| Shaper::new(SEMI_BOLD));

/// How heavy letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    SemiBold,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: f64,
    pub(super) colour: &'static str,
}

impl Style {
    pub(super) const fn regular(size: f64, colour: &'static str) -> Self {
        let weight = Weight::Regular;
        Self {
            weight,
            size,
            colour,
        }
    }

    pub(super) const fn semi_bold(size: f64, colour: &'static str) -> Self {
        let weight = Weight::SemiBold;
        Self {
            weight,
            size,
            colour,
        }
    }

    /// How wide `text` is in this style.
    pub(super) fn width(self, text: &str) -> f64 {
        self.size * Measured::of(text, self.weight).width()
    }

    /// The same in the size that makes `text` fit into `width`, but not smaller than `least`.
    pub(super) fn shrunk(self, text: &str, width: f64, least: f64) -> Self {
        let natural = self.width(text).max(width);
        let size = (self.size * width / natural).max(least);
        Self { size, ..self }
    }

    /// `text`, or as much of it as fits into `width`, and an ellipsis.
    pub(super) fn fitted(self, text: &str, width: f64) -> String {
        let measured = Measured::of(text, self.weight);
        if measured.width() * self.size <= width {
            return text.to_owned();
        }
        let room = width / self.size - Measured::of("…", self.weight).width();
        let cuts = text.char_indices().rev().filter(|(at, _)| {
            let (head, tail) = text.split_at(*at);
            may_cut(head, tail) && measured.between(0..*at) <= room
        });
        let cut = cuts.map(|(at, _)| at).next().unwrap_or_default();
        format!("{}…", text.get(..cut).unwrap_or_default().trim_end())
    }
}

/// A glyph, placed. Lengths are in units of the font.
pub(super) struct Glyph {
    pub(super) id: u16,
    /// What of the text it draws, alone or together with its neighbours of the same range.
    pub(super) range: Range<usize>,
    pub(super) advance: i16,
    pub(super) offset: (i16, i16),
}

struct Shaper {
    face: Face<'static>,
    latin: ShapePlan,
    thai: ShapePlan,
    em: f64,
}

impl Shaper {
    fn new(data: &'static [u8]) -> Option<Self> {
        let face = Face::from_slice(data, 0)?;
        let plan = |script| ShapePlan::new(&face, Direction::LeftToRight, Some(script), None, &[]);
        let (latin, thai) = (plan(script::LATIN), plan(script::THAI));
        let em = f64::from(face.units_per_em());
        Some(Self {
            face,
            latin,
            thai,
            em,
        })
    }

    fn of(weight: Weight) -> Option<&'static Self> {
        match weight {
            Weight::Regular => REGULAR_FONT.as_ref(),
            Weight::SemiBold => SEMI_BOLD_FONT.as_ref(),
        }
    }

    /// The glyphs of `run`, one of [`runs`].
    fn shape(&self, run: &str) -> Vec<Glyph> {
        let thai = run.starts_with(is_thai);
        let (script, plan) = if thai {
            (script::THAI, &self.thai)
        } else {
            (script::LATIN, &self.latin)
        };
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(run);
        buffer.set_direction(Direction::LeftToRight);
        buffer.set_script(script);
        // Marks keep their own place in the text, so that it can be copied from a document as it was.
        buffer.set_cluster_level(BufferClusterLevel::Characters);
        let shaped = rustybuzz::shape_with_plan(&self.face, plan, buffer);
        let units = |length: i32| i16::try_from(length).unwrap_or_default();
        let places = shaped.glyph_infos().iter().zip(shaped.glyph_positions());
        let glyph = |(info, place): (&rustybuzz::GlyphInfo, &rustybuzz::GlyphPosition)| {
            let start = usize::try_from(info.cluster).unwrap_or_default();
            Glyph {
                id: u16::try_from(info.glyph_id).unwrap_or_default(),
                range: start..start,
                advance: units(place.x_advance),
                offset: (units(place.x_offset), units(place.y_offset)),
            }
        };
        let mut glyphs: Vec<Glyph> = places.map(glyph).collect();
        close_ranges(&mut glyphs, run.len());
        glyphs
    }
}

/// Ends each glyph's range where the next one's begins. Sara am is drawn around the tone mark before it: what is drawn
/// out of order shares one range.
fn close_ranges(glyphs: &mut [Glyph], end: usize) {
    let latest = glyphs.iter().scan(0, |latest: &mut usize, glyph| {
        *latest = (*latest).max(glyph.range.start);
        Some(*latest)
    });
    let latest: Vec<usize> = latest.collect();
    let (mut earliest, mut range_end, mut next) = (end, end, glyphs.len());
    for at in (0..glyphs.len()).rev() {
        let Some(glyph) = glyphs.get(at) else { return };
        earliest = earliest.min(glyph.range.start);
        let before = at.checked_sub(1).and_then(|before| latest.get(before));
        if before.is_none_or(|before| *before < earliest) {
            for glyph in glyphs.iter_mut().take(next).skip(at) {
                glyph.range = earliest..range_end;
            }
            (range_end, next, earliest) = (earliest, at, end);
        }
    }
}

/// The glyphs of `run`, one of [`runs`].
pub(super) fn glyphs(run: &str, weight: Weight) -> Vec<Glyph> {
    Shaper::of(weight).map_or_else(Vec::new, |shaper| shaper.shape(run))
}

/// Splits `text` where it turns into Thai or out of it: a font sets only one script at once. Digits, spaces and signs
/// stay with what they follow.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut starts = Vec::new();
    let mut was_thai = None;
    for (at, sign) in text.char_indices() {
        let thai = is_thai(sign);
        if was_thai.is_none() || (was_thai != Some(thai) && (thai || sign.is_alphabetic())) {
            starts.push(at);
            was_thai = Some(thai);
        }
    }
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    let runs: Vec<_> = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| *start..end)
        .collect();
    runs.into_iter()
}

/// A text whose every part has a known width, in ems.
pub(super) struct Measured {
    /// Where each byte of the text stands, and its end.
    places: Vec<f64>,
}

impl Measured {
    pub(super) fn of(text: &str, weight: Weight) -> Self {
        let em = Shaper::of(weight).map_or(1.0, |font| font.em);
        let mut places = Vec::with_capacity(text.len() + 1);
        let mut x = 0.0;
        for run in runs(text) {
            let start = run.start;
            for glyph in glyphs(text.get(run).unwrap_or_default(), weight) {
                // All of a range stands where it begins.
                places.resize((start + glyph.range.end).max(places.len()), x);
                x += f64::from(glyph.advance) / em;
            }
        }
        places.resize(text.len() + 1, x);
        Self { places }
    }

    pub(super) fn between(&self, range: Range<usize>) -> f64 {
        let at = |at: usize| self.places.get(at).or(self.places.last()).copied();
        at(range.end).unwrap_or_default() - at(range.start).unwrap_or_default()
    }

    pub(super) fn width(&self) -> f64 {
        self.places.last().copied().unwrap_or_default()
    }
}

/// What can be drawn of the first `most` characters of `text`: no emoji, no controls, nothing that would become an
/// empty box. Whitespace becomes one space, or one line feed.
pub(super) fn drawable(text: &str, most: usize) -> String {
    let mut drawable = String::with_capacity(text.len().min(4 * most));
    let mut gap = None;
    for sign in text.chars().take(most) {
        if sign.is_whitespace() && sign != '\u{a0}' {
            let line_feed = sign == '\n' || gap == Some('\n');
            gap = Some(if line_feed { '\n' } else { ' ' });
        } else if let Some(sign) = drawable_sign(sign) {
            if let Some(gap) = gap.take().filter(|_| !drawable.is_empty()) {
                drawable.push(gap);
            }
            drawable.push_str(sign.encode_utf8(&mut [0; 4]));
        }
    }
    drawable
}

/// `sign`, or what looks most like it; `None` if the fonts have nothing of the kind.
fn drawable_sign(sign: char) -> Option<char> {
    let has = |sign: char| {
        let fonts = [Weight::Regular, Weight::SemiBold].map(Shaper::of);
        let glyph = |font: Option<&Shaper>| font?.face.glyph_index(sign);
        fonts.into_iter().all(|font| glyph(font).is_some())
    };
    let alike = match sign {
        '\u{2010}' | '\u{2011}' | '\u{2212}' => '-',
        '\u{2012}' | '\u{2015}' => '\u{2013}',
        '\u{25cf}' | '\u{25aa}' | '\u{2219}' | '\u{2043}' => '\u{2022}',
        '\u{223c}' | '\u{ff5e}' => '~',
        other => other,
    };
    let drawn = |sign: &char| !is_invisible(*sign) && has(*sign);
    Some(sign).filter(drawn).or(Some(alike).filter(drawn))
}

fn is_invisible(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(sign, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

pub(super) fn is_thai(sign: char) -> bool {
    matches!(sign, '\u{e01}'..='\u{e5b}')
}

/// Whether all of `text` stands above or below a Thai letter, sara am included, of which only half does.
pub(super) fn is_marks(text: &str) -> bool {
    let is_mark = |sign| matches!(sign, '\u{e31}' | '\u{e33}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}');
    text.chars().all(is_mark)
}

/// Whether a text may end between `head` and `tail` at all: no mark is torn off its letter, nor a vowel off its
/// consonant.
pub(super) fn may_cut(head: &str, tail: &str) -> bool {
    let leads = |sign| matches!(sign, '\u{e40}'..='\u{e44}');
    let follows = |sign| {
        matches!(sign, '\u{e30}'..='\u{e3a}' | '\u{e45}'..='\u{e4e}' | '\u{e2f}')
            || matches!(sign, '\u{300}'..='\u{36f}')
    };
    !head.ends_with(leads) && !tail.starts_with(follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fonts_lack_is_dropped_and_not_drawn_as_a_box() {
        assert_eq!(drawable("📈 ขึ้น ⚠️ 5%", 100), "ขึ้น 5%");
        assert_eq!(drawable("👩‍💻ok\u{200b}\u{feff}\u{0}", 100), "ok");
        assert_eq!(drawable("−1.5 – a", 100).chars().last(), Some('a'));
        assert!(drawable("−1.5", 100).ends_with("1.5"));
        assert_eq!(drawable("你好", 100), "");
    }

    #[test]
    fn whitespace_is_one_space_or_one_line_feed() {
        assert_eq!(drawable("  a \t b\r\n\n  c  \n", 100), "a b\nc");
    }

    #[test]
    fn scripts_are_shaped_apart() {
        let text = "RSI 14 อยู่ที่ 66.35 (DBS) สูง";
        let parts: Vec<_> = runs(text).map(|run| &text[run]).collect();
        assert_eq!(parts, ["RSI 14 ", "อยู่ที่ 66.35 (", "DBS) ", "สูง"]);
        assert_eq!(runs("").count(), 0);
    }

    #[test]
    fn marks_stand_above_their_letter_and_take_no_room() {
        let style = Style::regular(1.0, "");
        assert!((style.width("ที่") - style.width("ท")).abs() < 1e-9);
        let separate = style.width("น") + style.width("า");
        assert!((style.width("น้ำ") - separate).abs() < 0.01);
    }

    #[test]
    fn each_character_belongs_to_one_range_of_glyphs() {
        for text in ["น้ำใจ", "ก็ที่นี่", "ซื้อ", "นำ", "กำ้", "office fi"]
        {
            let glyphs = glyphs(text, Weight::Regular);
            let mut end = 0;
            for glyph in &glyphs {
                assert!(glyph.range.start == end || glyph.range.end == end, "{text}");
                assert!(
                    text.get(glyph.range.clone())
                        .is_some_and(|it| !it.is_empty())
                );
                end = glyph.range.end;
            }
            assert_eq!(end, text.len(), "{text}");
        }
    }

    #[test]
    fn fitted_text_ends_with_an_ellipsis_where_it_may_be_cut() {
        let style = Style::semi_bold(10.0, "");
        assert_eq!(style.fitted("DBS", 100.0), "DBS");
        for width in 12..120 {
            let width = f64::from(width);
            let fitted = style.fitted("เกี่ยวกับบริษัทที่ซื้อน้ำมัน", width);
            assert!(style.width(&fitted) <= width, "{fitted}");
            let head = fitted.trim_end_matches('…');
            let tail = "เกี่ยวกับบริษัทที่ซื้อน้ำมัน".strip_prefix(head).unwrap();
            assert!(may_cut(head, tail), "{head}|{tail}");
        }
    }
}
