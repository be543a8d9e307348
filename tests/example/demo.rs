//! `tidegauge demo`, whole: what it claims, and what it leaves behind.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::{NamedTempFile, TempDir};

use crate::poll;

/// A demo waits for what it shows, so it is slow where others keep the machine busy.
const WHOLE: Duration = Duration::from_secs(1500);

/// How long it may take to start, and to clean up after its end.
const SOON: Duration = Duration::from_secs(90);

/// A demo in a folder of its own; whatever it starts can be told by its environment.
struct Demo {
    // Dropped in this order.
    child: Running,
    folder: TempDir,
    output: NamedTempFile,
    errors: NamedTempFile,
}

/// A process that a test that fails does not leave behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `tidegauge demo`.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command.arg("demo");
    command
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        Demo::start_as(command(), arguments, None)
    }

    /// `stdout` instead of the file `output`.
    fn start_as(mut demo: Command, arguments: &[&str], stdout: Option<Stdio>) -> Demo {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let (output, errors) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        let child = demo
            .args(arguments)
            .current_dir(folder.path())
            .env("TMPDIR", folder.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(stdout.unwrap_or_else(|| output.reopen().unwrap().into()))
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap();
        Demo {
            child: Running(child),
            folder,
            output,
            errors,
        }
    }

    /// A demo that has replicas that serve.
    async fn running() -> Demo {
        let demo = Demo::start(&["--fast"]);
        poll::until("the demo has begun", SOON, async || {
            let text = demo.output();
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

    /// What it has written.
    fn output(&self) -> String {
        std::fs::read_to_string(self.output.path()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Waits for its end, and then until nothing of it is left.
    async fn end(mut self, within: Duration) -> Ended {
        let status = poll::until("the demo ends", within, async || {
            match self.child.0.try_wait().unwrap() {
                Some(status) => Ok(status),
                None => Err(self.output()),
            }
        })
        .await;
        let temporary = self.temporary();
        poll::until("nothing is left of the demo", SOON, async || {
            let left = std::fs::read_dir(&temporary).unwrap().count();
            match processes(&temporary) {
                running if running.is_empty() && left == 0 => Ok(()),
                running => Err(format!("{left} files; processes: {running:?}")),
            }
        })
        .await;
        Ended {
            code: status.code(),
            output: self.output(),
            errors: std::fs::read_to_string(self.errors.path()).unwrap(),
            folder: self.folder,
        }
    }
}

/// A demo that has ended, and the folder it was started in.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
    folder: TempDir,
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
    let Ended {
        code,
        output: text,
        errors,
        folder,
    } = Demo::start(&arguments).end(WHOLE).await;
    assert_eq!(code, Some(0), "{text}\n{errors}");
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
    let away = claim("Redis was away and back: all ");
    assert!(away.ends_with("ok") && !away.contains("all 0 "), "{away}");
    line("nobody orders here");
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
async fn a_demo_that_is_told_to_stop_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let demo = Demo::running().await;
        demo.signal(signal);
        let ended = demo.end(SOON).await;
        assert_eq!(ended.code, Some(130), "{signal:?}");
        assert_eq!(files(ended.folder.path()), ["tmp"], "{signal:?}");
    }
}

/// Nothing of the demo's own can run then: what is left must end by itself.
#[tokio::test]
async fn a_demo_that_is_killed_leaves_nothing() {
    let demo = Demo::running().await;
    demo.signal(Signal::KILL);
    let ended = demo.end(SOON).await;
    assert_eq!(ended.code, None);
    assert_eq!(files(ended.folder.path()), ["tmp"]);
}

#[tokio::test]
async fn a_demo_that_nobody_reads_ends_and_leaves_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let demo = Demo::start_as(command(), &["--fast"], Some(writer.into()));
    let ended = demo.end(SOON).await;
    assert_eq!(ended.code, Some(141));
    assert_eq!(files(ended.folder.path()), ["tmp"]);
}

#[tokio::test]
async fn a_picture_that_could_not_be_written_is_no_reason_to_begin() {
    for (path, why) in [
        ("no/such/run.svg", "--svg: there is no folder no/such"),
        ("tmp", "--svg: tmp cannot be written: "),
    ] {
        let ended = Demo::start(&["--svg", path]).end(SOON).await;
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
        assert!(ended.errors.contains(why), "{}", ended.errors);
        assert_eq!(files(ended.folder.path()), ["tmp"]);
    }
}

/// In a terminal it draws. The terminal is one of `script`, which is told its size by `stty`.
fn in_a_terminal(no_color: &str) -> Demo {
    let demo = env!("CARGO_BIN_EXE_tidegauge");
    let command = format!("stty cols 80 rows 24; exec '{demo}' demo --fast");
    let mut script = Command::new("script");
    script.env("TERM", "xterm").env("NO_COLOR", no_color);
    script.args(["-qec", &command, "/dev/null"]);
    Demo::start_as(script, &[], None)
}

#[tokio::test]
async fn a_frame_fits_into_a_terminal_of_80_columns_and_24_lines() {
    let demo = in_a_terminal("");
    let frames = poll::until("frames are drawn", SOON, async || {
        let text = demo.output();
        let frames: Vec<String> = text
            .split("\x1b[?2026h")
            .skip(1)
            .map(str::to_owned)
            .collect();
        // The last one may be half of one.
        if frames.len() > 5 {
            Ok(frames)
        } else {
            Err(text)
        }
    })
    .await;
    for frame in &frames[..5] {
        let (frame, _) = frame.split_once("\x1b[?2026l").unwrap();
        assert!(frame.contains("\x1b[34m"), "no colours: {frame:?}");
        let rows: Vec<&str> = frame.split("\r\x1b[2K").skip(1).collect();
        assert!((10..24).contains(&rows.len()), "{frame:?}");
        for row in rows {
            let (mut columns, mut escaped) = (0, false);
            for c in row.trim_end().chars() {
                match (escaped, c) {
                    (_, '\x1b') => escaped = true,
                    (true, 'm') => escaped = false,
                    (true, _) => {}
                    (false, _) => columns += 1,
                }
            }
            assert!(columns <= 80, "{columns}: {row:?}");
        }
    }
    demo.signal(Signal::TERM);
    demo.end(SOON).await;
}

#[tokio::test]
async fn who_wants_no_colours_gets_lines_in_a_terminal_too() {
    let demo = in_a_terminal("1");
    let text = poll::until("the demo has begun", SOON, async || {
        let text = demo.output();
        if text.contains(" requests/s, ") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    assert!(!text.contains('\x1b'), "{text}");
    demo.signal(Signal::TERM);
    demo.end(SOON).await;
}
