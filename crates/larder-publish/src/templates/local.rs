//! The files of a folder: which are published, under which keys, and which cannot be.

use std::{
    io,
    path::{Path, PathBuf},
};

use cdn::Item;

use super::journal;

/// More files than any folder of templates has.
const MOST_FILES: usize = 100_000;
/// Folders within folders.
const DEEPEST: usize = 64;
/// The longest key of S3, in bytes.
const LONGEST_KEY: usize = 1_024;
/// How many problems are told at once.
const TOLD: usize = 20;
/// The one hidden folder that is there to be published.
const WELL_KNOWN: &str = ".well-known";

/// A file that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) key: String,
    pub(super) path: PathBuf,
}

/// What there is in a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// In the order of their keys.
    pub(super) files: Vec<Local>,
    /// How many files and folders begin with a dot, and are left out.
    pub(super) hidden: usize,
}

/// The folder cannot be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{0} is not a folder")]
    NoFolder(PathBuf),
    #[error("{}", told(.0))]
    Refused(Vec<String>),
    #[error(
        "{0} has more than {MOST_FILES} files, or folders more than {DEEPEST} deep: is it the right one?"
    )]
    TooMany(PathBuf),
}

fn told(problems: &[String]) -> String {
    let shown: Vec<_> = problems.iter().take(TOLD).map(String::as_str).collect();
    let more = match problems.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    format!(
        "nothing was uploaded, because of\n  {}{more}",
        shown.join("\n  ")
    )
}

struct Walk {
    root: PathBuf,
    under: String,
    found: Folder,
    problems: Vec<String>,
}

/// All files below `dir`, with their keys below `under`. Links within the folder are followed to files, and nothing out of it.
pub(super) fn walk(dir: &Path, under: &str) -> Result<Folder, LocalError> {
    let unreadable = |error| LocalError::Unreadable(dir.to_owned(), error);
    let root = dir.canonicalize().map_err(unreadable)?;
    if !root.is_dir() {
        return Err(LocalError::NoFolder(dir.to_owned()));
    }
    let mut walk = Walk {
        root: root.clone(),
        under: under.to_owned(),
        found: Folder::default(),
        problems: Vec::new(),
    };
    walk.folder(&root, under, 0)?;
    let Walk {
        mut found,
        problems,
        ..
    } = walk;
    if !problems.is_empty() {
        return Err(LocalError::Refused(problems));
    }
    found
        .files
        .sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

impl Walk {
    fn folder(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), LocalError> {
        let unreadable = |error| LocalError::Unreadable(dir.to_owned(), error);
        for entry in dir.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if self.found.files.len() >= MOST_FILES || depth > DEEPEST {
                return Err(LocalError::TooMany(self.root.clone()));
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.problem(&entry.path(), "has a name that is not UTF-8, as keys are");
                continue;
            };
            if name.starts_with('.') && name != WELL_KNOWN {
                self.found.hidden += 1;
                continue;
            }
            let (path, key) = (entry.path(), format!("{prefix}{name}"));
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                self.folder(&path, &format!("{key}/"), depth + 1)?;
            } else if kind.is_symlink() {
                self.link(&path, key);
            } else if kind.is_file() {
                self.file(path, key);
            } else {
                self.problem(&path, "is neither a file nor a folder");
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, key: String) {
        match path.canonicalize() {
            Err(_) => self.problem(path, "is a link to nothing"),
            Ok(target) if !target.starts_with(&self.root) => {
                self.problem(
                    path,
                    "is a link out of the folder: put the file itself there",
                );
            }
            // Its files have keys already.
            Ok(target) if !target.is_file() => {
                self.problem(path, "is a link to a folder: put the folder itself there");
            }
            Ok(target) => self.file(target, key),
        }
    }

    fn file(&mut self, path: PathBuf, key: String) {
        if let Some(problem) = unnameable(&key) {
            self.problem(&path, &problem);
            return;
        }
        if key == journal::key(&self.under) {
            return;
        }
        self.found.files.push(Local { key, path });
    }

    fn problem(&mut self, path: &Path, problem: &str) {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        self.problems.push(format!("{} {problem}", path.display()));
    }
}

/// Why nobody could have the object of this key cleared, if nobody could.
pub(super) fn unnameable(key: &str) -> Option<String> {
    if key.len() > LONGEST_KEY {
        return Some(format!(
            "has a key longer than the {LONGEST_KEY} bytes that S3 takes"
        ));
    }
    // As the function reads it, who is told of it by its path.
    let item = Item::of_key(key).and_then(|item| Item::parse(item.as_str()));
    item.err().map(|rejected| rejected.reason.to_string())
}

/// What a file is, by the end of its name.
pub(super) fn content_type(key: &str) -> &'static str {
    let (_, extension) = key.rsplit_once('.').unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => "application/yaml",
        "json" | "template" => "application/json",
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "xml" => "application/xml",
        "sh" => "application/x-sh",
        "toml" => "application/toml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const UNDER: &str = "customer-templates/";

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sub/.git")).unwrap();
        for (name, text) in [
            ("b.yaml", "b"),
            ("sub/a.json", "{}"),
            (".env", "SECRET"),
            ("sub/.git/c", "c"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn keys(dir: &Path) -> Vec<String> {
        let found = walk(dir, UNDER).unwrap();
        found.files.into_iter().map(|file| file.key).collect()
    }

    #[test]
    fn files_are_found_below_and_hidden_ones_are_left_out() {
        let dir = folder();
        symlink("../b.yaml", dir.path().join("sub/link.yaml")).unwrap();
        assert_eq!(
            keys(dir.path()),
            ["b.yaml", "sub/a.json", "sub/link.yaml"].map(|name| format!("{UNDER}{name}"))
        );
        assert_eq!(walk(dir.path(), UNDER).unwrap().hidden, 2);
        let missing = walk(&dir.path().join("none"), UNDER).unwrap_err();
        assert!(matches!(missing, LocalError::Unreadable(..)));
        let file = walk(&dir.path().join("b.yaml"), UNDER).unwrap_err();
        assert!(matches!(file, LocalError::NoFolder(..)));
    }

    #[test]
    fn what_cannot_be_published_is_told_all_at_once() {
        let dir = folder();
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        symlink("..", dir.path().join("sub/loop")).unwrap();
        std::fs::write(dir.path().join("a*.yaml"), "").unwrap();
        std::fs::create_dir(dir.path().join("a,")).unwrap();
        std::fs::write(dir.path().join("a,/b"), "").unwrap();
        let told = walk(dir.path(), UNDER).unwrap_err().to_string();
        for said in [
            "out is a link out of the folder",
            "dangling is a link to nothing",
            "sub/loop is a link to a folder",
            "a*.yaml has a literal `*`",
            "a,/b looks like several paths",
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
    }

    #[test]
    fn the_end_of_a_name_says_what_it_is() {
        for (key, kind) in [
            ("a/b.YAML", "application/yaml"),
            ("a.b/c", "application/octet-stream"),
            ("x.svg", "image/svg+xml"),
        ] {
            assert_eq!(content_type(key), kind, "{key}");
        }
    }
}
