//! Metrics: one CloudWatch Embedded Metric Format document an invocation, on stdout beside the
//! logs; further documents for metrics that have a dimension of their own.
//!
//! Format: "Specification: Embedded metric format" in the CloudWatch user guide. Lambda forwards
//! stdout to CloudWatch Logs, which turns the document into metrics: no API call, no permission, no
//! waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrique_writer::{
    AnyEntrySink as _, BoxEntry, BoxEntrySink, Entry, EntryWriter, FormatExt as _,
    sink::FlushImmediately,
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
        Self {
            sink: sink(&namespace, &["FunctionName"]),
            namespace,
            function_name: set("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
        }
    }

    /// Returns a guard that writes the documents of `pending` when it is dropped.
    pub(crate) fn write_documents(&self, pending: &PendingDocuments) -> WriteDocuments {
        WriteDocuments {
            metrics: self.clone(),
            pending: pending.clone(),
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

/// A sink to stdout of documents with these dimensions.
fn sink(namespace: &str, dimensions: &[&str]) -> BoxEntrySink {
    let dimensions = dimensions.iter().map(|name| (*name).to_owned()).collect();
    let format = Emf::builder(namespace.to_owned(), vec![dimensions]).build();
    FlushImmediately::new_boxed(format.output_to_makewriter(|| std::io::stdout().lock()))
}

/// Documents that wait for the end of their invocation. A clone holds the same ones.
#[derive(Clone, Default)]
pub(crate) struct PendingDocuments(Arc<Mutex<Vec<Document>>>);

/// Metrics with a dimension beside `FunctionName`.
struct Document {
    dimension: &'static str,
    value: String,
    entry: BoxEntry,
}

impl PendingDocuments {
    /// Adds a document.
    pub(crate) fn push(
        &self,
        dimension: &'static str,
        value: &str,
        entry: impl Entry + Send + 'static,
    ) {
        self.lock().push(Document {
            dimension,
            value: value.to_owned(),
            entry: BoxEntry::new(entry),
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Document>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the documents of one invocation when it is dropped.
pub(crate) struct WriteDocuments {
    metrics: Metrics,
    pending: PendingDocuments,
}

impl Drop for WriteDocuments {
    fn drop(&mut self) {
        let mut sinks = HashMap::new();
        for document in std::mem::take(&mut *self.pending.lock()) {
            let dimension = document.dimension;
            let sink = sinks
                .entry(dimension)
                .or_insert_with(|| sink(&self.metrics.namespace, &["FunctionName", dimension]));
            let dimensions = Dimensions {
                function_name: self.metrics.function_name.clone(),
                name: dimension,
                value: document.value,
            };
            sink.append_any(dimensions.merge(document.entry));
        }
    }
}

/// The dimensions of a further document.
struct Dimensions {
    function_name: String,
    name: &'static str,
    value: String,
}

impl Entry for Dimensions {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.value("FunctionName", &self.function_name);
        writer.value(self.name, &self.value);
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
