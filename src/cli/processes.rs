//! Processes that cannot outlive this one, however it ends.
//!
//! All are in one process group of their own. A `sh` outside of it, the keeper, reads from a pipe
//! that only this process holds open: when it is gone, by its end, a panic or SIGKILL, the pipe is
//! closed, and the keeper kills the group and removes the folder.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Its arguments are the number of the group and the folder.
const KEEPER: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
kill -s KILL -- "-$1" 2>/dev/null
for try in 1 2 3 4 5; do
  rm -rf -- "$2" && break
  sleep 0.2
done
"#;

/// The first of the group: the group has its number, and it does nothing until we are gone.
const FIRST: &str = "trap '' INT TERM HUP; read -r _";

/// How long the keeper may take.
const KEEPER_TIME: Duration = Duration::from_secs(10);

/// How many of its last lines a process is remembered by.
const LAST_WORDS: usize = 4;

/// Processes that belong together, and the folder they write to.
pub(super) struct Group {
    folder: PathBuf,
    number: i32,
    first: Child,
    keeper: Child,
}

impl Group {
    /// An empty group, and a new folder that nobody else may read and whose name says what it is
    /// for.
    pub(super) fn new(purpose: &str) -> anyhow::Result<Group> {
        let first = waiting_shell(FIRST, &[])?;
        let number = first.id().and_then(|id| i32::try_from(id).ok());
        let number = number.context("a started process must have a number")?;
        let folder = folder(purpose)?;
        let arguments = [OsString::from(number.to_string()), folder.clone().into()];
        let keeper = waiting_shell(KEEPER, &arguments).inspect_err(|_| {
            // Empty, and nobody is there who would remove it.
            let _ = std::fs::remove_dir(&folder);
        })?;
        Ok(Group {
            folder,
            number,
            first,
            keeper,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts `command` in the group; `hear` gets each line that it writes.
    pub(super) fn start(
        &self,
        name: &str,
        mut command: Command,
        hear: impl FnMut(&str) + Send + 'static,
    ) -> anyhow::Result<Process> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(self.number)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let words = Words(Arc::new(Mutex::new((VecDeque::new(), Box::new(hear)))));
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(words.clone().listen(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(words.clone().listen(stderr));
        }
        Ok(Process {
            name: name.to_owned(),
            child,
            words,
        })
    }

    /// Writes a file of the folder so that its readers see the old or the new one, whole.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        write(&self.folder, name, text)
    }

    /// Ends what is left of the group, and removes the folder.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        drop((self.first.stdin.take(), self.keeper.stdin.take()));
        let ended = timeout(KEEPER_TIME, self.keeper.wait()).await;
        ended.context("the keeper does not end")??;
        if self.folder.exists() {
            bail!("{} could not be removed", self.folder.display());
        }
        Ok(())
    }
}

/// A shell that does not end before its input does, in a process group of its own.
fn waiting_shell(script: &str, arguments: &[OsString]) -> anyhow::Result<Child> {
    let shell = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    shell.context("starting sh")
}

/// A new folder that nobody else may read. One of its name may be left of a machine that failed.
fn folder(purpose: &str) -> anyhow::Result<PathBuf> {
    let mut number = 0;
    loop {
        let name = format!("tidegauge-{purpose}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => bail!("creating {}: {error}", folder.display()),
        }
    }
}

/// Writes a file of `folder` so that its readers see the old or the new one, whole.
pub(in crate::cli) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let (new, path) = (folder.join(format!(".{name}.new")), folder.join(name));
    let written = std::fs::File::create(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, &path));
    written.with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

type Hear = Box<dyn FnMut(&str) + Send>;

/// What a process says: its last lines, and who else listens.
#[derive(Clone)]
struct Words(Arc<Mutex<(VecDeque<String>, Hear)>>);

impl Words {
    async fn listen(self, pipe: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut words = self.lock();
            (words.1)(&line);
            words.0.push_back(line);
            if words.0.len() > LAST_WORDS {
                words.0.pop_front();
            }
        }
    }

    fn last(&self) -> String {
        Vec::from(self.lock().0.clone()).join("\n  ")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (VecDeque<String>, Hear)> {
        // What is in there is whole after each step.
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// A process of the group. Dropped, it is killed.
pub(super) struct Process {
    name: String,
    child: Child,
    words: Words,
}

impl Process {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks it to end (SIGTERM).
    pub(super) fn ask_to_end(&self) -> anyhow::Result<()> {
        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        let Some(pid) = number.and_then(Pid::from_raw) else {
            return Ok(()); // It has ended, and was waited for.
        };
        kill_process(pid, Signal::TERM).with_context(|| format!("asking {} to end", self.name))
    }

    /// How it ended, or nothing while it runs.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error with its last words if it has ended.
    pub(super) fn must_run(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            Some(status) => bail!(
                "{} has ended ({status}). Its last words:\n  {}",
                self.name,
                self.words.last()
            ),
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits so long; then it is killed, which is an error.
    pub(super) async fn stop(mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.ask_to_end()?;
        match timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!("{} did not end within {within:?} of SIGTERM", self.name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sh");
        // A child of its own, as the autoscaler has.
        command.args(["-c", "echo $$; sleep 1000 & echo $!; wait"]);
        command
    }

    /// Zombies wait for their parent: they run no more.
    fn runs(pid: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    #[tokio::test]
    async fn children_of_children_end_with_the_group_and_the_folder_goes() {
        let group = Group::new("test").unwrap();
        let (sender, mut pids) = tokio::sync::mpsc::unbounded_channel();
        let hear = move |line: &str| {
            let _ = sender.send(line.to_owned());
        };
        let process = group.start("sleeper", sleeper(), hear).unwrap();
        let pids = [pids.recv().await.unwrap(), pids.recv().await.unwrap()];
        group.write("some", "text").unwrap();
        let folder = group.folder().to_owned();
        assert!(pids.iter().all(|pid| runs(pid)) && folder.join("some").exists());
        group.end().await.unwrap();
        assert!(!folder.exists());
        let deadline = tokio::time::Instant::now() + KEEPER_TIME;
        while pids.iter().any(|pid| runs(pid)) {
            assert!(tokio::time::Instant::now() < deadline, "{pids:?} run on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(process);
    }

    #[tokio::test]
    async fn what_has_ended_is_an_error_with_its_last_words() {
        let group = Group::new("test").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "for i in 1 2 3 4 5 6; do echo word $i; done; exit 3"]);
        let mut process = group.start("talker", command, |_| {}).unwrap();
        process.child.wait().await.unwrap();
        let deadline = tokio::time::Instant::now() + KEEPER_TIME;
        while !process.words.last().contains("word 6") {
            assert!(tokio::time::Instant::now() < deadline, "not heard");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let error = process.must_run().unwrap_err().to_string();
        assert!(
            error.contains("talker has ended (exit status: 3)"),
            "{error}"
        );
        assert!(
            error.contains("word 3") && !error.contains("word 2"),
            "{error}"
        );
        group.end().await.unwrap();
    }
}
