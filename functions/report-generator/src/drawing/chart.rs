//! A series and its indicators → one picture: prices, volume, RSI and MACD over the same days.

use jiff::civil::Date;

use super::axis::Axis;
use super::number::{decimals_of, difference, grouped, price, signed};
use super::panels::{macd, prices, rsi, volume};
use super::svg::{Outline, Svg};
use super::text::{Style, drawable};
use crate::indicators::{Column, Columns};
use crate::series::{Bar, Series};

/// In pixels of its own; a page scales it.
pub(super) const WIDTH: f64 = 800.0;
pub(super) const HEIGHT: f64 = 520.0;

/// How many days are shown.
const SHOWN: usize = 90;
/// The days of a short series are not drawn wider than those of one with so many.
const FEWEST: u32 = 30;

/// Bluish green and vermilion: told apart by everybody, whichever colours they see.
pub(super) const UP: &str = "#008571";
pub(super) const DOWN: &str = "#d1521b";
pub(super) const INK: &str = "#1d2930";
pub(super) const GREY: &str = "#63707a";
pub(super) const GRID: &str = "#e5e9ec";

pub(super) const LABEL: Style = Style::regular(11.0, GREY);
/// The margin at its left and right.
pub(super) const EDGE: f64 = 12.0;

/// From where to where the panels reach; the last one touches the names of the months.
const PANELS: [(f64, f64); 4] = [
    (72.0, 276.0),
    (298.0, 342.0),
    (364.0, 420.0),
    (442.0, 502.0),
];

/// Which part of a series is shown, and where.
pub(super) struct View<'a> {
    pub(super) bars: &'a [Bar],
    pub(super) columns: &'a Columns,
    /// How many days come before the first one shown.
    before: usize,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) decimals: u8,
}

impl View<'_> {
    /// How wide a day is.
    pub(super) fn slot(&self) -> f64 {
        let days = u32::try_from(self.bars.len()).unwrap_or(FEWEST);
        (self.right - self.left) / f64::from(days.max(FEWEST))
    }

    /// The middle of a day; the last one ends at the right edge.
    pub(super) fn x(&self, day: usize) -> f64 {
        let after = self.bars.len().saturating_sub(day);
        self.right - self.slot() * (f64::from(u32::try_from(after).unwrap_or_default()) - 0.5)
    }

    /// What a column has for a day.
    pub(super) fn value(&self, column: &Column, day: usize) -> Option<f64> {
        let value = column.get(self.before + day).copied().flatten();
        value.filter(|value| value.is_finite())
    }

    /// What a column has for the days that are shown.
    pub(super) fn values<'c>(&'c self, column: &'c Column) -> impl Iterator<Item = f64> + 'c {
        let days = 0..self.bars.len();
        days.filter_map(|day| self.value(column, day))
    }

    /// What a column has for the last day.
    pub(super) fn latest(&self, column: &Column) -> Option<f64> {
        self.value(column, self.bars.len().checked_sub(1)?)
    }

    /// A column as a line, with a gap where it has no value or one outside of `axis`.
    pub(super) fn line(&self, column: &Column, axis: Axis) -> Outline {
        let mut outline = Outline::default();
        let mut drawing = false;
        for day in 0..self.bars.len() {
            let value = self.value(column, day);
            let Some(value) = value.filter(|value| axis.holds(*value)) else {
                drawing = false;
                continue;
            };
            let at = (self.x(day), axis.y(value));
            if drawing {
                outline.line_to(at);
            } else {
                outline.move_to(at);
            }
            drawing = true;
        }
        outline
    }

    /// Round values of `axis` at its right, each with a line across; none as high as `taken`.
    pub(super) fn scale(&self, svg: &mut Svg, axis: Axis, ticks: &[(f64, String)], taken: f64) {
        let mut lines = Outline::default();
        for (tick, label) in ticks {
            let y = axis.y(*tick);
            lines.line((self.left, y), (self.right, y));
            if (y - taken).abs() > 13.0 {
                svg.text((self.right + 7.0, y + 3.8), LABEL, label);
            }
        }
        svg.path(&lines, &format!(r#"stroke="{GRID}" stroke-width="1""#));
    }
}

/// The last 90 days of `series` as an SVG document. `columns` are those of the whole series.
pub fn chart_svg(series: &Series, columns: &Columns) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.rect((0.0, 0.0), (WIDTH, HEIGHT), r##"fill="#fff""##);
    let before = series.bars.len().saturating_sub(SHOWN);
    let bars = series.bars.get(before..).unwrap_or_default();
    let mut view = View {
        bars,
        columns,
        before,
        left: EDGE,
        right: WIDTH - EDGE,
        decimals: series.decimals,
    };
    header(&mut svg, series, bars);
    // The widest label says how much room the scales take.
    let widest = prices::widest(&view).max(macd::widest(&view)).max(30.0);
    view.right = WIDTH - EDGE - 7.0 - widest.min(200.0);
    let (starts, of_months) = months(&view);
    svg.path(&starts, &format!(r#"stroke="{GRID}" stroke-width="1""#));
    let currency = drawable(&series.currency, 8);
    svg.text(
        (view.right + 7.0, 66.0),
        Style::regular(10.5, GREY),
        &currency,
    );
    prices::draw(&mut svg, &view);
    volume::draw(&mut svg, &view);
    rsi::draw(&mut svg, &view);
    macd::draw(&mut svg, &view);
    names(&mut svg, &view, &of_months);
    svg.finish()
}

/// What it is, and what it costs.
fn header(svg: &mut Svg, series: &Series, bars: &[Bar]) {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return;
    };
    let amount = price(last.close, series.decimals);
    let amount = format!("{} {amount}", drawable(&series.currency, 8));
    let large = Style::semi_bold(21.0, INK);
    let symbol = large.fitted(&drawable(&series.symbol, 40), 220.0);
    svg.text((EDGE, 25.0), large, &symbol);
    let used = EDGE + large.width(&symbol) + 10.0;
    let room = WIDTH - EDGE - large.width(&amount) - 20.0 - used;
    let name = Style::regular(15.0, GREY);
    let shown = name.fitted(&drawable(&series.name, 200), room.max(0.0));
    svg.text((used, 25.0), name, &shown);
    svg.text_before((WIDTH - EDGE, 25.0), large, &amount);

    let small = Style::regular(12.0, GREY);
    let (from, until) = (day(first.date), day(last.date));
    let span = if bars.len() == 1 {
        format!("Daily prices, {until}")
    } else {
        format!("Daily prices, {from} – {until}")
    };
    svg.text((EDGE, 44.0), small, &span);
    if let Some(previous) = bars.len().checked_sub(2).and_then(|at| bars.get(at)) {
        change(svg, (previous.close, last.close), series.decimals);
    }
}

/// How the last price differs from the one before.
fn change(svg: &mut Svg, (previous, last): (f64, f64), decimals: u8) {
    let moved = last - previous;
    let share = grouped(100.0 * moved / previous, 2);
    let amount = difference(moved, decimals_of(last, decimals));
    let text = if previous > 0.0 {
        format!("{amount} ({}%)", signed(share))
    } else {
        amount
    };
    let colour = if moved < 0.0 { DOWN } else { UP };
    let style = Style::semi_bold(12.0, if moved == 0.0 { GREY } else { colour });
    let x = WIDTH - EDGE - style.width(&text);
    svg.text_before((x - 8.0, 44.0), Style::regular(12.0, GREY), "on the day");
    svg.text((x, 44.0), style, &text);
}

/// A name of a month and where it stands.
type Name = (f64, String);

/// Where the months begin, and their names as far as there is room.
fn months(view: &View<'_>) -> (Outline, Vec<Name>) {
    let (mut lines, mut names) = (Outline::default(), Vec::new());
    let mut free = view.left;
    let mut year = None;
    let mut next = Some(0);
    while let Some(day) = next {
        next = next_month(view, day);
        let Some(bar) = view.bars.get(day) else { break };
        let x = view.x(day) - view.slot() / 2.0;
        // The month that was under way when the chart begins has no line.
        let across = PANELS.iter().filter(|_| day > 0);
        across.for_each(|(top, bottom)| lines.line((x, *top), (x, *bottom)));
        let pattern = if year == Some(bar.date.year()) {
            "%b"
        } else {
            "%b %Y"
        };
        let name = bar.date.strftime(pattern).to_string();
        let end = x + 4.0 + LABEL.width(&name);
        // A month of a few days leaves its room to the one after it.
        let room = next.map_or(view.right, |next| view.x(next).max(x + 30.0));
        if x + 4.0 >= free && end <= room.min(view.right) {
            names.push((x + 4.0, name));
            free = end + 8.0;
            year = Some(bar.date.year());
        }
    }
    (lines, names)
}

/// The names of the months; days themselves where none begins.
fn names(svg: &mut Svg, view: &View<'_>, names: &[Name]) {
    let y = HEIGHT - 8.0;
    for (x, name) in names {
        svg.text((*x, y), LABEL, name);
    }
    let last = view.bars.last().filter(|_| names.is_empty());
    if let Some(last) = last {
        svg.text_before((view.right, y), LABEL, &day(last.date));
    }
}

/// The first day of the month after `day`'s.
fn next_month(view: &View<'_>, day: usize) -> Option<usize> {
    let month = view.bars.get(day)?.date.first_of_month();
    (day..view.bars.len()).find(|later| {
        let bar = view.bars.get(*later);
        bar.is_some_and(|bar| bar.date.first_of_month() != month)
    })
}

fn day(date: Date) -> String {
    date.strftime("%-d %b %Y").to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;

    use super::super::picture::tree;
    use super::*;

    /// As many days as asked for, each with what `bar` makes of its number.
    pub(in super::super) fn series(days: u16, bar: impl Fn(f64) -> [f64; 5]) -> Series {
        let bars = (0..days).map(|day| {
            let [open, high, low, close, volume] = bar(f64::from(day));
            Bar {
                date: date(2025, 1, 1) + i64::from(day).days(),
                open,
                high,
                low,
                close,
                volume,
            }
        });
        Series {
            symbol: "D05.SI".to_owned(),
            name: "DBS Group Holdings Ltd".to_owned(),
            currency: "SGD".to_owned(),
            zone: "Asia/Singapore".to_owned(),
            decimals: 2,
            bars: bars.collect(),
        }
    }

    /// Something that goes up and down around `price`.
    pub(in super::super) fn waves(days: u16, price: f64) -> Series {
        series(days, |day| {
            let close = price * (1.0 + (day / 9.0).sin() / 10.0);
            let open = price * (1.0 + ((day - 1.0) / 9.0).sin() / 10.0);
            let (high, low) = (open.max(close) * 1.01, open.min(close) * 0.99);
            [open, high, low, close, 1e6 * (2.0 + day.cos())]
        })
    }

    pub(in super::super) fn chart_of(series: &Series) -> String {
        chart_svg(series, &Columns::of(&series.bars))
    }

    #[test]
    fn any_series_becomes_a_picture() {
        let nothing = |_| [0.0; 5];
        let flat = |_| [5.0, 5.0, 5.0, 5.0, 0.0];
        let broken = |day| [f64::NAN, f64::INFINITY, -1e300, 1e300, day - 3.0];
        let mut all = vec![
            series(0, nothing),
            series(1, nothing),
            series(250, nothing),
            series(1, flat),
            series(250, flat),
            series(120, broken),
        ];
        let prices = [1e-9, 0.0012, 53.9, 4_567.0, 1_234_567.0, 1e12, 1e200];
        all.extend(prices.map(|price| waves(250, price)));
        all.extend([1, 2, 5, 19, 20, 21, 34, 90, 91].map(|days| waves(days, 10.0)));
        for series in all {
            let svg = chart_of(&series);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            let tree = tree(&svg).unwrap();
            assert!(tree.has_text_nodes() || series.bars.is_empty());
            for text in svg.split("<tspan x=\"").skip(1) {
                let x: f64 = text.split('"').next().unwrap().parse().unwrap();
                assert!((0.0..WIDTH).contains(&x), "{x}");
            }
        }
    }

    #[test]
    fn columns_without_values_are_left_out() {
        let series = waves(250, 10.0);
        let mut columns = Columns::of(&series.bars);
        columns.sma_200 = vec![None; 250];
        columns.rsi_14 = Vec::new();
        let svg = chart_svg(&series, &columns);
        assert!(svg.contains("SMA 50") && !svg.contains("SMA 200"));
        assert!(svg.contains("too few days"));
    }

    #[test]
    fn averages_are_those_of_the_whole_series() {
        let series = waves(250, 1_000.0);
        let sum: f64 = series.bars[50..].iter().map(|bar| bar.close).sum();
        let svg = chart_of(&series);
        assert!(svg.contains(&grouped(sum / 200.0, 2)));
        assert!(svg.contains("10 Jun 2025 – 7 Sep 2025"));
        assert!(!chart_of(&waves(199, 1_000.0)).contains("SMA 200"));
    }

    #[test]
    fn names_are_text_and_not_markup() {
        let mut series = waves(100, 10.0);
        series.symbol = "A&B<C>".to_owned();
        series.name = "\"Tbk\" & <script>📈</script>\u{0}".repeat(300);
        series.currency = "<&>".to_owned();
        let svg = chart_of(&series);
        assert!(svg.contains("A&amp;B&lt;C&gt;") && !svg.contains("<script"));
        assert!(svg.len() < 40_000, "{}", svg.len());
        tree(&svg).unwrap();
    }

    #[test]
    fn prices_are_in_the_currency_of_the_series() {
        let mut series = waves(100, 53.9);
        series.currency = "JPY".to_owned();
        series.decimals = 0;
        let svg = chart_of(&series);
        assert!(svg.contains(">JPY<") && !svg.contains('$'));
    }
}
