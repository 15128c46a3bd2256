//! The objects of a release: what is in each, and whether it is there already.

use anyhow::{Context as _, bail};
use cdn::release::Release;
use larder_artifact::Compression;
use tempfile::NamedTempFile;

use crate::{
    binary::{Given, Program},
    digest::{Digests, of_file},
    metadata::Build,
    report::size,
    store::{Content, Found, IMMUTABLE, Object, OnlyIf, PROGRAM, Store, StoreError},
};

/// A program that can be uploaded.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) build: Build,
    program: Program,
    packed: Option<NamedTempFile>,
    /// Of the object, which may be packed.
    object: Digests,
}

/// Reads all programs through, the one first that readers get which know of one platform only.
pub(super) async fn ready(
    given: &[Given],
    gzip: bool,
    (release, version): (Release<'_>, &str),
) -> anyhow::Result<Vec<Ready>> {
    let mut given = given.to_vec();
    if let Some(plain) = given.iter().position(|given| given.platform.is_none())
        && let Some(first) = given.get_mut(..=plain)
    {
        first.rotate_right(1);
    }
    let mut all: Vec<Ready> = Vec::new();
    for given in given {
        let read = tokio::task::spawn_blocking(move || read(&given, gzip));
        let (program, packed, object) = read.await??;
        let platform = program.platform.name();
        if all
            .iter()
            .any(|ready| ready.program.platform == program.platform)
        {
            bail!("two of --binary are for {platform}: give one for each platform");
        }
        let key = if all.is_empty() {
            release.versioned(version)
        } else {
            release.versioned(&format!("{version}-{platform}"))
        };
        let build = Build {
            platform: platform.to_owned(),
            sha256: program.digests.sha256.clone(),
            size: program.digests.size,
            compression: if gzip {
                Compression::Gzip
            } else {
                Compression::None
            },
            key,
        };
        all.push(Ready {
            build,
            program,
            packed,
            object,
        });
    }
    Ok(all)
}

type Read = (Program, Option<NamedTempFile>, Digests);

fn read(given: &Given, gzip: bool) -> anyhow::Result<Read> {
    let program = Program::read(given)?;
    if !gzip {
        let digests = program.digests.clone();
        return Ok((program, None, digests));
    }
    let packed = program.pack()?;
    let digests = of_file(packed.path(), false).context("what was packed cannot be read")?;
    Ok((program, Some(packed), digests))
}

impl Ready {
    /// In a few words.
    pub(super) fn told(all: &[Self]) -> String {
        let each = all.iter().map(|ready| {
            let Build { platform, .. } = &ready.build;
            match ready.packed {
                None => format!("{platform}, {}", size(ready.object.size)),
                Some(_) => format!(
                    "{platform}, {}, packed {}",
                    size(ready.build.size),
                    size(ready.object.size)
                ),
            }
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

/// Where a program goes.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) ready: &'a Ready,
    pub(super) key: String,
    pub(super) cache_control: &'static str,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It was written, with so many bytes.
    Uploaded(u64),
    /// It was there.
    There,
}

impl Placed {
    pub(super) fn told(self, dry_run: bool) -> &'static str {
        match (self, dry_run) {
            (Self::There, _) => "there already",
            (Self::Uploaded(_), false) => "uploaded",
            (Self::Uploaded(_), true) => "would be uploaded",
        }
    }
}

impl Place<'_> {
    pub(super) fn told(&self) -> String {
        format!("{} ({})", self.key, size(self.ready.object.size))
    }

    /// Uploads it, unless it is there.
    pub(super) async fn place(&self, store: &Store, dry_run: bool) -> anyhow::Result<Placed> {
        if self.is_there(store).await? {
            return Ok(Placed::There);
        }
        if dry_run {
            return Ok(Placed::Uploaded(self.ready.object.size));
        }
        let Ready {
            build,
            packed,
            program,
            object: digests,
        } = self.ready;
        let object = Object {
            sha256: Some(&build.sha256),
            compression: build.compression,
            ..Object::new(&self.key, PROGRAM, self.cache_control)
        };
        if !self.never_changes() {
            // What is there under its version does not have to be sent again.
            store.copy(&build.key, &object, digests.size).await?;
            return Ok(Placed::Uploaded(digests.size));
        }
        let object = Object {
            only_if: OnlyIf::Nothing,
            ..object
        };
        let packed = packed.as_ref().map(NamedTempFile::path);
        let path = packed.unwrap_or(&program.path);
        match store.put(&object, Content::File(path)).await {
            Ok(written) => Ok(Placed::Uploaded(written.size)),
            // By another run; or by this one, whose answer was lost and which tried again.
            Err(StoreError::Changed(key)) => {
                let is_there = self.is_there(store).await?;
                anyhow::ensure!(
                    is_there,
                    "{key} is being written by another run: run this again"
                );
                Ok(Placed::There)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn never_changes(&self) -> bool {
        self.cache_control == IMMUTABLE
    }

    /// Whether it is there. A version that is there with other bytes is an error.
    async fn is_there(&self, store: &Store) -> anyhow::Result<bool> {
        let Some(found) = store.find(&self.key).await? else {
            return Ok(false);
        };
        let Ready { build, object, .. } = self.ready;
        let Found {
            size,
            sha256,
            compression,
            ..
        } = &found;
        let is_same = match sha256 {
            Some(sha256) => *sha256 == build.sha256,
            // Whoever uploaded it did not say: it has to be read.
            None if *size == object.size => {
                let read = store.sha256(&self.key).await?;
                return self.judge(read.as_ref() == Some(&object.sha256), true);
            }
            None => false,
        };
        self.judge(is_same, *compression == build.compression)
    }

    fn judge(&self, is_same: bool, is_packed_alike: bool) -> anyhow::Result<bool> {
        let key = &self.key;
        match (is_same, is_packed_alike, self.never_changes()) {
            (true, true, _) => Ok(true),
            (_, _, false) => Ok(false),
            (true, false, true) if self.ready.packed.is_some() => {
                bail!(
                    "{key} is there already and not packed, and a version never changes: leave out --gzip, or publish a new version"
                )
            }
            (true, false, true) => {
                bail!(
                    "{key} is there already and packed, and a version never changes: give --gzip, or publish a new version"
                )
            }
            (false, _, true) => {
                bail!(
                    "{key} is there already with other bytes, and a version never changes: publish these as a new version"
                )
            }
        }
    }
}
