//! Warm hits against SQLite alone, and against Python.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::ensure;
use benches::measure::{Goal, Page, Samples};
use serde_json::json;

use crate::{BUCKET, Bench, PEER_BUCKET, Told, ask, invoke, progress};

const WARM_ROUNDS: usize = 300;
const FIRST: usize = 20;
const PRAGMAS: &str =
    "PRAGMA page_size=4096; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
     PRAGMA journal_mode=WAL; CREATE TABLE entries (id INTEGER PRIMARY KEY, value BLOB NOT NULL)";

/// A prepared read by SQLite, in this process, of the bytes of the report in the bucket.
pub(crate) struct Floor {
    connection: rusqlite::Connection,
    bytes: usize,
    _folder: tempfile::TempDir,
}

impl Floor {
    pub(crate) fn new(report: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let connection = rusqlite::Connection::open(folder.path().join("raw.db"))?;
        connection.execute_batch(PRAGMAS)?;
        connection.execute("INSERT INTO entries VALUES (1, ?1)", [report])?;
        Ok(Self {
            connection,
            bytes: report.len(),
            _folder: folder,
        })
    }

    /// What the read takes, and what it does with its JSON read into a `Value`.
    pub(crate) fn read(&self) -> anyhow::Result<(Duration, Duration)> {
        let select = "SELECT value FROM entries WHERE id = ?1";
        let mut select = self.connection.prepare_cached(select)?;
        let began = Instant::now();
        let value: Vec<u8> = select.query_row([1], |row| row.get(0))?;
        let read = began.elapsed();
        let decoded: serde_json::Value = serde_json::from_slice(&value)?;
        let both = began.elapsed();
        black_box(decoded);
        ensure!(value.len() == self.bytes, "it is cut off");
        Ok((read, both))
    }
}

/// A reader: what its handler took, and all from the event's dispatch to the answer.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) inside: Samples,
    pub(crate) whole: Samples,
}

impl Reader {
    pub(crate) fn push(&mut self, told: &Told) {
        self.inside.push(told.inside);
        self.whole.push(told.whole);
    }

    /// In microseconds.
    fn push_fine(&mut self, told: &Told) {
        self.inside.push_value(micros(told.inside));
        self.whole.push(told.whole);
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// What warm hits took, and the floors under them.
#[derive(Default)]
struct Warm {
    /// From SQLite where it was made, and where it was found in S3; from memory; and in Python.
    readers: [Reader; 4],
    read: Samples,
    decoded: Samples,
    answered: Samples,
}

/// Warm hits; returns how long one takes from SQLite inside the handler.
pub(crate) async fn warm(bench: &Bench, page: &mut Page) -> anyhow::Result<f64> {
    progress("warm hits");
    bench.wipe().await?;
    let functions = [
        (bench.by_rules("made", "sqlite,s3"), "generated", "sqlite"),
        (bench.by_rules("found", "sqlite,s3"), "s3", "sqlite"),
        (bench.by_rules("memory", "memory"), "generated", "memory"),
        (bench.python("python")?, "generated", "sqlite"),
    ];
    for (function, first, _) in &functions {
        ask(function, first).await?;
    }
    let answer_only = bench.answer_only();
    let report = bench.object(BUCKET, "/report.json").await?.1;
    let python = bench.object(PEER_BUCKET, "/report.json").await?.1;
    let floor = Floor::new(&report)?;
    let mut warm = Warm::default();
    for round in 0..FIRST + WARM_ROUNDS {
        let counts = round >= FIRST;
        for ((function, _, tier), reader) in functions.iter().zip(&mut warm.readers) {
            let told = ask(function, tier).await?;
            if counts {
                reader.push_fine(&told);
            }
        }
        let answer = invoke(&answer_only, &json!({})).await?;
        let (read, decoded) = floor.read()?;
        if counts {
            warm.answered.push(answer.duration);
            warm.read.push_value(micros(read));
            warm.decoded.push_value(micros(decoded));
        }
    }
    warm.report(page, report.len(), python.len());
    let [sqlite, ..] = &warm.readers;
    Ok(sqlite.inside.median() / 1e3)
}

impl Warm {
    fn report(&self, page: &mut Page, ours: usize, python: usize) {
        let [sqlite, found, memory, peer] = &self.readers;
        let how = format!(
            "Inside the handler: its own `duration_ms`, from the event to the report that is to be sent. The report is {ours} bytes as \
             it is kept, that of the peer {python}."
        );
        page.section("A warm hit", &how);
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
                "report-generator, from memory, which is first as it is deployed",
                &memory.inside,
            ),
            (
                "report-generator, from SQLite (`CACHE_BACKEND=sqlite,s3`), where it was made",
                &sqlite.inside,
            ),
            (
                "report-generator, from SQLite, where it was found in S3",
                &found.inside,
            ),
            ("Python on awslambdaric, from SQLite", &peer.inside),
        ] {
            page.figure(name, samples, "µs");
        }
        for (name, reader) in [("memory", memory), ("SQLite", sqlite)] {
            page.ratio(
                &format!("from {name} ÷ the read alone"),
                reader.inside.median() / self.read.median(),
                Goal::AtMost(1.5),
            );
        }
        let median = sqlite.inside.median();
        let decoded = self.decoded.median();
        page.plain_ratio("from SQLite ÷ the read with its JSON", median / decoded);
        page.ratio("from SQLite ÷ 1 ms", median / 1e3, Goal::AtMost(1.0));
        page.ratio(
            "from SQLite, where it was found in S3 ÷ 1 ms",
            found.inside.median() / 1e3,
            Goal::AtMost(1.0),
        );
        against(page, (&peer.inside, 1e3), &sqlite.inside, "from SQLite");
        self.report_whole(page);
    }

    fn report_whole(&self, page: &mut Page) {
        let [sqlite, _, memory, peer] = &self.readers;
        page.section(
            "A warm hit, from the event's dispatch to the answer's arrival",
            "The same invocations, with the messages of Lambda's API.",
        );
        for (name, samples) in [
            ("a function that only answers", &self.answered),
            ("report-generator, from memory", &memory.whole),
            ("report-generator, from SQLite", &sqlite.whole),
            ("Python on awslambdaric, from SQLite", &peer.whole),
        ] {
            page.figure(name, samples, "ms");
        }
        against(page, (&peer.whole, 1.0), &sqlite.whole, "from SQLite");
        against(page, (&peer.whole, 1.0), &memory.whole, "from memory");
    }
}

/// Three times as fast where Python takes over a millisecond, and never slower.
fn against(page: &mut Page, (python, millisecond): (&Samples, f64), ours: &Samples, from: &str) {
    let goal = if python.median() > millisecond {
        3.0
    } else {
        1.0
    };
    page.ratio(
        &format!("Python, from SQLite ÷ report-generator, {from}"),
        python.median() / ours.median(),
        Goal::AtLeast(goal),
    );
}
