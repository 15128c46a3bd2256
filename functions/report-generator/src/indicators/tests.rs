use jiff::civil::Date;
use proptest::prelude::*;

use super::*;

/// Skender's default.csv.
fn quotes() -> Vec<Bar> {
    let text = include_str!("../../testdata/quotes.csv");
    let bars = text.lines().skip(1).map(|line| {
        let (date, numbers) = line.split_once(',').unwrap();
        let mut numbers = numbers.split(',').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Bar {
            date: date.parse().unwrap(),
            open: next(),
            high: next(),
            low: next(),
            close: next(),
            volume: next(),
        }
    });
    bars.collect()
}

/// A bar that never leaves `price`.
fn still(price: f64, volume: f64) -> Bar {
    Bar {
        date: Date::constant(2026, 11, 20),
        open: price,
        high: price,
        low: price,
        close: price,
        volume,
    }
}

fn closes(closes: &[f64]) -> Vec<Bar> {
    closes.iter().map(|close| still(*close, 1.0)).collect()
}

#[track_caller]
fn near(ours: Option<f64>, published: f64) {
    let ours = ours.unwrap();
    assert!((ours - published).abs() < 1e-8, "{ours}, not {published}");
}

/// The row of the first value.
fn begins(column: &Column) -> Option<usize> {
    column.iter().position(Option::is_some)
}

#[test]
fn rsi_and_atr_are_wilders_percentiles_use_every_valid_row_and_say_how_many() {
    let columns = Columns::of(&quotes());
    near(columns.rsi_14[14], 62.054_054_054);
    near(columns.rsi_14[249], 70.936_837_464);
    let readings = columns.readings();
    // A simple mean would make it 36.62.
    near(readings["rsi_14"].value, 42.077_323_566);
    // A simple mean would make it 6.55.
    near(readings["atr_14"].value, 6.149_748_287_843);
    let n = |name: &str| readings[name].n;
    assert_eq!((n("rsi_14"), n("atr_14"), n("atr_pct")), (488, 488, 488));
    assert_eq!((n("sma_20"), n("sma_50"), n("sma_200")), (483, 453, 303));
    assert_eq!((n("macd"), n("macd_signal"), n("vwap")), (477, 469, 502));
    let last = readings["rsi_14"].value.unwrap();
    let up_to = columns.rsi_14.iter().flatten().filter(|x| **x <= last);
    let up_to = number(up_to.count());
    assert_eq!(readings["rsi_14"].percentile, Some(100.0 * up_to / 488.0));
}

#[test]
fn stockcharts_rsi_of_qqqq_is_ours() {
    let bars = closes(&[
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
        45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439,
        46.2122, 46.2521, 45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672,
        43.4205, 42.6628, 43.1314,
    ]);
    let published = "70.53 66.32 66.55 69.41 66.36 57.97 62.93 63.26 56.06 62.38 54.71 50.42 39.99 41.46 41.87 \
                     45.46 37.30 33.08 37.77";
    let ours = Columns::of(&bars).rsi_14;
    assert_eq!(begins(&ours), Some(14));
    let ours: Vec<_> = ours.iter().flatten().map(|x| format!("{x:.2}")).collect();
    assert_eq!(ours.join(" "), published);
}

#[test]
fn published_figures_of_the_default_quotes_are_ours() {
    let columns = Columns::of(&quotes());
    let readings = columns.readings();
    // TA-Lib's first: what seeds both means on their own first rows differs most here.
    near(columns.macd[33], 2.244_479_390_75);
    near(columns.macd_signal[33], 1.611_418_567_88);
    near(readings["macd"].value, -6.219_770_256_2);
    near(readings["macd_signal"].value, -5.856_891_653_7);
    near(readings["macd_histogram"].value, -0.362_878_602_6);
    near(readings["vwap"].value, 250.370_047_710);
    // The sample's deviation would make it 274.27.
    near(readings["bollinger_upper"].value, 273.700_423_07);
    let middle = readings["sma_20"].value.unwrap();
    near(
        readings["bollinger_lower"].value,
        2.0 * middle - 273.700_423_07,
    );
    let close = 245.28;
    near(readings["atr_pct"].value, 6.149_748_287_843 / close * 100.0);
    near(
        readings["vwap_pct"].value,
        (close / 250.370_047_710 - 1.0) * 100.0,
    );
}

#[test]
fn each_column_begins_with_the_first_row_that_has_enough_before_it() {
    let columns = Columns::of(&quotes());
    let first = columns.named().map(|(_, column)| begins(column).unwrap());
    assert_eq!(
        first,
        [
            14, 25, 33, 33, 14, 14, 19, 49, 199, 11, 25, 19, 19, 19, 0, 0, 19
        ]
    );
    for (name, column) in columns.named() {
        assert!(
            column
                .iter()
                .skip_while(|x| x.is_none())
                .all(Option::is_some),
            "{name}"
        );
    }
}

#[test]
fn volume_is_measured_against_the_twenty_bars_that_end_with_it() {
    let mut bars = vec![still(10.0, 100.0); 19];
    bars.push(Bar {
        high: 23.0,
        low: 10.0,
        close: 12.0,
        ..still(11.0, 1_100.0)
    });
    let columns = Columns::of(&bars);
    near(columns.volume_ratio[19], 1_100.0 / 150.0);
    // 1,900 at 10, 1,100 at 15.
    near(columns.vwap_20[19], 35_500.0 / 3_000.0);
    assert_eq!(
        columns.vwap,
        [vec![Some(10.0); 19], vec![columns.vwap_20[19]]].concat()
    );
    near(
        columns.vwap_pct[19],
        (12.0 / (35_500.0 / 3_000.0) - 1.0) * 100.0,
    );
    // One at 10 leaves, one at 20 comes.
    bars.push(still(20.0, 100.0));
    near(Columns::of(&bars).vwap_20[20], 36_500.0 / 3_000.0);
}

#[test]
fn where_nothing_moves_neither_side_is_stronger_and_where_nothing_falls_one_is() {
    let columns = Columns::of(&closes(&[7.0; 40]));
    assert_eq!(columns.rsi_14[14..], [Some(50.0); 26]);
    assert_eq!(columns.atr_pct[14..], [Some(0.0); 26]);
    assert_eq!(columns.bollinger_upper[39], Some(7.0));
    let rises: Vec<_> = (1..40).map(f64::from).collect();
    assert_eq!(Columns::of(&closes(&rises)).rsi_14[38], Some(100.0));
    let falls: Vec<_> = rises.into_iter().rev().collect();
    assert_eq!(Columns::of(&closes(&falls)).rsi_14[38], Some(0.0));
}

#[test]
fn what_cannot_be_divided_has_no_value() {
    let columns = Columns::of(&vec![still(5.0, 0.0); 30]);
    for column in [
        &columns.vwap,
        &columns.vwap_20,
        &columns.vwap_pct,
        &columns.volume_ratio,
    ] {
        assert_eq!(*column, vec![None; 30]);
    }
    assert_eq!(columns.readings()["vwap"], Reading::default());
    let worthless = Columns::of(&vec![still(0.0, 1.0); 30]);
    assert_eq!(worthless.atr_14[29], Some(0.0));
    assert_eq!(worthless.atr_pct[29], None);
    assert_eq!(worthless.vwap_pct[29], None);
    // What was not counted at first is none there, and only there.
    let mut late = vec![still(5.0, 0.0); 10];
    late.resize(40, still(5.0, 3.0));
    let late = Columns::of(&late).readings();
    assert_eq!((late["vwap"].value, late["vwap"].n), (Some(5.0), 30));
}

#[test]
fn one_mad_price_leaves_no_trace_once_it_is_out_of_the_window() {
    let mut bars = quotes();
    let quiet = Columns::of(&bars);
    bars[100] = still(1e15, 1e15);
    let mad = Columns::of(&bars);
    assert_ne!(mad.sma_20[119], quiet.sma_20[119]);
    assert_eq!(mad.sma_20[120..], quiet.sma_20[120..]);
    assert_eq!(mad.bollinger_lower[120..], quiet.bollinger_lower[120..]);
    assert_eq!(mad.vwap_20[120..], quiet.vwap_20[120..]);
    assert_eq!(mad.volume_ratio[120..], quiet.volume_ratio[120..]);
}

#[test]
fn equals_count_for_a_percentile_and_few_rows_have_none() {
    let column: Column = (1..=20).map(|n| Some(f64::from(n))).collect();
    let last = Reading::last_of(&column);
    assert_eq!(
        (last.value, last.percentile, last.n),
        (Some(20.0), Some(100.0), 20)
    );
    let few = Reading::last_of(&column[..19]);
    assert_eq!((few.value, few.percentile, few.n), (Some(19.0), None, 19));
    let again = [vec![None; 5], column.clone(), vec![Some(5.0); 5]].concat();
    assert_eq!(Reading::last_of(&again).percentile, Some(40.0));
    let gone = Reading::last_of(&[column, vec![None]].concat());
    assert_eq!((gone.value, gone.percentile, gone.n), (None, None, 20));
    assert_eq!(Columns::of(&[]).readings()["macd"], Reading::default());
}

/// Bars that hold together, at prices of every size.
fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let bar = (1e-6..1e6, 1.0..2.0, 0.5..1.0, 0.0..1.0, 0..1_000_000_u32);
    let bar = bar.prop_map(|(price, up, down, at, volume): (f64, f64, f64, f64, u32)| {
        let (high, low) = (price * up, price * down);
        let close = (low + (high - low) * at).clamp(low, high);
        Bar {
            high,
            low,
            close,
            ..still(price, f64::from(volume))
        }
    });
    prop::collection::vec(bar, 0..260)
}

/// Any numbers above 0, the smallest and the largest that there are among them.
fn any_bars() -> impl Strategy<Value = Vec<Bar>> {
    use prop::num::f64::{NORMAL, POSITIVE, SUBNORMAL, ZERO};
    let price = || POSITIVE | NORMAL | SUBNORMAL;
    let bar = (price(), price(), price(), POSITIVE | NORMAL | ZERO);
    let bar = bar.prop_map(|(high, low, close, volume)| Bar {
        high,
        low,
        close,
        ..still(close, volume)
    });
    prop::collection::vec(bar, 0..60)
}

fn all_are_numbers(columns: &Columns, bars: usize) {
    for (name, column) in columns.named() {
        assert_eq!(column.len(), bars, "{name}");
        assert!(column.iter().flatten().all(|row| row.is_finite()), "{name}");
    }
    let mut rsi = columns.rsi_14.iter().flatten();
    assert!(rsi.all(|rsi| (0.0..=100.0).contains(rsi)));
    let readings = columns.readings();
    assert_eq!(readings.len(), 17);
    for (
        name,
        Reading {
            value,
            percentile,
            n,
        },
    ) in readings
    {
        assert_eq!(percentile.is_some(), value.is_some() && n >= 20, "{name}");
        assert!(
            percentile.is_none_or(|at| at > 0.0 && at <= 100.0),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_a_number_or_none(bars in bars()) {
        all_are_numbers(&Columns::of(&bars), bars.len());
    }

    #[test]
    fn not_even_what_overflows_is_anything_else(bars in any_bars()) {
        all_are_numbers(&Columns::of(&bars), bars.len());
    }

    #[test]
    fn no_row_knows_what_comes_after_it(bars in bars(), part in 0.0..1.0) {
        let rows = bars.len();
        let known = (0..rows).find(|row| number(*row) >= part * number(rows)).unwrap_or(rows);
        let (all, then) = (Columns::of(&bars), Columns::of(&bars[..known]));
        for ((name, all), (_, then)) in all.named().into_iter().zip(then.named()) {
            prop_assert_eq!(&all[..known], &then[..], "{}", name);
        }
    }

    #[test]
    fn another_currency_scales_prices_and_leaves_ratios(bars in bars()) {
        // A power of two: not a bit changes but the exponent.
        let dear = bars.iter().map(|bar| Bar {
            high: bar.high * 8.0,
            low: bar.low * 8.0,
            close: bar.close * 8.0,
            ..*bar
        });
        let (cheap, dear) = (Columns::of(&bars), Columns::of(&dear.collect::<Vec<_>>()));
        for ((name, cheap), (_, dear)) in cheap.named().into_iter().zip(dear.named()) {
            let ratio = name == "rsi_14" || name == "volume_ratio" || name.ends_with("_pct");
            let factor = if ratio { 1.0 } else { 8.0 };
            let cheap: Column = cheap.iter().map(|row| row.map(|row| row * factor)).collect();
            prop_assert_eq!(&cheap, dear, "{}", name);
        }
    }

    #[test]
    fn means_lie_between_what_they_are_made_of(bars in bars()) {
        let columns = Columns::of(&bars);
        let low = bars.iter().map(|bar| bar.low).fold(f64::MAX, f64::min) * (1.0 - 1e-9);
        let high = bars.iter().map(|bar| bar.high).fold(0.0, f64::max) * (1.0 + 1e-9);
        let Columns { sma_20, sma_50, sma_200, ema_12, ema_26, vwap_20, vwap, .. } = &columns;
        for column in [sma_20, sma_50, sma_200, ema_12, ema_26, vwap_20, vwap] {
            prop_assert!(column.iter().flatten().all(|row| (low..=high).contains(row)));
        }
        for ((upper, lower), middle) in columns.bollinger_upper.iter().zip(&columns.bollinger_lower).zip(sma_20) {
            prop_assert!(lower <= middle && middle <= upper);
        }
    }
}
