//! `--memory`: what autoscalers remember, in a file, so that a restart forgets nothing.

use std::collections::BTreeMap;
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
    /// Reads the file; one that is not there yet is empty. `is_read_only`: nothing is ever written.
    pub(super) fn open(path: &Path, is_read_only: bool) -> anyhow::Result<File> {
        let all = match std::fs::read(path) {
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

    /// Whole or not at all: beside it first, then in its place.
    fn write(&self) -> anyhow::Result<()> {
        if self.is_read_only {
            return Ok(());
        }
        let path = self.path.display();
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let bytes = serde_json::to_vec(&self.all).context("--memory")?;
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .with_context(|| format!("--memory: cannot write {path}"))
    }
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
        let mut file = File::open(&path, false).unwrap();
        file.keep("shop/api", Remembered::default()).unwrap();
        assert_eq!(File::open(&path, false).unwrap().of("shop/web"), kept);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.json");
        for text in ["", "{}", r#"{"version": 2, "autoscalers": {}}"#, "kind: x"] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", File::open(&path, false).unwrap_err());
            assert!(
                error.contains("--memory") && error.contains("memory.json"),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = directory.path().join("no/such/memory.json");
        let error = format!("{:#}", File::open(&nowhere, false).unwrap_err());
        assert!(error.contains("cannot write"), "{error}");
    }
}
