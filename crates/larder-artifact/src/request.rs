//! One request for an artifact: what is newest, is it here, may the last one stand in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    decide::{Reason, compare},
    digest::Sha256,
    disk::{self, Fingerprint},
    error::Error,
    http::Fetched,
    image::Image,
    info::{CacheInfo, OnDisk},
    install::{self, Placement, Verified},
    invalid_metadata::InvalidMetadata,
    lock::Lock,
    metadata::{Expected, Release, SignedText},
    newest::Metadata,
    store::{Artifact, Artifacts, Cache, Ensured, Slot},
};

/// By how many seconds the time of the last confirmation may lag behind on disk. It is there for
/// the next process; to keep it exact would make every hit write.
const CONFIRMATION_LAG: f64 = 600.0;

impl Artifacts {
    /// Has `artifact` ready within `time`: asks the source for its metadata, downloads the binary
    /// if it is not the one on disk, and verifies it unless it is known not to have changed since
    /// it was.
    ///
    /// Where the source is away, the last verified binary stands in
    /// ([`stale_for`](crate::Options::stale_for)). An error leaves the files as they were.
    pub async fn ensure(&self, artifact: &Artifact, time: Duration) -> Result<Ensured, Error> {
        self.ensure_in(&self.slot(artifact), artifact, time).await
    }

    /// The same, and remembers nothing of it: for files that do not stay either.
    pub async fn ensure_once(&self, artifact: &Artifact, time: Duration) -> Result<Ensured, Error> {
        self.ensure_in(&Slot::default(), artifact, time).await
    }

    async fn ensure_in(
        &self,
        slot: &Slot,
        artifact: &Artifact,
        time: Duration,
    ) -> Result<Ensured, Error> {
        let request = Request {
            artifacts: self,
            artifact,
            slot,
            deadline: Instant::now() + time,
        };
        let fresh = async { request.have(request.newest().await?).await };
        let doing = "get the binary ready";
        match tokio::time::timeout(time, fresh)
            .await
            .unwrap_or(Err(Error::Timeout { doing, time }))
        {
            Err(cause) if cause.allows_stale() => request.stand_in(cause).await,
            other => other,
        }
    }
}

/// One call of [`Artifacts::ensure`].
struct Request<'a> {
    artifacts: &'a Artifacts,
    artifact: &'a Artifact,
    slot: &'a Slot,
    deadline: Instant,
}

impl Request<'_> {
    /// The newest release, by one conditional request.
    async fn newest(&self) -> Result<Arc<Release>, Error> {
        let url = &self.artifact.metadata_url;
        let invalid = |source: InvalidMetadata| Error::Metadata {
            url: Box::new(url.clone()),
            source,
        };
        let newest = &self.artifacts.newest;
        let known = newest.get(self.artifact).await;
        let etag = known.as_ref().and_then(|known| known.etag());
        let (metadata, is_new) = match (
            self.artifacts.http.metadata(url, etag.as_ref()).await?,
            known,
        ) {
            (Fetched::NotModified, Some(known)) => (known, false),
            // No ETag was sent, so this is no answer to what was asked.
            (Fetched::NotModified, None) => {
                return Err(Error::Status {
                    url: Box::new(url.clone()),
                    status: 304,
                });
            }
            (Fetched::Document { etag, body }, _) => {
                (Arc::new(Metadata::new(etag.as_ref(), body)), true)
            }
        };
        let release = metadata.release(&self.expected()).map_err(invalid)?;
        let now = Timestamp::now();
        let floor = self.floor();
        release.check_now(now, floor).map_err(invalid)?;
        self.slot
            .know(|known| known.floor = Some(floor.max(release.epoch())));
        if is_new {
            newest.put(self.artifact, metadata).await;
        }
        Ok(release)
    }

    /// Makes sure that the binary on disk is `release`.
    async fn have(&self, release: Arc<Release>) -> Result<Ensured, Error> {
        // Only what is on disk has been confirmed: were a newer release enough, one whose binary
        // cannot be had would keep the old one standing in for ever.
        let heard_at = Timestamp::now().as_duration().as_secs_f64();
        let hit = |image| {
            self.slot.know(|known| known.confirmed_at = heard_at);
            tracing::info!(
                "Using cached {} v{} (size: {} bytes)",
                self.artifact.label,
                release.version,
                release.size
            );
            self.write_confirmation();
            Ok(Ensured::of(&release, Cache::Hit, 0, image))
        };
        if let Some(image) = self.unchanged(release.sha256) {
            return hit(image);
        }
        let _busy = self.slot.busy.lock().await;
        if let Ok(image) = self.on_disk(&release).await {
            return hit(image);
        }
        let _lock = Lock::acquire(&self.lock_file(), self.deadline).await?;
        // Another process may have done it while this one waited.
        let reason = match self.on_disk(&release).await {
            Ok(image) => return hit(image),
            Err(reason) => reason,
        };
        tracing::info!(
            reason = reason.as_str(),
            "Downloading updated {} v{}",
            self.artifact.label,
            release.version
        );
        disk::remove_leftovers(&self.artifact.file);
        disk::remove_leftovers(&self.artifact.info);
        let (verified, downloaded) =
            install::download(&self.artifacts.http, &release, &self.placement()).await?;
        let info = CacheInfo::new(&release, Timestamp::now());
        info.write(&self.artifact.info)?;
        tracing::info!(
            downloaded_bytes = downloaded,
            "Cached binary info for future use"
        );
        self.slot
            .know(|known| known.confirmed_at = info.confirmed_at());
        let image = self.remember(verified, info.confirmed_at());
        Ok(Ensured::of(
            &release,
            Cache::Miss(reason),
            downloaded,
            image,
        ))
    }

    /// Runs on with the last verified binary, if it was confirmed recently enough; else fails with
    /// `cause`.
    async fn stand_in(&self, cause: Error) -> Result<Ensured, Error> {
        let Some((info, sha256)) = self.last_verified() else {
            return Err(cause);
        };
        let confirmed_at = self
            .slot
            .know(|known| known.confirmed_at)
            .max(info.confirmed_at());
        // A clock that was set back makes an age negative: that is as good as new.
        let age = (Timestamp::now().as_duration().as_secs_f64() - confirmed_at).max(0.0);
        let confirmed = Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX);
        if confirmed > self.artifacts.options.stale_for {
            return Err(cause);
        }
        let image = match self.unchanged(sha256) {
            Some(image) => image,
            None => match self.verify(info.binary_size, sha256).await {
                Some(image) => image,
                None => return Err(cause),
            },
        };
        tracing::warn!(
            error = %crate::error::chain(&cause),
            confirmed_seconds_ago = confirmed.as_secs(),
            "Using the last verified {} v{}, which may not be the newest", self.artifact.label, info.version
        );
        let cache = Cache::Stale {
            cause: Box::new(cause),
            confirmed,
        };
        Ok(Ensured {
            version: info.version,
            sha256,
            size: info.binary_size,
            cache,
            downloaded_bytes: 0,
            image,
        })
    }

    /// What the info file says was verified last, as far as it may be believed.
    fn last_verified(&self) -> Option<(CacheInfo, Sha256)> {
        let trust = &self.artifacts.options.trust;
        let info = OnDisk::read(&self.artifact.info).info()?;
        let sha256 = info.digest()?;
        let proven = self.proven(&info).is_some_and(|text| {
            text.epoch >= trust.min_epoch()
                && text.version == info.version
                && text.size == info.binary_size
                && text.sha256.parse() == Ok(sha256)
        });
        let unsigned_will_do = !(trust.required() || trust.has_keys() && info.proof.is_some());
        (proven || unsigned_will_do).then_some((info, sha256))
    }

    /// The signed text of an info file, if it is there, ours, and signed by a trusted key.
    fn proven(&self, info: &CacheInfo) -> Option<SignedText> {
        let proof = info
            .proof
            .as_ref()
            .filter(|proof| self.artifacts.options.trust.verify(proof))?;
        let text = SignedText::parse(proof).ok()?;
        text.check(&self.artifact.name, &self.artifacts.platform)
            .is_ok()
            .then_some(text)
    }

    /// The epoch under which metadata was rolled back: the highest of what is configured, what this
    /// process has seen and what the info file proves that another has.
    fn floor(&self) -> u64 {
        self.slot.know(|known| known.floor).unwrap_or_else(|| {
            let proven = OnDisk::read(&self.artifact.info)
                .info()
                .and_then(|info| self.proven(&info));
            self.artifacts
                .options
                .trust
                .min_epoch()
                .max(proven.map_or(0, |text| text.epoch))
        })
    }

    /// The image that was verified last, if the file has not changed since and is the one with
    /// `sha256`.
    fn unchanged(&self, sha256: Sha256) -> Option<Image> {
        let verified = self.slot.know(|known| known.verified.clone())?;
        let same =
            Fingerprint::of_path(&self.artifact.file).is_ok_and(|now| now == verified.fingerprint);
        (same && verified.sha256 == sha256).then_some(verified.image)
    }

    /// The image, if the disk holds `release`; else why not.
    async fn on_disk(&self, release: &Release) -> Result<Image, Reason> {
        let info = OnDisk::read(&self.artifact.info);
        let file_exists = self.artifact.file.symlink_metadata().is_ok();
        match compare(&info, file_exists, release) {
            Some(reason) => Err(reason),
            None => self
                .verify(release.size, release.sha256)
                .await
                .ok_or(Reason::FileChanged),
        }
    }

    /// Reads the whole file, and remembers it if it is right.
    async fn verify(&self, size: u64, sha256: Sha256) -> Option<Image> {
        let placement = self.placement();
        // Hashing tens of megabytes takes tens of milliseconds: not on the thread that serves other
        // requests.
        let verifying =
            tokio::task::spawn_blocking(move || install::verify(&placement, size, sha256));
        match verifying
            .await
            .unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)))
        {
            Ok(verified) => Some(self.remember(verified, 0.0)),
            Err(error) => {
                let path = self.artifact.file.display();
                tracing::warn!(%path, %error, "The cached binary is not the one that was verified");
                None
            }
        }
    }

    fn remember(&self, verified: Verified, confirmation_on_disk: f64) -> Image {
        let image = verified.image.clone();
        self.slot.know(|known| {
            known.verified = Some(verified);
            known.confirmation_on_disk = known.confirmation_on_disk.max(confirmation_on_disk);
        });
        image
    }

    /// Notes in the info file, now and then, that the source confirmed it. If that fails the next
    /// process may stand in for a shorter time, and nothing else.
    fn write_confirmation(&self) {
        let due = |known: &mut super::store::Known| {
            let due = known.confirmed_at - known.confirmation_on_disk > CONFIRMATION_LAG;
            due.then_some(known.confirmed_at)
        };
        let Some(confirmed_at) = self.slot.know(due) else {
            return;
        };
        // Whoever holds the lock is about to write a newer one.
        let Ok(Some(_lock)) = Lock::try_acquire(&self.lock_file()) else {
            return;
        };
        let Some(mut info) = OnDisk::read(&self.artifact.info).info() else {
            return;
        };
        info.confirmed_at = Some(confirmed_at);
        match info.write(&self.artifact.info) {
            Ok(()) => self
                .slot
                .know(|known| known.confirmation_on_disk = confirmed_at),
            Err(error) => {
                tracing::debug!(error = %crate::error::chain(&error), "Could not note the confirmation");
            }
        }
    }

    fn expected(&self) -> Expected<'_> {
        let options = &self.artifacts.options;
        Expected {
            name: &self.artifact.name,
            platform: &self.artifacts.platform,
            runner: &options.runner,
            base: &self.artifact.metadata_url,
            max_size: options.max_bytes,
            trust: &options.trust,
        }
    }

    fn placement(&self) -> Placement {
        Placement {
            file: self.artifact.file.clone(),
            mode: self.artifacts.options.exec_mode,
            memory: self.artifacts.memory.clone(),
        }
    }

    fn lock_file(&self) -> std::path::PathBuf {
        self.artifact.file.with_added_extension("lock")
    }
}
