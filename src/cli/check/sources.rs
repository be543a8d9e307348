//! The texts that are to be checked: files, folders of them, standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::embedded::{self, Embedded};
use crate::rules::{self, Code, Finding, Severity};

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
    /// Its rules, all at their places in `text`; or why they cannot be looked at.
    pub(super) rules: Result<String, Vec<Finding>>,
}

/// Reads what is named.
///
/// # Errors
/// A file cannot be read, or a folder holds no rules.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let mut input = std::io::stdin().lock().take(FILE_BYTES_MAX + 1);
            input
                .read_to_end(&mut bytes)
                .context("reading standard input")?;
            check_size("standard input", bytes.len().try_into().unwrap_or(u64::MAX))?;
            sources.extend(of_bytes("<stdin>", &bytes));
        } else if path.is_dir() {
            let before = sources.len();
            folder(path, DEPTH_MAX, &mut sources)?;
            if sources.len() == before {
                bail!(
                    "{}: no rules in this folder: none of its .yaml and .yml files begins with \
                     `rules`, `externalRules` or `resourceRules`, or is a ConfigMap with them",
                    path.display()
                );
            }
        } else {
            sources.extend(of_bytes(&path.display().to_string(), &file(path)?));
        }
    }
    Ok(sources)
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

/// Files of a folder that hold rules, by name; what begins with a dot is passed over, as are the
/// versions that a kubelet keeps beside a mounted ConfigMap.
fn folder(path: &Path, depth: usize, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    if depth == 0 {
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
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = path.extension().unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            folder(&path, depth - 1, sources)?;
        } else if extension == "yaml" || extension == "yml" {
            let bytes = file(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            if embedded::looks_like_rules(&text) || embedded::has_rules(&text) {
                sources.extend(of_bytes(&path.display().to_string(), &bytes));
            }
        }
    }
    Ok(())
}

/// The rules of one file; of a manifest those of each ConfigMap in it.
fn of_bytes(name: &str, bytes: &[u8]) -> Vec<Source> {
    let source = |text: &str, rules| Source {
        name: name.to_owned(),
        text: text.to_owned(),
        rules,
    };
    let text = match rules::decode(bytes) {
        Ok(text) => text,
        Err(findings) => return vec![source(&String::from_utf8_lossy(bytes), Err(findings))],
    };
    let found = embedded::find(text);
    if found.is_empty() {
        return vec![source(text, Ok(text.to_owned()))];
    }
    let one = |embedded: Embedded| match embedded {
        Embedded::Exact { masked } => source(text, Ok(masked)),
        Embedded::Moved { at, how } => {
            let message = "the rules of this ConfigMap are not written as a block (`|`), so that \
                           their places cannot be told";
            let code = Code::NotRules;
            let finding = Finding::new(Severity::Error, code, text, at, "data", message);
            source(text, Err(vec![finding.with_help(how)]))
        }
    };
    found.into_iter().map(one).collect()
}
