//! Metrics: one CloudWatch Embedded Metric Format document an invocation, on stdout beside the
//! logs.
//!
//! Format: "Specification: Embedded metric format" in the CloudWatch user guide. Lambda forwards
//! stdout to CloudWatch Logs, which turns the document into metrics: no API call, no permission, no
//! waiting.

use std::time::{Duration, Instant};

use metrique_writer::{
    AnyEntrySink as _, BoxEntrySink, Entry, FormatExt as _, sink::FlushImmediately,
};
use metrique_writer_format_emf::Emf;

use crate::{cache::CacheMetrics, settings::environment};

/// Where documents go: written at once, since nothing runs in the background between invocations.
#[derive(Clone)]
pub(crate) struct Metrics {
    sink: BoxEntrySink,
    namespace: String,
    function_name: String,
}

impl Metrics {
    /// Documents on stdout, in the namespace of `METRICS_NAMESPACE`, by default `Larder`.
    pub(crate) fn to_stdout() -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let namespace = set("METRICS_NAMESPACE").unwrap_or_else(|| "Larder".to_owned());
        let format = Emf::builder(namespace.clone(), vec![vec!["FunctionName".to_owned()]]).build();
        Self {
            sink: FlushImmediately::new_boxed(
                format.output_to_makewriter(|| std::io::stdout().lock()),
            ),
            namespace,
            function_name: set("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
        }
    }

    /// Those of the function's cache, beside.
    pub(crate) fn of_cache(&self) -> CacheMetrics {
        CacheMetrics::to_stdout(&self.namespace, &self.function_name)
    }

    /// Starts the document of one invocation. It is written when the returned guard is dropped, so
    /// also when the handler panics or is cancelled; until [`Recording::done`] says otherwise
    /// it counts an error.
    pub(crate) fn start<M: Entry + Default + Send + 'static>(
        &self,
        cold_start: bool,
    ) -> Recording<M> {
        Recording {
            metrics: self.clone(),
            started: Instant::now(),
            took: None,
            cold_start,
            error: true,
            own: M::default(),
        }
    }
}

/// One invocation's document in the making.
pub(crate) struct Recording<M: Entry + Default + Send + 'static> {
    metrics: Metrics,
    started: Instant,
    took: Option<Duration>,
    cold_start: bool,
    error: bool,
    /// What the function itself counts.
    pub(crate) own: M,
}

impl<M: Entry + Default + Send + 'static> Recording<M> {
    /// Says that the handler is done, and how that went.
    pub(crate) fn done(&mut self, succeeded: bool) {
        self.error = !succeeded;
        self.took = Some(self.started.elapsed());
    }
}

impl<M: Entry + Default + Send + 'static> Drop for Recording<M> {
    fn drop(&mut self) {
        let common = Common {
            function_name: self.metrics.function_name.clone(),
            cold_start: self.cold_start,
            error: self.error,
            duration: self.took.unwrap_or_else(|| self.started.elapsed()),
        };
        self.metrics
            .sink
            .append_any(common.merge(std::mem::take(&mut self.own)));
    }
}

/// What every invocation of every function reports.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct Common {
    function_name: String,
    cold_start: bool,
    error: bool,
    duration: Duration,
}
