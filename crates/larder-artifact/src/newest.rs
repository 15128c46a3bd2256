//! Metadata as sources sent it last, with the ETag to ask whether it still is the newest.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use larder::{Cache, Keyspace, Loaded, Lookup, Policy, Refresh, Space};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::{
    invalid_metadata::InvalidMetadata,
    metadata::{Expected, Release},
    store::Artifact,
};

/// Age at which metadata is dropped, and its ETag with it. Its source is asked on every use, whatever its age.
const LIFE: Duration = Duration::from_hours(30 * 24);

/// By the artifact's name and the metadata's URL.
type MetadataKey = (String, String);

static METADATA: Keyspace<MetadataKey, Metadata> =
    Keyspace::new("metadata", 1, Policy::fresh(LIFE).refresh(Refresh::Never));

/// The metadata of all artifacts, within the cache's bound on memory.
#[derive(Debug)]
pub(crate) struct Newest {
    metadata: Space<MetadataKey, Metadata>,
}

/// A metadata document, and the ETag that came with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    etag: Option<Vec<u8>>,
    body: Vec<u8>,
    /// Parsed and verified by this process: reading a signature takes longer than a look-up.
    #[serde(skip)]
    release: OnceLock<Arc<Release>>,
}

impl Newest {
    pub(crate) fn new(cache: &Cache) -> Self {
        Self {
            metadata: cache.space(&METADATA),
        }
    }

    /// Returns the metadata of `artifact` that its source sent last, if it is known.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Option<Arc<Metadata>> {
        match self.metadata.get(&key(artifact)).await {
            Ok(Lookup::Hit(cached)) => Some(cached.value),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "Could not look up metadata");
                None
            }
        }
    }

    /// Keeps `metadata`. Without it, the source sends it again.
    pub(crate) async fn put(&self, artifact: &Artifact, metadata: Arc<Metadata>) {
        let metadata = Arc::unwrap_or_clone(metadata);
        let key = key(artifact);
        let put = self.metadata.put(&key, Loaded::from(metadata));
        if let Err(error) = put.await {
            tracing::debug!(%error, "Could not keep metadata");
        }
    }
}

fn key(artifact: &Artifact) -> MetadataKey {
    let url = artifact.metadata_url.as_str().to_owned();
    (artifact.name.clone(), url)
}

impl Metadata {
    pub(crate) fn new(etag: Option<&HeaderValue>, body: Vec<u8>) -> Self {
        Self {
            etag: etag.map(|etag| etag.as_bytes().to_owned()),
            body,
            release: OnceLock::new(),
        }
    }

    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.etag.as_ref()?).ok()
    }

    /// Parses the release for this machine, once.
    pub(crate) fn release(&self, expected: &Expected<'_>) -> Result<Arc<Release>, InvalidMetadata> {
        if let Some(release) = self.release.get() {
            return Ok(Arc::clone(release));
        }
        let release = Arc::new(Release::parse(&self.body, expected)?);
        Ok(Arc::clone(self.release.get_or_init(|| release)))
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn artifact(url: &str) -> Artifact {
        Artifact {
            name: "slack".to_owned(),
            label: "Slack binary".to_owned(),
            metadata_url: Url::parse(url).unwrap(),
            file: "/tmp/slack".into(),
            info: "/tmp/slack.json".into(),
        }
    }

    #[tokio::test]
    async fn metadata_is_kept_by_its_source_with_any_etag() {
        let cache = Cache::builder("test").memory(1 << 20).build();
        let newest = Newest::new(&cache);
        let here = artifact("https://releases.example.com/metadata.json");
        let elsewhere = artifact("https://mirror.example.com/metadata.json");
        assert!(newest.get(&here).await.is_none());
        let etag = HeaderValue::from_bytes(b"\"\xe9tag\"").unwrap();
        let metadata = Metadata::new(Some(&etag), b"{}".to_vec());
        newest.put(&here, Arc::new(metadata)).await;
        let known = newest.get(&here).await.unwrap();
        assert_eq!(known.etag(), Some(etag));
        assert_eq!(known.body, b"{}");
        assert!(newest.get(&elsewhere).await.is_none());
    }
}
