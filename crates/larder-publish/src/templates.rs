//! Publishing a folder: what changed and nothing else is uploaded, and what a cache may have of it is cleared.

mod compare;
mod journal;
mod local;

use std::collections::HashMap;

use anyhow::Context as _;
use cdn::{Item, Known, Listing};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    arguments::Templates,
    clearing::{Order, Way},
    digest::{Digests, of_file},
    progress::Step,
    report::{Report, Uploaded, size},
    session::Session,
    store::{Content, JSON, Listed, NOBODYS, Object, OnlyIf, Store, StoreError},
    verify::Wanted,
};
use compare::Standing;
use journal::Journal;
use local::Local;

/// Where a stack says the name of the templates' bucket.
pub(crate) const OUTPUT: &str = "TemplatesBucketName";

/// So many requests, or files that are read, at a time.
const AT_A_TIME: usize = 8;

/// What there is to do.
#[derive(Debug, Default)]
struct Changes {
    new: Vec<(Local, Digests)>,
    changed: Vec<(Local, Digests)>,
    same: Vec<String>,
    gone: Vec<String>,
}

/// The note that was found, and as what it may be written.
#[derive(Debug, Default)]
struct Found {
    earlier: Option<Journal>,
    etag: Option<String>,
}

/// Publishes a folder.
pub(crate) async fn publish(arguments: &Templates, session: &Session) -> anyhow::Result<Report> {
    let under = arguments.under.as_str();
    let step = session
        .progress
        .step(&format!("compare {} with {under}", arguments.dir.display()));
    let files = files(arguments).await?;
    let listed = session.store.list(under).await?;
    let changes = changes(arguments, (files, &listed), (session, &step)).await?;
    step.done(&changes.told());

    let found = found(under, session).await?;
    let mut journal = changes.journal();
    let mut noted = found.etag;
    if let Some(earlier) = found.earlier.clone() {
        session.progress.note(&format!(
            "          an earlier run has left {} objects to be cleared",
            earlier.changed.len()
        ));
        journal.take_over(earlier);
    }
    let is_noted = !matches!(session.way, Way::Nobody) && !journal.changed.is_empty();
    if is_noted && !session.manner.dry_run && found.earlier.as_ref() != Some(&journal) {
        noted = Some(note(&journal, (under, noted.as_deref()), &session.store).await?);
    }
    let mut report = upload(arguments, &changes, session).await?;

    let known = known(&listed, &journal, under)?;
    let (items, content) = (journal.items()?, journal.content());
    let order = Order {
        changed: &items,
        known: Known::Listed(&known),
        content: &content,
        is_new: !changes.changed.is_empty() || !changes.gone.is_empty(),
        wait: session.wait,
    };
    report.invalidation = session.clear(&order).await;
    if is_noted && !session.manner.dry_run && report.invalidation.is_well() {
        let key = journal::key(under);
        match session.store.delete(&key, noted.as_deref()).await {
            // What another run has noted since is for it to clear.
            Ok(()) | Err(StoreError::Changed(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "What was to be cleared is done, and noted still: the next run clears it once more");
            }
        }
    }
    report.verified = session.verify(&changes.wanted(&journal)?).await;
    report.published = json!({
        "under": under,
        "files": changes.new.len() + changes.changed.len() + changes.same.len(),
        "new": changes.new.len(),
        "changed": changes.changed.len(),
    });
    report.skipped = changes.same;
    Ok(report)
}

/// The folder's files. What would be left of nothing is no folder of templates.
async fn files(arguments: &Templates) -> anyhow::Result<Vec<Local>> {
    let (dir, under) = (arguments.dir.clone(), arguments.under.clone());
    let walked = tokio::task::spawn_blocking(move || local::walk(&dir, &under));
    let folder = walked.await??;
    anyhow::ensure!(
        !folder.files.is_empty(),
        "{} has no files, {} hidden ones aside: is it the right folder?",
        arguments.dir.display(),
        folder.hidden
    );
    if folder.hidden > 0 {
        tracing::warn!(
            left_out = folder.hidden,
            "Files and folders whose names begin with a dot are not published"
        );
    }
    Ok(folder.files)
}

async fn changes(
    arguments: &Templates,
    (files, listed): (Vec<Local>, &HashMap<String, Listed>),
    (session, step): (&Session, &Step),
) -> anyhow::Result<Changes> {
    let mut changes = Changes::default();
    if arguments.delete {
        changes.gone = compare::gone(&files, listed, &arguments.under);
        let problems = changes
            .gone
            .iter()
            .filter_map(|key| Some(format!("{key} {}", local::unnameable(key)?)));
        let problems: Vec<_> = problems.take(AT_A_TIME).collect();
        anyhow::ensure!(
            problems.is_empty(),
            "nothing was removed, because of\n  {}\nRemove these by hand",
            problems.join("\n  ")
        );
    }
    let count = files.len();
    let judged = files
        .into_iter()
        .map(|file| judge(file, listed, &session.store));
    let mut judged = stream::iter(judged).buffered(AT_A_TIME);
    let mut done = 0;
    while let Some((file, digests, standing)) = judged.try_next().await? {
        done += 1;
        step.tell(&format!("{done} of {count}"));
        match standing {
            Standing::New => changes.new.push((file, digests)),
            Standing::Same => changes.same.push(file.key),
            Standing::Changed | Standing::Doubtful => changes.changed.push((file, digests)),
        }
    }
    Ok(changes)
}

/// How a file stands to its object; where the listing does not tell, by what its uploader has said of it.
async fn judge(
    file: Local,
    listed: &HashMap<String, Listed>,
    store: &Store,
) -> anyhow::Result<(Local, Digests, Standing)> {
    let path = file.path.clone();
    let read = tokio::task::spawn_blocking(move || of_file(&path, true));
    let digests = read
        .await?
        .with_context(|| format!("{} cannot be read", file.path.display()))?;
    let mut standing = compare::standing(&digests, listed.get(&file.key));
    if standing == Standing::Doubtful {
        let found = store.find(&file.key).await?;
        standing = match found {
            None => Standing::New,
            Some(found) if found.sha256.as_ref() == Some(&digests.sha256) => Standing::Same,
            Some(_) => Standing::Changed,
        };
    }
    Ok((file, digests, standing))
}

impl Changes {
    fn told(&self) -> String {
        let Self {
            new,
            changed,
            same,
            gone,
        } = self;
        let gone = match gone.len() {
            0 => String::new(),
            count => format!(", {count} to be removed"),
        };
        format!(
            "{} new, {} changed, {} the same{gone}",
            new.len(),
            changed.len(),
            same.len()
        )
    }

    fn journal(&self) -> Journal {
        let changed = self
            .changed
            .iter()
            .map(|(file, digests)| (file.key.clone(), Some(digests.sha256.clone())));
        let gone = self.gone.iter().map(|key| (key.clone(), None));
        Journal {
            began: Timestamp::now(),
            changed: changed.chain(gone).collect(),
            new: self.new.iter().map(|(file, _)| file.key.clone()).collect(),
        }
    }

    /// What should be read back: what could be stale first.
    fn wanted(&self, journal: &Journal) -> anyhow::Result<Vec<Wanted>> {
        let changed = journal
            .changed
            .iter()
            .filter_map(|(key, sha256)| Some((key, sha256.as_ref()?)));
        let new = self
            .new
            .iter()
            .map(|(file, digests)| (&file.key, &digests.sha256));
        let wanted = changed.chain(new).map(|(key, sha256)| {
            let item = Item::of_key(key)?;
            let sha256 = sha256.clone();
            Ok(Wanted { item, sha256 })
        });
        wanted.take(crate::verify::MOST).collect()
    }
}

async fn found(under: &str, session: &Session) -> anyhow::Result<Found> {
    let key = journal::key(under);
    let Some(held) = session.store.get(&key, journal::MAX_BYTES).await? else {
        return Ok(Found::default());
    };
    let earlier = serde_json::from_slice(&held.bytes);
    let earlier = earlier.with_context(|| {
        format!("{key} is not what an earlier run has left: clear {under}* by `larder-publish invalidate`, and remove it")
    });
    Ok(Found {
        earlier: Some(earlier?),
        etag: Some(held.etag),
    })
}

/// Writes the note, and returns its `ETag`.
async fn note(
    journal: &Journal,
    (under, etag): (&str, Option<&str>),
    store: &Store,
) -> anyhow::Result<String> {
    let key = journal::key(under);
    let object = Object {
        only_if: etag.map_or(OnlyIf::Nothing, OnlyIf::Same),
        ..Object::new(&key, JSON, NOBODYS)
    };
    let bytes = serde_json::to_vec(journal)?;
    match store.put(&object, Content::Bytes(bytes)).await {
        Ok(written) => Ok(written.etag),
        Err(StoreError::Changed(_)) => anyhow::bail!(
            "another run is publishing to {under}: run this again once it is done; if it has died, it has left {key}, which is taken over"
        ),
        Err(error) => Err(error.into()),
    }
}

async fn upload(
    arguments: &Templates,
    changes: &Changes,
    session: &Session,
) -> anyhow::Result<Report> {
    let mut report = Report {
        deleted: changes.gone.clone(),
        ..Report::default()
    };
    let files = || changes.changed.iter().chain(&changes.new);
    let object = |(file, digests): &(Local, Digests)| Uploaded {
        key: file.key.clone(),
        bytes: digests.size,
    };
    report.uploaded = files().map(object).collect();
    let count = report.uploaded.len();
    if session.manner.dry_run || (count == 0 && changes.gone.is_empty()) {
        return Ok(report);
    }
    let step = session
        .progress
        .step(&format!("upload to {}", session.store.bucket()));
    let puts = files().map(|(file, digests)| put(arguments, (file, digests), &session.store));
    let mut puts = stream::iter(puts).buffer_unordered(AT_A_TIME);
    let mut done = 0;
    while let Some(key) = puts.try_next().await? {
        done += 1;
        step.tell(&format!("{done} of {count}, {key}"));
    }
    // Afterwards: a page that is gone may be named by one that was changed.
    let deletes = changes
        .gone
        .iter()
        .map(|key| session.store.delete(key, None));
    let deletes = stream::iter(deletes).buffer_unordered(AT_A_TIME);
    deletes.try_collect::<()>().await?;
    let removed = changes.gone.len();
    step.done(&format!(
        "{count} objects ({}), {removed} removed",
        size(report.bytes())
    ));
    Ok(report)
}

async fn put<'f>(
    arguments: &Templates,
    (file, digests): (&'f Local, &Digests),
    store: &Store,
) -> Result<&'f str, StoreError> {
    let object = Object {
        sha256: Some(&digests.sha256),
        ..Object::new(
            &file.key,
            local::content_type(&file.key),
            &arguments.cache_control,
        )
    };
    store.put(&object, Content::File(&file.path)).await?;
    Ok(&file.key)
}

/// What a cache may hold: what was there before, and what a run that died has changed or removed.
fn known(
    listed: &HashMap<String, Listed>,
    journal: &Journal,
    under: &str,
) -> anyhow::Result<Listing> {
    let note = journal::key(under);
    let keys = listed.keys().chain(journal.changed.keys());
    let keys = keys.filter(|key| !journal.new.contains(*key) && **key != note);
    let under = Item::of_key(under)?;
    Ok(Listing::of_keys(under.as_str(), keys.map(String::as_str))?)
}
