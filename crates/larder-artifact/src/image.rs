//! What is executed: the file on disk, or a sealed copy in memory that nobody can change any more.
//!
//! A copy in memory was verified as it was written and is then sealed, so there is no moment
//! between check and use, and no "text file busy". It costs the function memory of the binary's
//! size, and a program that unpacks itself from its own path (PyInstaller, Nuitka's one-file mode)
//! does not run from it; hence [`ExecMode`].

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use object::{
    Endianness, Object as _, ObjectSection as _,
    read::{ReadCache, elf::ElfFile64},
};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
};

/// Where binaries are executed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecMode {
    /// Memory where the program allows it and is small beside the function's memory, else the disk.
    #[default]
    Auto,
    /// The file on disk.
    Path,
    /// A sealed copy in memory.
    Memfd,
}

/// A text that is none of the modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exec mode is auto, path or memfd")]
pub struct UnknownMode;

impl FromStr for ExecMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "auto" => Ok(Self::Auto),
            "path" => Ok(Self::Path),
            "memfd" => Ok(Self::Memfd),
            _ => Err(UnknownMode),
        }
    }
}

/// A verified program, ready to be executed.
#[derive(Clone, Debug)]
pub enum Image {
    /// The file at this path.
    Path(PathBuf),
    /// A sealed file that has no name.
    Memory(Arc<Sealed>),
}

/// A file in memory that nobody can change any more.
#[derive(Debug)]
pub struct Sealed {
    fd: OwnedFd,
    _share: Option<Share>,
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Bytes of memory that copies may still take. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicU64>);

/// Bytes of a [`Budget`], given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Budget,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// `bytes` of it, if as many are left.
    pub(crate) fn take(&self, bytes: u64) -> Option<Share> {
        let left = |left: u64| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .ok()?;
        Some(Share {
            of: self.clone(),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Image {
    /// The path to give to exec. That of a file in memory works in a child of this process until it
    /// executes: the kernel looks the descriptor up before it closes it.
    #[must_use]
    pub fn exec_path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Memory(file) => PathBuf::from(format!("/proc/self/fd/{}", file.fd.as_raw_fd())),
        }
    }
}

/// A copy in memory while it is written.
#[derive(Debug)]
pub(crate) struct Unsealed {
    file: File,
    share: Option<Share>,
}

impl Unsealed {
    /// An empty one, which takes `share` of the memory that copies may take.
    pub(crate) fn create(share: Option<Share>) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Linux 6.3 wants to be told that it will be executed; before, it did not know the flag.
        let fd =
            memfd_create(c"artifact", flags | MemfdFlags::EXEC).or_else(|error| match error {
                Errno::INVAL => memfd_create(c"artifact", flags),
                other => Err(other),
            })?;
        let file = fd.into();
        Ok(Self { file, share })
    }

    /// Whether it can run from memory at all.
    pub(crate) fn is_self_contained(&self) -> bool {
        is_self_contained(&self.file).unwrap_or(false)
    }

    /// Makes it unchangeable for good, also for this process.
    pub(crate) fn seal(self) -> io::Result<Image> {
        fcntl_add_seals(
            &self.file,
            SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        )?;
        Ok(Image::Memory(Arc::new(Sealed {
            fd: self.file.into(),
            _share: self.share,
        })))
    }
}

impl Write for Unsealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a program finds all of itself in memory. One that unpacks itself looks for its payload
/// by its own path: bytes behind the end that the ELF headers state (Nuitka, AppImage, Deno, Bun),
/// or the section that `PyInstaller` makes. What is no ELF file, a script for one, has to be found
/// by its path as well.
fn is_self_contained(file: &File) -> io::Result<bool> {
    let size = file.metadata()?.len();
    let data = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<Endianness, _>::parse(&data) else {
        return Ok(false);
    };
    let (header, endian) = (elf.elf_header(), elf.endian());
    let table = u64::from(header.e_shentsize.get(endian)) * u64::from(header.e_shnum.get(endian));
    let sections = elf
        .sections()
        .filter_map(|section| section.file_range())
        .map(|(start, length)| start.saturating_add(length));
    let end = sections.fold(header.e_shoff.get(endian).saturating_add(table), u64::max);
    Ok(end >= size && elf.section_by_name("pydata").is_none())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::*;

    #[test]
    fn a_sealed_copy_runs_and_cannot_be_changed() {
        let mut copy = Unsealed::create(None).unwrap();
        copy.write_all(&std::fs::read("/bin/echo").unwrap())
            .unwrap();
        let image = copy.seal().unwrap();

        let output = Command::new(image.exec_path())
            .arg0("echo")
            .arg("hello")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"hello\n");

        let Image::Memory(fd) = image else {
            panic!("in memory")
        };
        assert_eq!(rustix::io::write(&*fd, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&*fd, 0), Err(Errno::PERM));
    }

    #[test]
    fn copies_share_a_budget_and_give_it_back() {
        let budget = Budget::new(100);
        let first = budget.take(60).unwrap();
        assert!(budget.take(60).is_none());
        let second = Unsealed::create(budget.take(40)).unwrap().seal().unwrap();
        drop(first);
        assert!(budget.take(61).is_none());
        drop(second);
        assert!(budget.take(100).is_some());
    }

    #[test]
    fn a_program_that_unpacks_itself_is_noticed() {
        let self_contained = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            is_self_contained(&file).unwrap()
        };
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(self_contained(&program));
        assert!(!self_contained(&[&program, "payload".as_bytes()].concat()));
        assert!(!self_contained(b"#!/bin/sh\necho hello\n"));
        assert!(!self_contained(b""));
    }
}
