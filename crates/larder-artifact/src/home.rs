//! Empty directories for children to work in, and for what is not to stay.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const PREFIX: &str = ".run-";

/// Nobody but the owner may look into one.
const MODE: u32 = 0o700;

/// Makes directories and takes them back. One that comes back as empty as it was given is given
/// again, since to make and remove one costs as much as a round trip to the network.
#[derive(Debug)]
pub struct Homes {
    dir: PathBuf,
    free: Mutex<Vec<Home>>,
}

/// A directory that is removed with this, and all in it. Its lock tells other processes that somebody
/// still uses it.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    lock: File,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.dir) {
            tracing::warn!(path = %self.dir.display(), %error, "Could not remove what a child left");
        }
    }
}

impl Homes {
    /// Directories inside `dir`, which exists. They are removed with this; those that a killed
    /// process left in `dir` are removed now.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        remove_abandoned(&dir);
        Self {
            dir,
            free: Mutex::default(),
        }
    }

    /// An empty directory that nobody else uses.
    pub fn take(&self) -> io::Result<Home> {
        let free = self.locked().pop();
        free.map_or_else(|| Home::create(&self.dir), Ok)
    }

    /// Takes `home` back, or removes it with all that its child left there.
    pub(crate) fn put_back(&self, home: Home) {
        if home.is_untouched().unwrap_or(false) {
            self.locked().push(home);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Home>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home {
    fn create(dir: &Path) -> io::Result<Self> {
        // Another process that starts just now may take the new directory for an abandoned one.
        Self::try_create(dir).or_else(|_| Self::try_create(dir))
    }

    fn try_create(dir: &Path) -> io::Result<Self> {
        let permissions = Permissions::from_mode(MODE);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(permissions)
            .tempdir_in(dir)?;
        let lock = File::open(dir.path())?;
        lock.try_lock()?;
        let dir = dir.keep();
        let home = Self { dir, lock };
        if home.is_untouched()? {
            Ok(home)
        } else {
            Err(io::Error::other("a new directory was taken away"))
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether it is still the same directory, as private as before, with nothing in it.
    fn is_untouched(&self) -> io::Result<bool> {
        let (there, ours) = (self.path().symlink_metadata()?, self.lock.metadata()?);
        let same = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        let private = there.permissions().mode() & 0o7777 == MODE;
        Ok(same && private && self.path().read_dir()?.next().is_none())
    }
}

/// Removes the directories in `dir` that no process holds.
fn remove_abandoned(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let is_home = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_home
            && let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
            && remove(&entry.path()).is_ok()
        {
            tracing::debug!(path = %entry.path().display(), "Removed what a killed process left");
        }
    }
}

/// Removes a directory and all in it, also where a child took its own right to write away.
fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(dir)?;
            std::fs::remove_dir_all(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Follows no link: each entry's own type counts. Without recursion, since a child says how deep.
fn make_writable(dir: &Path) -> io::Result<()> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        std::fs::set_permissions(&dir, Permissions::from_mode(MODE))?;
        for entry in dir.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_is_given_again_and_a_used_one_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path());
        let given = |homes: &Homes| {
            let home = homes.take().unwrap();
            let path = home.path().to_owned();
            (home, path)
        };
        let (home, first) = given(&homes);
        homes.put_back(home);

        let (home, again) = given(&homes);
        assert_eq!(again, first);
        std::fs::create_dir(again.join("sub")).unwrap();
        std::fs::write(again.join("sub/file"), "x").unwrap();
        homes.put_back(home);
        assert!(!first.exists());

        let (home, second) = given(&homes);
        std::fs::set_permissions(&second, Permissions::from_mode(0o755)).unwrap();
        homes.put_back(home);
        assert!(
            !second.exists(),
            "one that others could look into is not given again"
        );

        let (home, third) = given(&homes);
        std::fs::remove_dir(&third).unwrap();
        std::os::unix::fs::symlink("/", &third).unwrap();
        homes.put_back(home);
        assert_ne!(given(&homes).1, third, "nor what a child put in its place");
        drop(homes);
        assert_eq!(
            dir.path()
                .read_dir()
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().is_dir()
                    && !entry.as_ref().unwrap().path().is_symlink())
                .count(),
            0
        );
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let abandoned = dir.path().join(".run-abandoned");
        std::fs::create_dir(&abandoned).unwrap();
        std::fs::write(abandoned.join("file"), "x").unwrap();
        let unrelated = dir.path().join("run-of-another");
        std::fs::create_dir(&unrelated).unwrap();

        let first = Homes::new(dir.path());
        assert!(!abandoned.exists());
        let home = first.take().unwrap();
        let _second = Homes::new(dir.path());
        assert!(home.path().exists());
        assert!(unrelated.exists());
    }

    #[test]
    fn a_directory_that_may_not_be_written_to_is_removed_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path());
        let home = homes.take().unwrap();
        let (path, outside) = (home.path().to_owned(), dir.path().join("outside"));
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/file"), "x").unwrap();
        std::fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("a/link")).unwrap();
        for sealed in ["a/b", "a"] {
            std::fs::set_permissions(path.join(sealed), Permissions::from_mode(0o500)).unwrap();
        }
        // What root may remove anyway is made writable for everybody else.
        make_writable(&path).unwrap();
        let mode = path.join("a/b").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        homes.put_back(home);
        assert!(!path.exists() && outside.exists());
    }
}
