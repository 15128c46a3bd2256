//! One monitor: have its binary, run it, read what it says.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use larder_artifact::{
    Cache, Child, Ended, Ensured, Error as ArtifactError, ErrorKind as ArtifactErrorKind, Finished,
    Home,
};
use larder_lambda::{Error, ErrorKind, Invocation};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    App, Metrics,
    answer::{Failure, Outcome, Run},
    config::Config,
    event::MonitorName,
    output::find_result,
};

/// Of the invocation's time, what it takes to end a monitor that will not end by itself, to read
/// what it said last and to remove what it left. Without it, one that hangs would cost the results
/// of all others.
const ENDING: Duration = Duration::from_secs(1);

/// How much of the end of a failed monitor's standard error is told.
const STDERR_TOLD: usize = 2048;

/// A value shorter than this is as likely a word as a secret, and is not looked for in what is
/// told.
const SHORTEST_SECRET: usize = 6;

/// Runs `name` and tells what became of it, and what that counts. Never fails: one monitor must not
/// stop the others.
pub(crate) async fn run(
    app: &App,
    name: MonitorName,
    invocation: &Invocation,
) -> (Outcome, Metrics) {
    let mut metrics = Metrics::default();
    let monitor = name.as_str().to_owned();
    let outcome = match try_run(app, &name, invocation, &mut metrics).await {
        Ok(run) => Outcome::Ran(run),
        Err(error) => {
            tracing::error!(monitor, error.kind = %error.kind(), %error, "The monitor failed");
            metrics.monitor_errors += 1;
            Outcome::Failed(Failure { monitor, error })
        }
    };
    (outcome, metrics)
}

async fn try_run(
    app: &App,
    name: &MonitorName,
    invocation: &Invocation,
    metrics: &mut Metrics,
) -> Result<Run, Error> {
    let config = &app.config;
    // With the cache off, the binary is kept for as long as it runs.
    let kept = if config.cache_enabled {
        None
    } else {
        Some(app.homes.take().context("could not make a directory")?)
    };
    let dir = kept.as_ref().map_or(config.cache_dir.as_path(), Home::path);
    let artifact = config.artifact(name, dir);

    let began = Instant::now();
    // Half of the time at most: a source that is slow must leave the last verified binary time to
    // run.
    let time = invocation.deadline.time_to_work() / 2;
    let ensured = if config.cache_enabled {
        app.artifacts.ensure(&artifact, time).await
    } else {
        app.artifacts.ensure_once(&artifact, time).await
    };
    let ensured = ensured.map_err(classify)?;
    let ensure = began.elapsed();
    metrics.count(&ensured, ensure);

    let finished = execute(app, &artifact.file, &ensured, name, invocation).await?;
    let execution = finished.took;
    metrics.execution_time += execution;
    let (exit_code, stdout, lost) = succeeded(finished, config)?;
    let (reason, warning) = match &ensured.cache {
        Cache::Hit => (None, None),
        Cache::Miss(reason) => (Some(reason.as_str()), None),
        Cache::Stale { cause, confirmed } => {
            (None, Some(stale_warning(cause, confirmed.as_secs())))
        }
    };
    let result = find_result(&stdout, lost == 0);
    if result.is_none() {
        tracing::warn!(monitor = name.as_str(), "The monitor printed no result");
    }
    Ok(Run {
        monitor: name.as_str().to_owned(),
        cache: ensured.cache.as_str(),
        version: ensured.version,
        sha256: ensured.sha256.to_string(),
        binary_size: ensured.size,
        reason,
        warning,
        downloaded_bytes: ensured.downloaded_bytes,
        ensure,
        execution,
        exit_code,
        result,
    })
}

async fn execute(
    app: &App,
    arg0: &Path,
    ensured: &Ensured,
    name: &MonitorName,
    invocation: &Invocation,
) -> Result<Finished, Error> {
    let config = &app.config;
    let prefix = config.prefix.to_ascii_uppercase().replace('-', "_");
    let mut child = Child::new(&ensured.image, arg0)
        .env("MONITOR_NAME", name.as_str())
        .env(format!("{prefix}_AWS_REQUEST_ID"), &invocation.request_id)
        .env(
            format!("{prefix}_TIMESTAMP"),
            jiff::Timestamp::now().to_string(),
        );
    for (variable, value) in &config.child_env {
        child = child.env(variable, value.expose_secret());
    }
    let left = invocation.deadline.time_to_work();
    let time = left.saturating_sub(ENDING.min(left / 2));
    let time = config.monitor_timeout.min(time);
    let run = child.run(&app.homes, time).await;
    let run = run.with_context(|| format!("could not start version {}", ensured.version))?;
    Ok(run)
}

/// The exit code, which is 0, and the output of a monitor that ended well, with the bytes that were
/// lost of its beginning; else why it did not.
fn succeeded(finished: Finished, config: &Config) -> Result<(i32, Vec<u8>, u64), Error> {
    let (kind, what) = match finished.ended {
        Ended::Exit(0) => {
            let (stdout, lost) = finished.stdout.finish();
            return Ok((0, stdout, lost));
        }
        Ended::Exit(code) => (ErrorKind::Upstream, format!("exited with code {code}")),
        Ended::Signal(signal) => (ErrorKind::Upstream, format!("was ended by signal {signal}")),
        Ended::TimedOut => {
            let ms = finished.took.as_millis();
            (
                ErrorKind::Timeout,
                format!("did not end within its time and was ended after {ms} ms"),
            )
        }
    };
    let (stderr, _) = finished.stderr.finish();
    // Redacted before it is cut, or half a secret would not be known for one.
    let stderr = redact(
        String::from_utf8_lossy(&stderr).trim(),
        config.child_env.values(),
    );
    let end = stderr.ceil_char_boundary(stderr.len().saturating_sub(STDERR_TOLD));
    let end = stderr.get(end..).unwrap_or_default();
    let said = if end.is_empty() {
        "it wrote nothing to stderr".to_owned()
    } else {
        format!("stderr ends: {end}")
    };
    Err(Error::message(kind, format!("the monitor {what}; {said}")))
}

/// Takes the values that monitors were given in confidence out of what they said.
fn redact<'a>(text: &str, secrets: impl Iterator<Item = &'a SecretString>) -> String {
    let mut secrets: Vec<&str> = secrets
        .map(SecretString::expose_secret)
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
    // The longest first: one may be the beginning of another.
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret, "[redacted]")
    })
}

fn classify(error: ArtifactError) -> Error {
    let kind = match error.kind() {
        ArtifactErrorKind::NotFound => ErrorKind::NotFound,
        ArtifactErrorKind::Upstream => ErrorKind::Upstream,
        ArtifactErrorKind::Integrity => ErrorKind::Integrity,
        ArtifactErrorKind::Timeout => ErrorKind::Timeout,
        ArtifactErrorKind::Local => ErrorKind::Internal,
    };
    Error::new(kind, error)
}

fn stale_warning(cause: &ArtifactError, seconds: u64) -> String {
    let cause = larder_artifact::chain(cause);
    format!("this may not be the newest version: {cause}; it last was {seconds} s ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_redacted_and_short_words_are_not() {
        let secrets = ["hunter22", "up", "hunter22-more"].map(SecretString::from);
        let told = redact("token hunter22 or hunter22-more is not up", secrets.iter());
        assert_eq!(told, "token [redacted] or [redacted] is not up");
    }
}
