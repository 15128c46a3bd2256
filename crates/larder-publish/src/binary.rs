//! A monitor's program before it is published: what it is, what it runs on, and the same packed.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use flate2::{Compression, write::GzEncoder};
use object::{
    Endianness,
    elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64},
    read::{ReadCache, elf::FileHeader as _},
};
use tempfile::NamedTempFile;

use crate::digest::{Digests, of_file};

/// The largest program that monitor-runner takes unless it is told otherwise (`MAX_ARTIFACT_BYTES`).
pub(crate) const MAX_SIZE: u64 = 256 << 20;

/// What a program can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    X86,
    Arm,
}

impl Platform {
    /// As metadata names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86 => "linux-x86_64",
            Self::Arm => "linux-aarch64",
        }
    }

    /// What to build for, as `cargo build --target` has it.
    const fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => "aarch64-unknown-linux-gnu",
        }
    }
}

impl FromStr for Platform {
    type Err = String;

    /// As others spell the same machines, too.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "linux-x86_64" | "linux-amd64" | "linux-x64" => Ok(Self::X86),
            "linux-aarch64" | "linux-arm64" => Ok(Self::Arm),
            _ => Err(format!(
                "{text:?} is no platform: linux-x86_64 or linux-aarch64"
            )),
        }
    }
}

/// A file and what it has to run on, as arguments say: `[PLATFORM=]FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) platform: Option<Platform>,
    pub(crate) path: PathBuf,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (platform, path) = match text.split_once('=') {
            Some((platform, path)) if !platform.contains('/') => (Some(platform.parse()?), path),
            _ => (None, text),
        };
        if path.is_empty() {
            return Err("a file's path is missing".to_owned());
        }
        Ok(Self {
            platform,
            path: path.into(),
        })
    }
}

/// A program that can be published.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) platform: Platform,
    pub(crate) digests: Digests,
}

/// A file cannot be published as a monitor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BinaryError {
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    #[error(
        "{path} has {size} bytes, and a monitor has from 1 to {MAX_SIZE}: strip its symbols, or leave out what it does not need"
    )]
    Size { path: PathBuf, size: u64 },
    #[error(
        "{0} is {1}, and monitors are programs for Linux: build it with `cargo build --release --target {2}`"
    )]
    NoProgram(PathBuf, &'static str, &'static str),
    #[error(
        "{0} is for {1}, and {2} was asked for: build it with `cargo build --release --target {3}`, or say --binary {1}=FILE"
    )]
    Elsewhere(PathBuf, &'static str, &'static str, &'static str),
    #[error(
        "{0} is for a machine that Lambda does not have: build it with `cargo build --release --target {1}`"
    )]
    Machine(PathBuf, &'static str),
    #[error("{0} cannot be packed")]
    Packing(PathBuf, #[source] io::Error),
}

impl Program {
    /// Reads the file through, in pieces.
    pub(crate) fn read(given: &Given) -> Result<Self, BinaryError> {
        let Given { platform, path } = given;
        let unreadable = |error| BinaryError::Unreadable(path.clone(), error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            let error = io::Error::other("it is not a file");
            return Err(unreadable(error));
        }
        if metadata.len() == 0 || metadata.len() > MAX_SIZE {
            return Err(BinaryError::Size {
                path: path.clone(),
                size: metadata.len(),
            });
        }
        let found = platform_of(&file, path, platform.unwrap_or(Platform::Arm))?;
        if let Some(wanted) = platform.filter(|wanted| *wanted != found) {
            let (found, target) = (found.name(), wanted.target());
            return Err(BinaryError::Elsewhere(
                path.clone(),
                found,
                wanted.name(),
                target,
            ));
        }
        Ok(Self {
            path: path.clone(),
            platform: found,
            digests: of_file(path, false).map_err(unreadable)?,
        })
    }

    /// The same as one gzip stream, in a file that ends with the value.
    pub(crate) fn pack(&self) -> Result<NamedTempFile, BinaryError> {
        let failed = |error| BinaryError::Packing(self.path.clone(), error);
        let from = File::open(&self.path).map_err(failed)?;
        let mut to = NamedTempFile::new().map_err(failed)?;
        let written = gzip(from, BufWriter::new(to.as_file_mut()));
        written.and_then(|mut file| file.flush()).map_err(failed)?;
        Ok(to)
    }
}

/// `bytes` as one gzip stream.
pub fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    gzip(bytes, Vec::new())
}

fn gzip<W: io::Write>(mut from: impl io::Read, to: W) -> io::Result<W> {
    let mut packed = GzEncoder::new(to, Compression::default());
    io::copy(&mut from, &mut packed)?;
    packed.finish()
}

/// What an ELF file says that it runs on. Of what is no program for Linux it is said what it is.
fn platform_of(file: &File, path: &Path, wanted: Platform) -> Result<Platform, BinaryError> {
    let none = |what| BinaryError::NoProgram(path.to_owned(), what, wanted.target());
    let data = ReadCache::new(file);
    let header = FileHeader64::<Endianness>::parse(&data);
    let Ok((header, endian)) = header.and_then(|header| Ok((header, header.endian()?))) else {
        return Err(none(kind(file)));
    };
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(none("an ELF file that is no program"));
    }
    match (header.e_machine(endian), header.is_little_endian()) {
        (EM_X86_64, true) => Ok(Platform::X86),
        (EM_AARCH64, true) => Ok(Platform::Arm),
        _ => Err(BinaryError::Machine(path.to_owned(), wanted.target())),
    }
}

/// What a file is that is no ELF file of 64 bits, by how it begins.
fn kind(file: &File) -> &'static str {
    use std::os::unix::fs::FileExt as _;

    let mut first = [0; 4];
    let count = file.read_at(&mut first, 0).unwrap_or_default();
    match first.get(..count).unwrap_or_default() {
        [b'#', b'!', ..] => "a script",
        [0x7f, b'E', b'L', b'F'] => "a damaged program, or one of 32 bits",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe] => "a program for macOS",
        [b'M', b'Z', ..] => "a program for Windows",
        [b'P', b'K', ..] => "a ZIP archive",
        [0x1f, 0x8b, ..] => "packed with gzip already",
        _ => "no ELF file",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn given(platform: Option<Platform>, bytes: &[u8]) -> (NamedTempFile, Given) {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let path = file.path().to_owned();
        (file, Given { platform, path })
    }

    /// The beginning of a program, which is all that is looked at.
    fn elf(machine: u8) -> Vec<u8> {
        let mut elf = vec![0; 64];
        elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        (elf[16], elf[18], elf[20]) = (3, machine, 1);
        elf
    }

    #[test]
    fn a_program_says_what_it_runs_on() {
        for (machine, platform) in [(62, Platform::X86), (183, Platform::Arm)] {
            let (_file, given) = given(None, &elf(machine));
            let program = Program::read(&given).unwrap();
            assert_eq!((program.platform, program.digests.size), (platform, 64));
        }
        let (_file, riscv) = given(None, &elf(243));
        let told = Program::read(&riscv).unwrap_err().to_string();
        assert!(
            told.contains("a machine that Lambda does not have"),
            "{told}"
        );
        let this = Given {
            platform: None,
            path: std::env::current_exe().unwrap(),
        };
        let program = Program::read(&this).unwrap();
        assert_eq!(program.platform.name(), larder_artifact::platform());
    }

    #[test]
    fn what_is_none_for_the_stated_platform_is_refused_with_the_remedy() {
        let (_file, wrong) = given(Some(Platform::Arm), &elf(62));
        let told = Program::read(&wrong).unwrap_err().to_string();
        assert!(
            told.ends_with(
                "is for linux-x86_64, and linux-aarch64 was asked for: build it with `cargo build --release --target \
                 aarch64-unknown-linux-gnu`, or say --binary linux-x86_64=FILE"
            ),
            "{told}"
        );
        for (bytes, said) in [
            (&b"#!/bin/sh\necho hello\n"[..], "a script"),
            (&b"\xcf\xfa\xed\xfe\0\0\0\0"[..], "a program for macOS"),
            (&b"MZ\0\0"[..], "a program for Windows"),
            (&b"\x1f\x8b\x08"[..], "packed with gzip already"),
            (&b"\x7fELF\x01\x01"[..], "damaged"),
            (&b"x"[..], "no ELF file"),
            (&b""[..], "has 0 bytes"),
        ] {
            let (_file, given) = given(None, bytes);
            let told = Program::read(&given).unwrap_err().to_string();
            assert!(told.contains(said), "{told}");
        }
    }

    #[test]
    fn what_is_packed_is_the_same_unpacked() {
        let (_file, given) = given(None, &elf(62));
        let program = Program::read(&given).unwrap();
        let packed = program.pack().unwrap();
        let mut unpacked = Vec::new();
        let packed = File::open(packed.path()).unwrap();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, elf(62));
    }

    #[test]
    fn arguments_name_a_platform_or_none() {
        let of = |text: &str| text.parse::<Given>();
        assert_eq!(of("a/b=c").unwrap().platform, None);
        assert_eq!(of("linux-arm64=a/b").unwrap().platform, Some(Platform::Arm));
        assert!(of("darwin-arm64=a").unwrap_err().contains("linux-x86_64"));
        assert!(of("linux-x64=").is_err());
    }
}
