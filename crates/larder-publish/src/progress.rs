//! What is going on, told on standard error: a spinner on a terminal; elsewhere a line a step, and one now and then while a step lasts.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// For so long a step may say nothing.
const SILENCE: Duration = Duration::from_secs(2);
/// Whoever keeps a log of it wants no line each second.
const BETWEEN: Duration = Duration::from_secs(10);

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
        let began = Instant::now();
        let how_far = Arc::new(Mutex::new(what.to_owned()));
        let shown = if self.terminal {
            let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
            spinner.set_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(Duration::from_millis(100));
            Shown::Spinner(spinner)
        } else {
            Shown::Lines(lines(Arc::clone(&how_far), began))
        };
        Step {
            what: what.to_owned(),
            how_far,
            began,
            shown: Some(shown),
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
    /// The same, and how far it is.
    how_far: Arc<Mutex<String>>,
    began: Instant,
    shown: Option<Shown>,
}

/// How a step that is under way is shown.
#[derive(Debug)]
enum Shown {
    Spinner(ProgressBar),
    /// By a thread that ends with this.
    #[expect(dead_code, reason = "it is dropped, and so tells the thread to end")]
    Lines(Option<mpsc::Sender<()>>),
}

impl Step {
    /// How far it is by now.
    pub fn tell(&self, how_far: &str) {
        let text = format!("{}: {how_far}", self.what);
        if let Some(Shown::Spinner(spinner)) = &self.shown {
            spinner.set_message(text.clone());
        }
        *self.how_far.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Ends the step with what came of it.
    pub fn done(mut self, outcome: &str) {
        self.hide();
        let seconds = self.began.elapsed().as_secs_f64();
        let _ = writeln!(
            std::io::stderr(),
            "{seconds:6.1} s  {}: {outcome}",
            self.what
        );
    }

    fn hide(&mut self) {
        if let Some(Shown::Spinner(spinner)) = self.shown.take() {
            spinner.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.hide();
    }
}

/// A thread that tells of a step while it lasts: none where there cannot be one more.
fn lines(how_far: Arc<Mutex<String>>, began: Instant) -> Option<mpsc::Sender<()>> {
    let (end, ended) = mpsc::channel::<()>();
    let tell = move || {
        let mut pause = SILENCE;
        while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
            pause = BETWEEN;
            let text = how_far.lock().unwrap_or_else(PoisonError::into_inner);
            let seconds = began.elapsed().as_secs_f64();
            let _ = writeln!(std::io::stderr(), "{seconds:6.1} s  {text} …");
        }
    };
    let thread = std::thread::Builder::new().name("progress".to_owned());
    thread.spawn(tell).ok().map(|_| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_ends_tells_no_more() {
        let how_far = Arc::new(Mutex::new("uploading".to_owned()));
        let end = lines(Arc::clone(&how_far), Instant::now()).unwrap();
        assert_eq!(Arc::strong_count(&how_far), 2);
        drop(end);
        let began = Instant::now();
        while Arc::strong_count(&how_far) > 1 {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the thread goes on"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
