//! A child process that cannot outlive its test, with its standard error kept in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::poll;

/// How long a signal may take to reach all threads of a process on a busy machine.
const FREEZES: Duration = Duration::from_secs(10);

/// A running child. Dropping it kills it and waits for its end.
pub struct Process {
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its standard error goes to the file `stderr` (appended), its standard output nowhere.
    ///
    /// # Errors
    /// The system's, when the program is missing or cannot run.
    pub fn start(command: Command, stderr: &Path) -> std::io::Result<Process> {
        Process::start_heard(command, stderr, Stdio::null())
    }

    /// As [`start`](Self::start), with its standard output somewhere.
    ///
    /// # Errors
    /// The system's.
    pub fn start_heard(
        mut command: Command,
        stderr: &Path,
        stdout: Stdio,
    ) -> std::io::Result<Process> {
        let log = File::options().create(true).append(true).open(stderr)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::from(log))
            .spawn()?;
        Ok(Process {
            child,
            stderr: stderr.to_owned(),
        })
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        let bytes =
            std::fs::read(&self.stderr).expect("the log of a started process must be there");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("an own child must be waitable")
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill must be there");
        assert!(sent.success(), "kill -{name} {}: {sent}", self.child.id());
    }

    /// Stops it (SIGSTOP), and waits until every thread of it stands still.
    pub async fn freeze(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        poll::until("every thread stands still", FREEZES, async || {
            let threads = std::fs::read_dir(&threads).map_err(|error| error.to_string())?;
            for thread in threads.flatten() {
                let status = std::fs::read_to_string(thread.path().join("status"));
                // A thread may end while it is looked at.
                if status.is_ok_and(|status| !status.contains("State:\tT")) {
                    return Err(format!("{} runs", thread.path().display()));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Ends it at once (SIGKILL works on a stopped process too) and waits.
    pub fn kill(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
