//! Commands of the user: one that tells the number of replicas, one that sets it.
//!
//! They are run by `sh -c`, so that pipes and quotes mean what they mean at a prompt. What is put
//! into their text is a number, and names that are made of letters, digits, `-` and `.` alone
//! (`manifests` has refused others); all of it is in their environment, too. A command has a time
//! limit, after which it is killed with all that it started, and so it is when this program ends
//! before it.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::autoscale::placeholders;

/// How much of each of its two outputs is kept; the rest is read and left.
const OUTPUT_BYTES: usize = 64 << 10;

/// How much of it is shown where a command fails: its end.
const SHOWN_CHARS: usize = 400;

/// How long its outputs are waited for once it has ended.
const REST: Duration = Duration::from_millis(200);

/// Why a command was of no use. The texts stand in conditions.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the command cannot be run by sh")]
    Start(#[source] std::io::Error),
    #[error("the command ended with {}{}", status(.0), said(.1))]
    Failed(ExitStatus, String),
    #[error(
        "the command did not end within {}s and was killed (--command-timeout){}",
        .0.as_secs_f64(),
        said(.1)
    )]
    Hung(Duration, String),
    #[error(
        "the command of --current printed {0:?}: it must print how many replicas there are, as one \
         whole number"
    )]
    NoNumber(String),
}

fn status(status: &ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

fn said(output: &str) -> String {
    match output {
        "" => String::new(),
        output => format!(": {output}"),
    }
}

/// What commands are told.
#[derive(Debug)]
pub(super) struct Words {
    namespace: String,
    name: String,
    kind: String,
    target: String,
}

impl Words {
    pub(super) fn of(hpa: &HorizontalPodAutoscaler) -> Words {
        let target = &hpa.spec.scale_target_ref;
        Words {
            namespace: hpa.metadata.namespace.clone().unwrap_or_default(),
            name: hpa.metadata.name.clone().unwrap_or_default(),
            kind: target.kind.clone(),
            target: target.name.clone(),
        }
    }

    /// A command's text with the words in their places.
    fn fill(&self, command: &str, replicas: Option<i32>) -> String {
        let replicas = replicas.map(|it| it.to_string());
        let mut words = vec![
            ("{namespace}", self.namespace.as_str()),
            ("{name}", &self.name),
            ("{target}", &self.target),
        ];
        words.extend(replicas.as_deref().map(|it| (placeholders::REPLICAS, it)));
        placeholders::fill(command, &words)
    }
}

/// Asks `command` how many replicas there are.
pub(super) async fn current(command: &str, words: &Words, limit: Duration) -> Result<i32, Error> {
    let text = words.fill(command, None);
    let output = run(&text, words, &[], limit).await?;
    let number = output.trim().parse::<i32>().ok();
    let number = number.filter(|it| *it >= 0);
    number.ok_or_else(|| Error::NoNumber(end_of(output.as_bytes())))
}

/// Has `command` set the replicas from one number to another.
pub(super) async fn set(
    command: &str,
    words: &Words,
    from: i32,
    to: i32,
    limit: Duration,
) -> Result<(), Error> {
    let text = words.fill(command, Some(to));
    let numbers = [("CURRENT_REPLICAS", from), ("REPLICAS", to)];
    let output = run(&text, words, &numbers, limit).await?;
    tracing::debug!(output, "the command of --exec has ended well");
    Ok(())
}

/// Runs a command to its end. Its standard output, if it ends well.
async fn run(
    text: &str,
    words: &Words,
    numbers: &[(&str, i32)],
    limit: Duration,
) -> Result<String, Error> {
    tracing::debug!(command = text, "running");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(text)
        .env("HPA_NAMESPACE", &words.namespace)
        .env("HPA_NAME", &words.name)
        .env("TARGET_KIND", &words.kind)
        .env("TARGET_NAME", &words.target)
        .envs(numbers.iter().map(|(name, it)| (name, it.to_string())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(Error::Start)?;
    let mut group = Group(child.id());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut reading =
            pin!(async { tokio::join!(keep(stdout, &mut out), keep(stderr, &mut err)) });
        let whole = async {
            let mut is_read = false;
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    _ = &mut reading, if !is_read => is_read = true,
                }
            };
            // What it started in the background is to live on, and may hold the pipes.
            group.0 = None;
            if !is_read {
                let _rest = timeout(REST, reading).await;
            }
            status
        };
        timeout(limit, whole).await
    };
    let told = || match (end_of(&err), end_of(&out)) {
        (err, out) if err.is_empty() => out,
        (err, _) => err,
    };
    match ended {
        Err(_) => Err(Error::Hung(limit, told())),
        Ok(Err(error)) => Err(Error::Start(error)),
        Ok(Ok(status)) if !status.success() => Err(Error::Failed(status, told())),
        Ok(Ok(_)) => Ok(String::from_utf8_lossy(&out).into_owned()),
    }
}

/// Reads a pipe to its end and keeps the end of it.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 8 << 10];
    // A pipe that breaks has ended.
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..length]);
        let surplus = kept.len().saturating_sub(OUTPUT_BYTES);
        kept.drain(..surplus);
    }
}

/// The end of what was written, on one line.
fn end_of(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: Vec<char> = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match line.len().checked_sub(SHOWN_CHARS) {
        None | Some(0) => line.iter().collect(),
        Some(surplus) => format!("…{}", line[surplus..].iter().collect::<String>()),
    }
}

/// The process group of a command that runs, which is killed when this is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        // The shell's own kill: there may be no other. Nobody left is no failure.
        let _ = std::process::Command::new("sh")
            .args(["-c", &format!("kill -s KILL -- -{leader}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> Words {
        Words {
            namespace: "shop".to_owned(),
            name: "web-hpa".to_owned(),
            kind: "Deployment".to_owned(),
            target: "web".to_owned(),
        }
    }

    #[test]
    fn words_come_into_their_places_and_other_braces_stay() {
        for (command, expected) in [
            ("scale {target}={replicas}", "scale web=4"),
            ("{namespace}/{name}{name}", "shop/web-hpaweb-hpa"),
            (
                "${replicas} {{name}} {other} {",
                "${replicas} {{name}} {other} {",
            ),
            ("awk '{print $1}' {replicas", "awk '{print $1}' {replicas"),
            (
                "inspect --format '{{.Spec.Mode.Replicated.Replicas}}' {target}",
                "inspect --format '{{.Spec.Mode.Replicated.Replicas}}' web",
            ),
            ("ü{replicas}→", "ü4→"),
            ("{ {replicas}; }", "{ 4; }"),
        ] {
            assert_eq!(words().fill(command, Some(4)), expected);
        }
        assert_eq!(words().fill("{replicas}", None), "{replicas}");
    }

    proptest! {
        #[test]
        fn a_text_without_places_stays_as_it_is(
            text in "[${}a-z ü]{0,20}",
            around in "[{}$a-z ]{0,4}",
        ) {
            let places = ["{replicas}", "{name}", "{namespace}", "{target}"];
            prop_assume!(!places.iter().any(|it| text.contains(it)));
            prop_assert_eq!(words().fill(&text, Some(4)), text.clone());
            let is_taken = text.ends_with(['$', '{']);
            let expected = format!("{text}{}{around}", if is_taken { "{target}" } else { "web" });
            prop_assume!(!places.iter().any(|it| around.contains(it)));
            prop_assert_eq!(words().fill(&format!("{text}{{target}}{around}"), None), expected);
        }
    }

    #[test]
    fn only_the_end_of_an_output_is_shown_and_on_one_line() {
        assert_eq!(end_of(b" a\n\n b\x1b[0m\t\xff "), "a b[0m \u{fffd}");
        let long = "x".repeat(SHOWN_CHARS + 1);
        assert_eq!(end_of(long.as_bytes()).chars().count(), SHOWN_CHARS + 1);
        assert!(end_of(long.as_bytes()).starts_with('…'));
    }

    #[tokio::test]
    async fn the_end_of_a_flood_is_kept() {
        let mut kept = Vec::new();
        let mut flood = vec![b'a'; 3 * OUTPUT_BYTES];
        flood.extend_from_slice(b"end");
        keep(Some(flood.as_slice()), &mut kept).await;
        assert_eq!(kept.len(), OUTPUT_BYTES);
        assert!(kept.ends_with(b"aend"));
    }
}
