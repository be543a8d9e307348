//! `--memory`: what autoscalers remember, in a file, so that a restart forgets nothing.

use std::collections::BTreeMap;
use std::fs::{self, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerStatus;
use serde::{Deserialize, Serialize};

use crate::autoscale::Memory;

/// The form of the file.
const VERSION: u32 = 1;

/// What one autoscaler remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) memory: Memory,
    /// Carries `ScaledToZero`, and since when conditions are as they are.
    pub(super) status: Option<HorizontalPodAutoscalerStatus>,
}

/// The file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// Whether it is only looked at.
    is_read_only: bool,
    /// Locked, so that no other process writes.
    _lock: Option<fs::File>,
    all: All,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct All {
    version: u32,
    /// By `NAMESPACE/NAME`. Those that nobody runs now stay.
    autoscalers: BTreeMap<String, Remembered>,
}

impl File {
    /// Reads the file; one that is not there yet is empty. `is_read_only`: nothing is ever written,
    /// and another process may write meanwhile.
    pub(super) fn open(path: &Path, is_read_only: bool) -> anyhow::Result<File> {
        let lock = match is_read_only {
            true => None,
            false => Some(lock(path)?),
        };
        let all = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                let path = path.display();
                format!(
                    "--memory: {path} is not what this program wrote; move it away to begin anew \
                     (nothing is scaled in then for one stabilization window)"
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => All {
                version: VERSION,
                autoscalers: BTreeMap::new(),
            },
            Err(error) => {
                let path = path.display();
                return Err(error).with_context(|| format!("--memory: cannot read {path}"));
            }
        };
        if all.version != VERSION {
            let (path, version) = (path.display(), all.version);
            bail!("--memory: {path} is of version {version}; this program knows {VERSION}");
        }
        let file = File {
            path: path.to_owned(),
            is_read_only,
            _lock: lock,
            all,
        };
        // Better now than after the first change.
        file.write()?;
        Ok(file)
    }

    /// What one autoscaler remembers.
    pub(super) fn of(&self, key: &str) -> Remembered {
        self.all.autoscalers.get(key).cloned().unwrap_or_default()
    }

    /// Keeps what one autoscaler remembers.
    pub(super) fn keep(&mut self, key: &str, remembered: Remembered) -> anyhow::Result<()> {
        self.all.autoscalers.insert(key.to_owned(), remembered);
        self.write()
    }

    /// Whole or not at all, also where the machine stops: beside it first, then in its place.
    fn write(&self) -> anyhow::Result<()> {
        if self.is_read_only {
            return Ok(());
        }
        let path = self.path.display();
        let bytes = serde_json::to_vec(&self.all).context("--memory")?;
        replace(&self.path, &bytes).with_context(|| format!("--memory: cannot write {path}"))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = beside(path, ".new");
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Takes the lock of the file, until it is dropped. It is that of another file, which stays: the
/// file itself is a new one after each round.
fn lock(path: &Path) -> anyhow::Result<fs::File> {
    let beside = beside(path, ".lock");
    let (path, lock) = (path.display(), beside.display());
    let file = fs::File::options().create(true).append(true).open(&beside);
    let file = file.with_context(|| format!("--memory: cannot write {lock}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "--memory: another process uses {path} (it holds the lock of {lock}): wait for its \
             end, or give each a file of its own"
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("--memory: cannot lock {lock}"))
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscale::Recommendation;

    #[test]
    fn what_is_kept_is_there_again_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.json");
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let recommendations = Some(vec![Recommendation { replicas: 3, at }]);
        let kept = Remembered {
            memory: Memory {
                recommendations,
                ..Memory::default()
            },
            status: None,
        };
        let mut file = File::open(&path, false).unwrap();
        assert_eq!(file.of("shop/web"), Remembered::default());
        file.keep("shop/web", kept.clone()).unwrap();
        drop(file);
        let mut file = File::open(&path, false).unwrap();
        file.keep("shop/api", Remembered::default()).unwrap();
        drop(file);
        assert_eq!(File::open(&path, false).unwrap().of("shop/web"), kept);
        let names = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["memory.json", "memory.json.lock"]);
    }

    #[test]
    fn one_process_at_a_time_writes_and_others_may_look() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.json");
        let mut file = File::open(&path, false).unwrap();
        // What is locked is not what is replaced.
        file.keep("shop/web", Remembered::default()).unwrap();
        let error = format!("{:#}", File::open(&path, false).unwrap_err());
        assert!(error.contains("another process uses"), "{error}");
        File::open(&path, true).unwrap();
        drop(file);
        File::open(&path, false).unwrap();
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.json");
        for text in ["", "{}", r#"{"version": 2, "autoscalers": {}}"#, "kind: x"] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", File::open(&path, false).unwrap_err());
            assert!(
                error.contains("--memory") && error.contains("memory.json"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = directory.path().join("no/such/memory.json");
        let error = format!("{:#}", File::open(&nowhere, false).unwrap_err());
        assert!(error.contains("cannot write"), "{error}");
    }
}
