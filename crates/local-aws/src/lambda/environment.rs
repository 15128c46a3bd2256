//! One execution environment: a `/tmp`, an API, and a process that may die and be started anew.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    Config, CpuShare, FunctionError, Outcome, TMP,
    api::{ACCOUNT, Api, Event, Reply},
    lock,
    process::{Log, Process, Start},
};
use crate::server::Server;

const REGION: &str = "us-east-1";

/// "Lambda limits the Init phase to 10 seconds."
const INIT: Duration = Duration::from_secs(10);

/// For what a process posted last to arrive after its end.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// How long after its answer a process is waited for to ask for more.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Between SIGTERM and SIGKILL: 500 ms with an internal extension, without any no SIGTERM is sent
/// at all.
const SHUTDOWN: Duration = Duration::from_millis(500);

pub(super) fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

/// An environment.
#[derive(Debug)]
pub struct Environment {
    config: Config,
    tmp: TempDir,
    /// Where its program lies, if it runs as another user.
    _code: Option<TempDir>,
    api: Arc<Api>,
    server: tokio::sync::OnceCell<Server>,
    process: tokio::sync::Mutex<Option<Arc<Process>>>,
    /// Dropped after the process in it.
    cpu_share: Option<CpuShare>,
    log: Log,
    slots: Arc<Semaphore>,
    /// Answered, and on the way to where it is free again.
    settling: AtomicBool,
}

/// The right to run one invocation in an environment, until it has settled after it.
pub(super) type Reserved = OwnedSemaphorePermit;

impl Environment {
    pub(super) fn create(config: Config) -> anyhow::Result<Self> {
        let directory = || {
            let directory = tempfile::Builder::new().prefix("lambda-").tempdir()?;
            std::os::unix::fs::chown(directory.path(), config.user, config.user)?;
            anyhow::Ok(directory)
        };
        let tmp = directory()?;
        let code = config.user.map(|_| directory()).transpose()?;
        let mut config = config;
        if let (Some(code), Some(program)) = (&code, config.command.first_mut()) {
            // The other user may have no way to where it was built.
            let copy = code.path().join("bootstrap");
            std::fs::copy(&program, &copy)
                .with_context(|| format!("could not copy {}", program.display()))?;
            *program = copy;
        }
        let slots = usize::try_from(config.concurrency)?;
        let cpu_share = config
            .cpu_share
            .then(|| CpuShare::create(config.memory_mib));
        let cpu_share = cpu_share.transpose().unwrap_or_else(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                config.name,
                "CPU share left out"
            );
            None
        });
        Ok(Self {
            api: Api::new(config.concurrency),
            config,
            tmp,
            _code: code,
            server: tokio::sync::OnceCell::new(),
            process: tokio::sync::Mutex::default(),
            cpu_share,
            log: Log::default(),
            slots: Arc::new(Semaphore::new(slots)),
            settling: AtomicBool::new(false),
        })
    }

    pub(super) fn reserve(&self) -> Option<Reserved> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// A slot, which is free already or will be once what follows an answer is done.
    pub(super) async fn reserve_settling(&self) -> Option<Reserved> {
        if !self.settling.load(Ordering::Relaxed) {
            return self.reserve();
        }
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// Its temporary directory, which the function finds in the variables that name it.
    #[must_use]
    pub fn tmp(&self) -> &std::path::Path {
        self.tmp.path()
    }

    /// The id of its process, while one runs.
    pub async fn pid(&self) -> Option<i32> {
        self.process
            .lock()
            .await
            .as_ref()
            .map(|process| Pid::as_raw_nonzero(process.pid()).get())
    }

    /// KiB of memory of its process by the name in `/proc/<pid>/status`: `VmHWM` is the peak,
    /// `VmRSS` what it holds.
    pub async fn memory_kib(&self, field: &str) -> Option<u64> {
        self.process
            .lock()
            .await
            .as_ref()
            .and_then(|process| process.memory_kib(field))
    }

    /// Returns the group that limits its processes' CPU time, if [`Config::cpu_share`] asks for one and this system has it.
    #[must_use]
    pub fn cpu_share(&self) -> Option<&CpuShare> {
        self.cpu_share.as_ref()
    }

    /// Kills its process, as a crash does. The next invocation starts another on the same `/tmp`.
    pub async fn kill(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.kill();
            process.ended().await;
        }
    }

    pub(super) async fn invoke(
        self: &Arc<Self>,
        payload: Vec<u8>,
        reserved: Reserved,
    ) -> anyhow::Result<Outcome> {
        let request_id = Uuid::new_v4().to_string();
        let (process, init) = match self.running(&request_id).await? {
            Ok(running) => running,
            Err(error) => {
                let logs = self.settled_logs().await;
                let (result, duration) = (Err(error), Duration::ZERO);
                return Ok(Outcome {
                    request_id,
                    result,
                    duration,
                    init: None,
                    logs,
                });
            }
        };
        process.thaw();
        let deadline = SystemTime::now() + self.config.timeout;
        let event = Event {
            request_id: request_id.clone(),
            payload,
            deadline,
            arn: arn(&self.config.name),
        };
        let began = Instant::now();
        let (result, answered) = self.answer(event, &process).await;
        let finished = match &result {
            Err(error) => !error.ended_the_process(),
            Ok(_) => true,
        };
        if finished {
            self.settle(process, reserved, deadline);
            // Until then it may log what belongs to this invocation, unless late work keeps it.
            let _ = tokio::time::timeout(LAST_LINES, self.api.asked()).await;
        } else {
            self.end(&process).await;
        }
        let logs = self.settled_logs().await;
        Ok(Outcome {
            request_id,
            result,
            duration: answered - began,
            init,
            logs,
        })
    }

    /// Gives `event` to the runtime and waits for its answer, its end or the end of its time.
    async fn answer(&self, event: Event, process: &Process) -> Reply {
        let request_id = event.request_id.clone();
        let gone = |how: &str| (Err(FunctionError::exited(&request_id, how)), Instant::now());
        let reply = async {
            loop {
                self.api.runtime_waits().await;
                // Unless another request was quicker.
                if let Some(reply) = self.api.dispatch(event.clone()) {
                    return reply.await;
                }
            }
        };
        let ended = async {
            let how = process.ended().await;
            // What it posted before it ended counts, and may be read only after the end is seen.
            tokio::time::sleep(LAST_WORDS).await;
            how
        };
        tokio::select! {
            biased;
            Ok(reply) = reply => reply,
            how = ended => gone(&how),
            () = tokio::time::sleep(self.config.timeout) => {
                (Err(FunctionError::timed_out(&request_id, self.config.timeout)), Instant::now())
            }
        }
    }

    /// The process, started if there is none that waits for an event, and how long its start took.
    async fn running(
        &self,
        request_id: &str,
    ) -> anyhow::Result<Result<(Arc<Process>, Option<Duration>), FunctionError>> {
        let mut slot = self.process.lock().await;
        if let Some(process) = slot.as_ref().filter(|process| !process.has_ended()) {
            return Ok(Ok((Arc::clone(process), None)));
        }
        self.api.reset();
        let server = self
            .server
            .get_or_try_init(|| Server::start(self.api.router()))
            .await?;
        let env = self.variables(server);
        let began = Instant::now();
        let start = Start {
            command: &self.config.command,
            env: &env,
            user: self.config.user,
            cpu_share: self.cpu_share.as_ref(),
        };
        let process = Arc::new(start.process(&self.log).await?);
        let started = tokio::select! {
            biased;
            ready = self.api.initialised() => ready,
            how = process.ended() => match tokio::time::timeout(LAST_WORDS, self.api.initialised()).await {
                Ok(Err(posted)) => Err(posted),
                _ => Err(FunctionError::exited(request_id, &how)),
            },
            () = tokio::time::sleep(INIT) => Err(FunctionError::timed_out(request_id, INIT)),
        };
        if let Err(error) = started {
            // One that said what was wrong ends by itself, and may have more to say on the way.
            if tokio::time::timeout(SHUTDOWN, process.ended())
                .await
                .is_err()
            {
                process.kill();
                process.ended().await;
            }
            return Ok(Err(error));
        }
        *slot = Some(Arc::clone(&process));
        Ok(Ok((process, Some(began.elapsed()))))
    }

    /// Lets the environment go on to where it can be frozen, freezes it, and only then gives up its
    /// slot. Work after the response has until the invocation's deadline.
    fn settle(self: &Arc<Self>, process: Arc<Process>, reserved: Reserved, deadline: SystemTime) {
        if self.config.concurrency > 1 {
            // Never frozen: it serves others meanwhile.
            return;
        }
        let environment = Arc::clone(self);
        environment.settling.store(true, Ordering::Relaxed);
        tokio::spawn(async move {
            let left = deadline
                .duration_since(SystemTime::now())
                .unwrap_or_default();
            tokio::select! {
                () = environment.api.idle() => if environment.config.freeze { process.freeze() },
                _ = process.ended() => {}
                () = tokio::time::sleep(left) => environment.end(&process).await,
            }
            environment.settling.store(false, Ordering::Relaxed);
            drop(reserved);
        });
    }

    /// The lines so far. The pipes are read by tasks of their own, which the answer may have
    /// overtaken.
    async fn settled_logs(&self) -> Vec<String> {
        let mut lines = usize::MAX;
        for _ in 0..20 {
            let now = lock(&self.log).len();
            if now == lines {
                break;
            }
            lines = now;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::mem::take(&mut *lock(&self.log))
    }

    async fn end(&self, process: &Arc<Process>) {
        process.kill();
        process.ended().await;
        let mut slot = self.process.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, process))
        {
            *slot = None;
        }
    }

    pub(super) async fn shut_down(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.thaw();
            let told = self
                .api
                .announce_shutdown("spindown", SystemTime::now() + SHUTDOWN);
            process
                .terminate(if told { SHUTDOWN } else { Duration::ZERO })
                .await;
        }
    }

    /// The variables that Lambda sets, then the function's own.
    fn variables(&self, server: &Server) -> BTreeMap<String, String> {
        let name = self.config.name.as_str();
        let reserved = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "ASIALOCALLOCALLOCAL0"),
            ("AWS_SECRET_ACCESS_KEY", "local-secret-of-the-function"),
            ("AWS_SESSION_TOKEN", "local-token-of-the-function"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]local"),
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                &self.config.memory_mib.to_string(),
            ),
            ("AWS_LAMBDA_RUNTIME_API", &server.address().to_string()),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("_HANDLER", "bootstrap"),
        ];
        let mut env: BTreeMap<String, String> = reserved
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if self.config.concurrency > 1 {
            env.insert(
                "AWS_LAMBDA_MAX_CONCURRENCY".to_owned(),
                self.config.concurrency.to_string(),
            );
        }
        let tmp = self.tmp.path().to_string_lossy();
        env.extend(
            self.config
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.replace(TMP, &tmp))),
        );
        env
    }
}
