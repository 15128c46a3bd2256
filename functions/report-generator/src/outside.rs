//! Asking servers that are not AWS's: bounded in size and time, tried again where that may help.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{Client, RequestBuilder, StatusCode};

/// How much is told, in characters, of why an answer cannot be read: that quotes the answer.
pub(crate) const QUOTED: usize = 300;

/// What one question may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long one attempt may take, answer and all.
    pub(crate) attempt: Duration,
    /// How often it is tried again.
    pub(crate) retries: usize,
    /// How many bytes the answer may have.
    pub(crate) bytes: usize,
}

/// An answer of any status that another try would not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// There was no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It could not be reached, or did not answer in time.
    #[error("{server} could not be reached")]
    Unreachable {
        /// Whom we asked.
        server: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// There is no client to ask it with.
    #[error("{server} cannot be asked: TLS could not be set up")]
    Setup {
        /// Whom we asked.
        server: &'static str,
        /// Why.
        source: anyhow::Error,
    },
    /// It has too many requests.
    #[error("{server} has had too many requests (429): ask again later")]
    RateLimited {
        /// Whom we asked.
        server: &'static str,
    },
    /// It failed.
    #[error("{server} failed with status {status}")]
    Failed {
        /// Whom we asked.
        server: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// It refused us.
    #[error("{server} refused with status {status}: {said}")]
    Refused {
        /// Whom we asked.
        server: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// It answered more than anything that we understand.
    #[error("{server} answered more than {most} bytes")]
    TooLong {
        /// Whom we asked.
        server: &'static str,
        /// The most that is read.
        most: usize,
    },
    /// It answered something else.
    #[error("{server} answered something else than was asked for: {why}")]
    Malformed {
        /// Whom we asked.
        server: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Unanswered {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            // A question that cannot be put is no better the next time.
            Self::Unreachable { source, .. } => !source.is_builder(),
            Self::RateLimited { .. } | Self::Failed { .. } => true,
            Self::Setup { .. }
            | Self::Refused { .. }
            | Self::TooLong { .. }
            | Self::Malformed { .. } => false,
        }
    }
}

/// The way to all of them: one client, made when it is first used. Most invocations ask nobody, and setting up TLS is a good
/// part of a cold start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside(Arc<OnceLock<Client>>);

impl Outside {
    fn client(&self, server: &'static str) -> Result<&Client, Unanswered> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let made = client().map_err(|source| Unanswered::Setup { server, source })?;
        Ok(self.0.get_or_init(|| made))
    }

    /// Asks `server`, anew with each try.
    pub(crate) async fn ask(
        &self,
        server: &'static str,
        limits: Limits,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Unanswered> {
        let client = self.client(server)?;
        let attempt = || async {
            let unreachable = |source: reqwest::Error| Unanswered::Unreachable {
                server,
                source: source.without_url(),
            };
            let sent = request(client).timeout(limits.attempt).send().await;
            let mut response = sent.map_err(unreachable)?;
            let status = response.status();
            if status == StatusCode::TOO_MANY_REQUESTS {
                return Err(Unanswered::RateLimited { server });
            }
            if status.is_server_error() {
                let status = status.as_u16();
                return Err(Unanswered::Failed { server, status });
            }
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(unreachable)? {
                body.extend_from_slice(&piece);
                if body.len() > limits.bytes {
                    let most = limits.bytes;
                    return Err(Unanswered::TooLong { server, most });
                }
            }
            Ok(Answer { status, body })
        };
        let backoff = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(limits.retries)
            .with_jitter();
        attempt.retry(backoff).when(Unanswered::is_transient).await
    }
}

impl Answer {
    /// The beginning of it, on one line, for an error message.
    pub(crate) fn shown(&self) -> String {
        let head = self.body.get(..400).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(head);
        // Of a web page, what a reader would see of it.
        let words = text
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |(_, seen)| seen));
        let words: Vec<_> = words.flat_map(str::split_whitespace).collect();
        larder_lambda::event::shown(words.join(" "))
    }
}

/// An answer that takes its time says nothing meanwhile, so silence is no sign of a dead socket here: each question has a bound of
/// its own.
fn client() -> Result<Client, anyhow::Error> {
    let most = Duration::from_mins(2);
    let client = larder_lambda::http_client()?
        .read_timeout(most)
        // A socket that died while the environment was frozen would cost as much.
        .pool_max_idle_per_host(0)
        // Whoever redirects a server of ours could have it ask anybody.
        .redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}

/// The first `most` characters of `text` in one line, without control characters and braces.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let text = text.get(..most * 16).unwrap_or(text);
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let kept = line.chars().filter(|letter| !matches!(letter, '{' | '}'));
    kept.take(most).collect()
}
