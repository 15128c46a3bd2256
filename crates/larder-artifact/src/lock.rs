//! A lock between processes, on a file of its own.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    disk::{dir_of, no_follow, regular},
    error::Error,
};

/// How long to wait between two tries for a lock. A file lock has no asynchronous wait.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// An exclusive lock between processes, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// The lock file at `path`, made if need be; `None` if another process holds it. What lies there and is
    /// no file, such as a link, is replaced.
    pub(crate) fn try_acquire(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |source| Error::disk("open the lock file", path)(source);
        let file = match Self::open(path) {
            Ok(file) => file,
            Err(error) if is_file(path).unwrap_or(true) => return Err(failed(error)),
            Err(_) => {
                if !make_way(path).map_err(Error::disk("replace the lock file", path))? {
                    return Ok(None);
                }
                Self::open(path).map_err(failed)?
            }
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::disk("lock", path)(source)),
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.custom_flags(no_follow()).open(path)?;
        regular(file)
    }

    /// Waits for the lock file at `path` until `deadline`.
    pub(crate) async fn acquire(path: &Path, deadline: Instant) -> Result<Self, Error> {
        let began = Instant::now();
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let doing = "get the lock that another process holds while it downloads";
                return Err(Error::Timeout {
                    doing,
                    time: began.elapsed(),
                });
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }
}

/// Whether a file lies at `path`, itself and not by a link.
fn is_file(path: &Path) -> io::Result<bool> {
    Ok(path.symlink_metadata()?.is_file())
}

/// Removes what lies at `path` and is no file; `false` if another process is about to. Under a lock of the
/// directory: else one might remove the lock file that the other has just made and holds.
fn make_way(path: &Path) -> io::Result<bool> {
    let dir = File::open(dir_of(path))?;
    match dir.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let removed = match path.symlink_metadata() {
        Ok(there) if there.is_file() => Ok(()),
        Ok(there) if there.is_dir() => std::fs::remove_dir(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        removed => removed.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_waited_for_and_given_up_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let soon = || Instant::now() + Duration::from_millis(60);
        let held = Lock::acquire(&path, soon()).await.unwrap();
        assert!(matches!(
            Lock::acquire(&path, soon()).await,
            Err(Error::Timeout { .. })
        ));
        drop(held);
        Lock::acquire(&path, soon()).await.unwrap();
    }

    #[test]
    fn replaces_a_lock_file_that_became_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        let replacements: [(&str, &dyn Fn()); 4] = [
            ("a link", &|| {
                std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            }),
            ("a link to nothing", &|| {
                std::os::unix::fs::symlink(dir.path().join("nothing"), &path).unwrap();
            }),
            ("a directory", &|| std::fs::create_dir(&path).unwrap()),
            ("a socket", &|| {
                std::os::unix::net::UnixListener::bind(&path).unwrap();
            }),
        ];
        for (what, put) in replacements {
            put();
            let held = Lock::try_acquire(&path).unwrap();
            assert!(held.is_some() && is_file(&path).unwrap(), "{what}");
            assert!(Lock::try_acquire(&path).unwrap().is_none(), "{what}");
            assert_eq!(std::fs::read(&elsewhere).unwrap(), b"", "{what}");
            assert!(!dir.path().join("nothing").exists(), "{what}");
            drop(held);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn never_removes_a_lock_file_that_another_has_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = Lock::try_acquire(&path).unwrap().unwrap();
        assert!(make_way(&path).unwrap() && path.exists());
        let busy = File::open(dir.path()).unwrap();
        busy.try_lock().unwrap();
        std::os::unix::fs::symlink("x", dir.path().join("link")).unwrap();
        assert!(
            Lock::try_acquire(&dir.path().join("link"))
                .unwrap()
                .is_none()
        );
    }
}
