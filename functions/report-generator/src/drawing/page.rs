//! A report on one sheet of A4: what it is about, the figures, the chart, the words.

use krilla::metadata::Metadata;

use super::DrawError;
use super::chart::{self, DOWN, GREY, GRID, INK};
use super::columns::{self, Line, Room, heading_style};
use super::lines::Paragraph;
use super::svg::{Outline, Svg};
use super::text::{Style, Weight, drawable};
use super::{pdf, picture};
use crate::language::Language;

/// A4 in points.
const WIDTH: f64 = 595.28;
const HEIGHT: f64 = 841.89;
const MARGIN: f64 = 36.0;
const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Between the two columns.
const GUTTER: f64 = 20.0;

const FOOTER: Style = Style::regular(6.5, GREY);
const FOOTER_LINE: f64 = 9.5;

/// The gap between tiles, and how high they are.
const TILE: (f64, f64) = (5.0, 45.0);
const MOST_TILES: usize = 12;
const TILES_IN_A_ROW: usize = 6;

/// More than any of these has room for.
const MOST_OF_A_LINE: usize = 400;

/// A report, before it is set.
#[derive(Clone, Debug)]
pub struct Page {
    /// What its words are written in: Thai lines stand further apart.
    pub language: Language,
    /// The large line at the top.
    pub title: String,
    /// The small one below it.
    pub subtitle: String,
    /// What it comes to, in a word or two.
    pub badge: Option<(String, Tone)>,
    /// The figures; a dozen at most.
    pub tiles: Vec<Tile>,
    /// What [`chart_svg`](super::chart_svg) drew; nothing if there is none.
    pub chart: String,
    /// Headings and texts. Lines are paragraphs; those that begin with `• ` are items of a list.
    pub sections: Vec<(String, String)>,
    /// The small print; two lines at most.
    pub footer: String,
}

/// Whether something is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is.
    Good,
    /// Neither good nor bad.
    Neutral,
    /// It is bad.
    Bad,
}

/// One figure: `RSI 14`, `66.35`, `percentile 77.8 (n 238)`.
#[derive(Clone, Debug)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// How much of it.
    pub value: String,
    /// What that means.
    pub note: String,
}

impl Page {
    /// The page as an SVG document, in points. All of it is on one page: text that does not fit gets smaller, and then
    /// shorter.
    pub fn svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        svg.rect((0.0, 0.0), (WIDTH, HEIGHT), r##"fill="#fff""##);
        self.head(&mut svg);
        let mut top = self.figures(&mut svg, 82.0);
        if !self.chart.is_empty() {
            // Its own margins hang out: what it shows is as wide as the text.
            let scale = INNER / (chart::WIDTH - 2.0 * chart::EDGE);
            svg.drawing((MARGIN - chart::EDGE * scale, top), scale, &self.chart);
            top += chart::HEIGHT * scale + 4.0;
        }
        let bottom = self.foot(&mut svg);
        self.words(&mut svg, top + 8.0, bottom - 6.0);
        svg.finish()
    }

    /// The page as a PDF, always the same bytes for the same page. Fails only by a defect.
    pub fn pdf(&self) -> Result<Vec<u8>, DrawError> {
        let metadata = Metadata::new()
            .title(line(&self.title))
            .description(line(&self.subtitle))
            .authors(vec!["Larder".to_owned()])
            .language(self.language.code().to_owned());
        pdf::document(&picture::tree(&self.svg())?, metadata)
    }

    fn head(&self, svg: &mut Svg) {
        let style = Style::semi_bold(11.0, "#fff");
        let badge = self.badge.as_ref().map(|(text, tone)| {
            let text = style.fitted(&line(text), INNER / 3.0);
            (style.width(&text) + 20.0, text, tone.colour())
        });
        let taken = badge.as_ref().map_or(0.0, |(width, ..)| width + 12.0);
        let (large, small) = (Style::semi_bold(19.0, INK), Style::regular(9.0, GREY));
        let title = line(&self.title);
        let large = large.shrunk(&title, INNER - taken, 13.0);
        svg.text(
            (MARGIN, MARGIN + 17.0),
            large,
            &large.fitted(&title, INNER - taken),
        );
        if let Some((width, text, colour)) = badge {
            let at = (WIDTH - MARGIN - width, MARGIN);
            svg.rect(at, (width, 22.0), &format!(r#"fill="{colour}" rx="11""#));
            svg.text((at.0 + 10.0, at.1 + 15.0), style, &text);
        }
        let subtitle = small.fitted(&line(&self.subtitle), INNER);
        svg.text((MARGIN, MARGIN + 34.0), small, &subtitle);
    }

    /// Draws the tiles from `top` on, and returns where they end.
    fn figures(&self, svg: &mut Svg, top: f64) -> f64 {
        let tiles: Vec<_> = self.tiles.iter().take(MOST_TILES).collect();
        if tiles.is_empty() {
            return top;
        }
        let rows = tiles.len().div_ceil(TILES_IN_A_ROW);
        let in_a_row = tiles.len().div_ceil(rows);
        let (gap, height) = TILE;
        let count = f64::from(u32::try_from(in_a_row).unwrap_or(1));
        let width = (INNER - gap * (count - 1.0)) / count;
        let mut at = (MARGIN, top);
        for row in tiles.chunks(in_a_row) {
            for tile in row {
                tile.draw(svg, at, (width, height));
                at.0 += width + gap;
            }
            at = (MARGIN, at.1 + height + gap);
        }
        at.1 + 2.0
    }

    /// Draws the small print, and returns where it begins.
    fn foot(&self, svg: &mut Svg) -> f64 {
        let text = Paragraph::new(&line(&self.footer), Weight::Regular);
        let lines = text.lines(INNER / FOOTER.size);
        let shown = match lines.as_slice() {
            [one] => vec![(*one).to_owned()],
            [first, rest @ ..] => vec![(*first).to_owned(), FOOTER.fitted(&rest.concat(), INNER)],
            [] => Vec::new(),
        };
        let height = shown.iter().map(|_| FOOTER_LINE).sum::<f64>();
        let top = HEIGHT - 25.0 - height;
        rule(svg, top);
        let mut y = top + 1.0;
        for text in shown {
            y += FOOTER_LINE;
            svg.text((MARGIN, y), FOOTER, &text);
        }
        top
    }

    /// Sets the sections between `top` and `bottom`.
    fn words(&self, svg: &mut Svg, top: f64, bottom: f64) {
        let room = Room {
            width: (INNER - GUTTER) / 2.0,
            height: bottom - top,
            leading: match self.language {
                Language::Thai => 1.55,
                Language::English => 1.42,
            },
        };
        let set = columns::fit(&columns::measured(&self.sections), room);
        let [left, right] = set.lines;
        for (x, lines) in [(MARGIN, left), (MARGIN + room.width + GUTTER, right)] {
            column(svg, (x, top), set.size, &lines);
        }
    }
}

impl Tone {
    fn colour(self) -> &'static str {
        match self {
            Self::Good => "#00735f",
            Self::Neutral => "#56636d",
            Self::Bad => DOWN,
        }
    }
}

impl Tile {
    fn draw(&self, svg: &mut Svg, at: (f64, f64), size: (f64, f64)) {
        svg.rect(at, size, r##"fill="#f2f5f6" rx="3""##);
        let (x, room) = (at.0 + 6.0, size.0 - 12.0);
        let texts = [
            (Style::regular(7.5, GREY), 12.0, &self.label),
            (Style::semi_bold(13.5, INK), 27.5, &self.value),
            (Style::regular(6.8, GREY), 39.0, &self.note),
        ];
        for (style, y, text) in texts {
            let text = line(text);
            let style = style.shrunk(&text, room, style.size * 0.8);
            svg.text((x, at.1 + y), style, &style.fitted(&text, room));
        }
    }
}

fn column(svg: &mut Svg, at: (f64, f64), size: f64, lines: &[Line]) {
    let body = Style::regular(size, INK);
    let heading = heading_style(size, INK);
    let mut y = at.1;
    for (nth, line) in lines.iter().enumerate() {
        y += if nth == 0 { 0.0 } else { line.above };
        let baseline = y + line.height * 0.72;
        if line.bullet {
            svg.text((at.0, baseline), body, "•");
        }
        let style = if line.heading { heading } else { body };
        svg.text((at.0 + line.indent, baseline), style, &line.text);
        y += line.height;
    }
}

fn rule(svg: &mut Svg, y: f64) {
    let mut rule = Outline::default();
    rule.line((MARGIN, y), (WIDTH - MARGIN, y));
    svg.path(&rule, &format!(r#"stroke="{GRID}" stroke-width="0.8""#));
}

/// What can be drawn of `text`, on one line.
fn line(text: &str) -> String {
    drawable(text, MOST_OF_A_LINE).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::chart::tests::{chart_of, waves};
    use super::*;

    const THAI: &str = "ราคาปิดล่าสุดอยู่ที่ SGD 53.90 สูงกว่าเส้นค่าเฉลี่ย 200 วัน แนวโน้มระยะยาวจึงยังเป็นขาขึ้น \
        แต่น้ำหนักของข่าวเรื่องอัตราดอกเบี้ยอาจทำให้ราคาเปลี่ยนทิศได้อย่างรวดเร็ว";

    fn page(language: Language, sections: Vec<(String, String)>) -> Page {
        let tile = |label: &str| Tile {
            label: label.to_owned(),
            value: "66.35".to_owned(),
            note: "percentile 77.8 (n 238)".to_owned(),
        };
        Page {
            language,
            title: "DBS Group Holdings Ltd".to_owned(),
            subtitle: "D05.SI · SGD 53.90".to_owned(),
            badge: Some(("ซื้อ".to_owned(), Tone::Good)),
            tiles: ["RSI 14", "MACD", "ATR", "VWAP", "Volume"]
                .map(tile)
                .to_vec(),
            chart: chart_of(&waves(250, 53.9)),
            sections,
            footer: "Not investment advice.".to_owned(),
        }
    }

    fn section(heading: &str, body: &str) -> (String, String) {
        (heading.to_owned(), body.to_owned())
    }

    /// Where each text of `svg` stands.
    fn baselines(svg: &str) -> Vec<f64> {
        let texts = svg.split("<text y=\"").skip(1);
        let y = |text: &str| text.split('"').next().unwrap().parse().unwrap();
        texts.map(y).collect()
    }

    fn count(pdf: &[u8], words: &[u8]) -> usize {
        pdf.windows(words.len())
            .filter(|window| *window == words)
            .count()
    }

    #[test]
    fn a_document_has_one_page_and_brings_its_fonts() {
        for language in [Language::Thai, Language::English] {
            let page = page(language, vec![section("เรื่องราว", THAI); 5]);
            let pdf = page.pdf().unwrap();
            assert!(pdf.starts_with(b"%PDF-1."));
            assert_eq!(
                count(&pdf, b"/Type/Page/") + count(&pdf, b"/Type /Page\n"),
                1
            );
            assert!(count(&pdf, b"+Sarabun-Regular") > 0 && count(&pdf, b"+Sarabun-SemiBold") > 0);
            let code = format!("/Lang({})", language.code());
            let spaced = format!("/Lang ({})", language.code());
            assert_eq!(
                count(&pdf, code.as_bytes()) + count(&pdf, spaced.as_bytes()),
                1
            );
            assert!(pdf.len() < 150_000, "{}", pdf.len());
            assert_eq!(pdf, page.pdf().unwrap());
        }
    }

    #[test]
    fn text_of_any_length_stays_above_the_footer() {
        for paragraphs in [0, 1, 2, 5, 9, 14, 20, 40] {
            let body = [THAI, "• ", THAI, "\n"].concat().repeat(paragraphs);
            let page = page(
                Language::Thai,
                vec![section("สิ่งที่ต้องรู้", &body), section("b", "c")],
            );
            let svg = page.svg();
            let words = svg.split_once("</g>").unwrap().1;
            assert!(
                baselines(words)
                    .iter()
                    .all(|y| (440.0..HEIGHT - 20.0).contains(y))
            );
            assert_eq!(words.contains('…'), paragraphs >= 14, "{paragraphs}");
        }
    }

    #[test]
    fn hostile_text_is_neither_slow_nor_markup() {
        let bodies = [
            "ก".repeat(1_000_000),
            "่".repeat(1_000_000),
            "เ".repeat(1_000_000),
            "📈".repeat(1_000_000),
            "a b\n• ".repeat(200_000),
            "</text><script>&\u{0}".repeat(50_000),
            "\n".repeat(1_000_000),
        ];
        for body in bodies {
            let mut page = page(Language::Thai, vec![section(&body, &body); 40]);
            (page.title, page.subtitle, page.footer) = (body.clone(), body.clone(), body.clone());
            page.badge = Some((body.clone(), Tone::Bad));
            let tile = Tile {
                label: body.clone(),
                value: body.clone(),
                note: body.clone(),
            };
            page.tiles = vec![tile; 40];
            let started = Instant::now();
            let svg = page.svg();
            assert!(
                !svg.contains("<script") && svg.len() < 400_000,
                "{}",
                svg.len()
            );
            page.pdf().unwrap();
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{:?}",
                started.elapsed()
            );
        }
    }

    #[test]
    fn a_page_may_be_empty() {
        let page = Page {
            language: Language::English,
            title: String::new(),
            subtitle: String::new(),
            badge: None,
            tiles: Vec::new(),
            chart: String::new(),
            sections: vec![section("", ""), section("Only this", "")],
            footer: String::new(),
        };
        assert!(page.svg().contains("Only this"));
        page.pdf().unwrap();
    }

    #[test]
    fn no_box_stands_for_a_missing_glyph() {
        let page = page(
            Language::Thai,
            vec![section("📖 เรื่อง", "⚠️ ระวัง 你好 👩‍💻 ✅")],
        );
        let svg = page.svg();
        assert!(!svg.contains(['📖', '⚠', '\u{fe0f}', '\u{200d}', '你', '✅']));
        assert!(svg.contains("เรื่อง") && svg.contains("ระวัง"));
    }
}
