//! Hits one after the other: what each costs when no process is woken for it.

use std::{sync::Arc, time::Duration};

use benches::measure::{Page, Samples};
use local_aws::lambda::Function;
use serde_json::json;

use crate::{
    BUCKET, Bench, TICKER, ask, invoke, progress,
    report_hits::{Floor, micros},
};

const FIRST: usize = 5;
const ROUNDS: usize = 30;
/// As many as one event may name.
const MANY: u32 = 100;

/// What hits took: from memory, from SQLite, from there without a line in the log; and the floors under them.
#[derive(Default)]
struct Hot {
    hits: [Samples; 3],
    read: Samples,
    decoded: Samples,
}

/// Hits one after the other, a hundred in one invocation: no process waits for another, and the processor's caches are warm.
pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("hits one after the other");
    let quiet = [
        ("LLM_API_KEY_PARAMETER", ""),
        ("CACHE_BACKEND", "sqlite,s3"),
        ("AWS_LAMBDA_LOG_LEVEL", "WARN"),
    ];
    let functions = [
        bench.by_rules("hot-memory", "memory"),
        bench.by_rules("hot-sqlite", "sqlite,s3"),
        bench.ours("hot-quiet", &quiet),
    ];
    for function in &functions {
        // Each makes its own.
        bench.wipe().await?;
        ask(function, "generated").await?;
    }
    let report = bench.object(BUCKET, "/report.json").await?.1;
    let floor = Floor::new(&report)?;
    let mut hot = Hot::default();
    for round in 0..FIRST + ROUNDS {
        for (function, samples) in functions.iter().zip(&mut hot.hits) {
            let more = hits(function, MANY)
                .await?
                .saturating_sub(hits(function, 1).await?);
            if round >= FIRST {
                samples.push_value(micros(more) / f64::from(MANY - 1));
            }
        }
        let mut both = [Duration::ZERO; 2];
        for _ in 0..MANY {
            let (one, other) = floor.read()?;
            let [read, decoded] = &mut both;
            *read += one;
            *decoded += other;
        }
        if round >= FIRST {
            let [read, decoded] = both.map(|sum| micros(sum) / f64::from(MANY));
            hot.read.push_value(read);
            hot.decoded.push_value(decoded);
        }
    }
    hot.report(page);
    Ok(())
}

/// So many in one invocation.
async fn hits(function: &Arc<Function>, count: u32) -> anyhow::Result<Duration> {
    let tickers: Vec<_> = (0..count).map(|_| TICKER).collect();
    let outcome = invoke(function, &json!({ "prewarm": tickers })).await?;
    Ok(outcome.duration)
}

impl Hot {
    fn report(&self, page: &mut Page) {
        let [memory, sqlite, quiet] = &self.hits;
        page.section(
            "A hit among many",
            "The same hits, a hundred of them in one invocation (`prewarm`), less an invocation with one of them, divided by 99: no \
             process is woken for one, so what each costs is work. The reads alone one after the other, too.",
        );
        for (name, samples) in [
            (
                "SQLite, a prepared point read of the same bytes",
                &self.read,
            ),
            (
                "that read, and its JSON read into `serde_json::Value`",
                &self.decoded,
            ),
            (
                "report-generator, from SQLite, with its line in the log",
                sqlite,
            ),
            ("report-generator, from SQLite, without that line", quiet),
            ("report-generator, from memory, with that line", memory),
        ] {
            page.figure(name, samples, "µs");
        }
        let quiet = quiet.median();
        page.plain_ratio(
            "from SQLite, without its line ÷ the read alone",
            quiet / self.read.median(),
        );
        page.plain_ratio(
            "from SQLite, without its line ÷ the read with its JSON",
            quiet / self.decoded.median(),
        );
    }
}
