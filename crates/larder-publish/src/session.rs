//! What all ways of publishing share: where to, who clears, and how it is told.

use std::time::Duration;

use anyhow::Context as _;
use aws_types::SdkConfig;
use url::Url;

use crate::{
    arguments::{Bucket, Clearing, Manner},
    clearing::{Answer, Order, Told, Way},
    progress::Progress,
    stack,
    store::Store,
    verify::{Reader, Wanted},
};

/// A run.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) progress: Progress,
    pub(crate) store: Store,
    pub(crate) way: Way,
    pub(crate) wait: Duration,
    pub(crate) manner: Manner,
    reader: Option<Reader>,
}

impl Session {
    /// With the credentials of the environment. `output` is where a stack says its bucket's name unless another is given.
    pub(crate) async fn new(
        (bucket, output): (&Bucket, &str),
        clearing: &Clearing,
        url: Option<&Url>,
        manner: Manner,
    ) -> anyhow::Result<Self> {
        let progress = Progress::new();
        let config = config().await?;
        let reader = match (manner.verify, url) {
            (false, _) => None,
            (true, Some(url)) => Some(Reader::new(url)?),
            (true, None) => anyhow::bail!("--verify has to read by something: give --url"),
        };
        // Before anything is asked: what is wrong here is wrong in the arguments.
        let way = way(&config, clearing, url)?;
        let bucket = match (&bucket.bucket, &bucket.stack) {
            (Some(bucket), _) => bucket.clone(),
            (None, stack) => {
                let stack = stack
                    .as_deref()
                    .context("neither --bucket nor --stack is given")?;
                let output = bucket.output.as_deref().unwrap_or(output);
                let step = progress.step(&format!("the bucket of the stack {stack}"));
                let found = stack::output(&config, stack, output).await?;
                step.done(&found);
                found
            }
        };
        Ok(Self {
            progress,
            store: Store::new(&config, &bucket),
            way,
            wait: Duration::from_secs(clearing.wait),
            manner,
            reader,
        })
    }

    /// Has what changed cleared, or tells what would be.
    pub(crate) async fn clear(&self, order: &Order<'_>) -> Answer {
        if self.manner.dry_run {
            return self.way.rehearse(order);
        }
        if matches!(self.way, Way::Nobody) || order.changed.is_empty() {
            return self.way.clear(order).await;
        }
        let step = self.progress.step("clear what changed");
        let answer = self.way.clear(order).await;
        step.done(&answer.told());
        if !answer.is_well() {
            self.progress
                .note("warning: caches were not told, and may have what was there before until its time is over");
        }
        answer
    }

    /// Whether what is wanted is what is read back; none where nothing is to be read.
    pub(crate) async fn verify(&self, wanted: &[Wanted]) -> Option<bool> {
        let reader = self.reader.as_ref().filter(|_| !self.manner.dry_run)?;
        if wanted.is_empty() {
            return None;
        }
        let step = self.progress.step("read back");
        let seen = reader.read(wanted).await;
        let fresh = seen.iter().filter(|seen| seen.wrong.is_none()).count();
        step.done(&format!("{fresh} of {} are the new ones", seen.len()));
        for seen in &seen {
            self.progress.note(&format!("          {}", seen.told()));
        }
        Some(fresh == seen.len())
    }
}

/// The settings of all clients.
pub(crate) async fn config() -> anyhow::Result<SdkConfig> {
    let config = larder_lambda::aws_config().await;
    config
        .region()
        .context("AWS_REGION is not set, nor the Region of a profile")?;
    Ok(config)
}

fn way(config: &SdkConfig, clearing: &Clearing, url: Option<&Url>) -> anyhow::Result<Way> {
    if clearing.no_invalidate {
        return Ok(Way::Nobody);
    }
    let host = url.and_then(Url::host_str);
    let told = Told {
        function: clearing.function.as_deref(),
        distribution: clearing.distribution.as_deref(),
        domain: clearing.domain.as_deref().or(host),
    };
    let (wait, wildcards) = (Duration::from_secs(clearing.wait), clearing.wildcards);
    Way::of(config, told, (wait, wildcards.into()))
}
