//! The table at the end of a run, and the same as JSON.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table};
use larder_lambda::environment;
use serde::Serialize;
use serde_json::Value;

use super::{findings::Findings, publishing::Publishing, table::empty_table};

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    /// A release on its way to its readers.
    pub(super) publishing: Option<Publishing>,
    /// A status change on its way to people.
    pub(super) findings: Option<Findings>,
}

/// One event of one function, first used and then used again.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    function: String,
    event: String,
    first_use: Use,
    warm: Use,
    /// What the second use would have downloaded without a cache.
    bytes_not_downloaded: u64,
    /// By how much less time the second use took.
    milliseconds_saved: f64,
}

/// One invocation.
#[derive(Debug, Serialize)]
struct Use {
    /// The cache state of each part, or what was done.
    cache: Vec<String>,
    /// How long it took to have everything ready that is cached; where the answer does not say so, how long it took to come.
    ready_ms: f64,
}

/// An answer, and how long it took to come.
type Timed = (Value, Duration);

impl Row {
    /// From the answers of both invocations.
    pub(super) fn new(
        function: &str,
        event: &str,
        first: &Timed,
        warm: &Timed,
    ) -> anyhow::Result<Self> {
        let (first_use, warm_use) = (Use::of(first)?, Use::of(warm)?);
        let sizes = results(&warm.0).filter(|result| result.get("cache") != Some(&"miss".into()));
        let sizes = sizes.filter_map(|result| result.get("binary_size")?.as_u64());
        Ok(Self {
            function: function.to_owned(),
            event: event.to_owned(),
            bytes_not_downloaded: sizes.sum(),
            milliseconds_saved: microseconds(first_use.ready_ms - warm_use.ready_ms).max(0.0),
            first_use,
            warm: warm_use,
        })
    }

    /// What the second use found, such as `hit, miss`.
    pub(super) fn warm_states(&self) -> String {
        self.warm.cache.join(", ")
    }
}

impl Use {
    fn of((answer, took): &Timed) -> anyhow::Result<Self> {
        if let Some(used) = told(answer) {
            return Ok(used);
        }
        if let Some(done) = done(answer) {
            let ready_ms = microseconds(took.as_secs_f64() * 1e3);
            return Ok(Self {
                cache: vec![done],
                ready_ms,
            });
        }
        let cache = results(answer).map(|result| {
            let state = result.get("cache").and_then(Value::as_str);
            state
                .map(str::to_owned)
                .with_context(|| format!("a monitor failed: {result}"))
        });
        let cache: Vec<_> = cache.collect::<anyhow::Result<_>>()?;
        ensure!(!cache.is_empty(), "an answer that says nothing: {answer}");
        let ready_ms = results(answer)
            .filter_map(|result| result.get("ensure_ms")?.as_f64())
            .sum();
        Ok(Self {
            cache,
            ready_ms: microseconds(ready_ms),
        })
    }
}

/// What a report's answer says, in an answer to a browser or not.
fn told(answer: &Value) -> Option<Use> {
    let body = answer.get("body").and_then(Value::as_str);
    let body: Option<Value> = body.and_then(|body| serde_json::from_str(body).ok());
    let report = body.as_ref().unwrap_or(answer);
    let cache = report.get("cache")?;
    let state = cache.get("state")?.as_str()?;
    let tier = cache.get("tier").and_then(Value::as_str);
    let said = tier.map_or(state.to_owned(), |tier| format!("{state} ({tier})"));
    Some(Use {
        cache: vec![said],
        ready_ms: microseconds(report.get("duration_ms")?.as_f64()?),
    })
}

/// What an answer says that was done, of a function that counts minutes or of one that was told what to keep.
fn done(answer: &Value) -> Option<String> {
    if let Some(body) = answer.get("body").and_then(Value::as_str) {
        let body: Value = serde_json::from_str(body).ok()?;
        let count = |name: &str| body.get(name).and_then(Value::as_u64);
        let (servers, lookups) = (count("processed")?, count("lookups")?);
        return Some(format!("{servers} servers, {lookups} look-ups"));
    }
    if let Some(cleared) = cleared(answer) {
        return Some(cleared);
    }
    if let Some(source) = answer.get("source").and_then(Value::as_str) {
        return Some(format!("{source}: {} min", answer.get("minutes")?));
    }
    if let Some(months) = answer.get("history").and_then(Value::as_array) {
        return Some(format!("{} months", months.len()));
    }
    if let Some(reports) = answer.get("prewarmed").and_then(Value::as_array) {
        let of = |state: &str| {
            reports
                .iter()
                .filter(|it| it.get("cache") == Some(&state.into()))
                .count()
        };
        return Some(format!(
            "{} generated, {} there",
            of("generated"),
            of("hit")
        ));
    }
    if answer.get("invalidated").is_some() {
        return Some("forgotten".to_owned());
    }
    let warmed = answer.get("warmed")?;
    Some(format!("{warmed} at hand"))
}

/// What was invalidated, by one event or by a queue's.
fn cleared(answer: &Value) -> Option<String> {
    if let Some(failures) = answer.get("batchItemFailures") {
        let all = answer.get("invalidations")?.as_array()?;
        let said: Vec<_> = all.iter().filter_map(cleared).collect();
        return failures.as_array()?.is_empty().then(|| said.join("; "));
    }
    let billed = answer.get("billable_paths")?;
    let status = answer
        .get("status")?
        .as_str()
        .filter(|status| *status != "failed")?;
    Some(format!("{status}: {billed} billed"))
}

/// Milliseconds to three places, which sums and differences of such figures have more of.
fn microseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

fn results(answer: &Value) -> impl Iterator<Item = &Value> {
    let results = answer.get("results").and_then(Value::as_array);
    results.into_iter().flatten()
}

impl Report {
    /// Writes it as JSON.
    pub(super) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// Prints it as JSON, or as a table that fits the terminal; plain where there is none.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout();
        if json {
            writeln!(stdout, "{}", serde_json::to_string_pretty(self)?)?;
        } else {
            let plain = environment("NO_COLOR").is_some_and(|no| !no.is_empty());
            let coloured = stdout.is_terminal() && !plain;
            writeln!(stdout, "\n{}\n", self.table(coloured))?;
            if let Some(publishing) = &self.publishing {
                writeln!(stdout, "{}\n", publishing.table(coloured))?;
            }
            if let Some(findings) = &self.findings {
                writeln!(stdout, "{}\n", findings.table(coloured))?;
            }
        }
        Ok(())
    }

    fn table(&self, coloured: bool) -> Table {
        let mut table = empty_table(coloured);
        let titles = [
            "function",
            "event",
            "first use",
            "warm",
            "not downloaded",
            "saved",
        ];
        table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        for row in &self.rows {
            table.add_row([
                Cell::new(&row.function),
                Cell::new(&row.event),
                used(&row.first_use),
                used(&row.warm),
                Cell::new(megabytes(row.bytes_not_downloaded)).set_alignment(CellAlignment::Right),
                Cell::new(format!("{:.1} ms", row.milliseconds_saved))
                    .set_alignment(CellAlignment::Right),
            ]);
        }
        table
    }
}

/// The state and the time of a use, green where nothing had to be downloaded.
fn used(used: &Use) -> Cell {
    let colour = if used.cache.iter().all(|state| state.starts_with("hit")) {
        Color::Green
    } else {
        Color::Yellow
    };
    Cell::new(format!(
        "{} in {:.1} ms",
        used.cache.join(", "),
        used.ready_ms
    ))
    .fg(colour)
}

fn megabytes(bytes: u64) -> String {
    if bytes == 0 {
        return String::new();
    }
    // Exact to the last of the two digits for anything under petabytes.
    let hundredths = bytes.saturating_add(5_000) / 10_000;
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(cache: &str, ensure_ms: f64) -> Timed {
        let result = json!({ "monitor": "slack", "cache": cache, "ensure_ms": ensure_ms, "binary_size": 9_876_543 });
        let answer = json!({ "results": [result], "processed": 1, "errors": 0 });
        (answer, Duration::from_millis(300))
    }

    #[test]
    fn the_plain_table_says_what_was_saved() {
        let row = Row::new(
            "monitor-runner",
            "one",
            &answer("miss", 81.25),
            &answer("hit", 0.75),
        )
        .unwrap();
        let table = Report {
            rows: vec![row],
            publishing: None,
            findings: None,
        }
        .table(false)
        .to_string();
        assert!(table.is_ascii(), "{table}");
        for said in [
            "monitor-runner",
            "miss in 81.2 ms",
            "hit in 0.8 ms",
            "9.88 MB",
            "80.5 ms",
        ] {
            assert!(table.contains(said), "{said}: {table}");
        }
    }

    #[test]
    fn a_failed_monitor_is_an_error_of_the_run() {
        let failed = json!({ "results": [{ "monitor": "slack", "error": { "type": "Upstream", "message": "no" } }] });
        let failed = (failed, Duration::ZERO);
        assert!(
            Row::new("monitor-runner", "one", &failed, &failed)
                .unwrap_err()
                .to_string()
                .contains("Upstream")
        );
    }

    #[test]
    fn what_counts_minutes_is_told_in_its_own_words() {
        let body = json!({ "total_servers": 3, "processed": 3, "errors": 0, "lookups": 5 });
        let said = |answer: Value| {
            let answer = (answer, Duration::from_millis(12));
            let row = Row::new("runtime", "one", &answer, &answer).unwrap();
            (row.warm_states(), row.warm.ready_ms.round().to_string())
        };
        for (answer, expected) in [
            (
                json!({ "statusCode": 200, "body": body.to_string() }),
                "3 servers, 5 look-ups",
            ),
            (
                json!({ "source": "cache", "minutes": 12.5 }),
                "cache: 12.5 min",
            ),
            (json!({ "history": [{}, {}] }), "2 months"),
            (json!({ "warmed": 4 }), "4 at hand"),
            (
                json!({ "prewarmed": [{ "ticker": "A", "cache": "generated" }, { "ticker": "B", "cache": "hit" }], "errors": 0 }),
                "1 generated, 1 there",
            ),
            (json!({ "invalidated": { "ticker": "A" } }), "forgotten"),
            (
                json!({ "status": "submitted", "billable_paths": 2 }),
                "submitted: 2 billed",
            ),
            (
                json!({ "batchItemFailures": [], "invalidations": [{ "status": "skipped", "billable_paths": 0 }] }),
                "skipped: 0 billed",
            ),
            (
                json!({ "cache": { "state": "hit", "tier": "s3" }, "duration_ms": 12.0 }),
                "hit (s3)",
            ),
            (
                json!({ "statusCode": 200, "body": r#"{"cache":{"state":"generated","tier":null},"duration_ms":12}"# }),
                "generated",
            ),
        ] {
            assert_eq!(said(answer), (expected.to_owned(), "12".to_owned()));
        }
        let nothing = (json!({}), Duration::ZERO);
        assert!(Row::new("runtime", "one", &nothing, &nothing).is_err());
    }
}
