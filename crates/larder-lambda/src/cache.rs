//! What a function's cache counts, as metrics: one document an invocation for each tier and keyspace that
//! was used in it.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
};

use larder::{Cache, Counts};
use metrique_writer::{
    AnyEntrySink as _, BoxEntrySink, Entry, FormatExt as _, sink::FlushImmediately,
};
use metrique_writer_format_emf::Emf;

/// The tier that loads are counted under.
const ORIGIN: &str = "origin";

/// Writes what has been counted since it did so last.
pub(crate) struct CacheMetrics {
    sink: BoxEntrySink,
    function_name: String,
    before: Mutex<HashMap<(&'static str, &'static str), Counted>>,
}

/// What one keyspace counted in one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counted {
    counts: Counts,
    loads: u64,
}

impl CacheMetrics {
    /// On stdout, in `namespace`, of the function of this name.
    pub(crate) fn to_stdout(namespace: &str, function_name: &str) -> Self {
        let dimensions = ["FunctionName", "Tier", "Keyspace"].map(str::to_owned);
        let format = Emf::builder(namespace.to_owned(), vec![dimensions.to_vec()]).build();
        Self {
            sink: FlushImmediately::new_boxed(format.output_to_makewriter(|| io::stdout().lock())),
            function_name: function_name.to_owned(),
            before: Mutex::default(),
        }
    }

    /// Writes what `cache` has counted since the last time.
    pub(crate) fn write(&self, cache: &Cache) {
        let stats = cache.snapshot();
        let mut now: HashMap<_, Counted> = HashMap::new();
        for row in stats.tiers {
            now.entry((row.keyspace, row.tier)).or_default().counts = row.counts;
        }
        for loads in stats.loads {
            let counted = now.entry((loads.keyspace, ORIGIN)).or_default();
            (counted.loads, counted.counts.errors) = (loads.loads, loads.errors);
        }
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        for (of, counted) in &now {
            let was = before.get(of).cloned().unwrap_or_default();
            if *counted != was {
                self.sink.append_any(self.document(*of, counted, &was));
            }
        }
        *before = now;
    }

    fn document(
        &self,
        (keyspace, tier): (&'static str, &'static str),
        counted: &Counted,
        was: &Counted,
    ) -> Document {
        let (now, then) = (&counted.counts, &was.counts);
        let saved = now.saved.saturating_sub(then.saved);
        Document {
            function_name: self.function_name.clone(),
            tier,
            keyspace,
            cache_hits: now.hits - then.hits,
            cache_stale: now.stale - then.stale,
            cache_misses: now.misses - then.misses,
            cache_errors: now.errors - then.errors,
            cache_undecodable: now.undecodable - then.undecodable,
            cache_read_bytes: now.read_bytes - then.read_bytes,
            cache_written_bytes: now.written_bytes - then.written_bytes,
            cache_loads: counted.loads - was.loads,
            cache_saved_milliseconds: u64::try_from(saved.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// One tier's and keyspace's counters.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct Document {
    function_name: String,
    tier: &'static str,
    keyspace: &'static str,
    cache_hits: u64,
    cache_stale: u64,
    cache_misses: u64,
    cache_errors: u64,
    cache_undecodable: u64,
    cache_read_bytes: u64,
    cache_written_bytes: u64,
    cache_loads: u64,
    cache_saved_milliseconds: u64,
}
