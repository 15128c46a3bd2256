//! The four panels of a chart, from top to bottom.

pub(super) mod macd;
pub(super) mod prices;
pub(super) mod rsi;
pub(super) mod volume;

use super::chart::{GREY, INK, View};
use super::svg::{Outline, Svg};
use super::text::Style;

pub(super) const BLUE: &str = "#2563ae";
pub(super) const AMBER: &str = "#d18f00";
pub(super) const PURPLE: &str = "#7b3f98";

pub(super) const TITLE: Style = Style::semi_bold(11.0, INK);
pub(super) const NOTE: Style = Style::regular(11.0, GREY);

/// What stands above a panel, from the left.
struct Caption<'s> {
    svg: &'s mut Svg,
    x: f64,
    y: f64,
}

impl<'s> Caption<'s> {
    fn new(svg: &'s mut Svg, view: &View<'_>, y: f64) -> Self {
        let x = view.left;
        Self { svg, x, y }
    }

    fn word(&mut self, style: Style, text: &str) {
        self.svg.text((self.x, self.y), style, text);
        self.x += style.width(text) + 6.0;
    }

    /// A piece of line in `colour`, what it is, and its last value.
    fn line(&mut self, colour: &str, name: &str, value: &str) {
        let mut swatch = Outline::default();
        let y = self.y - 4.0;
        swatch.line((self.x, y), (self.x + 14.0, y));
        let looks = format!(r#"stroke="{colour}" stroke-width="2""#);
        self.svg.path(&swatch, &looks);
        self.x += 18.0;
        self.word(NOTE, name);
        self.x -= 2.0;
        self.word(TITLE, value);
        self.x += 10.0;
    }
}

/// How a line of a column looks.
fn stroke(colour: &str) -> String {
    format!(r#"fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round""#)
}
