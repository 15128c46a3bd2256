//! The table at the end of a run, and the same as JSON.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use larder_lambda::environment;
use serde::Serialize;
use serde_json::Value;

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
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
    /// By how much less time the second use took to have its binaries ready.
    milliseconds_saved: f64,
}

/// One invocation.
#[derive(Debug, Serialize)]
struct Use {
    /// The cache state of each part.
    cache: Vec<String>,
    /// How long it took to have everything ready that is cached.
    ready_ms: f64,
}

impl Row {
    /// From the answers of both invocations.
    pub(super) fn new(
        function: &str,
        event: &str,
        first: &Value,
        warm: &Value,
    ) -> anyhow::Result<Self> {
        let (first_use, warm_use) = (Use::of(first)?, Use::of(warm)?);
        let sizes = results(warm)?
            .iter()
            .filter(|result| result.get("cache") != Some(&"miss".into()));
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
}

impl Use {
    fn of(answer: &Value) -> anyhow::Result<Self> {
        let results = results(answer)?;
        let cache = results.iter().map(|result| {
            let state = result.get("cache").and_then(Value::as_str);
            state
                .map(str::to_owned)
                .with_context(|| format!("a monitor failed: {result}"))
        });
        let ready_ms = results
            .iter()
            .filter_map(|result| result.get("ensure_ms")?.as_f64())
            .sum();
        Ok(Self {
            cache: cache.collect::<anyhow::Result<_>>()?,
            ready_ms: microseconds(ready_ms),
        })
    }
}

/// Milliseconds to three places, which sums and differences of such figures have more of.
fn microseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

fn results(answer: &Value) -> anyhow::Result<&Vec<Value>> {
    let results = answer.get("results").and_then(Value::as_array);
    results.with_context(|| format!("an answer without results: {answer}"))
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
        }
        Ok(())
    }

    fn table(&self, coloured: bool) -> Table {
        let mut table = Table::new();
        table.load_style(if coloured {
            presets::UTF8_FULL_CONDENSED
        } else {
            presets::ASCII_MARKDOWN
        });
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if !coloured {
            let width = table.width();
            table.force_no_tty();
            if let Some(width) = width {
                table.set_width(width);
            }
        }
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
    let colour = if used.cache.iter().all(|state| state == "hit") {
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
    // Exact to the last of the two digits for anything under petabytes.
    let hundredths = bytes.saturating_add(5_000) / 10_000;
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(cache: &str, ensure_ms: f64) -> Value {
        let result = json!({ "monitor": "slack", "cache": cache, "ensure_ms": ensure_ms, "binary_size": 9_876_543 });
        json!({ "results": [result], "processed": 1, "errors": 0 })
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
        let table = Report { rows: vec![row] }.table(false).to_string();
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
        assert!(
            Row::new("monitor-runner", "one", &failed, &failed)
                .unwrap_err()
                .to_string()
                .contains("Upstream")
        );
    }
}
