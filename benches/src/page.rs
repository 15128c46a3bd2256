//! The page that a bench writes: sections of figures, ratios with their goals, tables and notes.
//!
//! What was measured under another network stands beside what was measured on loopback: each figure and each ratio has a
//! column for it.

use std::{fmt::Write as _, path::Path};

use anyhow::Context as _;

use crate::measure::{Goal, Samples};

/// The network of a page beside another.
const BESIDE: &str = "region";

/// A page of results.
#[derive(Debug, Default)]
pub struct Page {
    sections: Vec<Section>,
    /// The same measurements under [`BESIDE`].
    beside: Option<Box<Page>>,
}

#[derive(Debug)]
struct Section {
    title: String,
    how: String,
    figures: Vec<Figure>,
    /// Adds a column with each figure divided by the first.
    is_compared: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Figure {
    what: String,
    samples: Samples,
    unit: String,
}

#[derive(Debug)]
enum Line {
    Ratio {
        what: String,
        ratio: f64,
        goal: Option<Goal>,
    },
    Table(String),
    Note(String),
}

impl Page {
    /// Begins a section with a table of figures.
    pub fn section(&mut self, title: &str, how: &str) {
        self.sections.push(Section {
            title: title.to_owned(),
            how: how.to_owned(),
            figures: Vec::new(),
            is_compared: false,
            lines: Vec::new(),
        });
    }

    /// Adds a figure to the table of the last section.
    pub fn figure(&mut self, what: &str, samples: &Samples, unit: &str) {
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(Figure {
                what: what.to_owned(),
                samples: samples.clone(),
                unit: unit.to_owned(),
            });
        }
    }

    /// Adds a section whose table has the ratio of each median to the first one.
    pub fn comparison(&mut self, title: &str, how: &str, rows: &[(&str, &Samples)], unit: &str) {
        self.section(title, how);
        for (what, samples) in rows {
            self.figure(what, samples, unit);
        }
        if let Some(section) = self.sections.last_mut() {
            section.is_compared = true;
        }
    }

    /// Adds a section with a table of anything.
    pub fn table(&mut self, title: &str, how: &str, head: &[&str], rows: &[Vec<String>]) {
        self.section(title, how);
        let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(table, "| {} |", row.join(" | "));
        }
        self.line(Line::Table(table));
    }

    /// States a ratio of medians and whether it is at most, or at least, its goal.
    pub fn ratio(&mut self, what: &str, ratio: f64, goal: Goal) {
        self.line(Line::Ratio {
            what: what.to_owned(),
            ratio,
            goal: Some(goal),
        });
    }

    /// States a ratio of medians that has no goal.
    pub fn plain_ratio(&mut self, what: &str, ratio: f64) {
        self.line(Line::Ratio {
            what: what.to_owned(),
            ratio,
            goal: None,
        });
    }

    /// Says what a reader of the figures above should know.
    pub fn note(&mut self, text: &str) {
        self.line(Line::Note(text.to_owned()));
    }

    fn line(&mut self, line: Line) {
        if let Some(section) = self.sections.last_mut() {
            section.lines.push(line);
        }
    }

    /// Puts what was measured under an account's network beside this.
    #[must_use]
    pub fn beside(mut self, region: Self) -> Self {
        self.beside = Some(Box::new(region));
        self
    }

    /// Renders the page as Markdown.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `make bench`: run it to repeat them. All figures of a section come from one run, \
             the contestants taking turns; absolute times are this machine's, so look at the ratios.\n\n{}\n",
            machine()
        );
        if self.beside.is_some() {
            text += "\n`region`: the same behind the network of an account, [network.md](network.md). A section without it asks nothing over a network.\n";
        }
        let beside = |title: &str| self.beside.as_ref()?.find(title);
        for section in &self.sections {
            section.render(&mut text, beside(&section.title));
        }
        let others = self.beside.iter().flat_map(|page| &page.sections);
        for section in others.filter(|section| self.find(&section.title).is_none()) {
            section.render(&mut text, None);
        }
        text
    }

    fn find(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    /// Writes the page to `path`, and returns it.
    pub fn write(&self, path: &Path) -> anyhow::Result<String> {
        let page = self.told();
        std::fs::write(path, &page)
            .with_context(|| format!("could not write {}", path.display()))?;
        Ok(page)
    }
}

impl Section {
    fn render(&self, text: &mut String, beside: Option<&Self>) {
        let _ = write!(text, "\n## {}\n\n{}\n", self.title, self.how);
        self.render_figures(text, beside);
        for line in &self.lines {
            line.render(text, beside);
        }
    }

    fn render_figures(&self, text: &mut String, beside: Option<&Self>) {
        if self.figures.is_empty() {
            return;
        }
        let columns = if self.is_compared { 3 } else { 2 };
        let head = |network: &str| {
            let divided = if self.is_compared {
                " ÷ the first |"
            } else {
                ""
            };
            format!(" {network}median (p10 to p90) | n |{divided}")
        };
        let networks = match beside {
            Some(_) => vec![head("loopback, "), head(&format!("`{BESIDE}`, "))],
            None => vec![head("")],
        };
        let rule = "---:|".repeat(columns * networks.len());
        let _ = write!(text, "\n| what |{}\n|---|{rule}\n", networks.concat());
        for figure in &self.figures {
            let _ = write!(text, "| {} |{}", figure.what, self.cells(&figure.what));
            if let Some(beside) = beside {
                text.push_str(&beside.cells(&figure.what));
            }
            text.push('\n');
        }
    }

    /// The cells of a figure: empty where it was not measured.
    fn cells(&self, what: &str) -> String {
        let Some(figure) = self.figures.iter().find(|figure| figure.what == what) else {
            return if self.is_compared { " | | |" } else { " | |" }.to_owned();
        };
        let samples = &figure.samples;
        let mut cells = format!(" {} | {} |", samples.told(&figure.unit), samples.count());
        if self.is_compared {
            let first = self.figures.first().map(|first| first.samples.median());
            let ratio = samples.median() / first.unwrap_or(f64::NAN);
            let _ = write!(cells, " {ratio:.2}× |");
        }
        cells
    }
}

impl Line {
    fn render(&self, text: &mut String, beside: Option<&Section>) {
        match self {
            Self::Ratio { what, ratio, goal } => {
                let _ = write!(text, "\n{what}: {}", verdict(*ratio, *goal));
                let lines = beside.into_iter().flat_map(|section| &section.lines);
                let other = lines.filter_map(|line| match line {
                    Self::Ratio {
                        what: other,
                        ratio,
                        goal,
                    } if other == what => Some(verdict(*ratio, *goal)),
                    _ => None,
                });
                for verdict in other {
                    let _ = write!(text, "; `{BESIDE}` {verdict}");
                }
                text.push_str(".\n");
            }
            Self::Table(table) => {
                let _ = write!(text, "\n{table}");
                let lines = beside.into_iter().flat_map(|section| &section.lines);
                for line in lines {
                    if let Self::Table(table) = line {
                        let _ = write!(text, "\nUnder `{BESIDE}`:\n\n{table}");
                    }
                }
            }
            Self::Note(note) => {
                let _ = writeln!(text, "\n{note}");
            }
        }
    }
}

/// A ratio, and whether it meets its goal.
fn verdict(ratio: f64, goal: Option<Goal>) -> String {
    let (is_met, goal) = match goal {
        None => return format!("**{ratio:.3}×**"),
        Some(Goal::AtMost(goal)) => (ratio <= goal, format!("≤ {goal:.1}")),
        Some(Goal::AtLeast(goal)) => (ratio >= goal, format!("≥ {goal:.1}")),
    };
    let met = if is_met { "met" } else { "**missed**" };
    format!("**{ratio:.3}×**, goal {goal}×: {met}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(value: f64) -> Page {
        let mut samples = Samples::new();
        samples.push_value(value);
        let mut page = Page::default();
        page.comparison("A hit", "How.", &[("ours", &samples)], "ms");
        page.ratio("ours ÷ theirs", value, Goal::AtMost(1.5));
        page
    }

    #[test]
    fn figures_and_ratios_under_a_network_stand_beside_those_on_loopback() {
        let mut loopback = page(1.0);
        loopback.section("A sum", "In memory.");
        let text = loopback.beside(page(2.0)).told();
        let row =
            "| ours | 1.00 ms (1.00 to 1.00) | 1 | 1.00× | 2.00 ms (2.00 to 2.00) | 1 | 1.00× |";
        assert!(text.contains(row), "{text}");
        let ratio = "ours ÷ theirs: **1.000×**, goal ≤ 1.5×: met; `region` **2.000×**, goal ≤ 1.5×: **missed**.";
        assert!(text.contains(ratio), "{text}");
        assert!(text.contains("## A sum\n\nIn memory.\n"), "{text}");
    }

    #[test]
    fn page_of_one_network_has_one_column() {
        let text = page(1.0).told();
        let table =
            "| what | median (p10 to p90) | n | ÷ the first |\n|---|---:|---:|---:|\n| ours |";
        assert!(text.contains(table), "{text}");
        assert!(!text.contains("region"), "{text}");
    }
}
