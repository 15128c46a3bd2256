//! What is going on, told on standard error: a spinner on a terminal, a line a step elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// The teller of a run's steps.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
}

impl Progress {
    /// Finds out what it writes to.
    #[must_use]
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Begins a step.
    #[must_use]
    pub fn step(&self, what: &str) -> Step {
        let spinner = self.terminal.then(|| {
            let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
            spinner.set_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Step {
            what: what.to_owned(),
            began: Instant::now(),
            spinner,
        }
    }

    /// Tells something that takes no time.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A step under way. Dropped without [`Step::done`] it says nothing: an error will.
#[derive(Debug)]
pub struct Step {
    what: String,
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Ends the step with what came of it.
    pub fn done(self, outcome: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let _ = writeln!(
            std::io::stderr(),
            "{seconds:6.1} s  {}: {outcome}",
            self.what
        );
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
