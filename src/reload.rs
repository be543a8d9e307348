//! One way to follow files: the rules, the serving certificate, the objects of a world without a
//! cluster.
//!
//! Promises:
//! - contents are compared, not times: the symlink swap of a mounted ConfigMap or Secret is seen, a
//!   `touch` is not;
//! - a bad file never replaces a good one;
//! - one word per change of state: published, refused (once per reason), as before again.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::telemetry::with_causes;

/// The files of the rules.
pub mod config;

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
/// `seen` are the contents in use from the start. `what` names the thing in the log: `objects`.
pub async fn follow<T, E: Error>(
    what: &str,
    paths: Vec<PathBuf>,
    interval: Duration,
    seen: Contents,
    mut parse: impl FnMut(&Contents) -> Result<T, E>,
    mut publish: impl FnMut(T),
) {
    let mut files = Followed::new(move || read(&paths), seen);
    let mut tick = ticks(interval).await;
    loop {
        tick.tick().await;
        match files.look(async |contents| parse(&contents)).await {
            Change::None => {}
            Change::Published(value) => {
                publish(value);
                tracing::info!(what, "file changed, new content in use");
            }
            Change::Refused(error) => {
                let error = with_causes(&error);
                tracing::warn!(what, %error, "file is bad, the last good one stays in use");
            }
            Change::Restored => {
                tracing::info!(what, "file is again the one in use");
            }
        }
    }
}

/// Ticks that are `interval` apart, the first of them as far from now: the files have just been
/// read.
pub async fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate.
    tick.tick().await;
    tick
}

/// Files that are looked at again and again, by a reader of theirs.
pub struct Followed<C> {
    read: Arc<dyn Fn() -> io::Result<C> + Send + Sync>,
    state: State<C>,
}

/// What has changed since the last look.
#[derive(Debug)]
pub enum Change<T, E> {
    /// Nothing, or nothing that has not been told.
    None,
    /// There are new contents, and they are good. They are the ones in use from now on.
    Published(T),
    /// What is there cannot be used, for a reason that was not told at the last look.
    Refused(Failure<E>),
    /// What could not be used has become what is in use.
    Restored,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E> {
    /// They cannot be read.
    #[error(transparent)]
    Read(io::Error),
    /// Their contents are wrong.
    #[error(transparent)]
    Parse(E),
}

impl<C: Clone + PartialEq + Send + 'static> Followed<C> {
    /// `seen` are the contents in use.
    pub fn new(read: impl Fn() -> io::Result<C> + Send + Sync + 'static, seen: C) -> Followed<C> {
        let (read, refused) = (Arc::new(read), None);
        let state = State { seen, refused };
        Followed { read, state }
    }

    /// Looks once. What is new is parsed.
    pub async fn look<T, E: Error>(
        &mut self,
        parse: impl AsyncFnOnce(C) -> Result<T, E>,
    ) -> Change<T, E> {
        match self.state.judge(self.settled().await) {
            Step::None => Change::None,
            Step::Restored => Change::Restored,
            Step::Unreadable(error) => self.state.refuse(None, Failure::Read(error)),
            Step::Parse(contents) => match parse(contents.clone()).await {
                Ok(value) => {
                    self.state.publish(contents);
                    Change::Published(value)
                }
                Err(error) => self.state.refuse(Some(contents), Failure::Parse(error)),
            },
        }
    }

    /// What was refused last may be good by now although it is the same: the next look tries.
    pub fn retry(&mut self) {
        if let Some(refused) = &mut self.state.refused {
            refused.contents = None;
        }
    }

    /// Somebody wants to know: the next look tells a reason that was told.
    pub fn tell(&mut self) {
        self.retry();
        if let Some(refused) = &mut self.state.refused {
            refused.error.clear();
        }
    }

    /// Reads the files; again a moment later where they have changed or cannot be read, and takes
    /// only what stays: an editor may be in the middle of writing them, and many put another file
    /// in the place of the one they take away.
    async fn settled(&self) -> io::Result<C> {
        let mut last = self.read_aside().await;
        for _ in 0..SETTLE_MAX {
            if last.as_ref().is_ok_and(|last| *last == self.state.seen) {
                break;
            }
            tokio::time::sleep(SETTLE).await;
            let next = self.read_aside().await;
            let stays = match (&last, &next) {
                (Ok(last), Ok(next)) => last == next,
                (Err(last), Err(next)) => last.to_string() == next.to_string(),
                _ => false,
            };
            last = next;
            if stays {
                break;
            }
        }
        last
    }

    /// Files may live on a slow volume: they are read beside the workers that serve.
    async fn read_aside(&self) -> io::Result<C> {
        let read = Arc::clone(&self.read);
        match tokio::task::spawn_blocking(move || read()).await {
            Ok(contents) => contents,
            Err(panicked) => Err(io::Error::other(panicked)),
        }
    }
}

struct State<C> {
    /// What is in use.
    seen: C,
    /// What was refused last, and why; `None`: the file is the one in use.
    refused: Option<Refused<C>>,
}

struct Refused<C> {
    /// `None`: it could not be read, or is to be tried again.
    contents: Option<C>,
    error: String,
}

/// What to do about contents.
#[derive(Debug)]
enum Step<C> {
    None,
    Restored,
    Unreadable(io::Error),
    Parse(C),
}

impl<C: PartialEq> State<C> {
    fn judge(&mut self, now: io::Result<C>) -> Step<C> {
        match now {
            Err(error) => Step::Unreadable(error),
            Ok(contents) if contents == self.seen => match self.refused.take() {
                Some(_) => Step::Restored,
                None => Step::None,
            },
            Ok(contents) if self.refused_is(&contents) => Step::None,
            Ok(contents) => Step::Parse(contents),
        }
    }

    fn publish(&mut self, contents: C) {
        (self.seen, self.refused) = (contents, None);
    }

    fn refuse<T, E: Error>(&mut self, contents: Option<C>, failure: Failure<E>) -> Change<T, E> {
        let error = match &failure {
            Failure::Read(error) => error.to_string(),
            Failure::Parse(error) => with_causes(error),
        };
        let known = self.refused.as_ref().is_some_and(|it| it.error == error);
        self.refused = Some(Refused { contents, error });
        match known {
            true => Change::None,
            false => Change::Refused(failure),
        }
    }

    fn refused_is(&self, contents: &C) -> bool {
        self.refused.as_ref().and_then(|it| it.contents.as_ref()) == Some(contents)
    }
}

#[cfg(test)]
mod tests;
