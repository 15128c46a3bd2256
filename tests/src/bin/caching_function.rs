//! A Lambda function for tests that keeps what it was told.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use larder::{
    Cache, CacheSettings, Freshness, Keyspace, Load, Loaded, Policy, Refresh, Source, Space,
};
use larder_lambda::{Error, ErrorKind, Function, Invocation, environment};
use metrique_writer::Entry;
use serde::Deserialize;
use serde_json::{Value, json};

const POLICY: Policy = Policy::fresh(Duration::from_millis(500))
    .refresh(Refresh::Never)
    .stale_while_revalidate(Duration::from_hours(1));
static TOLD: Keyspace<str, u64> = Keyspace::new("told", 1, POLICY);

fn main() -> ExitCode {
    larder_lambda::run(async || {
        let settings = CacheSettings::from_lookup(environment)?;
        let cache = settings
            .builder("caching", None)
            .context("the cache")?
            .build();
        Ok(Caching {
            told: cache.space(&TOLD),
            cache,
        })
    })
}

struct Caching {
    cache: Cache,
    told: Space<str, u64>,
}

/// What is asked for, and what its origin would say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    key: String,
    origin: u64,
    takes_ms: u64,
}

#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
struct Metrics {
    questions: u64,
}

impl Function for Caching {
    type Event = Question;
    type Answer = Value;
    type Metrics = Metrics;

    const AFTER_RESPONSE: bool = true;

    fn cache(&self) -> Option<&Cache> {
        Some(&self.cache)
    }

    async fn handle(
        &self,
        question: Question,
        _: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Value, Error> {
        metrics.questions += 1;
        let Question {
            key,
            origin,
            takes_ms,
        } = question;
        let load = async move |_: Load<u64>| {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
            Ok::<_, std::io::Error>(Loaded::from(origin))
        };
        let got = self.told.get_or_load(key.as_str(), load).await;
        let got = got.map_err(|error| Error::message(ErrorKind::Upstream, error.to_string()))?;
        Ok(got.map_or(Value::Null, |got| {
            json!({
                "value": *got.value,
                "stale": got.state == Freshness::Stale,
                "from_origin": got.source == Source::Origin,
            })
        }))
    }
}
