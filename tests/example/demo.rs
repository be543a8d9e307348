//! `tidegauge demo`, whole: what it claims, and what it leaves behind.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::poll;

/// A demo waits for what it shows, so it is slow where others keep the machine busy.
const WHOLE: Duration = Duration::from_secs(1500);

/// How long it may take to start, and to clean up after its end.
const SOON: Duration = Duration::from_secs(90);

/// A demo in a folder of its own; whatever it starts can be told by its environment.
struct Demo {
    folder: TempDir,
    child: Child,
}

impl Demo {
    fn start(arguments: &[&str], stdout: Stdio) -> Demo {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
            .arg("demo")
            .args(arguments)
            .current_dir(folder.path())
            .env("TMPDIR", folder.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Demo { folder, child }
    }

    /// A demo that writes into the file `output` of its folder, once it has replicas that serve.
    async fn running() -> Demo {
        let output = tempfile::NamedTempFile::new().unwrap();
        let demo = Demo::start(&["--fast"], Stdio::from(output.reopen().unwrap()));
        poll::until("the demo has begun", SOON, async || {
            let text = std::fs::read_to_string(output.path()).unwrap();
            if text.contains("calm: two replicas are enough") {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
        assert!(processes(&demo.temporary()).len() >= 7, "not much runs");
        demo
    }

    fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and then until nothing of it is left; what it wrote, and into which folder.
    async fn end(self, within: Duration) -> (Output, TempDir) {
        let Demo { folder, child } = self;
        let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
        let ended = tokio::time::timeout(within, waiting).await;
        let output = ended.expect("the demo must end").unwrap().unwrap();
        let temporary = folder.path().join("tmp");
        poll::until("nothing is left of the demo", SOON, async || {
            let left = std::fs::read_dir(&temporary).unwrap().count();
            match processes(&temporary) {
                running if running.is_empty() && left == 0 => Ok(()),
                running => Err(format!("{left} files; processes: {running:?}")),
            }
        })
        .await;
        (output, folder)
    }
}

/// The command lines of all that runs with this folder for temporary files.
fn processes(temporary: &Path) -> Vec<String> {
    let mark = [b"TMPDIR=", temporary.as_os_str().as_bytes()].concat();
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        // Those of others cannot be read, and any may end while it is looked at. What has ended and
        // was not waited for has no environment.
        let Ok(environment) = std::fs::read(process.path().join("environ")) else {
            continue;
        };
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
        {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What the issue of the demo asks of it: scaled out and back in, nothing failed, nothing lost, with
/// Redis away for a while.
#[tokio::test]
async fn the_demo_keeps_what_it_claims_and_leaves_only_its_picture() {
    let arguments = ["--fast", "--redis-restart", "--svg", "run.svg"];
    let (output, folder) = Demo::start(&arguments, Stdio::piped()).end(WHOLE).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{errors}");
    let line = |part: &str| {
        let found = text.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line has {part:?}:\n{text}"))
    };
    let claims: Vec<&str> = text.lines().filter(|line| line.contains('✓')).collect();
    let claim = |part: &str| {
        let found = claims.iter().find(|line| line.contains(part));
        *found.unwrap_or_else(|| panic!("no claim has {part:?}:\n{text}"))
    };
    let out = claim("scaled out from 2 replicas to ");
    let most: u32 = out.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3..=8).contains(&most), "{out}");
    claim("and back in to 2");
    claim(" requests, 0 failed");
    claim(" sessions, 0 lost");
    claim("Redis was away and back: all replicas said degraded, then ok");
    // The decisions are told as the HPA's events tell them, and each is a line without a terminal.
    line("pods metric http_requests_per_second above target");
    line("All metrics below target");
    line(
        "became    sum by (pod) (rate(http_requests_total{namespace=\"shop\",pod=~\"shop-1|shop-2\"}",
    );
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(files(folder.path()), ["run.svg", "tmp"]);
    let picture = std::fs::read_to_string(folder.path().join("run.svg")).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains("<desc"),
        "{picture}"
    );
}

#[tokio::test]
async fn a_demo_that_is_interrupted_leaves_nothing() {
    let demo = Demo::running().await;
    demo.signal(Signal::INT);
    let (output, folder) = demo.end(SOON).await;
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(files(folder.path()), ["tmp"]);
}

/// Nothing of the demo's own can run then: what is left must end by itself.
#[tokio::test]
async fn a_demo_that_is_killed_leaves_nothing() {
    let demo = Demo::running().await;
    demo.signal(Signal::KILL);
    let (output, folder) = demo.end(SOON).await;
    assert_eq!(output.status.code(), None);
    assert_eq!(files(folder.path()), ["tmp"]);
}

#[tokio::test]
async fn a_demo_that_nobody_reads_ends_and_leaves_nothing() {
    let mut demo = Demo::start(&["--fast"], Stdio::piped());
    drop(demo.child.stdout.take());
    let (output, folder) = demo.end(SOON).await;
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(files(folder.path()), ["tmp"]);
}

#[tokio::test]
async fn a_picture_that_could_not_be_written_is_no_reason_to_begin() {
    let demo = Demo::start(&["--svg", "no/such/run.svg"], Stdio::piped());
    let (output, _folder) = demo.end(SOON).await;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("--svg: there is no folder no/such"),
        "{errors}"
    );
}
