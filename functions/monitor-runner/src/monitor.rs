//! One monitor: have its binary, run it, read what it says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use larder_artifact::{
    Cache, Child, Ended, Error as ArtifactError, ErrorKind as ArtifactErrorKind, Finished, Home,
};
use larder_lambda::{Error, ErrorKind, Invocation};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    App, Config, Metrics,
    answer::{Failure, Outcome, Run},
    event::MonitorName,
    finding::{Circumstances, Finding},
    output::result_of,
    redact::Redactor,
};

/// Of the invocation's time, what it takes to end a monitor that will not end by itself, to read
/// what it said last, to remove what it left and to tell of it. Without it, one that hangs would cost the results
/// of all others.
const ENDING: Duration = Duration::from_secs(3);

/// How much of the end of a failed monitor's standard error is told.
const STDERR_TOLD: usize = 2048;

/// Variables of a monitor that may be secrets, by name.
type Variables = BTreeMap<String, SecretString>;

/// A run that has ended, well or not.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// What it counts.
    pub(crate) metrics: Metrics,
    /// What people are told of it.
    pub(crate) finding: Finding,
}

/// What is known of a run so far.
#[derive(Debug, Default)]
struct Progress {
    metrics: Metrics,
    version: Option<String>,
    execution: Option<Duration>,
}

/// Runs `name`. Never fails: one monitor must not stop the others.
pub(crate) async fn run(app: &App, name: MonitorName, invocation: &Invocation) -> Ran {
    let (began, since) = (jiff::Timestamp::now(), Instant::now());
    let mut progress = Progress::default();
    let monitor = name.as_str().to_owned();
    let mut env = app.config.child_env.values.clone();
    let secrets = app.secrets().await;
    let ran = match secrets {
        Ok(secrets) => {
            env.extend(secrets);
            try_run(app, &name, &env, invocation, &mut progress).await
        }
        Err(error) => Err(Error::new(ErrorKind::Upstream, error)),
    };
    let outcome = match ran {
        Ok(run) => Outcome::Ran(run),
        Err(error) => {
            tracing::error!(monitor, error.kind = %error.kind(), %error, "The monitor failed");
            progress.metrics.monitor_errors += 1;
            Outcome::Failed(Failure { monitor, error })
        }
    };
    let circumstances = Circumstances {
        began,
        version: progress.version,
        execution: progress.execution,
        elapsed: since.elapsed(),
    };
    Ran {
        finding: Finding::new(&outcome, circumstances, &Redactor::new(env.values())),
        metrics: progress.metrics,
        outcome,
    }
}

async fn try_run(
    app: &App,
    name: &MonitorName,
    env: &Variables,
    invocation: &Invocation,
    progress: &mut Progress,
) -> Result<Run, Error> {
    let config = &app.config;
    // With the cache off, the binary is kept for as long as it runs.
    let kept = if config.keeps_binaries() {
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
    let ensured = if config.keeps_binaries() {
        app.artifacts.ensure(&artifact, time).await
    } else {
        app.artifacts.ensure_once(&artifact, time).await
    };
    let ensured = ensured.map_err(classify)?;
    let ensure = began.elapsed();
    progress.metrics.count(&ensured, ensure);
    progress.version = Some(ensured.version.clone());

    let child = Child::new(&ensured.image, &artifact.file);
    let child = with_environment(child, config, name, env, invocation);
    let left = invocation.deadline.time_to_work();
    let time = left.saturating_sub(ENDING.min(left / 2));
    let finished = child
        .run(&app.homes, config.monitor_timeout.min(time))
        .await;
    let finished =
        finished.with_context(|| format!("could not start version {}", ensured.version))?;
    let execution = finished.took;
    progress.execution = Some(execution);
    progress.metrics.execution_time += execution;
    let (exit_code, stdout, lost) = succeeded(finished, env)?;
    let (reason, warning) = match &ensured.cache {
        Cache::Hit => (None, None),
        Cache::Miss(reason) => (Some(reason.as_str()), None),
        Cache::Stale { cause, confirmed } => {
            (None, Some(stale_warning(cause, confirmed.as_secs())))
        }
    };
    let result = result_of(name.as_str(), &stdout, lost == 0);
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

/// `child` with the variables that every monitor has, then those of the settings, then `env`.
fn with_environment<'a>(
    child: Child<'a>,
    config: &Config,
    name: &MonitorName,
    env: &Variables,
    invocation: &Invocation,
) -> Child<'a> {
    let prefix = config.prefix.to_ascii_uppercase().replace('-', "_");
    let now = jiff::Timestamp::now().to_string();
    let child = child
        .env("MONITOR_NAME", name.as_str())
        .env(format!("{prefix}_AWS_REQUEST_ID"), &invocation.request_id)
        .env(format!("{prefix}_TIMESTAMP"), now);
    let plain = config.child_env.plain.iter();
    let child = plain.fold(child, |child, (variable, value)| child.env(variable, value));
    env.iter().fold(child, |child, (variable, value)| {
        child.env(variable, value.expose_secret())
    })
}

/// The exit code, which is 0, and the output of a monitor that ended well, with the bytes that were
/// lost of its beginning; else why it did not.
fn succeeded(finished: Finished, env: &Variables) -> Result<(i32, Vec<u8>, u64), Error> {
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
    let stderr = Redactor::new(env.values()).text(String::from_utf8_lossy(&stderr).trim());
    let end = stderr.ceil_char_boundary(stderr.len().saturating_sub(STDERR_TOLD));
    let end = stderr.get(end..).unwrap_or_default();
    let said = if end.is_empty() {
        "it wrote nothing to stderr".to_owned()
    } else {
        format!("stderr ends: {end}")
    };
    Err(Error::message(kind, format!("the monitor {what}; {said}")))
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
