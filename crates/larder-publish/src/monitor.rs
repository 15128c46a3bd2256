//! Publishing a monitor: its versioned objects, then `latest`, and the metadata last. Whoever reads the metadata finds what it names,
//! whenever this is interrupted; and whoever runs it again does the rest.

mod objects;

use anyhow::Context as _;
use cdn::{Item, Known, release::Release};
use jiff::{SignedDuration, Timestamp};
use larder_artifact::InvalidMetadata;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    arguments::Monitor,
    clearing::Order,
    digest,
    metadata::{Document, MAX_METADATA, Origin, Published},
    report::{Report, Uploaded},
    session::Session,
    sign::{MAX_KEY_FILE, PASSWORD, Signer},
    store::{A_MINUTE, ALWAYS_ASK, Content, Held, IMMUTABLE, JSON, Object, OnlyIf, StoreError},
    verify::Wanted,
};
use objects::{Place, Placed, Ready};

/// Where a stack says the name of the releases' bucket.
pub(crate) const OUTPUT: &str = "ReleasesBucketName";

/// What is there of a release's metadata.
struct Before {
    held: Option<Held>,
    /// None where there is none, or where it cannot be read.
    published: Option<Published>,
    /// Why it cannot be read.
    problem: Option<InvalidMetadata>,
}

/// What becomes of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// It says all that there is to say.
    Keep,
    /// It is written with this epoch.
    Write(u64),
}

/// Publishes a monitor.
pub(crate) async fn publish(arguments: &Monitor, session: &Session) -> anyhow::Result<Report> {
    let signer = signer(arguments, session).await?;
    let release = Release {
        prefix: &arguments.prefix,
        monitor: &arguments.monitor,
    };
    let step = session.progress.step("read what is to be published");
    let version = (release, arguments.version.as_str());
    let ready = objects::ready(&arguments.binary, arguments.gzip, version).await?;
    step.done(&Ready::told(&ready));
    let (plain, others) = ready.split_first().context("there is no --binary")?;
    let others: Vec<_> = others.iter().map(|ready| ready.build.clone()).collect();
    let min_runner = arguments.min_runner.to_string();
    let before = before(&release, session).await?;
    let published_at = Timestamp::now();
    let mut document = Document {
        release,
        version: &arguments.version,
        url: arguments.url.as_str().trim_end_matches('/'),
        plain: &plain.build,
        others: &others,
        epoch: 0,
        published: published_at,
        expires: published_at + arguments.valid_for(),
        min_runner: &min_runner,
        binary_type: &arguments.binary_type,
        origin: arguments.origin(),
    };
    // Whatever is wrong is found before anything is written.
    let now = u64::try_from(published_at.as_second()).unwrap_or_default();
    let next = next(arguments, (&before, &document), signer.as_ref(), now)?;

    let mut report = Report::default();
    upload(places(&ready, &release), session, &mut report).await?;
    let bytes = match (next, &before.held) {
        (Next::Keep, Some(held)) => {
            report.skipped.push(release.metadata());
            held.bytes.clone()
        }
        (next, _) => {
            document = document.with(next.epoch(), before.published.as_ref());
            let bytes = document.to_json(signer.as_ref())?.to_string().into_bytes();
            put_metadata(&bytes, (&release, &before), session).await?;
            report.wrote(&release.metadata(), bytes.len());
            bytes
        }
    };
    finish(&mut report, (&release, &bytes), session).await?;
    report.published = published(arguments, &bytes)?;
    Ok(report)
}

/// Uploads what is not there, in this order.
async fn upload(
    places: Vec<Place<'_>>,
    session: &Session,
    report: &mut Report,
) -> anyhow::Result<()> {
    for place in places {
        let step = session.progress.step(&place.told());
        let placed = place.place(&session.store, session.manner.dry_run).await?;
        step.done(placed.told(session.manner.dry_run));
        match placed {
            Placed::Uploaded(bytes) => report.uploaded.push(Uploaded {
                key: place.key,
                bytes,
            }),
            Placed::There => report.skipped.push(place.key),
        }
    }
    Ok(())
}

/// Has caches forget what the release made stale, whether or not this run did: ordered again, the same is cleared once.
async fn finish(
    report: &mut Report,
    (release, metadata): (&Release<'_>, &[u8]),
    session: &Session,
) -> anyhow::Result<()> {
    let items = release.mutable();
    let items = items.iter().map(|key| Item::of_key(key));
    let items: Vec<_> = items.collect::<Result<_, _>>()?;
    let sha256 = digest::sha256(metadata);
    // Who writes `latest` anew under the same metadata has changed something, too.
    let latest = match session.store.find(&release.latest()).await {
        Ok(latest) => latest.map(|found| found.identity).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "What `latest` is now is not known, so that it is cleared in any case");
            Timestamp::now().to_string()
        }
    };
    let content = digest::sha256(format!("{sha256} {latest}").as_bytes());
    let order = Order {
        changed: &items,
        known: Known::Nothing,
        content: &content,
        is_new: !report.uploaded.is_empty(),
        wait: session.wait,
    };
    report.invalidation = session.clear(&order).await;
    let item = Item::of_key(&release.metadata())?;
    report.verified = session.verify(&[Wanted { item, sha256 }]).await;
    Ok(())
}

impl Monitor {
    fn origin(&self) -> Origin {
        Origin {
            build_time: None,
            git_commit: self.git_commit.clone(),
            build_number: self.build_number.clone(),
        }
    }

    /// How long a signature is good.
    fn valid_for(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.valid_days))
    }
}

impl Document<'_> {
    /// The same of an epoch. Signed anew, a release still comes from where it came from.
    fn with(mut self, epoch: u64, published: Option<&Published>) -> Self {
        self.epoch = epoch;
        if let Some(published) = published.filter(|published| published.offers(&self)) {
            let earlier = published.origin.clone();
            self.origin = Origin {
                build_time: earlier.build_time,
                git_commit: self.origin.git_commit.or(earlier.git_commit),
                build_number: self.origin.build_number.or(earlier.build_number),
            };
        }
        self
    }
}

impl Next {
    fn epoch(&self) -> u64 {
        match self {
            Self::Keep => 0,
            Self::Write(epoch) => *epoch,
        }
    }
}

/// What becomes of the metadata: nothing, if it offers the same and its signature is good for a while yet.
fn next(
    arguments: &Monitor,
    (before, document): (&Before, &Document<'_>),
    signer: Option<&Signer>,
    now: u64,
) -> anyhow::Result<Next> {
    let given = arguments.epoch;
    let Some(published) = &before.published else {
        if let (Some(problem), None) = (&before.problem, given) {
            return Err(unreadable(&document.release, problem));
        }
        return Ok(Next::Write(given.unwrap_or(now)));
    };
    let highest = published.epoch();
    let offers_the_same = published.offers(document);
    // One more, so that readers refuse what is taken back; commits are further apart.
    let after = highest.filter(|_| arguments.rollback);
    let after = after.map(|highest| highest.saturating_add(u64::from(!offers_the_same)));
    let given = given.or(after);
    if let Some((given, highest)) = given
        .zip(highest)
        .filter(|(given, highest)| given < highest)
    {
        anyhow::bail!(
            "--epoch {given} is under {highest}, which was published before: readers would refuse it as rolled back"
        );
    }
    let Some(signer) = signer else {
        anyhow::ensure!(
            offers_the_same || highest.is_none(),
            "what is published is signed, and readers refuse what is not from then on: give --sign-key"
        );
        return Ok(if offers_the_same {
            Next::Keep
        } else {
            Next::Write(0)
        });
    };
    if !offers_the_same {
        let epoch = given.unwrap_or(now);
        let highest = highest.unwrap_or_default();
        anyhow::ensure!(
            epoch >= highest,
            "the epoch {highest} was published before, which is later than now: give --epoch {highest} or more"
        );
        return Ok(Next::Write(epoch));
    }
    let half = arguments.valid_for() / 2;
    let good_until = published.expires();
    let is_good = good_until.is_some_and(|until| until > document.published + half);
    // None is less than any.
    let is_raised = given > highest;
    if is_good && !is_raised && published.is_signed_by(signer) {
        return Ok(Next::Keep);
    }
    Ok(Next::Write(given.or(highest).unwrap_or(now)))
}

/// Says why it is not known which epoch was published.
fn unreadable(release: &Release<'_>, problem: &InvalidMetadata) -> anyhow::Error {
    anyhow::anyhow!(
        "{} is there and cannot be read, so which epoch was published is not known: {}; give --epoch to replace it",
        release.metadata(),
        larder_artifact::chain(problem)
    )
}

async fn before(release: &Release<'_>, session: &Session) -> anyhow::Result<Before> {
    let key = release.metadata();
    let step = session.progress.step("what is published now");
    let held = session.store.get(&key, MAX_METADATA).await?;
    let parsed = held.as_ref().map(|held| Published::parse(&held.bytes));
    let (published, problem) = match parsed.transpose() {
        Ok(published) => {
            let version = published.as_ref().map_or("nothing", |found| &found.version);
            step.done(version);
            (published, None)
        }
        Err(problem) => {
            step.done(&format!("{key} cannot be read"));
            (None, Some(problem))
        }
    };
    Ok(Before {
        held,
        published,
        problem,
    })
}

/// Where the objects go: each build's own version, then the newest for whoever knows of no versions.
fn places<'a>(ready: &'a [Ready], release: &Release<'_>) -> Vec<Place<'a>> {
    let versioned = ready.iter().map(|ready| Place {
        ready,
        key: ready.build.key.clone(),
        cache_control: IMMUTABLE,
    });
    let latest = ready.first().map(|ready| Place {
        ready,
        key: release.latest(),
        cache_control: ALWAYS_ASK,
    });
    versioned.chain(latest).collect()
}

async fn put_metadata(
    bytes: &[u8],
    (release, before): (&Release<'_>, &Before),
    session: &Session,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        bytes.len() <= MAX_METADATA,
        "metadata.json would be longer than its readers take"
    );
    let key = release.metadata();
    let step = session.progress.step(&key);
    if session.manner.dry_run {
        step.done("would be written");
        return Ok(());
    }
    let object = Object {
        only_if: match &before.held {
            Some(held) => OnlyIf::Same(&held.etag),
            None => OnlyIf::Nothing,
        },
        ..Object::new(&key, JSON, A_MINUTE)
    };
    let put = session.store.put(&object, Content::Bytes(bytes.to_vec()));
    match put.await {
        Ok(_) => {}
        // An answer that was lost on its way looks like this, when the request is made again.
        Err(StoreError::Changed(_)) => {
            let there = session.store.get(&key, MAX_METADATA).await?;
            anyhow::ensure!(
                there.is_some_and(|held| held.bytes == bytes),
                "somebody else has published {} meanwhile: see which is the newer one, and run this again if it is this",
                release.monitor
            );
        }
        Err(error) => return Err(error.into()),
    }
    step.done("written");
    Ok(())
}

async fn signer(arguments: &Monitor, session: &Session) -> anyhow::Result<Option<Signer>> {
    let Some(path) = &arguments.sign_key else {
        return Ok(None);
    };
    let told = || format!("the key in {} cannot be used", path.display());
    let size = std::fs::metadata(path).with_context(told)?.len();
    anyhow::ensure!(size <= MAX_KEY_FILE, "{}: it is no key file", told());
    let text = std::fs::read_to_string(path).with_context(told)?;
    let password = larder_lambda::environment(PASSWORD).map(SecretString::from);
    let step = session.progress.step("open the key");
    let opened =
        tokio::task::spawn_blocking(move || Signer::from_key_file(&text, password.as_ref()));
    let signer = opened.await?.with_context(told)?;
    step.done(&format!("TRUSTED_KEYS={}", signer.public_key()));
    Ok(Some(signer))
}

/// What readers find from now on.
fn published(arguments: &Monitor, metadata: &[u8]) -> anyhow::Result<Value> {
    let published = Published::parse(metadata).context("what is published cannot be read")?;
    let builds = published.builds.iter().map(|(platform, build)| {
        let build = json!({ "sha256": build.sha256, "binary_size": build.size, "url": build.url });
        (platform.clone(), build)
    });
    let builds: serde_json::Map<_, _> = builds.collect();
    Ok(json!({
        "monitor": arguments.monitor,
        "version": published.version,
        "epoch": published.epoch(),
        "expires_at": published.expires(),
        "platforms": builds,
    }))
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
