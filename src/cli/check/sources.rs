//! The texts that are to be checked: files, folders of them, standard input; and which of them a
//! server would read as one.

use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::embedded::{self, Embedded};
use super::values;
use crate::rules::{self, Finding};

/// No file of rules is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Folders in each other.
const DEPTH_MAX: usize = 32;

/// One text of rules.
pub(super) struct Source {
    /// What findings call the file.
    pub(super) name: String,
    /// The whole file.
    pub(super) text: String,
    /// Name and key of the ConfigMap that it is in.
    pub(super) config_map: Option<(String, String)>,
    /// Its rules.
    pub(super) rules: Text,
}

/// Where the rules of a file are.
pub(super) enum Text {
    /// Each byte where it is in the file; all else is blank.
    InPlace(String),
    /// Each line where it is in the file, if perhaps not each byte.
    InLines(String),
    /// Their places are not those in the file, where all of them are at `at`.
    Moved { text: String, at: Range<usize> },
    /// The file is no text.
    Unreadable(Vec<Finding>),
}

/// Reads what is named: the texts by what is read as one. Each file is one by itself, as is each
/// ConfigMap in a manifest, with all its keys, and the values of a Helm chart. The rules files of a
/// folder that is named are one, as `--config` takes a folder; those of folders in it, which a
/// server does not read, are each by itself again. With `together`, all that is named is one, as
/// `--config` takes several.
///
/// # Errors
/// A file cannot be read, or a folder holds no rules.
pub(super) fn read(paths: &[PathBuf], together: bool) -> anyhow::Result<Vec<Vec<Source>>> {
    let mut sets = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let mut input = std::io::stdin().lock().take(FILE_BYTES_MAX + 1);
            input
                .read_to_end(&mut bytes)
                .context("reading standard input")?;
            check_size("standard input", bytes.len().try_into().unwrap_or(u64::MAX))?;
            sets.extend(of_bytes("<stdin>", &bytes));
        } else if path.is_dir() {
            let before = sets.len();
            folder(path, together, 0, &mut sets)?;
            if sets.len() == before {
                bail!(
                    "{}: no rules in this folder: none of its .yaml and .yml files has `rules`, \
                     `externalRules` or `resourceRules` with queries at its top, or is a ConfigMap \
                     with such a text",
                    path.display()
                );
            }
        } else {
            sets.extend(of_bytes(&path.display().to_string(), &file(path)?));
        }
    }
    if together {
        sets = vec![sets.into_iter().flatten().collect()];
    }
    Ok(sets)
}

fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display().to_string();
    let length = std::fs::metadata(path)
        .with_context(|| format!("reading {name}"))?
        .len();
    check_size(&name, length)?;
    std::fs::read(path).with_context(|| format!("reading {name}"))
}

fn check_size(name: &str, bytes: u64) -> anyhow::Result<()> {
    if bytes > FILE_BYTES_MAX {
        bail!("{name} has more than {FILE_BYTES_MAX} bytes: it is no file of rules");
    }
    Ok(())
}

/// Files of a folder that hold rules, by name, and those of the folders in it. As a server reads
/// it, `together`, it is all its files, and no folder. What begins with a dot is passed over, as
/// are the versions that a kubelet keeps beside a mounted ConfigMap.
fn folder(
    path: &Path,
    together: bool,
    depth: usize,
    sets: &mut Vec<Vec<Source>>,
) -> anyhow::Result<()> {
    if depth > DEPTH_MAX {
        bail!(
            "{}: more than {DEPTH_MAX} folders in each other",
            path.display()
        );
    }
    let entries = std::fs::read_dir(path);
    let entries = entries.with_context(|| format!("reading {}", path.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(
            entry
                .with_context(|| format!("reading {}", path.display()))?
                .path(),
        );
    }
    paths.sort();
    let (mut plain, mut of_manifests) = (Vec::new(), Vec::new());
    let mut folders = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        let extension = path.extension().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            folders.push(path);
        } else if extension == "yaml" || extension == "yml" {
            let bytes = file(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            let name = path.display().to_string();
            let values = values::find(&text);
            let is_values = values.is_some_and(|it| embedded::looks_like_rules(&it));
            if embedded::has_rules(&text) || is_values {
                of_manifests.extend(of_bytes(&name, &bytes));
            } else if together || embedded::looks_like_rules(&text) {
                plain.extend(of_bytes(&name, &bytes).into_iter().flatten());
            }
        }
    }
    match depth {
        0 if plain.is_empty() => {}
        0 => sets.push(plain),
        _ => sets.extend(plain.into_iter().map(|it| vec![it])),
    }
    sets.extend(of_manifests);
    for inner in folders.iter().filter(|_| !together) {
        folder(inner, together, depth + 1, sets)?;
    }
    Ok(())
}

/// The rules of one file; of a manifest those of each ConfigMap in it.
fn of_bytes(name: &str, bytes: &[u8]) -> Vec<Vec<Source>> {
    let source = |text: &str, config_map, rules| Source {
        name: name.to_owned(),
        text: text.to_owned(),
        config_map,
        rules,
    };
    let text = match rules::decode(bytes) {
        Ok(text) => text,
        Err(findings) => {
            let text = String::from_utf8_lossy(bytes);
            return vec![vec![source(&text, None, Text::Unreadable(findings))]];
        }
    };
    let maps = embedded::find(text);
    if maps.is_empty() {
        let of_values = values::find(text).map(Text::InLines);
        let rules = of_values.unwrap_or_else(|| Text::InPlace(text.to_owned()));
        return vec![vec![source(text, None, rules)]];
    }
    let of_map = |map: embedded::ConfigMap| {
        let embedded = map.texts.into_iter();
        let one = |(key, embedded): (String, Embedded)| {
            let rules = match embedded {
                Embedded::Exact { masked } => Text::InPlace(masked),
                Embedded::Moved { at, text } => Text::Moved { text, at },
            };
            source(text, Some((map.name.clone(), key)), rules)
        };
        embedded.map(one).collect()
    };
    maps.into_iter().map(of_map).collect()
}
