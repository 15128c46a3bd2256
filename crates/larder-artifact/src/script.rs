//! Programs that another program has to start: why they cannot be started, in words that name it.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use object::{
    Endianness,
    read::{
        ReadCache,
        elf::{ElfFile64, ProgramHeader as _},
    },
};

use crate::image::Image;

/// How much of a script the kernel reads in search of its interpreter (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;

/// Fails for a script in memory: its interpreter opens it by its path, when the descriptor is closed.
pub(crate) fn refuse_in_memory(image: &Image) -> io::Result<()> {
    let Image::Memory(sealed) = image else {
        return Ok(());
    };
    let mut begin = [0; 2];
    let read = rustix::io::pread(&**sealed, &mut begin, 0)?;
    if read == begin.len() && begin == *b"#!" {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it is a script, which cannot run from memory, since its interpreter opens it by its path: \
             set the exec mode (EXEC_MODE) to auto or path",
        ));
    }
    Ok(())
}

/// Says what is missing, where a program that is there was not found.
pub(crate) fn explain(image: &Image, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let told = carriage_return(image).or_else(|| match image {
        Image::Path(path) => missing(path),
        Image::Memory(_) => None,
    });
    told.map_or(error, |told| io::Error::new(io::ErrorKind::NotFound, told))
}

/// Says that the line that names a script's interpreter has a carriage return, if it has.
pub(crate) fn carriage_return(image: &Image) -> Option<String> {
    let Image::Path(path) = image else {
        return None;
    };
    let line = interpreter_line(path)?;
    line.ends_with('\r').then(|| {
        format!(
            "its first line names the interpreter {line:?}, with a carriage return at its end, as files with \
             Windows line endings have it; publish it with Unix line endings"
        )
    })
}

/// The interpreter or loader that a program names and that is not there.
fn missing(path: &Path) -> Option<String> {
    let named = match interpreter_line(path) {
        Some(line) => line.split([' ', '\t']).next()?.to_owned(),
        None => loader(path)?,
    };
    let is_there = Path::new(&named).exists();
    (!is_there).then(|| {
        format!("it needs {named:?} to be started, which is not on this machine; publish one that does not")
    })
}

/// What follows `#!` on the first line, without the blanks around.
fn interpreter_line(path: &Path) -> Option<String> {
    let mut begin = Vec::new();
    let most = u64::try_from(FIRST_LINE).ok()?;
    let file = File::open(path).ok()?;
    file.take(most).read_to_end(&mut begin).ok()?;
    let line = begin
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    Some(line.trim_matches([' ', '\t']).to_owned())
}

/// The loader of a program that is linked dynamically.
fn loader(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let data = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&data).ok()?;
    let endian = elf.endian();
    let mut headers = elf.elf_program_headers().iter();
    let loader = headers.find_map(|header| header.interpreter(endian, &data).ok()?)?;
    let loader = std::ffi::OsStr::from_bytes(loader);
    Some(loader.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn not_found() -> io::Error {
        io::ErrorKind::NotFound.into()
    }

    #[test]
    fn names_the_interpreter_and_its_carriage_return() {
        for (script, named) in [
            (&b"#!/bin/sh\r\necho\r\n"[..], "\"/bin/sh\\r\""),
            (b"#! /usr/bin/env bash\r\n", "\"/usr/bin/env bash\\r\""),
            (b"#!/bin/sh\r", "\"/bin/sh\\r\""),
        ] {
            let script = file(script);
            let image = Image::Path(script.path().to_owned());
            let told = explain(&image, not_found()).to_string();
            assert!(
                told.contains(named) && told.contains("carriage return"),
                "{told}"
            );
        }
    }

    #[test]
    fn names_an_interpreter_or_loader_that_is_not_there() {
        let script = file(b"#!/no/such/python3 -u\nprint()\n");
        let image = Image::Path(script.path().to_owned());
        let told = explain(&image, not_found()).to_string();
        assert!(told.contains("needs \"/no/such/python3\""), "{told}");

        let program = std::env::current_exe().unwrap();
        if let Some(named) = loader(&program) {
            let mut bytes = std::fs::read(&program).unwrap();
            let at = bytes
                .windows(named.len())
                .position(|at| at == named.as_bytes());
            let at = at.unwrap();
            bytes[at..at + 3].copy_from_slice(b"/no");
            let elsewhere = file(&bytes);
            let image = Image::Path(elsewhere.path().to_owned());
            let told = explain(&image, not_found()).to_string();
            assert!(told.contains("needs \"/no"), "{told}");
        }
    }

    #[test]
    fn leaves_other_errors_as_they_are() {
        let plain = file(b"#!/bin/sh\n");
        let image = Image::Path(plain.path().to_owned());
        assert!(explain(&image, not_found()).get_ref().is_none());
        let denied = explain(&image, io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(carriage_return(&image), None);
    }
}
