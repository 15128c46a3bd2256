//! The run loop: from the process's start to its end.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use lambda_runtime::{
    Context, Diagnostic, Error as BoxError, LambdaEvent, Runtime, layers::TracingLayer, service_fn,
};
use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use larder::Cache;
use metrique_writer::Entry;
use serde::{Serialize, de::DeserializeOwned};
use tokio::signal::unix::{SignalKind, signal};
use tower::layer::layer_fn;

use crate::{
    after_response::{AfterResponse, Responded, Worker, drop_after_response},
    cache::CacheMetrics,
    deadline::Deadline,
    error::{Error, ErrorKind},
    logs,
    metrics::{Metrics, PendingDocuments},
    payload,
    settings::environment,
};

/// What Lambda gives a process with an internal extension between SIGTERM and SIGKILL, less a
/// margin ("Lambda execution environment lifecycle", Shutdown phase: 500 ms; 300 ms where only the
/// runtime is left).
const SHUTDOWN: Duration = Duration::from_millis(200);

/// A Lambda function.
pub trait Function: Send + Sync + Sized + 'static {
    /// What it takes. An event that does not parse as this is a `BadRequest`, with the parser's own
    /// words.
    type Event: DeserializeOwned + Send;
    /// What it answers.
    type Answer: Serialize + Send;
    /// What it counts in one invocation; written as one document when the invocation ends, however
    /// it ends.
    type Metrics: Entry + Default + Send + 'static;

    /// Whether it leaves work for after the response ([`Invocation::after_response`]). Costs a
    /// request to register at the start and one more an invocation; without it such work delays the
    /// next invocation instead.
    const AFTER_RESPONSE: bool = false;

    /// The cache that [`handle`](Function::handle) uses, if any. Refreshes and writes that it sets off are
    /// done beside the handler and, as far as that ends before them, after the response; what it
    /// counts is written as metrics, a document for each tier and keyspace.
    fn cache(&self) -> Option<&Cache> {
        None
    }

    /// Does one invocation's work. It is dropped when its time is up, less
    /// [`RESERVE`](crate::RESERVE).
    fn handle(
        &self,
        event: Self::Event,
        invocation: &Invocation,
        metrics: &mut Self::Metrics,
    ) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// What a handler may know of the invocation that it serves.
#[derive(Clone)]
pub struct Invocation {
    /// Lambda's id of the request.
    pub request_id: String,
    /// When its time is up.
    pub deadline: Deadline,
    /// Whether it is the first in this process.
    pub cold_start: bool,
    after: AfterResponse,
    documents: PendingDocuments,
    failed: Arc<AtomicBool>,
}

impl Invocation {
    /// Counts the invocation as an error in the metric `Error`, although it has an answer: an HTTP client gets a status of 500 or
    /// more in place of a Lambda error.
    pub fn count_error(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Leaves `work` for after the response, in the time that is then left of this invocation. What
    /// does not finish in it is dropped with a warning, so it must be something that another
    /// invocation can make good.
    pub fn after_response(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.after.push(&self.request_id, work);
    }

    /// Adds a document of metrics under the dimension `dimension` with this value, beside the function's name. It is
    /// written after the invocation's own, however the invocation ends.
    pub fn metrics(
        &self,
        dimension: &'static str,
        value: &str,
        entry: impl Entry + Send + 'static,
    ) {
        self.documents.push(dimension, value, entry);
    }
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invocation")
            .field("request_id", &self.request_id)
            .field("deadline", &self.deadline)
            .field("cold_start", &self.cold_start)
            .finish_non_exhaustive()
    }
}

/// Runs the function that `init` makes until Lambda ends the process.
///
/// One request at a time on one thread, as Lambda does by default; as many at once as
/// `AWS_LAMBDA_MAX_CONCURRENCY` says on Lambda Managed Instances. An `init` that fails is reported
/// to Lambda with its whole chain of causes and ends the process.
pub fn run<F: Function, I: Future<Output = anyhow::Result<F>>>(
    init: impl FnOnce() -> I,
) -> ExitCode {
    logs::init();
    match start(init) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Error::from(error), "The function ends");
            ExitCode::FAILURE
        }
    }
}

fn start<F: Function, I: Future<Output = anyhow::Result<F>>>(
    init: impl FnOnce() -> I,
) -> anyhow::Result<()> {
    if environment("AWS_LAMBDA_RUNTIME_API").is_none() {
        anyhow::bail!(
            "AWS_LAMBDA_RUNTIME_API is not set: this program is a Lambda function. \
             Start it with `make dev`, `cargo lambda watch` or on AWS Lambda"
        );
    }
    let concurrency = environment("AWS_LAMBDA_MAX_CONCURRENCY");
    let concurrency = concurrency.and_then(|n| n.parse().ok()).unwrap_or(1_u32);
    let mut threads = if concurrency > 1 {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    // Dropping the runtime at the end drops every handler that still runs, and all it holds.
    threads.enable_all().build()?.block_on(async {
        let function = match init().await {
            Ok(function) => function,
            Err(error) => {
                let error = error.context("the function could not start");
                // Said first: Lambda may end the process as soon as it knows.
                tracing::error!(error = format!("{error:#}"), "Init failed");
                report_init_error(&error).await;
                return Err(error);
            }
        };
        serve(Serving::new(function, concurrency))
            .await
            .map_err(anyhow::Error::from_boxed)
    })
}

/// Posts why the function cannot start to Lambda, which then gives it to whoever invoked it.
async fn report_init_error(error: &anyhow::Error) {
    let diagnostic = Diagnostic::from(Error::message(ErrorKind::Internal, format!("{error:#}")));
    let posted = async {
        let request = build_request()
            .method("POST")
            .uri("/2018-06-01/runtime/init/error")
            .header("Lambda-Runtime-Function-Error-Type", &diagnostic.error_type)
            .body(Body::from(serde_json::to_string(&diagnostic)?))?;
        PooledClient::builder().build().call(request).await
    };
    if let Err(unreported) = posted.await {
        tracing::warn!(error = %unreported, "Could not report the error to Lambda");
    }
}

/// A function and what its invocations share.
struct Serving<F> {
    function: F,
    metrics: Metrics,
    cache_metrics: Arc<CacheMetrics>,
    after: AfterResponse,
    warm: AtomicBool,
}

impl<F: Function> Serving<F> {
    fn new(function: F, concurrency: u32) -> Arc<Self> {
        let worker = match concurrency {
            ..=1 if F::AFTER_RESPONSE => Worker::Extension,
            ..=1 => Worker::Runtime,
            _ => Worker::Task,
        };
        let metrics = Metrics::to_stdout();
        Arc::new(Self {
            function,
            cache_metrics: Arc::new(metrics.of_cache()),
            metrics,
            after: AfterResponse::new(worker),
            warm: AtomicBool::new(false),
        })
    }

    async fn invoke(&self, event: &[u8], context: &Context) -> Result<F::Answer, Error> {
        let cold_start = !self.warm.swap(true, Ordering::Relaxed);
        let mut recording = self.metrics.start::<F::Metrics>(cold_start);
        let invocation = Invocation {
            request_id: context.request_id.clone(),
            deadline: Deadline::from_epoch_millis(context.deadline, SystemTime::now()),
            cold_start,
            after: self.after.clone(),
            documents: PendingDocuments::default(),
            failed: Arc::default(),
        };
        let outcome = self.handle(event, &invocation, &mut recording.own).await;
        recording.done(outcome.is_ok() && !invocation.failed.load(Ordering::Relaxed));
        if let Err(error) = &outcome {
            tracing::error!(error.kind = %error.kind(), %error, "The invocation failed");
        }
        // Dropping it writes the documents, for which nobody should have to wait.
        let documents = self.metrics.write_documents(&invocation.documents);
        drop_after_response((recording, documents, self.cache_metrics()));
        outcome
    }

    /// Writes what the cache has counted, when it is dropped.
    fn cache_metrics(&self) -> Option<WriteCacheMetrics> {
        let cache = self.function.cache()?.clone();
        let metrics = Arc::clone(&self.cache_metrics);
        Some(WriteCacheMetrics { metrics, cache })
    }

    async fn handle(
        &self,
        event: &[u8],
        invocation: &Invocation,
        metrics: &mut F::Metrics,
    ) -> Result<F::Answer, Error> {
        let event = payload::parse(event)?;
        let time = invocation.deadline.time_to_work();
        // Of a type that says nothing of what is in it: with several of AWS's clients inside it is too deep for the compiler.
        let handling = self.function.handle(event, invocation, metrics).boxed();
        let handling = AssertUnwindSafe(handling);
        let handling = tokio::time::timeout(time, handling.catch_unwind());
        let handled = match self.function.cache() {
            Some(cache) => {
                let (handled, left) = cache.invocation(Some(time)).run(handling).await;
                if !left.is_empty() {
                    let deadline = invocation.deadline;
                    invocation.after_response(async move {
                        left.drain(deadline.time_to_work()).await;
                    });
                }
                handled
            }
            None => handling.await,
        };
        let too_late = || {
            let ms = time.as_millis();
            format!("not done within {ms} ms; give the function a longer timeout or less to do")
        };
        match handled {
            Ok(Ok(outcome)) => outcome,
            // The panic hook has logged where.
            Ok(Err(_)) => Err(Error::message(
                ErrorKind::Internal,
                "the function panicked: see its log",
            )),
            Err(_) => Err(Error::message(ErrorKind::Timeout, too_late())),
        }
    }
}

struct WriteCacheMetrics {
    metrics: Arc<CacheMetrics>,
    cache: Cache,
}

impl Drop for WriteCacheMetrics {
    fn drop(&mut self) {
        self.metrics.write(&self.cache);
    }
}

/// Serves invocations until SIGTERM.
async fn serve<F: Function>(serving: Arc<Serving<F>>) -> Result<(), BoxError> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let registered = match serving.after.worker() {
        Worker::Extension => Some(serving.after.clone().extension().await?),
        Worker::Runtime | Worker::Task => None,
    };
    let extension = async {
        match registered {
            Some(extension) => extension.await,
            None => std::future::pending().await,
        }
    };
    let handler = {
        let serving = Arc::clone(&serving);
        service_fn(
            move |LambdaEvent {
                      payload: (),
                      context,
                  }: LambdaEvent<()>| {
                let serving = Arc::clone(&serving);
                async move { serving.invoke(&payload::take(), &context).await }
            },
        )
    };
    let responded = {
        let after = serving.after.clone();
        layer_fn(move |sender| Responded {
            sender,
            after: after.clone(),
        })
    };
    let runtime = Runtime::new(handler)
        .layer(responded)
        .layer(TracingLayer::new());

    let mut runtime = std::pin::pin!(runtime.run_concurrent());
    let mut extension = std::pin::pin!(extension);
    tokio::select! {
        ended = &mut runtime => ended?,
        ended = &mut extension => ended?,
        _ = terminate.recv() => {},
        _ = interrupt.recv() => {},
    }
    // Either may be at late work still, so both go on until nothing is left to do.
    tokio::select! {
        _ = runtime => {},
        _ = extension => {},
        () = serving.after.drain(SHUTDOWN) => {},
    }
    Ok(())
}
