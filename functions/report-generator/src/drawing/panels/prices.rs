//! Candles, the averages over them, and the band around them.

use super::super::axis::Axis;
use super::super::chart::{DOWN, LABEL, UP, View};
use super::super::number::{decimals_of, grouped, price};
use super::super::svg::{Outline, Svg};
use super::super::text::Style;
use super::{AMBER, BLUE, Caption, NOTE, PURPLE, TITLE, stroke};
use crate::indicators::Column;
use crate::series::Bar;

const TOP: f64 = 72.0;
const HEIGHT: f64 = 204.0;
const BAND: &str = "#dfe8f2";
const TAG: Style = Style::semi_bold(11.0, "#fff");

/// The widest label of the scale.
pub(in super::super) fn widest(view: &View<'_>) -> f64 {
    let Some(axis) = axis(view) else { return 0.0 };
    let ticks = labels(axis)
        .into_iter()
        .map(|(_, label)| LABEL.width(&label));
    let last = view.bars.last().map_or(0.0, |bar| bar.close);
    ticks.fold(TAG.width(&price(last, view.decimals)) + 3.0, f64::max)
}

pub(in super::super) fn draw(svg: &mut Svg, view: &View<'_>) {
    let (Some(axis), Some(last)) = (axis(view), view.bars.last()) else {
        return;
    };
    svg.path(
        &band(view, axis),
        &format!(r#"fill="{BAND}" fill-opacity="0.7""#),
    );
    let y = axis.y(axis.clamp(last.close));
    view.scale(svg, axis, &labels(axis), y);
    candles(svg, view, axis);
    for (_, colour, column) in averages(view) {
        svg.path(&view.line(column, axis), &stroke(colour));
    }
    tag(svg, view, last, y);
    caption(svg, view, last);
}

fn averages<'v>(view: &'v View<'_>) -> [(&'static str, &'static str, &'v Column); 3] {
    let columns = view.columns;
    [
        ("SMA 20", BLUE, &columns.sma_20),
        ("SMA 50", AMBER, &columns.sma_50),
        ("SMA 200", PURPLE, &columns.sma_200),
    ]
}

/// All candles fit; so do the averages and the band, as far as they do not make the candles too small.
fn axis(view: &View<'_>) -> Option<Axis> {
    let candles = view
        .bars
        .iter()
        .flat_map(|bar| [bar.high, bar.low, bar.open, bar.close]);
    let candles = Axis::over(candles, TOP, HEIGHT)?;
    let widest = candles.with_room(0.35);
    let columns = view.columns;
    let band = [&columns.bollinger_upper, &columns.bollinger_lower];
    let averages = averages(view).map(|(_, _, column)| column);
    let lines = averages.into_iter().chain(band);
    let around = lines.flat_map(|column| view.values(column));
    let around = around.map(|value| widest.clamp(value));
    let [low, high] = candles.ends();
    let axis = Axis::over(around.chain([low, high]), TOP, HEIGHT)?;
    Some(axis.with_room(0.03))
}

fn labels(axis: Axis) -> Vec<(f64, String)> {
    let (ticks, decimals) = axis.ticks(6);
    let label = |tick: f64| (tick, grouped(tick, decimals));
    ticks.into_iter().map(label).collect()
}

/// The band between the outer two lines of Bollinger, one piece for each stretch that has both.
fn band(view: &View<'_>, axis: Axis) -> Outline {
    let columns = view.columns;
    let both = (0..view.bars.len()).map(|day| {
        let upper = view.value(&columns.bollinger_upper, day)?;
        let lower = view.value(&columns.bollinger_lower, day)?;
        let y = [upper, lower].map(|value| axis.y(axis.clamp(value)));
        Some((view.x(day), y))
    });
    let both: Vec<_> = both.collect();
    let mut outline = Outline::default();
    for stretch in both.split(Option::is_none) {
        let upper = stretch.iter().flatten().map(|(x, [upper, _])| (*x, *upper));
        let lower = stretch
            .iter()
            .flatten()
            .rev()
            .map(|(x, [_, lower])| (*x, *lower));
        let mut around = upper.chain(lower);
        if let Some(first) = around.next() {
            outline.move_to(first);
            around.for_each(|at| outline.line_to(at));
            outline.close();
        }
    }
    outline
}

/// Two colours, each with one outline for all its wicks and one for all its bodies.
fn candles(svg: &mut Svg, view: &View<'_>, axis: Axis) {
    let body = (view.slot() * 0.66).clamp(1.0, 14.0);
    for (colour, rising) in [(UP, true), (DOWN, false)] {
        let (mut wicks, mut bodies) = (Outline::default(), Outline::default());
        for (day, bar) in view.bars.iter().enumerate() {
            let values = [bar.open, bar.high, bar.low, bar.close];
            if (bar.close >= bar.open) != rising || !values.iter().all(|it| it.is_finite()) {
                continue;
            }
            let x = view.x(day);
            let [open, high, low, close] = values.map(|value| axis.y(value));
            wicks.line((x, high), (x, low));
            let (top, bottom) = (open.min(close), open.max(close));
            // What did not move is a dash.
            let height = (bottom - top).max(1.2);
            bodies.rect(
                (x - body / 2.0, f64::midpoint(top, bottom) - height / 2.0),
                (body, height),
            );
        }
        svg.path(&wicks, &format!(r#"stroke="{colour}" stroke-width="1""#));
        svg.path(&bodies, &format!(r#"fill="{colour}""#));
    }
}

/// The last price, at the right edge.
fn tag(svg: &mut Svg, view: &View<'_>, last: &Bar, y: f64) {
    let colour = if last.close >= last.open { UP } else { DOWN };
    let mut line = Outline::default();
    line.line((view.left, y), (view.right, y));
    let looks = format!(r#"stroke="{colour}" stroke-width="1" stroke-dasharray="2 3""#);
    svg.path(&line, &looks);
    let text = price(last.close, view.decimals);
    let size = (TAG.width(&text) + 9.0, 16.0);
    let looks = format!(r#"fill="{colour}" rx="2""#);
    svg.rect((view.right + 2.0, y - 8.0), size, &looks);
    svg.text((view.right + 6.5, y + 3.8), TAG, &text);
}

fn caption(svg: &mut Svg, view: &View<'_>, last: &Bar) {
    let mut caption = Caption::new(svg, view, 65.0);
    caption.word(TITLE, "Price");
    caption.x += 6.0;
    for (name, colour, column) in averages(view) {
        if let Some(value) = view.latest(column) {
            let decimals = decimals_of(last.close, view.decimals);
            caption.line(colour, name, &grouped(value, decimals));
        }
    }
    if view.latest(&view.columns.bollinger_upper).is_some() {
        let at = (caption.x, caption.y - 9.0);
        caption
            .svg
            .rect(at, (14.0, 10.0), &format!(r#"fill="{BAND}""#));
        caption.x += 18.0;
        caption.word(NOTE, "Bollinger band");
    }
}
