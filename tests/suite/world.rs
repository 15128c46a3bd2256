//! What the tests run on: a Lambda, a bucket behind an edge, and the programs of this workspace.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use local_aws::{
    edge::Edge,
    lambda::{Config, Function, Lambda, Outcome, TMP},
    moto::Moto,
    publish::{NewRelease, Publisher},
};
use local_servers::helper::workspace_root;
use serde_json::{Value, json};

/// One S3 for all tests, each of which has a bucket of its own.
static MOTO: LazyLock<Moto> = LazyLock::new(|| Moto::start().unwrap());

/// A function with a releases bucket behind an edge.
pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) publisher: Publisher,
    pub(crate) lambda: Lambda,
    pub(crate) bucket: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("releases-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let s3 = MOTO.s3().await;
        let edge = Edge::start(s3.clone(), &bucket).await.unwrap();
        let publisher = Publisher::create(s3, &bucket, &edge.url()).await.unwrap();
        Self {
            edge,
            publisher,
            lambda: Lambda::start().await.unwrap(),
            bucket,
        }
    }

    pub(crate) fn s3_url() -> &'static str {
        MOTO.url()
    }

    /// The S3 of all tests.
    pub(crate) fn moto() -> &'static Moto {
        &MOTO
    }

    /// monitor-runner as it is deployed, with the edge for a CDN and signatures required.
    pub(crate) fn monitor_runner(&self) -> Config {
        Config::new("monitor-runner", program("monitor-runner"))
            .env("RELEASES_URL", self.edge.url())
            .env("CACHE_DIR", TMP)
            .env("REQUIRE_SIGNATURE", "true")
            .env("TRUSTED_KEYS", self.publisher.public_key())
            // Nothing takes events here, but where a test says so.
            .env("RESULT_EVENTS", "none")
    }

    /// monitor-runner with a monitor that behaves as told.
    pub(crate) fn with_behaviour(&self, behaviour: &str) -> Arc<Function> {
        self.lambda.create(
            self.monitor_runner()
                .env("MONITOR_ENV_BEHAVIOUR", behaviour),
        )
    }

    /// Publishes the misbehaving monitor as `slack`, told from others by `marker`, eight letters.
    pub(crate) async fn publish(&self, version: &str, marker: &str) -> Value {
        self.publisher
            .publish(&release(version, marker))
            .await
            .unwrap()
    }
}

/// The function that does as its event says.
pub(crate) fn obedient() -> Config {
    Config::new("obedient", program("obedient-function"))
}

/// A function on a Lambda of its own, which itself is not needed once the function is there.
pub(crate) async fn create(config: Config) -> Arc<Function> {
    Lambda::start().await.unwrap().create(config)
}

/// The misbehaving monitor as a release of `slack`.
pub(crate) fn release(version: &str, marker: &str) -> NewRelease {
    static MONITOR: OnceLock<Vec<u8>> = OnceLock::new();
    assert_eq!(marker.len(), 8);
    let monitor = MONITOR.get_or_init(|| std::fs::read(program("misbehaving-monitor")).unwrap());
    NewRelease::new(
        "slack",
        version,
        [monitor.as_slice(), marker.as_bytes()].concat(),
    )
}

/// Invokes a function for `slack` and returns the one result.
pub(crate) async fn run_slack(function: &Function) -> Value {
    let outcome = invoke(function, json!({ "monitor": "slack" })).await;
    outcome.json().unwrap()["results"][0].clone()
}

/// Waits for what other processes bring about; what takes ten seconds will not come.
pub(crate) async fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let began = Instant::now();
    while !check() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{what} did not come about"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

pub(crate) async fn invoke(function: &Function, event: Value) -> Outcome {
    function.invoke(event.to_string()).await.unwrap()
}

/// Invokes for an answer.
pub(crate) async fn ask(function: &Function, event: Value) -> Value {
    let outcome = invoke(function, event).await;
    let said = outcome.messages();
    outcome
        .json()
        .unwrap_or_else(|error| panic!("{error:#}: {said:?}"))
}

/// Invokes for an error: its type and message.
pub(crate) async fn refused(function: &Function, event: Value) -> (String, String) {
    let outcome = invoke(function, event).await;
    let error = outcome
        .error()
        .unwrap_or_else(|| panic!("no error: {:?}", outcome.json()));
    (error.error_type.clone(), error.message.clone())
}

/// Invokes for `slack` while the test goes on.
pub(crate) fn begin_slack(function: &Arc<Function>) -> tokio::task::JoinHandle<Outcome> {
    let function = Arc::clone(function);
    tokio::spawn(async move { invoke(&function, json!({ "monitor": "slack" })).await })
}

/// Invokes for `slack`, expects an error and returns its type and message.
pub(crate) async fn error_of(function: &Function) -> (String, String) {
    refused(function, json!({ "monitor": "slack" })).await
}

/// The path of a program of this workspace, built if need be.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--locked", "--quiet", "--workspace", "--bins"])
            .current_dir(workspace_root());
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(
            build.status().unwrap().success(),
            "the programs do not build"
        );
        // This very program lies in the same target directory, one level down.
        let suite = std::env::current_exe().unwrap();
        suite.ancestors().nth(2).unwrap().to_owned()
    });
    dir.join(name)
}
