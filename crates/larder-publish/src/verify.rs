//! Reading back through the CDN what was published: that a request was accepted is no proof that anything was cleared.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use cdn::Item;
use reqwest::{Client, StatusCode};
use url::Url;

use crate::digest::Sha256;

/// Most invalidations take effect within 5 s, and what a cache may keep for a minute is right after a minute.
const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// One answer.
const ANSWER: Duration = Duration::from_secs(20);
/// So many objects stand for all.
pub(crate) const MOST: usize = 20;

/// An object as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) item: Item,
    pub(crate) sha256: String,
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) item: Item,
    /// What is wrong with it, if anything still is.
    pub(crate) wrong: Option<String>,
    /// `X-Cache`: who had it.
    pub(crate) cache: String,
}

/// Whoever reads back.
#[derive(Debug)]
pub(crate) struct Reader {
    client: Client,
    base: Url,
}

impl Reader {
    pub(crate) fn new(base: &Url) -> anyhow::Result<Self> {
        let client = larder_lambda::http_client().context("TLS cannot be set up")?;
        let client = client.timeout(ANSWER).build();
        Ok(Self {
            client: client.context("no HTTP client can be made")?,
            base: base.clone(),
        })
    }

    /// Reads each until it is as it should be, for a minute in all.
    pub(crate) async fn read(&self, wanted: &[Wanted]) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        for wanted in wanted.iter().take(MOST) {
            seen.push(self.until_fresh(wanted, until).await);
        }
        seen
    }

    async fn until_fresh(&self, wanted: &Wanted, until: Instant) -> Seen {
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = self.once(wanted).await;
            let left = until.saturating_duration_since(Instant::now());
            if seen.wrong.is_none() || left.is_zero() {
                return seen;
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn once(&self, wanted: &Wanted) -> Seen {
        let of = |wrong: Option<String>, cache: String| Seen {
            item: wanted.item.clone(),
            wrong,
            cache,
        };
        match self.fetch(wanted).await {
            Ok((sha256, cache)) if sha256 == wanted.sha256 => of(None, cache),
            Ok((_, cache)) => of(Some("it is an earlier one".to_owned()), cache),
            Err(error) => of(Some(format!("{error:#}")), String::new()),
        }
    }

    async fn fetch(&self, wanted: &Wanted) -> anyhow::Result<(String, String)> {
        let url = self.base.join(wanted.item.as_str())?;
        let mut response = self.client.get(url).send().await?;
        if response.status() != StatusCode::OK {
            anyhow::bail!("it is answered by {}", response.status());
        }
        let cache = response.headers().get("x-cache");
        let cache = cache.and_then(|cache| cache.to_str().ok());
        let cache = cache.unwrap_or("no X-Cache").to_owned();
        let mut hash = Sha256::new();
        while let Some(chunk) = response.chunk().await? {
            hash.update(&chunk);
        }
        Ok((hash.finish(), cache))
    }
}

impl Seen {
    /// In a few words.
    pub(crate) fn told(&self) -> String {
        match &self.wrong {
            None => format!("{} is the new one ({})", self.item, self.cache),
            Some(wrong) if self.cache.is_empty() => {
                format!("{} is not the new one: {wrong}", self.item)
            }
            Some(wrong) => format!("{} is not the new one: {wrong} ({})", self.item, self.cache),
        }
    }
}
