//! An SVG document, written piece by piece. What it is given as text may be anything: it is escaped here and nowhere
//! else.

use std::fmt::Write as _;

use super::text::{Measured, Style, Weight, runs};

/// The family of the bundled fonts.
pub(super) const FAMILY: &str = "Sarabun";

/// A drawing under way.
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let (width, height) = (n(width), n(height));
        // Its overflow is visible: a drawing within a drawing needs no clipping.
        Self(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" overflow="visible" font-family="{FAMILY}" xml:space="preserve">"#
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }

    /// `at` is the upper left corner; `looks` are attributes.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), looks: &str) {
        let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(n);
        self.push(&format!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" {looks}/>"#
        ));
    }

    /// Draws nothing where `outline` is empty.
    pub(super) fn path(&mut self, outline: &Outline, looks: &str) {
        if !outline.0.is_empty() {
            self.push(&format!(r#"<path d="{}" {looks}/>"#, outline.0));
        }
    }

    /// Another drawing, whole, its upper left corner at `at`.
    pub(super) fn drawing(&mut self, at: (f64, f64), scale: f64, drawing: &str) {
        let (x, y) = (n(at.0), n(at.1));
        self.push(&format!(
            r#"<g transform="translate({x} {y}) scale({scale:.5})">{drawing}</g>"#
        ));
    }

    /// `at` is where the baseline begins.
    ///
    /// Each script begins anew, and so does what follows a sara am: usvg takes the width of the widest part of a
    /// letter for that of the whole, and would set the next one over it.
    pub(super) fn text(&mut self, at: (f64, f64), style: Style, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let weight = match style.weight {
            Weight::Regular => "",
            Weight::SemiBold => r#" font-weight="600""#,
        };
        let (y, size, colour) = (n(at.1), n(style.size), style.colour);
        self.push(&format!(
            r#"<text y="{y}" font-size="{size}" fill="{colour}"{weight}>"#
        ));
        let measured = Measured::of(text, style.weight);
        for run in runs(text) {
            let mut start = run.start;
            for piece in text.get(run).unwrap_or_default().split_inclusive('\u{e33}') {
                let x = n(at.0 + style.size * measured.between(0..start));
                start += piece.len();
                self.push(&format!(r#"<tspan x="{x}">{}</tspan>"#, escape(piece)));
            }
        }
        self.push("</text>");
    }

    /// `at` is where the baseline ends.
    pub(super) fn text_before(&mut self, at: (f64, f64), style: Style, text: &str) {
        self.text((at.0 - style.width(text), at.1), style, text);
    }

    fn push(&mut self, piece: &str) {
        self.0.push_str(piece);
    }
}

/// What a path follows.
#[derive(Default)]
pub(super) struct Outline(String);

impl Outline {
    pub(super) fn move_to(&mut self, at: (f64, f64)) {
        self.write(format_args!("M{} {}", n(at.0), n(at.1)));
    }

    pub(super) fn line_to(&mut self, at: (f64, f64)) {
        self.write(format_args!("L{} {}", n(at.0), n(at.1)));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.move_to(from);
        self.line_to(to);
    }

    pub(super) fn close(&mut self) {
        self.write(format_args!("Z"));
    }

    /// `at` is the upper left corner.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64)) {
        let [x, y, width, height] = [at.0, at.1, size.0, size.1].map(n);
        self.write(format_args!("M{x} {y}h{width}v{height}h-{width}Z"));
    }

    fn write(&mut self, step: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = self.0.write_fmt(step);
    }
}

/// A coordinate, to a hundredth. What is no number, or far outside of any page, would make the whole document invalid.
pub(super) fn n(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{:.2}", value.clamp(-1e5, 1e5));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    text.to_owned()
}

/// `text` as the content of an element.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no way to write these at all.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut svg = Svg::new(100.0, 100.0);
        let hostile = "</text><script>&'\"]]>\u{1}\u{b}";
        svg.text((0.0, 0.0), Style::regular(10.0, "#000"), hostile);
        let svg = svg.finish();
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt;&amp;'\"]]&gt;"));
        assert!(!svg.contains(['\u{1}', '\u{b}']));
        resvg::usvg::roxmltree::Document::parse(&svg).unwrap();
    }

    #[test]
    fn what_follows_a_sara_am_is_placed_anew() {
        let mut svg = Svg::new(100.0, 100.0);
        let style = Style::regular(10.0, "#000");
        svg.text((5.0, 9.0), style, "น้ำมัน DBS");
        let x = [0.0, style.width("น้ำ"), style.width("น้ำมัน ")].map(|x| n(5.0 + x));
        let [oil, rest, latin] = x;
        let placed = format!(
            r#"<tspan x="{oil}">น้ำ</tspan><tspan x="{rest}">มัน </tspan><tspan x="{latin}">DBS</tspan>"#
        );
        let svg = svg.finish();
        assert!(svg.contains(&placed), "{svg}");
    }

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        let written = [1.0, 1.5, 1.005, -0.001, 1e300, f64::NAN, f64::INFINITY].map(n);
        assert_eq!(written, ["1", "1.5", "1", "0", "100000", "0", "0"]);
        assert_eq!([n(100.0), n(0.0), n(-0.25)], ["100", "0", "-0.25"]);
    }
}
