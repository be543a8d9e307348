//! One way to follow files: the serving certificate, the objects of a world without a cluster.
//!
//! Promises:
//! - contents are compared, not times: the symlink swap of a mounted ConfigMap or Secret is seen, a
//!   `touch` is not;
//! - a bad file never replaces a good one;
//! - one log line per change of state: published, refused (once per reason), as before again.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::telemetry::with_causes;

/// How long a changed file must stay as it is.
const SETTLE: Duration = Duration::from_millis(200);

/// How often that is waited for; then what is there is judged.
const SETTLE_MAX: usize = 25;

/// Contents of the files, in the order of their paths.
pub type Contents = Vec<Vec<u8>>;

/// Reads all files. The error names the file.
pub fn read(paths: &[PathBuf]) -> io::Result<Contents> {
    let name = |path: &PathBuf, e: io::Error| {
        io::Error::new(e.kind(), format!("open {}: {e}", path.display()))
    };
    paths
        .iter()
        .map(|path| std::fs::read(path).map_err(|e| name(path, e)))
        .collect()
}

/// Follows files until it is dropped: reads them every `interval`, and when their contents differ
/// from those in use, parses and publishes.
///
/// `seen` are the contents in use from the start. `what` names the thing in the log: `rules`.
pub async fn follow<T, E: Error>(
    what: &str,
    paths: Vec<PathBuf>,
    interval: Duration,
    seen: Contents,
    mut parse: impl FnMut(&Contents) -> Result<T, E>,
    mut publish: impl FnMut(T),
) {
    let mut state = State {
        seen,
        refused: None,
    };
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate, and the files have just been read.
    tick.tick().await;
    loop {
        tick.tick().await;
        let now = settled(&paths, &state.seen).await;
        match state.step(now, &mut parse) {
            Change::None => {}
            Change::Published(value) => {
                publish(value);
                tracing::info!(what, "file changed, new content in use");
            }
            Change::Refused(error) => {
                tracing::warn!(what, %error, "file is bad, the last good one stays in use");
            }
            Change::Restored => {
                tracing::info!(what, "file is again the one in use");
            }
        }
    }
}

/// Reads the files; again a moment later where they have changed, and takes only what stays: an
/// editor may be in the middle of writing them.
async fn settled(paths: &[PathBuf], seen: &Contents) -> io::Result<Contents> {
    let mut last = read_aside(paths.to_vec()).await?;
    for _ in 0..SETTLE_MAX {
        if last == *seen {
            break;
        }
        tokio::time::sleep(SETTLE).await;
        let next = read_aside(paths.to_vec()).await?;
        if next == last {
            break;
        }
        last = next;
    }
    Ok(last)
}

/// Files may live on a slow volume: they are read beside the workers that serve.
async fn read_aside(paths: Vec<PathBuf>) -> io::Result<Contents> {
    match tokio::task::spawn_blocking(move || read(&paths)).await {
        Ok(contents) => contents,
        Err(panicked) => Err(io::Error::other(panicked)),
    }
}

struct State {
    /// What is in use.
    seen: Contents,
    /// What was refused last, and why; `None`: the file is the one in use.
    refused: Option<Refused>,
}

struct Refused {
    /// `None`: it could not be read.
    contents: Option<Contents>,
    error: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Change<T> {
    None,
    Published(T),
    Refused(String),
    Restored,
}

impl State {
    fn step<T, E: Error>(
        &mut self,
        now: io::Result<Contents>,
        parse: impl FnOnce(&Contents) -> Result<T, E>,
    ) -> Change<T> {
        let (contents, error) = match now {
            Ok(contents) if contents == self.seen => {
                return match self.refused.take() {
                    Some(_) => Change::Restored,
                    None => Change::None,
                };
            }
            Ok(contents) if self.refused_is(&contents) => return Change::None,
            Ok(contents) => match parse(&contents) {
                Ok(value) => {
                    *self = State {
                        seen: contents,
                        refused: None,
                    };
                    return Change::Published(value);
                }
                Err(error) => (Some(contents), with_causes(&error)),
            },
            Err(error) => (None, error.to_string()),
        };
        let known = self.refused.as_ref().is_some_and(|it| it.error == error);
        self.refused = Some(Refused {
            contents,
            error: error.clone(),
        });
        if known {
            Change::None
        } else {
            Change::Refused(error)
        }
    }

    fn refused_is(&self, contents: &Contents) -> bool {
        self.refused.as_ref().and_then(|it| it.contents.as_ref()) == Some(contents)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn number(contents: &Contents) -> Result<u32, std::num::ParseIntError> {
        String::from_utf8_lossy(&contents[0]).trim().parse()
    }

    fn file(text: &str) -> io::Result<Contents> {
        Ok(vec![text.as_bytes().to_vec()])
    }

    fn start(text: &str) -> State {
        State {
            seen: file(text).unwrap(),
            refused: None,
        }
    }

    #[test]
    fn a_new_good_file_is_published_once() {
        let mut state = start("1");
        assert_eq!(state.step(file("1"), number), Change::None);
        assert_eq!(state.step(file("2"), number), Change::Published(2));
        assert_eq!(state.step(file("2"), number), Change::None);
    }

    #[test]
    fn a_bad_file_is_refused_once_per_reason_and_never_published() {
        let mut state = start("1");
        let bad = "invalid digit found in string".to_owned();
        assert_eq!(state.step(file("x"), number), Change::Refused(bad));
        assert_eq!(state.step(file("x"), number), Change::None);
        assert_eq!(state.step(file("y"), number), Change::None);
        let empty = "cannot parse integer from empty string".to_owned();
        assert_eq!(state.step(file(""), number), Change::Refused(empty));
        assert_eq!(state.step(file("3"), number), Change::Published(3));
    }

    #[test]
    fn a_file_that_comes_back_as_it_was_is_said_to() {
        let mut state = start("1");
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert!(matches!(state.step(gone(), number), Change::Refused(_)));
        assert_eq!(state.step(gone(), number), Change::None);
        assert_eq!(state.step(file("1"), number), Change::Restored);
        assert_eq!(state.step(file("1"), number), Change::None);
    }

    /// kubelet swaps `..data` to a new directory; the path stays the same.
    #[tokio::test]
    async fn the_symlink_swap_of_a_config_map_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("v1", "1"), ("v2", "2")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("config.yaml"), text).unwrap();
        }
        std::os::unix::fs::symlink("v1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/config.yaml", at("config.yaml")).unwrap();
        let paths = vec![at("config.yaml")];
        let seen = read(&paths).unwrap();
        let (sender, receiver) = mpsc::channel();
        let publish = move |value| sender.send(value).unwrap();
        let follow = follow(
            "rules",
            paths,
            Duration::from_millis(1),
            seen,
            number,
            publish,
        );
        let task = tokio::spawn(follow);
        std::os::unix::fs::symlink("v2", at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        let wait = move || receiver.recv_timeout(Duration::from_secs(10));
        let value = tokio::task::spawn_blocking(wait).await.unwrap();
        assert_eq!(value, Ok(2));
        task.abort();
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = read(&[PathBuf::from("/nonexistent/rules.yaml")]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("open /nonexistent/rules.yaml: "),
            "{error}"
        );
    }
}
