//! What a report is made of, stage by stage.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use benches::measure::{Page, Samples};
use report_generator::{
    Language,
    drawing::{self, Tile, Tone, chart_svg},
    indicators::Columns,
    market::parse,
    series::Series,
};
use serde_json::{Value, json};

use crate::{BUCKET, Bench, SYMBOL, TICKER, ask, ask_for, progress};

const ROUNDS: usize = 30;
const TILES: [&str; 6] = [
    "rsi_14",
    "macd",
    "atr_pct",
    "vwap_pct",
    "volume_ratio",
    "sma_50",
];

pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("stages");
    let url = format!(
        "{}/v8/finance/chart/{SYMBOL}?range=1y&interval=1d&includePrePost=false&events=div%2Csplits",
        bench.world.market.url()
    );
    let client = reqwest::Client::builder();
    let client = client.no_proxy().user_agent("larder").build()?;
    let [mut fetch, mut read] = [const { Samples::new() }; 2];
    let mut series = None;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let bytes = client.get(&url).send().await?.bytes().await?;
        fetch.push(began.elapsed());
        let began = Instant::now();
        series = Some(parse(&bytes, SYMBOL)?);
        read.push(began.elapsed());
    }
    let series = series.context("no prices")?;
    page.section(
        "Generation, stage by stage",
        "A year of daily prices. Pure stages by calling the library in this process; the others as the function itself tells.",
    );
    let bars = series.bars.len();
    page.figure(
        &format!("prices of {bars} days, fetched on loopback"),
        &fetch,
        "ms",
    );
    page.figure("prices, parsed", &read, "ms");
    pure(page, &series, &two_languages(bench).await?)?;
    words(bench, page).await?;
    saving(bench, page).await
}

fn timed<T>(mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(T, Samples)> {
    let mut samples = Samples::new();
    let mut last = work()?;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        last = black_box(work()?);
        samples.push(began.elapsed());
    }
    Ok((last, samples))
}

fn pure(page: &mut Page, series: &Series, answers: &[Value; 2]) -> anyhow::Result<()> {
    let (_, samples) = timed(|| Ok(Columns::of(&series.bars).readings()))?;
    page.figure("17 indicators and their percentiles", &samples, "ms");
    let columns = Columns::of(&series.bars);
    let (svg, samples) = timed(|| Ok(chart_svg(series, &columns)))?;
    page.figure(
        &format!("chart, SVG ({} KB)", svg.len() / 1_000),
        &samples,
        "ms",
    );
    let (png, samples) = timed(|| Ok(drawing::png(&svg)?))?;
    page.figure(
        &format!("chart, PNG of it ({} KB)", png.len() / 1_000),
        &samples,
        "ms",
    );
    for (language, name, answer) in [
        (Language::Thai, "Thai", &answers[0]),
        (Language::English, "English", &answers[1]),
    ] {
        let set = page_of(language, answer, &svg)?;
        let (pdf, samples) = timed(|| Ok(set.pdf()?))?;
        let what = format!("PDF with the chart, {name} ({} KB)", pdf.len() / 1_000);
        page.figure(&what, &samples, "ms");
    }
    Ok(())
}

/// The same report in Thai and in English.
async fn two_languages(bench: &Bench) -> anyhow::Result<[Value; 2]> {
    let function = bench.by_rules("languages", "memory");
    let mut answers = [Value::Null, Value::Null];
    for (answer, language) in answers.iter_mut().zip(["th", "en"]) {
        let event = json!({ "ticker": TICKER, "language": language });
        *answer = ask_for(&function, &event, "generated").await?.answer;
    }
    Ok(answers)
}

/// The page as the function sets it, of an answer of its own.
fn page_of(language: Language, answer: &Value, svg: &str) -> anyhow::Result<drawing::Page> {
    let text = |pointer: &str| {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
            .with_context(|| format!("no {pointer}"))
    };
    let number = |name: &str, field: &str| {
        let pointer = format!("/indicators/{name}/{field}");
        let number = answer.pointer(&pointer).and_then(Value::as_f64);
        number.with_context(|| format!("no {pointer}"))
    };
    let tile = |name: &&str| {
        anyhow::Ok(Tile {
            label: (*name).to_owned(),
            value: format!("{:.2}", number(name, "value")?),
            note: format!("{:.1}", number(name, "percentile")?),
        })
    };
    let sections = [
        "stock_story",
        "what_to_know",
        "what_to_do",
        "risks",
        "percentile_analysis",
    ];
    let sections =
        sections.map(|name| anyhow::Ok((name.to_owned(), text(&format!("/sections/{name}"))?)));
    Ok(drawing::Page {
        language,
        title: text("/name")?,
        subtitle: text("/date")?,
        badge: Some((text("/recommendation")?, Tone::Neutral)),
        tiles: TILES.iter().map(tile).collect::<anyhow::Result<_>>()?,
        chart: svg.to_owned(),
        sections: sections.into_iter().collect::<anyhow::Result<_>>()?,
        footer: text("/narrative")?,
    })
}

/// A second language of the same day: prices and chart are at hand, so what is left is indicators, words and what it takes to keep them.
async fn words(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    bench.world.chat.delay(Duration::ZERO);
    let by_model = bench.ours("model", &[("CACHE_BACKEND", "memory")]);
    let by_rules = bench.by_rules("rules", "memory");
    for (function, name) in [
        (
            by_rules,
            "words by rules, with the indicators, inside the handler",
        ),
        (
            by_model,
            "words by a model that answers at once, the same way",
        ),
    ] {
        let mut samples = Samples::new();
        for _ in 0..ROUNDS / 3 {
            function.fresh().await;
            ask(&function, "generated").await?;
            let english = json!({ "ticker": TICKER, "language": "en" });
            samples.push(ask_for(&function, &english, "generated").await?.inside);
        }
        page.figure(name, &samples, "ms");
    }
    Ok(())
}

async fn saving(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    let [mut memory, mut all, mut saved] = [const { Samples::new() }; 3];
    let (near, hybrid) = (
        bench.by_rules("near", "memory"),
        bench.by_rules("hybrid", "hybrid"),
    );
    for _ in 0..ROUNDS / 3 {
        bench.wipe().await?;
        near.fresh().await;
        memory.push(ask(&near, "generated").await?.inside);
        hybrid.fresh().await;
        let told = ask(&hybrid, "generated").await?;
        all.push(told.inside);
        saved.push(told.after);
    }
    page.figure(
        "all but the PDF, by rules, kept in memory, inside the handler of a fresh environment",
        &memory,
        "ms",
    );
    page.figure(
        "the same with SQLite and S3: it looks there first, and takes leases",
        &all,
        "ms",
    );
    page.figure("saving to SQLite and S3, after the answer", &saved, "ms");
    let objects = bench.objects(BUCKET).await?;
    ensure!(objects.len() >= 4, "not all was saved: {objects:?}");
    page.note(
        "Saving is from the answer's arrival to the request for the next event, with what the local Lambda takes to read the last \
         log lines (some milliseconds). How long a model takes is in the headline below.",
    );
    Ok(())
}
