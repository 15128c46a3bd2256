//! Two averages drawing apart and together.

use super::super::axis::Axis;
use super::super::chart::{DOWN, LABEL, UP, View};
use super::super::number::{decimals_of, difference, grouped};
use super::super::svg::{Outline, Svg};
use super::{AMBER, BLUE, Caption, NOTE, TITLE, stroke};

const TOP: f64 = 442.0;
const HEIGHT: f64 = 56.0;

/// The widest label of the scale.
pub(in super::super) fn widest(view: &View<'_>) -> f64 {
    let labels = axis(view).map(labels).unwrap_or_default();
    let widths = labels.iter().map(|(_, label)| LABEL.width(label));
    widths.fold(0.0, f64::max)
}

pub(in super::super) fn draw(svg: &mut Svg, view: &View<'_>) {
    let columns = view.columns;
    if let Some(axis) = axis(view) {
        view.scale(svg, axis, &labels(axis), f64::INFINITY);
        histogram(svg, view, axis);
        svg.path(&view.line(&columns.macd, axis), &stroke(BLUE));
        svg.path(&view.line(&columns.macd_signal, axis), &stroke(AMBER));
    }
    let mut caption = Caption::new(svg, view, 436.0);
    caption.word(TITLE, "MACD 12, 26, 9");
    let Some(macd) = view.latest(&columns.macd) else {
        return caption.word(NOTE, "too few days");
    };
    let last = view.bars.last().map_or(0.0, |bar| bar.close);
    let text = |value| difference(value, decimals_of(last, view.decimals));
    caption.x += 6.0;
    caption.line(BLUE, "MACD", &text(macd));
    if let Some(signal) = view.latest(&columns.macd_signal) {
        caption.line(AMBER, "Signal", &text(signal));
        caption.word(NOTE, "Histogram");
        caption.x -= 2.0;
        caption.word(TITLE, &text(macd - signal));
    }
}

fn axis(view: &View<'_>) -> Option<Axis> {
    let columns = view.columns;
    let lines = [&columns.macd, &columns.macd_signal, &columns.macd_histogram];
    let values: Vec<f64> = lines
        .into_iter()
        .flat_map(|line| view.values(line))
        .collect();
    if values.is_empty() {
        return None;
    }
    Some(Axis::over(values.into_iter().chain([0.0]), TOP, HEIGHT)?.with_room(0.05))
}

fn labels(axis: Axis) -> Vec<(f64, String)> {
    let (ticks, decimals) = axis.ticks(3);
    let label = |tick: f64| (tick, grouped(tick, decimals));
    ticks.into_iter().map(label).collect()
}

fn histogram(svg: &mut Svg, view: &View<'_>, axis: Axis) {
    let width = (view.slot() * 0.66).clamp(1.0, 14.0);
    let zero = axis.y(0.0);
    for (colour, rising) in [(UP, true), (DOWN, false)] {
        let mut bars = Outline::default();
        for day in 0..view.bars.len() {
            let value = view.value(&view.columns.macd_histogram, day);
            if let Some(value) = value.filter(|value| (*value >= 0.0) == rising) {
                let y = axis.y(value);
                bars.rect(
                    (view.x(day) - width / 2.0, y.min(zero)),
                    (width, (y - zero).abs()),
                );
            }
        }
        svg.path(&bars, &format!(r#"fill="{colour}" fill-opacity="0.45""#));
    }
    let mut line = Outline::default();
    line.line((view.left, zero), (view.right, zero));
    svg.path(&line, r##"stroke="#9aa5ad" stroke-width="0.8""##);
}
