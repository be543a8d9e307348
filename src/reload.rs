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
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    fn number(contents: &Contents) -> Result<u32, std::num::ParseIntError> {
        String::from_utf8_lossy(&contents[0]).trim().parse()
    }

    fn file(text: &str) -> io::Result<Contents> {
        Ok(vec![text.as_bytes().to_vec()])
    }

    /// Files of this text, and a hand on what is read of them.
    fn start(text: &str) -> (Followed<Contents>, Arc<Mutex<io::Result<Contents>>>) {
        let now = Arc::new(Mutex::new(file(text)));
        let read = {
            let now = Arc::clone(&now);
            move || match &*now.lock().unwrap() {
                Ok(contents) => Ok(contents.clone()),
                Err(error) => Err(error.kind().into()),
            }
        };
        (Followed::new(read, file(text).unwrap()), now)
    }

    /// What a look says, in a word.
    async fn look(files: &mut Followed<Contents>) -> String {
        match files.look(async |contents| number(&contents)).await {
            Change::None => "nothing".to_owned(),
            Change::Published(number) => number.to_string(),
            Change::Refused(error) => error.to_string(),
            Change::Restored => "restored".to_owned(),
        }
    }

    const BAD: &str = "invalid digit found in string";

    #[tokio::test(start_paused = true)]
    async fn a_new_good_file_is_published_once() {
        let (mut files, now) = start("1");
        assert_eq!(look(&mut files).await, "nothing");
        *now.lock().unwrap() = file("2");
        assert_eq!(look(&mut files).await, "2");
        assert_eq!(look(&mut files).await, "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_file_is_refused_once_per_reason_and_never_published() {
        let (mut files, now) = start("1");
        let empty = "cannot parse integer from empty string";
        for (text, said) in [
            ("x", BAD),
            ("x", "nothing"),
            ("y", "nothing"),
            ("", empty),
            ("3", "3"),
            ("x", BAD),
        ] {
            *now.lock().unwrap() = file(text);
            assert_eq!(look(&mut files).await, said, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_comes_back_as_it_was_is_said_to() {
        let (mut files, now) = start("1");
        *now.lock().unwrap() = Err(io::ErrorKind::NotFound.into());
        assert_eq!(look(&mut files).await, "entity not found");
        assert_eq!(look(&mut files).await, "nothing");
        *now.lock().unwrap() = file("1");
        assert_eq!(look(&mut files).await, "restored");
        assert_eq!(look(&mut files).await, "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_wants_to_know_is_told_again() {
        let (mut files, now) = start("1");
        files.tell();
        assert_eq!(look(&mut files).await, "nothing");
        *now.lock().unwrap() = file("x");
        assert_eq!(look(&mut files).await, BAD);
        assert_eq!(look(&mut files).await, "nothing");
        files.tell();
        assert_eq!(look(&mut files).await, BAD);
        *now.lock().unwrap() = file("1");
        files.tell();
        assert_eq!(look(&mut files).await, "restored");
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_become_good_is_tried_again_and_refused_once() {
        let (mut files, now) = start("1");
        *now.lock().unwrap() = file("2");
        let away = async |_| Err::<u32, _>("x".parse::<u32>().unwrap_err());
        assert!(matches!(files.look(away).await, Change::Refused(_)));
        assert_eq!(look(&mut files).await, "nothing");
        files.retry();
        assert!(matches!(files.look(away).await, Change::None));
        files.retry();
        assert_eq!(look(&mut files).await, "2");
    }

    /// It is looked at while it is written or moved, many times in a row.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_away_or_half_written_for_a_moment_is_no_news() {
        let (mut files, now) = start("1");
        let away = || Err(io::ErrorKind::NotFound.into());
        for (moments, said) in [
            (vec![away(), file("1")], "nothing"),
            (vec![file("x"), away(), file(""), file("1")], "nothing"),
            (vec![away(), file("2"), away(), file("23")], "23"),
            (vec![away()], "entity not found"),
            (vec![file("x"), file("23")], "restored"),
        ] {
            let hand = Arc::clone(&now);
            let write = tokio::spawn(async move {
                for moment in moments {
                    *hand.lock().unwrap() = moment;
                    tokio::time::sleep(SETTLE * 9 / 10).await;
                }
            });
            tokio::task::yield_now().await;
            assert_eq!(look(&mut files).await, said);
            write.await.unwrap();
        }
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
