//! Getting a verified program onto this machine: from its file, or from the source.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use backon::Retryable as _;
use flate2::write::GzDecoder;
use rustix::io::Errno;

use crate::{
    digest::{self, Mismatch, Sha256, Verifying},
    disk::{self, Fingerprint, Staged},
    error::Error,
    http::{self, Http},
    image::{Budget, ExecMode, Image, Unsealed},
    metadata::{Compression, Release},
};

/// Where a program goes.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) file: PathBuf,
    pub(crate) mode: ExecMode,
    pub(crate) memory: Budget,
}

/// A file that was verified, how to know it again, and what to execute of it.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) sha256: Sha256,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) image: Image,
}

impl Placement {
    /// A copy in memory to be written, if there is to be one.
    fn memory(&self, size: u64) -> Option<Unsealed> {
        let share = match self.mode {
            ExecMode::Path => return None,
            ExecMode::Memfd => None,
            ExecMode::Auto => Some(self.memory.take(size)?),
        };
        Unsealed::create(share).ok()
    }

    /// What to execute: the copy, if it could be made and the program can run from it.
    fn image(&self, copy: Option<Unsealed>) -> Image {
        copy.filter(|copy| self.mode == ExecMode::Memfd || copy.is_self_contained())
            .and_then(|copy| copy.seal().ok())
            .unwrap_or_else(|| Image::Path(self.file.clone()))
    }
}

/// A writer that may have been lost: of the copy in memory, which the file can stand in for.
struct Spare(Option<Unsealed>);

impl Spare {
    fn write_all(&mut self, bytes: &[u8]) {
        if self
            .0
            .as_mut()
            .is_some_and(|copy| copy.write_all(bytes).is_err())
        {
            self.0 = None;
        }
    }
}

impl Write for Spare {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the file that lies in place, whole, and holds it against `size` and `sha256`.
pub(crate) fn verify(placement: &Placement, size: u64, sha256: Sha256) -> io::Result<Verified> {
    let file = disk::open(&placement.file)?;
    let fingerprint = Fingerprint::of(&file)?;
    if fingerprint.size() != size {
        return Err(io::Error::other(Mismatch::Size {
            expected: size,
            got: fingerprint.size(),
        }));
    }
    let mut copy = Verifying::new(Spare(placement.memory(size)), size, sha256);
    digest::copy(&file, &mut copy)?;
    let Spare(copy) = copy.finish().map_err(io::Error::other)?;
    if Fingerprint::of(&file)? != fingerprint {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok(Verified {
        sha256,
        fingerprint,
        image: placement.image(copy),
    })
}

/// Downloads `release` and puts it in place, for the holder of the lock. Returns the bytes that
/// came as well.
pub(crate) async fn download(
    http: &Http,
    release: &Release,
    placement: &Placement,
) -> Result<(Verified, u64), Error> {
    let dir = disk::dir_of(&placement.file);
    let available = disk::free_space(dir).map_err(Error::disk("measure the free space of", dir))?;
    if available < release.size {
        return Err(Error::DiskFull {
            dir: dir.to_owned(),
            size: release.size,
            available,
        });
    }
    let attempt = || fetch(http, release, placement);
    let (copies, downloaded) = attempt
        .retry(http::backoff())
        .when(Error::is_retryable)
        .await?;
    let fingerprint = copies.file.install()?;
    let image = placement.image(copies.memory.0);
    Ok((
        Verified {
            sha256: release.sha256,
            fingerprint,
            image,
        },
        downloaded,
    ))
}

/// Both places that a download goes to.
struct Copies {
    file: Staged,
    memory: Spare,
}

impl Write for Copies {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.memory.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// One try: from a new connection's first byte to verified copies, not in place yet.
async fn fetch(
    http: &Http,
    release: &Release,
    placement: &Placement,
) -> Result<(Copies, u64), Error> {
    let content = |source| Error::Content {
        url: Box::new(release.url.clone()),
        source,
    };
    let mut download = http.open(&release.url).await?;
    if let (Compression::None, Some(got)) = (release.compression, download.length)
        && got != release.size
    {
        // Known to be wrong before a byte of it was written.
        return Err(content(Mismatch::Size {
            expected: release.size,
            got,
        }));
    }
    let copies = Copies {
        file: Staged::executable(&placement.file)?,
        memory: Spare(placement.memory(release.size)),
    };
    let mut verifying = Verifying::new(copies, release.size, release.sha256);
    let failed = |error| write_error(error, release, placement);
    let broke_off = |count| Error::BrokeOff {
        url: Box::new(release.url.clone()),
        got: count,
    };
    let (verifying, count) = match release.compression {
        Compression::None => {
            let count = download.copy_to(&mut verifying).await?.map_err(failed)?;
            (verifying, count)
        }
        Compression::Gzip => {
            let mut unpacking = GzDecoder::new(verifying);
            let count = download.copy_to(&mut unpacking).await?.map_err(failed)?;
            // The decoder has one error for a stream that was cut and for one that is corrupt.
            if let Err(error) = unpacking.try_finish() {
                let is_cut = download.is_open_ended && unpacking.get_ref().is_beginning();
                return Err(if is_cut {
                    broke_off(count)
                } else {
                    failed(error)
                });
            }
            (unpacking.finish().map_err(failed)?, count)
        }
    };
    let verified = verifying.finish().map_err(|mismatch| match mismatch {
        Mismatch::Size { expected, got } if download.is_open_ended && got < expected => {
            broke_off(count)
        }
        mismatch => content(mismatch),
    });
    Ok((verified?, count))
}

/// Tells what a failed write means: the wrong bytes, a full disk, a broken stream, or a broken
/// disk.
fn write_error(error: io::Error, release: &Release, placement: &Placement) -> Error {
    let url = Box::new(release.url.clone());
    if let Some(mismatch) = error
        .get_ref()
        .and_then(|source| source.downcast_ref::<Mismatch>())
    {
        return Error::Content {
            url,
            source: *mismatch,
        };
    }
    let dir = disk::dir_of(&placement.file);
    match Errno::from_io_error(&error) {
        _ if disk::is_full(&error) => {
            let available = disk::free_space(dir).unwrap_or_default();
            Error::DiskFull {
                dir: dir.to_owned(),
                size: release.size,
                available,
            }
        }
        None if release.compression == Compression::Gzip => {
            Error::Compression { url, source: error }
        }
        _ => Error::disk("write to", dir)(error),
    }
}
