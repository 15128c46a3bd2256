//! AWS Lambda on this machine: real processes on a faithful Runtime and Extensions API.
//!
//! What it does as Lambda does: a deadline in milliseconds since 1970; a process that overruns it
//! is killed; the environment is frozen between invocations (SIGSTOP) once the runtime and all
//! extensions have asked for their next event; `/tmp` outlives a process that dies, but not its
//! environment; a second request at the same time gets a second environment; asynchronous
//! invocations are retried twice; SIGTERM before the end, for those with an extension. Sources:
//! "Using the Lambda runtime API for custom runtimes", "Lambda Extensions API" and "Understanding
//! the Lambda execution environment lifecycle" in the AWS Lambda Developer Guide.

mod api;
mod cpu_share;
mod environment;
mod front;
mod outcome;
mod process;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::server::Server;
pub use cpu_share::CpuShare;
pub use environment::Environment;
pub use outcome::{FunctionError, Outcome};

/// Stands for the environment's own temporary directory in the value of a variable.
pub const TMP: &str = "{tmp}";

/// A function's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Its program, and the arguments to it.
    pub command: Vec<PathBuf>,
    /// Its variables. [`TMP`] in a value becomes the environment's own temporary directory.
    pub env: BTreeMap<String, String>,
    /// Its memory in MiB: told, not enforced.
    pub memory_mib: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Whether it is frozen between invocations.
    pub freeze: bool,
    /// How many requests an environment serves at once; over 1 as on Lambda Managed Instances.
    pub concurrency: u32,
    /// How long to wait before the first and before the second retry of an asynchronous invocation.
    pub retry_delays: [Duration; 2],
    /// The user that its processes run as; this process's own if unset.
    pub user: Option<u32>,
    /// Limits its processes to the CPU time of its memory size, where this system can.
    pub cpu_share: bool,
}

impl Config {
    /// A function of 512 MiB and 30 s, frozen between invocations, with Lambda's own retry delays.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            command: vec![program.into()],
            env: BTreeMap::new(),
            memory_mib: 512,
            timeout: Duration::from_secs(30),
            freeze: true,
            concurrency: 1,
            retry_delays: [Duration::from_mins(1), Duration::from_mins(2)],
            user: None,
            cpu_share: false,
        }
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }
}

/// A Lambda service with its functions.
#[derive(Debug)]
pub struct Lambda {
    functions: Functions,
    front: Server,
}

type Functions = Arc<Mutex<HashMap<String, Arc<Function>>>>;

impl Lambda {
    /// Starts a service without functions.
    pub async fn start() -> anyhow::Result<Self> {
        let functions = Functions::default();
        let front = Server::start(front::router(Arc::clone(&functions))).await?;
        Ok(Self { functions, front })
    }

    /// The endpoint for AWS's own clients: `aws lambda invoke --endpoint-url …`.
    #[must_use]
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// Adds a function, or replaces the one of the same name, whose environments end.
    pub fn create(&self, config: Config) -> Arc<Function> {
        let name = config.name.clone();
        let function = Arc::new(Function::new(config));
        lock(&self.functions).insert(name, Arc::clone(&function));
        function
    }
}

/// One function and its environments.
#[derive(Debug)]
pub struct Function {
    config: Config,
    environments: Mutex<Vec<Arc<Environment>>>,
    failed: Mutex<Vec<Value>>,
}

impl Function {
    fn new(config: Config) -> Self {
        Self {
            config,
            environments: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// Returns what it was created with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Invokes it and waits for the answer, in an environment that is free, else in a new one.
    pub async fn invoke(&self, payload: impl Into<Vec<u8>>) -> anyhow::Result<Outcome> {
        let (environment, reserved) = self.reserve().await?;
        environment.invoke(payload.into(), reserved).await
    }

    async fn reserve(&self) -> anyhow::Result<(Arc<Environment>, environment::Reserved)> {
        let environments = lock(&self.environments).clone();
        for environment in environments {
            if let Some(reserved) = environment.reserve_settling().await {
                return Ok((environment, reserved));
            }
        }
        let environment = Arc::new(Environment::create(self.config.clone())?);
        let reserved = environment
            .reserve()
            .context("a new environment is not free")?;
        lock(&self.environments).push(Arc::clone(&environment));
        Ok((environment, reserved))
    }

    /// Invokes it as an event source does: at once, with two retries, and the failure kept if all
    /// fail.
    pub fn invoke_event(
        self: &Arc<Self>,
        payload: impl Into<Vec<u8>>,
    ) -> tokio::task::JoinHandle<()> {
        let (function, payload) = (Arc::clone(self), payload.into());
        tokio::spawn(async move {
            let mut delays = function.config.retry_delays.into_iter();
            let mut attempts = 0;
            loop {
                attempts += 1;
                let outcome = match function.invoke(payload.clone()).await {
                    Ok(outcome) if outcome.result.is_ok() => return,
                    Ok(outcome) => outcome,
                    Err(error) => {
                        tracing::error!(%error, "Lambda itself failed");
                        return;
                    }
                };
                let Some(delay) = delays.next() else {
                    lock(&function.failed).push(outcome.failure_record(
                        &function.config.name,
                        &payload,
                        attempts,
                    ));
                    return;
                };
                tokio::time::sleep(delay).await;
            }
        })
    }

    /// The records of asynchronous invocations that failed for good, as an on-failure destination
    /// gets them.
    #[must_use]
    pub fn failed_events(&self) -> Vec<Value> {
        lock(&self.failed).clone()
    }

    /// Waits until every environment is done with what it does after an answer.
    pub async fn settled(&self) {
        let environments = lock(&self.environments).clone();
        for environment in environments {
            drop(environment.reserve_settling().await);
        }
    }

    /// Ends all environments as Lambda does when it takes them back, so that the next invocation is
    /// a cold start.
    pub async fn fresh(&self) {
        let environments = std::mem::take(&mut *lock(&self.environments));
        for environment in environments {
            environment.shut_down().await;
        }
    }

    /// The one environment that there is, for those who want to look inside.
    pub fn environment(&self) -> anyhow::Result<Arc<Environment>> {
        match lock(&self.environments).as_slice() {
            [one] => Ok(Arc::clone(one)),
            other => bail!(
                "{} has {} environments, not one",
                self.config.name,
                other.len()
            ),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
