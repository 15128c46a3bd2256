//! Files: opened without following links, replaced in one step, known again by their inode's state.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};
use tempfile::{NamedTempFile, TempPath};

use crate::error::Error;

/// Opens a regular file for reading. In a shared directory a link may lead anywhere, so none is
/// followed.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_follow())
        .open(path)?;
    regular(file)
}

pub(crate) fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

pub(crate) fn no_follow() -> i32 {
    // O_NONBLOCK: opening a FIFO that somebody put there must not wait for its writer.
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// What tells one state of a file from another without reading it. The change time cannot be set
/// back by whoever may write the file, as the modification time can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The file at `path` itself, never what a link there points to.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        path.symlink_metadata().map(|metadata| Self::new(&metadata))
    }

    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::new(&metadata))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn new(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A new file on its way to `target`. It is a temporary beside it until [`Staged::install`];
/// dropped before, it is removed, and a process that is killed leaves it for [`remove_leftovers`].
#[derive(Debug)]
pub(crate) struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// A file that will be executable by its owner alone.
    pub(crate) fn executable(target: &Path) -> Result<Self, Error> {
        Self::create(target, 0o500)
    }

    /// A file that its owner alone may read and write.
    pub(crate) fn private(target: &Path) -> Result<Self, Error> {
        Self::create(target, 0o600)
    }

    fn create(target: &Path, mode: u32) -> Result<Self, Error> {
        let (dir, name) = split(target);
        let file = tempfile::Builder::new()
            .prefix(&leftover_prefix(name))
            .suffix(LEFTOVER_SUFFIX)
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(dir)
            .map_err(Error::disk("create a file in", dir))?;
        Ok(Self {
            file,
            target: target.to_owned(),
        })
    }

    /// Puts the file in place of what was at the target, in one step, and says how to know it
    /// again.
    pub(crate) fn install(self) -> Result<Fingerprint, Error> {
        let Self { file, target } = self;
        let failed = |source| Error::disk("install", &target)(source);
        let (file, temporary): (File, TempPath) = file.into_parts();
        temporary
            .persist(&target)
            .map_err(|error| failed(error.error))?;
        // After the rename, which changes the inode's change time.
        Fingerprint::of(&file).map_err(failed)
    }
}

impl io::Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The file itself, since its wrapper puts the path into an error and loses the number.
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

const LEFTOVER_SUFFIX: &str = ".part";

fn leftover_prefix(name: &str) -> String {
    // A dot, which no artifact's name has: what begins with one name may be another's.
    format!(".{name}.")
}

fn split(target: &Path) -> (&Path, &str) {
    (
        dir_of(target),
        target
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("artifact"),
    )
}

/// The directory that `target` lies in.
pub(crate) fn dir_of(target: &Path) -> &Path {
    target.parent().unwrap_or_else(|| Path::new("."))
}

/// Removes what killed processes left half-written on the way to `target`. Only for the holder of
/// its lock: then nobody else can be writing.
pub(crate) fn remove_leftovers(target: &Path) {
    let (dir, name) = split(target);
    let prefix = leftover_prefix(name);
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let left_over = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(&prefix)
                .is_some_and(|rest| rest.ends_with(LEFTOVER_SUFFIX))
        });
        if left_over && std::fs::remove_file(entry.path()).is_ok() {
            tracing::debug!(path = %entry.path().display(), "Removed a half-written file that a killed process left");
        }
    }
}

/// Whether there was no room, be it on the device, within a quota or within the longest file allowed.
pub(crate) fn is_full(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
}

/// Bytes that an unprivileged process may still write in `dir`.
pub(crate) fn free_space(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use super::*;

    #[test]
    fn a_staged_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("tool");
        std::fs::write(&target, "old").unwrap();

        let mut staged = Staged::executable(&target).unwrap();
        staged.write_all(b"half").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        drop(staged);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left behind"
        );

        let mut staged = Staged::executable(&target).unwrap();
        staged.write_all(b"new").unwrap();
        let fingerprint = staged.install().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(fingerprint, Fingerprint::of_path(&target).unwrap());
        assert_eq!(
            target.metadata().unwrap().permissions().mode() & 0o777,
            0o500
        );
    }

    #[test]
    fn a_changed_file_has_another_fingerprint_even_with_its_times_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        std::fs::write(&path, "aaaa").unwrap();
        let before = Fingerprint::of_path(&path).unwrap();
        let modified = path.metadata().unwrap().modified().unwrap();

        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&path, "bbbb").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();

        let after = Fingerprint::of_path(&path).unwrap();
        assert_eq!((after.size, after.modified), (before.size, before.modified));
        assert_ne!(after, before);
    }

    #[test]
    fn only_this_targets_leftovers_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ".tool.Ab3.part",
            ".tool.x",
            ".other.Ab3.part",
            ".tool-eu.Ab3.part",
            "tool",
            ".tool.Ab3.part.txt",
        ];
        for file in files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        remove_leftovers(&dir.path().join("tool"));
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                ".other.Ab3.part",
                ".tool-eu.Ab3.part",
                ".tool.Ab3.part.txt",
                ".tool.x",
                "tool"
            ]
        );
    }
}
