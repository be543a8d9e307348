//! The files of the rules: which there are, and what of them is in force.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;

/// Files of a directory are read if they end so.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// More files are not the rules of anybody.
const FILES_MAX: usize = 1_000;

/// What all files may hold: some hundred thousand rules.
const BYTES_MAX: usize = 64 << 20;

/// Digits of a hash that are shown. Two of some thousand configurations hardly ever share them.
const HASH_DIGITS: usize = 12;

/// One file of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it was read.
    pub path: String,
    /// What tells it from the others: its name, or its path where another has the same name.
    /// `None` where a single file is given, and no directory.
    pub name: Option<String>,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl ConfigFile {
    /// Whether it says nothing at all: there are only spaces and remarks in it.
    pub fn is_empty(&self) -> bool {
        let mut lines = self.bytes.split(|byte| *byte == b'\n');
        lines.all(|line| {
            let line = line.trim_ascii();
            line.is_empty() || line == b"---" || line.starts_with(b"#")
        })
    }
}

/// The rules that are in force, and what became of newer ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigState {
    /// The files they were read from, in their order.
    pub files: Vec<String>,
    /// The first twelve digits of the SHA-256 of their contents, one after the other: that of
    /// `cat FILE… | sha256sum`. Replicas with the same rules have the same.
    pub hash: String,
    /// Since when they are in force.
    pub loaded_at: Timestamp,
    /// Why what stands in the files now is not, on one line, as `rules.yaml:12:5: message`. `None`
    /// where it is.
    pub last_error: Option<String>,
}

impl ConfigState {
    /// `files` are in force from `loaded_at` on.
    pub fn new(files: &[ConfigFile], loaded_at: Timestamp) -> ConfigState {
        ConfigState {
            files: files.iter().map(|file| file.path.clone()).collect(),
            hash: hash(files),
            loaded_at,
            last_error: None,
        }
    }
}

/// Reads the files given, and those of the directories given: `*.yaml` and `*.yml`, by name. Hidden
/// ones are passed over, as those that a mounted ConfigMap is made of.
///
/// # Errors
/// One cannot be read, is given twice, or there is none; the text names it.
pub fn read(paths: &[PathBuf]) -> io::Result<Vec<ConfigFile>> {
    let mut found = Vec::new();
    for path in paths {
        match is_directory(path)? {
            true => found.extend(files_of(path)?),
            false => found.push(path.clone()),
        }
    }
    if found.len() > FILES_MAX {
        let text = format!(
            "there are {} rules files, more than {FILES_MAX}",
            found.len()
        );
        return Err(io::Error::other(text));
    }
    let is_only = found == paths && paths.len() == 1;
    let mut files = Vec::new();
    let mut left = BYTES_MAX;
    let mut seen = BTreeSet::new();
    for path in &found {
        let shown = path.display().to_string();
        if !seen.insert(path) {
            return Err(io::Error::other(format!("{shown} is given twice")));
        }
        let bytes = std::fs::read(path).map_err(|error| about(path, &error))?;
        left = left.checked_sub(bytes.len()).ok_or_else(|| {
            io::Error::other(format!(
                "{shown}: the rules are more than {BYTES_MAX} bytes"
            ))
        })?;
        let name = (!is_only).then(|| name(path, &found));
        files.push(ConfigFile {
            path: shown,
            name,
            bytes,
        });
    }
    Ok(files)
}

fn is_directory(path: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(path).map_err(|error| about(path, &error))?;
    Ok(metadata.is_dir())
}

fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).map_err(|error| about(directory, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| about(directory, &error))?;
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let ending = path.extension().and_then(|it| it.to_str());
        let is_named = ending.is_some_and(|ending| ENDINGS.contains(&ending));
        if is_named && !is_hidden && !is_directory(&path)? {
            files.push(path);
        }
    }
    if files.is_empty() {
        let text = format!("{} holds no file *.yaml or *.yml", directory.display());
        return Err(io::Error::other(text));
    }
    files.sort();
    Ok(files)
}

/// The name of `path`, or all of it where another of `all` has the same name.
fn name(path: &Path, all: &[PathBuf]) -> String {
    let alike = all.iter().filter(|it| it.file_name() == path.file_name());
    let name = path.file_name().filter(|_| alike.count() == 1);
    let name = name.unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("open {}: {error}", path.display()))
}

fn hash(files: &[ConfigFile]) -> String {
    let mut context = Context::new(&SHA256);
    for file in files {
        context.update(&file.bytes);
    }
    let digest = context.finish();
    let mut hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(HASH_DIGITS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files, and where they are.
    fn directory(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let path = directory.path().to_owned();
        (directory, path)
    }

    fn names(files: &[ConfigFile]) -> Vec<&str> {
        let names = files.iter();
        names
            .map(|it| it.name.as_deref().unwrap_or_default())
            .collect()
    }

    #[test]
    fn a_directory_is_its_yaml_files_by_name_and_nothing_hidden() {
        let (_held, path) = directory(&[
            ("b.yaml", "b"),
            ("a.yml", "a"),
            ("README.md", "x"),
            (".hidden.yaml", "x"),
            ("c.yaml/inner.yaml", "x"),
            ("..2026_01_01/a.yaml", "x"),
        ]);
        std::os::unix::fs::symlink("..2026_01_01", path.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", path.join("linked.yaml")).unwrap();
        let files = read(std::slice::from_ref(&path)).unwrap();
        assert_eq!(names(&files), ["a.yml", "b.yaml", "linked.yaml"]);
        assert_eq!(files[2].bytes, b"x");
    }

    #[test]
    fn files_are_told_apart_and_a_single_one_needs_no_name() {
        let (_held, path) = directory(&[
            ("a/rules.yaml", "1"),
            ("b/rules.yaml", "2"),
            ("c.yaml", "3"),
        ]);
        let at = |name: &str| path.join(name);
        let files = read(&[at("a"), at("b/rules.yaml"), at("c.yaml")]).unwrap();
        let (first, second) = (at("a/rules.yaml"), at("b/rules.yaml"));
        let paths = [first.to_str().unwrap(), second.to_str().unwrap()];
        assert_eq!(names(&files), [paths[0], paths[1], "c.yaml"]);
        // One more file in the directory must not give the rules of this one another name.
        assert_eq!(names(&read(&[at("a")]).unwrap()), ["rules.yaml"]);
        assert_eq!(read(&[at("c.yaml")]).unwrap()[0].name, None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let (_held, path) = directory(&[("notes.txt", "")]);
        let at = |name: &str| path.join(name);
        let said = |paths: &[PathBuf]| read(paths).unwrap_err().to_string();
        assert!(said(std::slice::from_ref(&path)).ends_with("holds no file *.yaml or *.yml"));
        let missing = format!("open {}: ", at("rules.yaml").display());
        assert!(said(&[at("rules.yaml")]).starts_with(&missing));
        assert!(said(&[at("notes.txt"), at("notes.txt")]).ends_with("is given twice"));
        std::os::unix::fs::symlink("nowhere", at("broken.yaml")).unwrap();
        assert!(said(std::slice::from_ref(&path)).contains("broken.yaml"));
    }

    #[test]
    fn a_file_of_spaces_and_remarks_is_empty() {
        let is_empty = |text: &str| {
            let file = ConfigFile {
                path: String::new(),
                name: None,
                bytes: text.as_bytes().to_vec(),
            };
            file.is_empty()
        };
        for text in ["", " \r\n\t", "# rules:\n---\n  # none"] {
            assert!(is_empty(text), "{text:?}");
        }
        for text in ["rules: []", "# none\nrules:", "{}"] {
            assert!(!is_empty(text), "{text:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let file = |text: &str| ConfigFile {
            path: String::new(),
            name: None,
            bytes: text.as_bytes().to_vec(),
        };
        // printf abc | sha256sum
        for files in [&[file("abc")][..], &[file("a"), file("bc")]] {
            assert_eq!(hash(files), "ba7816bf8f01");
        }
    }
}
