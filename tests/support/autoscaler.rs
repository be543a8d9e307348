//! The built `tidegauge autoscale`, among files of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::poll;
use super::process::Process;

/// A round may wait for a command, and a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running autoscaler. Dropping it ends it.
pub struct Autoscaler {
    process: Process,
    directory: TempDir,
}

/// A folder with files, in which autoscalers can be started.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory must be possible");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text)
            .expect("the own temporary directory must be writable");
    }
    directory
}

impl Autoscaler {
    /// Starts one in `directory`, with what it says on standard output in the file `stdout` there.
    pub fn start(directory: TempDir, flags: &[&str]) -> Autoscaler {
        let stdout = File::options()
            .create(true)
            .append(true)
            .open(directory.path().join("stdout"))
            .expect("the own temporary directory must be writable");
        Autoscaler::start_heard(directory, flags, stdout.into())
    }

    /// Starts one in `directory`, with its standard output somewhere.
    pub fn start_heard(directory: TempDir, flags: &[&str], stdout: Stdio) -> Autoscaler {
        let command = command(directory.path(), flags);
        let process = Process::start_heard(command, &directory.path().join("stderr"), stdout)
            .expect("the binary that cargo built must start");
        Autoscaler { process, directory }
    }

    /// A file beside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The text of a file beside it, or nothing.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a file beside it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text)
            .expect("the own temporary directory must be writable");
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// The objects that it has printed (`-o json`).
    pub fn told(&self) -> Vec<Value> {
        let text = self.read("stdout");
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("each line must be JSON"))
            .collect()
    }

    /// Waits for a round of which `is_it` holds, among those after the first `from`; its place, and
    /// it.
    pub async fn round(
        &self,
        what: &str,
        from: usize,
        is_it: impl Fn(&Value) -> bool,
    ) -> (usize, Value) {
        let found = poll::try_until(what, PATIENCE, async || {
            let told = self.told();
            let found = told.iter().skip(from).position(&is_it);
            let at = found.ok_or_else(|| {
                let last = told.last().map(Value::to_string);
                last.unwrap_or_default()
            })?;
            Ok((from + at, told[from + at].clone()))
        });
        match found.await {
            Ok(found) => found,
            Err(reason) => panic!("{reason}\nit logged:\n{}", self.stderr()),
        }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        poll::until("the autoscaler ends", PATIENCE, async || {
            let ended = self.process.ended();
            ended.ok_or_else(|| "it still runs".to_owned())
        })
        .await
    }
}

fn command(directory: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command
        .current_dir(directory)
        .arg("autoscale")
        .args(flags)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBERNETES_SERVICE_PORT");
    command
}

/// Runs one in `directory` to its end: exit code, standard output, standard error.
pub fn run(directory: &Path, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = command(directory, flags)
        .output()
        .expect("the binary that cargo built must start");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
