//! The cache of verified binaries, as its users see it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use url::Url;

use crate::{
    decide::Reason,
    digest::Sha256,
    error::Error,
    http::Http,
    image::{Budget, ExecMode, Image},
    install::Verified,
    metadata::{Release, platform},
    newest::Newest,
    trust::Trust,
};

/// How binaries are got and kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose metadata to believe.
    pub trust: Trust,
    /// The most bytes a binary may have.
    pub max_bytes: u64,
    /// For how long after the source was last heard from the last verified binary may stand in for
    /// it.
    pub stale_for: Duration,
    /// Where binaries are executed from.
    pub exec_mode: ExecMode,
    /// The most bytes that all copies in memory may have together under [`ExecMode::Auto`].
    pub memory_limit: u64,
    /// The version of the program that runs the binaries; metadata may ask for a minimum.
    pub runner: semver::Version,
}

/// An artifact: what it is called, where its metadata is, where its files go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Artifact {
    /// The name that signed metadata has to be for.
    pub name: String,
    /// What log lines call it, such as `Slack binary`.
    pub label: String,
    /// Where to ask for metadata.
    pub metadata_url: Url,
    /// Where the binary is kept.
    pub file: PathBuf,
    /// Where the info about it is kept, in the same directory.
    pub info: PathBuf,
}

/// How an artifact was had.
#[derive(Debug)]
pub enum Cache {
    /// It was there, and it still is the newest.
    Hit,
    /// It was downloaded.
    Miss(Reason),
    /// It was there, and the source could not say whether it still is the newest.
    Stale {
        /// Why not.
        cause: Box<Error>,
        /// How long ago it could.
        confirmed: Duration,
    },
}

impl Cache {
    /// `hit`, `miss` or `stale`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss(_) => "miss",
            Self::Stale { .. } => "stale",
        }
    }
}

/// A verified binary, ready to run.
#[derive(Debug)]
pub struct Ensured {
    /// Its version.
    pub version: String,
    /// Its digest, just verified or known to be unchanged since it was.
    pub sha256: Sha256,
    /// Its bytes.
    pub size: u64,
    /// How it was had.
    pub cache: Cache,
    /// Bytes that came over the network for it; 0 unless [`Cache::Miss`].
    pub downloaded_bytes: u64,
    /// What to execute.
    pub image: Image,
}

impl Ensured {
    pub(crate) fn of(release: &Release, cache: Cache, downloaded_bytes: u64, image: Image) -> Self {
        let Release {
            version,
            sha256,
            size,
            ..
        } = release;
        Self {
            version: version.clone(),
            sha256: *sha256,
            size: *size,
            cache,
            downloaded_bytes,
            image,
        }
    }
}

/// A process's cache of verified binaries. Any number of tasks and processes may share one
/// directory.
#[derive(Debug)]
pub struct Artifacts {
    pub(crate) http: Http,
    pub(crate) newest: Newest,
    pub(crate) options: Options,
    pub(crate) platform: String,
    /// What is left of [`Options::memory_limit`].
    pub(crate) memory: Budget,
    slots: Mutex<HashMap<Artifact, Arc<Slot>>>,
}

/// What this process knows of one artifact.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    known: Mutex<Known>,
    /// Held by the one task of this process that hashes or downloads the file.
    pub(crate) busy: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The epoch under which metadata was rolled back; none before the first metadata.
    pub(crate) floor: Option<u64>,
    /// When the source last confirmed the newest, and what of that is on disk; seconds since 1970.
    pub(crate) confirmed_at: f64,
    pub(crate) confirmation_on_disk: f64,
    /// The file that was last read whole and found right.
    pub(crate) verified: Option<Verified>,
}

impl Slot {
    /// Reads or changes what is known. Never held over an await.
    pub(crate) fn know<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Artifacts {
    /// Creates a cache of binaries whose metadata is kept in `metadata`, which should be this process's memory: a shared
    /// tier takes longer than the request that it would shorten. Asks nothing and touches no file; fails if TLS cannot be
    /// set up.
    pub fn new(options: Options, metadata: &larder::Cache) -> Result<Self, Error> {
        Ok(Self {
            http: Http::new()?,
            newest: Newest::new(metadata),
            memory: Budget::new(options.memory_limit),
            options,
            platform: platform(),
            slots: Mutex::default(),
        })
    }

    /// What is known of `artifact`, and will be.
    pub(crate) fn slot(&self, artifact: &Artifact) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(artifact.clone()).or_default())
    }
}
