//! Figures with their spread, ratios with their goals, and the page they are written to.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::Context as _;

/// Repeated measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a duration, kept in milliseconds.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64() * 1e3);
    }

    /// Adds a figure as it is.
    pub fn push_value(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value under which `share` of the samples lie.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let skip = (0..=last)
            .find(|at| fraction(*at, last) >= share)
            .unwrap_or(last);
        sorted.get(skip).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Median, and the range that holds the middle eight of ten.
    fn told(&self, unit: &str) -> String {
        let (low, high) = (self.quantile(0.1), self.quantile(0.9));
        format!("{:.2} {unit} ({low:.2} to {high:.2})", self.median())
    }
}

fn fraction(at: usize, last: usize) -> f64 {
    let part = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if last == 0 {
        1.0
    } else {
        part(at) / part(last)
    }
}

/// A page of results.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a section with a table of figures.
    pub fn section(&mut self, title: &str, how: &str) {
        let _ = write!(
            self.text,
            "\n## {title}\n\n{how}\n\n| what | median (p10 to p90) | n |\n|---|---:|---:|\n"
        );
    }

    /// Adds a figure to the table.
    pub fn figure(&mut self, what: &str, samples: &Samples, unit: &str) {
        let _ = writeln!(
            self.text,
            "| {what} | {} | {} |",
            samples.told(unit),
            samples.0.len()
        );
    }

    /// A section whose table has the ratio of each median to the first one.
    pub fn comparison(&mut self, title: &str, how: &str, rows: &[(&str, &Samples)], unit: &str) {
        let _ = write!(
            self.text,
            "\n## {title}\n\n{how}\n\n| what | median (p10 to p90) | n | ÷ the first |\n|---|---:|---:|---:|\n"
        );
        let first = rows.first().map_or(f64::NAN, |(_, first)| first.median());
        for (what, samples) in rows {
            let ratio = samples.median() / first;
            let (told, n) = (samples.told(unit), samples.0.len());
            let _ = writeln!(self.text, "| {what} | {told} | {n} | {ratio:.2}× |");
        }
    }

    /// A section with a table of anything.
    pub fn table(&mut self, title: &str, how: &str, head: &[&str], rows: &[Vec<String>]) {
        let _ = write!(
            self.text,
            "\n## {title}\n\n{how}\n\n| {} |\n|{}\n",
            head.join(" | "),
            "---|".repeat(head.len())
        );
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// States a ratio of medians and whether it is at most, or at least, its goal.
    pub fn ratio(&mut self, what: &str, ratio: f64, goal: Goal) {
        let (met, goal) = match goal {
            Goal::AtMost(goal) => (ratio <= goal, format!("≤ {goal:.1}")),
            Goal::AtLeast(goal) => (ratio >= goal, format!("≥ {goal:.1}")),
        };
        let verdict = if met { "met" } else { "**missed**" };
        let _ = writeln!(
            self.text,
            "\n{what}: **{ratio:.3}×**, goal {goal}×: {verdict}."
        );
    }

    /// States a ratio of medians that has no goal.
    pub fn plain_ratio(&mut self, what: &str, ratio: f64) {
        let _ = writeln!(self.text, "\n{what}: **{ratio:.3}×**.");
    }

    /// Says what a reader of the figures above should know.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n{text}");
    }

    /// The page.
    pub fn told(self) -> String {
        let head = format!(
            "# Benchmarks\n\nWritten by `make bench`: run it to repeat them. All figures of a section come from one run, \
             the contestants taking turns; absolute times are this machine's, so look at the ratios.\n\n{}\n",
            machine()
        );
        head + &self.text
    }

    /// Writes the page to `path`, and returns it.
    pub fn write(self, path: &Path) -> anyhow::Result<String> {
        let page = self.told();
        std::fs::write(path, &page)
            .with_context(|| format!("could not write {}", path.display()))?;
        Ok(page)
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": "))
            .map_or("unknown", |(_, value)| value)
            .to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let sha = if field("flags").contains("sha_ni") {
        "with"
    } else {
        "without"
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!(
        "Machine: {}, {cores} cores, {sha} SHA instructions, Linux {}, {date}.",
        field("model name"),
        kernel.trim()
    )
}
