//! The tables of the original, recomputed from what was measured.

use std::{collections::BTreeMap, time::Duration};

use benches::measure::Page;
use serde_json::json;

use crate::{
    BUCKET, Bench, MODEL, TICKER, ask_for, progress, report_requests::Door, report_turns::Headline,
};

/// The original's own: 10,000 tokens read and 2,000 written by GPT-4o.
const A_REPORT: f64 = 0.03;
/// The original's own, in US dollars.
const A_GET: f64 = 0.0004 / 1_000.0;
const A_GIGABYTE_MONTH: f64 = 0.023;
/// S3's list price in us-east-1, which the original leaves out.
const A_PUT: f64 = 0.005 / 1_000.0;
const DAYS: f64 = 30.0;

/// Requests to S3 that an invocation makes, and what they cost.
#[derive(Default)]
struct Requests(BTreeMap<&'static str, u32>);

impl Requests {
    fn of(&self, methods: &[&str]) -> f64 {
        let counts = methods.iter().filter_map(|method| self.0.get(*method));
        f64::from(counts.sum::<u32>())
    }

    /// A DELETE costs nothing, and a POST goes to SSM.
    fn dollars(&self) -> f64 {
        self.of(&["GET", "HEAD"]) * A_GET + self.of(&["PUT"]) * A_PUT
    }

    fn told(&self) -> String {
        let counts = self.0.iter().filter(|(method, _)| **method != "POST");
        let counts: Vec<_> = counts
            .map(|(method, count)| format!("{count} {method}"))
            .collect();
        if counts.is_empty() {
            "none".to_owned()
        } else {
            counts.join(", ")
        }
    }
}

pub(crate) async fn tables(
    bench: &Bench,
    page: &mut Page,
    headline: &Headline,
    calls: usize,
) -> anyhow::Result<()> {
    performance(page, headline);
    progress("requests to S3");
    let [made, found, warm] = requests(bench).await?;
    let stored = stored(bench, page).await?;
    let row = |what: &str, requests: &Requests| {
        let dollars = format!("${:.7}", requests.dollars());
        vec![what.to_owned(), requests.told(), dollars]
    };
    page.table(
        "Requests to S3",
        "Counted on their way. GET and HEAD at the original's $0.0004 a thousand; PUT at S3's list price of $0.005 a thousand, which the \
         original leaves out; DELETE is free.",
        &["invocation", "requests", "cost"],
        &[
            row("a report is made, with chart, news and PDF", &made),
            row("a hit from S3 in a fresh environment", &found),
            row("a warm hit", &warm),
        ],
    );
    costs(page, (&made, &found), stored, calls);
    Ok(())
}

/// Those of a report that is made, of a cold hit and of a warm one.
async fn requests(bench: &Bench) -> anyhow::Result<[Requests; 3]> {
    bench.wipe().await?;
    bench.world.chat.delay(Duration::ZERO);
    let door = Door::to(bench.moto.url()).await?;
    let function = bench.ours("counted", &[("AWS_ENDPOINT_URL", &door.url())]);
    let report = json!({ "ticker": TICKER });
    let with_pdf = json!({ "ticker": TICKER, "include": ["pdf"] });
    ask_for(&function, &with_pdf, "generated").await?;
    let made = Requests(door.take());
    function.fresh().await;
    ask_for(&function, &report, "s3").await?;
    let found = Requests(door.take());
    ask_for(&function, &report, "memory").await?;
    Ok([made, found, Requests(door.take())])
}

/// What is in the bucket, in bytes.
async fn stored(bench: &Bench, page: &mut Page) -> anyhow::Result<f64> {
    let mut stored = 0.0;
    let mut rows = Vec::new();
    for key in bench.objects(BUCKET).await? {
        // Marks of invalidations and leases are no part of it.
        if key.contains('~') {
            continue;
        }
        let head = bench.s3.head_object().bucket(BUCKET).key(&key);
        let length = head.send().await?.content_length().unwrap_or_default();
        let bytes = f64::from(u32::try_from(length)?);
        stored += bytes;
        rows.push(vec![format!("`{key}`"), format!("{:.1} KB", bytes / 1e3)]);
    }
    page.table(
        "What is stored of a report",
        "One ticker, one day, one language; the original kept 7 KB. Of a second language there are a report and a PDF more.",
        &["object", "size"],
        &rows,
    );
    Ok(stored)
}

fn performance(page: &mut Page, headline: &Headline) {
    let model = MODEL.as_secs_f64() * 1e3;
    // As the original's model took.
    let full = headline.generation - model + 10.0 * model;
    let row = |what: &str, original: (f64, &str), here: f64, of: f64| {
        let (before, after) = original;
        vec![
            what.to_owned(),
            format!("{before} s"),
            after.to_owned(),
            if here < 10.0 {
                format!("{here:.3} ms")
            } else {
                format!("{here:.1} ms")
            },
            if here < of {
                format!("{:.0}×", of / here)
            } else {
                "the same".to_owned()
            },
            if here < of {
                format!("{:.0}×", full / here)
            } else {
                format!("{:.1} s", full / 1e3)
            },
        ]
    };
    let made = headline.generation;
    let rows = [
        row("first request of the day", (79.0, "79 s"), made, made),
        row(
            "second request, same instance (SQLite, inside the handler)",
            (79.0, "0.001 s, 79,000×"),
            headline.sqlite,
            made,
        ),
        row(
            "second request, another instance (S3, from its start)",
            (79.0, "0.8 s, 95×"),
            headline.s3,
            made,
        ),
        row("next day (expired)", (79.0, "79 s"), made, made),
    ];
    page.table(
        "The original's performance table, from what was measured",
        "Against a report whose model takes 5 s, as measured; the last column computes the same with the model's 50 s, 45 s more. \
         S3 is moto on loopback: a bucket's own latency (the original says 100 ms) is to be added to its row, once, since what is read is \
         read at the same time.",
        &["scenario", "original, before", "original, after", "here", "× faster", "× faster, model at 50 s"],
        &rows,
    );
    let far = headline.s3 + 100.0;
    page.note(&format!(
        "With the original's 100 ms for S3 added, and its model at 50 s: {:.1} s against {far:.0} ms, {:.0}×.",
        full / 1e3,
        full / far
    ));
}

fn costs(page: &mut Page, (made, found): (&Requests, &Requests), stored: f64, calls: usize) {
    let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
    // A hundred requests a day, all of which meet a cold environment: the dearest case.
    let s3 = |tickers: f64, asks: f64| {
        let a_day = tickers * (made.dollars() + (asks - 1.0) * found.dollars());
        let kept = tickers * DAYS * stored / 1e9 * A_GIGABYTE_MONTH;
        a_day * DAYS + kept
    };
    let before = |tickers: f64, asks: f64| tickers * asks * A_REPORT * DAYS;
    let model = |tickers: f64| tickers * calls * A_REPORT * DAYS;
    let row = |what: &str, original: &str, (before, model, s3): (f64, f64, f64)| {
        let after = model + s3;
        vec![
            what.to_owned(),
            original.to_owned(),
            format!("${before:.2}"),
            format!("${model:.2}"),
            format!("${s3:.4}"),
            format!(
                "${:.2} ({:.1}%)",
                before - after,
                (1.0 - after / before) * 100.0
            ),
        ]
    };
    let year = 365.0 / DAYS;
    let rows = [
        row(
            "a ticker, 100 requests a day, a month",
            "$90 → $0.90, 99%",
            (before(1.0, 100.0), model(1.0), s3(1.0, 100.0)),
        ),
        row(
            "10 tickers, 100 requests a day each, a month",
            "$900 → $9.12, 99%",
            (before(10.0, 100.0), model(10.0), s3(10.0, 100.0)),
        ),
        row(
            "20 tickers, 500 requests a day in all, a year",
            "$5,475 → $1,096.44, 80%",
            (
                before(20.0, 25.0) * year,
                model(20.0) * year,
                s3(20.0, 25.0) * year,
            ),
        ),
    ];
    page.table(
        "The original's cost table, from what was measured",
        "The model at the original's own $0.03 a report (10,000 tokens read, 2,000 written; what the emulator counts is no price), times \
         the calls that twenty askers at a cold ticker caused above. S3 by the requests counted above, every request but the first in \
         a fresh environment, storage for a month at $0.023 a GB. The original takes 80% hits for granted in its last row; here everyone but \
         the first of a day, in one language, finds the report.",
        &["what", "original", "before", "model", "S3", "saved"],
        &rows,
    );
}
