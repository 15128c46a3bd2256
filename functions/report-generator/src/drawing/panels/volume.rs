//! How much changed hands.

use super::super::axis::Axis;
use super::super::chart::{DOWN, UP, View};
use super::super::number::compact;
use super::super::svg::{Outline, Svg};
use super::{Caption, NOTE, TITLE};

const TOP: f64 = 298.0;
const HEIGHT: f64 = 44.0;

pub(in super::super) fn draw(svg: &mut Svg, view: &View<'_>) {
    let volumes = view.bars.iter().map(|bar| bar.volume);
    let highest = volumes
        .filter(|volume| volume.is_finite())
        .fold(0.0, f64::max);
    if highest <= 0.0 {
        // Currencies and indices: their trades are not counted.
        let mut caption = Caption::new(svg, view, 292.0);
        caption.word(TITLE, "Volume");
        return caption.word(NOTE, "not reported");
    }
    let axis = Axis::between(0.0, highest, TOP, HEIGHT);
    let (ticks, _) = axis.ticks(2);
    let ticks: Vec<_> = ticks
        .into_iter()
        .map(|tick| (tick, compact(tick)))
        .collect();
    view.scale(svg, axis, &ticks, f64::INFINITY);
    let width = (view.slot() * 0.66).clamp(1.0, 14.0);
    for (colour, rising) in [(UP, true), (DOWN, false)] {
        let mut bars = Outline::default();
        for (day, bar) in view.bars.iter().enumerate() {
            let counted = bar.volume.is_finite() && bar.volume > 0.0;
            if counted && (bar.close >= bar.open) == rising {
                let y = axis.y(bar.volume);
                bars.rect((view.x(day) - width / 2.0, y), (width, TOP + HEIGHT - y));
            }
        }
        svg.path(&bars, &format!(r#"fill="{colour}" fill-opacity="0.55""#));
    }
    let mut caption = Caption::new(svg, view, 292.0);
    caption.word(TITLE, "Volume");
    if let Some(last) = view.bars.last() {
        caption.word(NOTE, &compact(last.volume));
    }
}
