//! The relative strength index between its two guides.

use super::super::axis::Axis;
use super::super::chart::View;
use super::super::number::grouped;
use super::super::svg::{Outline, Svg};
use super::{BLUE, Caption, NOTE, TITLE, stroke};

const TOP: f64 = 364.0;
const HEIGHT: f64 = 56.0;

pub(in super::super) fn draw(svg: &mut Svg, view: &View<'_>) {
    let column = &view.columns.rsi_14;
    // The whole of 0 to 100 only where it is needed: most of the time nothing is near its ends.
    let (low, high) = view
        .values(column)
        .fold((15.0, 85.0), |(low, high), value| {
            (f64::min(low, value), f64::max(high, value))
        });
    let axis = Axis::between(low.max(0.0), high.min(100.0), TOP, HEIGHT);
    let between = (axis.y(70.0), axis.y(30.0));
    let size = (view.right - view.left, between.1 - between.0);
    svg.rect((view.left, between.0), size, r##"fill="#f4f6f7""##);
    let ticks = [30.0, 70.0].map(|guide| (guide, grouped(guide, 0)));
    view.scale(svg, axis, &ticks, f64::INFINITY);
    let mut guides = Outline::default();
    for y in [between.0, between.1] {
        guides.line((view.left, y), (view.right, y));
    }
    svg.path(
        &guides,
        r##"stroke="#9aa5ad" stroke-width="0.8" stroke-dasharray="4 3""##,
    );
    svg.path(&view.line(column, axis), &stroke(BLUE));
    let mut caption = Caption::new(svg, view, 358.0);
    caption.word(TITLE, "RSI 14");
    let latest = view.latest(column).map(|value| grouped(value, 2));
    caption.word(NOTE, latest.as_deref().unwrap_or("too few days"));
}
