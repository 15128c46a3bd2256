//! Our indicators, held row by row against TA-Lib's.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use local_servers::helper::workspace_root;
use report_generator::{
    indicators::{Column, Columns},
    series::Bar,
};

use crate::clients::said;

/// Of the columns below TA-Lib has every one.
const COMPARED: usize = 12;

/// TA-Lib shows no line before its signal begins; ours is there from its first row.
const ONLY_OURS: std::ops::Range<usize> = 25..33;

#[tokio::test]
async fn published_quotes_give_what_talib_gives() {
    let file = workspace_root().join("functions/report-generator/testdata/quotes.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    let bars: Vec<_> = text.lines().skip(1).map(bar).collect();
    assert_eq!(bars.len(), 502);
    agree(&bars, &file, "quotes.csv").await;
}

#[tokio::test]
async fn random_walks_give_what_talib_gives() {
    let directory = tempfile::tempdir().unwrap();
    // Small coins and large ones, days without trade among them.
    for (seed, price) in [(1, 100.0), (2, 0.5), (3, 45_000.0), (4, 12.5), (5, 1.0)] {
        let bars = walk(seed, price);
        let file = directory.path().join(format!("{seed}.csv"));
        std::fs::write(&file, written(&bars)).unwrap();
        agree(&bars, &file, &format!("seed {seed}")).await;
    }
}

async fn agree(bars: &[Bar], file: &Path, what: &str) {
    let said = said("talib_indicators.py", &[file.to_str().unwrap()]).await;
    let theirs: BTreeMap<String, Column> = serde_json::from_str(&said).unwrap();
    assert_eq!(theirs.len(), COMPARED);
    let columns = Columns::of(bars);
    let ours: BTreeMap<_, _> = columns.named().into_iter().collect();
    for (name, theirs) in &theirs {
        let ours = ours[name.as_str()];
        assert_eq!(ours.len(), theirs.len(), "{what}: {name}");
        let mut compared = 0;
        for (row, pair) in ours.iter().zip(theirs).enumerate() {
            match pair {
                (Some(ours), Some(theirs)) => {
                    let most = 1e-9 * theirs.abs().max(1.0);
                    let off = (ours - theirs).abs();
                    assert!(off <= most, "{what}: {name}[{row}]: {ours}, not {theirs}");
                    compared += 1;
                }
                (Some(_), None) if name == "macd" && ONLY_OURS.contains(&row) => {}
                pair => assert_eq!(pair, (&None, &None), "{what}: {name}[{row}]"),
            }
        }
        assert!(compared > 0, "{what}: {name}");
    }
}

/// 2,000 bars from `price` on, always the same of one seed.
fn walk(seed: u64, price: f64) -> Vec<Bar> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut close = price;
    let mut date = jiff::civil::date(2019, 1, 1);
    let bars = std::iter::repeat_with(|| {
        date = date.tomorrow().unwrap();
        let traded = random.u8(..10) > 0;
        let mut move_by = |most: f64| {
            let by = (random.f64() - 0.5) * most;
            if traded { by } else { 0.0 }
        };
        // Some days begin far from where the last one ended.
        let open = close * (1.0 + move_by(0.06));
        // Drawn back to where it began, so that it stays a price.
        close *= 1.0 + move_by(0.04) + (price / close - 1.0) * move_by(0.01).abs();
        let high = open.max(close) * (1.0 + move_by(0.02).abs());
        let low = open.min(close) * (1.0 - move_by(0.02).abs());
        Bar {
            date,
            open,
            high,
            low,
            close,
            volume: f64::from(random.u32(..5_000_000)),
        }
    });
    bars.take(2_000).collect()
}

/// As the file that the script reads; a number that is read again is the same number.
fn written(bars: &[Bar]) -> String {
    let mut text = String::from("date,open,high,low,close,volume\n");
    for bar in bars {
        let Bar {
            date,
            open,
            high,
            low,
            close,
            volume,
        } = bar;
        writeln!(text, "{date},{open},{high},{low},{close},{volume}").unwrap();
    }
    text
}

/// One line of such a file.
fn bar(line: &str) -> Bar {
    let (date, numbers) = line.split_once(',').unwrap();
    let numbers: Vec<f64> = numbers
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    let [open, high, low, close, volume] = numbers[..] else {
        panic!("not a bar: {line}");
    };
    Bar {
        date: date.parse().unwrap(),
        open,
        high,
        low,
        close,
        volume,
    }
}
