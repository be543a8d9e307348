//! A mounted ConfigMap, changed as a kubelet changes one.
//!
//! `pkg/volume/util/atomic_writer.go` of Kubernetes: each state is a directory of its own, `..data`
//! is a link to the one that counts and is put into the place of the former by a rename, and each
//! file is a link through `..data`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory as a container sees it.
pub struct ConfigMap {
    directory: TempDir,
    states: usize,
}

impl ConfigMap {
    /// Mounts these files.
    pub fn new(files: &[(&str, &str)]) -> ConfigMap {
        let directory = TempDir::new().expect("a temporary directory must be possible");
        let mut mounted = ConfigMap {
            directory,
            states: 0,
        };
        mounted.swap(files);
        mounted
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `--config=` of one of its files.
    pub fn flag(&self, file: &str) -> String {
        format!("--config={}", self.at(file).display())
    }

    /// Puts these files into the place of those there were, at once.
    pub fn swap(&mut self, files: &[(&str, &str)]) {
        let former = format!("..{}", self.states);
        self.states += 1;
        let state = format!("..{}", self.states);
        self.write(&state, files)
            .expect("the own temporary directory must be writable");
        if self.states > 1 {
            fs::remove_dir_all(self.at(&former)).expect("the former state must be there");
        }
    }

    fn write(&self, state: &str, files: &[(&str, &str)]) -> std::io::Result<()> {
        fs::create_dir(self.at(state))?;
        for (name, text) in files {
            fs::write(self.at(state).join(name), text)?;
        }
        symlink(state, self.at("..data_tmp"))?;
        fs::rename(self.at("..data_tmp"), self.at("..data"))?;
        let wanted: BTreeSet<&str> = files.iter().map(|(name, _)| *name).collect();
        for name in &wanted {
            if self.at(name).symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), self.at(name))?;
            }
        }
        for entry in fs::read_dir(self.path())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with("..") && !wanted.contains(name.as_str()) {
                fs::remove_file(self.at(&name))?;
            }
        }
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}
