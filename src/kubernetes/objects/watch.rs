//! Keeps one feed true: a list, then a watch from there, for as long as anybody asks.
//!
//! As client-go's reflector (`k8s.io/client-go/tools/cache/reflector.go`): a watch that ends is
//! begun again at the last version seen, so that nothing is missed. Where it cannot go on from
//! there a new list takes the place of all that was held, at once: the version is too old (410),
//! the server says what cannot be understood or fell silent, or no watch was there for so long that
//! a new one does not say when it has told all. `sendInitialEvents` is not used: API servers refuse
//! it.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Objects;
use super::feed::{Feed, STALE};
use super::list;
use super::store::{Ended, Store};
use super::wire::{Event, Lines, Unreadable};
use crate::kubernetes::client::{self, Stream};
use crate::pace::{self, Pace};
use crate::telemetry::{ObjectsLabel, with_causes};

/// What changes, without the rest of the objects.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// A watch is asked to last between this and twice it, so that not all end together (client-go's
/// `minWatchTimeout`).
const WATCH_TIME: Duration = Duration::from_secs(300);

/// The same until a bookmark came: API servers need not send any. A watch that ends in time has
/// been alive, so this, up to five thirds of it, is less than [`SILENCE`].
const UNPROVEN_TIME: Duration = Duration::from_secs(45);

/// Without a word for so long a watch is taken for dead: bookmarks come each minute.
const SILENCE: Duration = Duration::from_secs(90);

/// What happened while no watch was there has been said so soon after one began.
const SETTLED: Duration = Duration::from_secs(1);

/// The longest pause after failures.
const RETRY: Duration = Duration::from_secs(30);

const LISTED_AGAIN: &str = "all objects are listed again";

/// Why a list or a watch came to its end.
#[derive(Debug, Error)]
enum Broken {
    /// What happened since is no longer known to the server: 410.
    #[error("the version to go on from is not known any more: {0}")]
    Expired(String),
    /// It began, after a time in which none was there.
    #[error("no watch was there for {}s", STALE.as_secs())]
    Away,
    /// The server ended it before it had said anything.
    #[error("the watch ended as soon as it began")]
    Short,
    /// Half open, or the server hangs.
    #[error("the watch was silent for {}s", SILENCE.as_secs())]
    Silent,
    /// It said why.
    #[error("the watch ended with {}: {}", .0.code, .0.message)]
    Ended(Ended),
    /// A list from which no watch can go on.
    #[error("the list has no resourceVersion")]
    Versionless,
    #[error(transparent)]
    Line(#[from] Unreadable),
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// The writer of one feed.
struct Watch {
    objects: Arc<Objects>,
    feed: Arc<Feed>,
    pace: Pace,
    /// Watching is refused: nothing is held, and from here it is tried again.
    refused_at: Option<String>,
    /// What is held is no longer good to go on from.
    expired: bool,
    /// A list was made because none could go on, and no watch has settled since.
    relisted: bool,
    /// The log has said that a list was made so.
    relist_told: bool,
    /// This server sends bookmarks of these objects.
    bookmarked: bool,
    /// What the log said last, when it was a failure.
    failure: Option<String>,
    /// The log has said that it is watched.
    told: bool,
}

/// Keeps `feed` true until nobody asks any longer, or its kind is gone.
pub(super) async fn keep(objects: Arc<Objects>, feed: Arc<Feed>) {
    let mut watch = Watch::new(Arc::clone(&objects), Arc::clone(&feed));
    let idle = async {
        while !objects.let_go(&feed) {
            sleep_until(feed.asked() + objects.limits.idle).await;
        }
    };
    let why = tokio::select! {
        () = watch.run() => {
            objects.forget(&feed);
            "the API server does not serve them"
        }
        () = idle => "nobody asks for them",
        () = feed.dropped.cancelled() => "their kind is gone or served otherwise",
    };
    tracing::info!(objects = feed.title, why, "objects are watched no longer");
    drop(watch);
    objects.tidy_up(feed);
}

impl Watch {
    fn new(objects: Arc<Objects>, feed: Arc<Feed>) -> Watch {
        Watch {
            objects,
            feed,
            pace: Pace::new(RETRY),
            refused_at: None,
            expired: false,
            relisted: false,
            relist_told: false,
            bookmarked: false,
            failure: None,
            told: false,
        }
    }

    /// Until the API server says that there is no such kind.
    async fn run(&mut self) {
        self.count_objects();
        loop {
            let held = self.feed.version().filter(|_| !self.expired);
            let from = self.refused_at.clone().or(held);
            let ended = match &from {
                Some(version) => self.follow(version).await,
                None => self.list().await,
            };
            let Err(broken) = ended else {
                continue;
            };
            if matches!(&broken, Broken::Client(error) if error.is_not_found()) {
                return;
            }
            let pause = self.note(&broken, from);
            sleep(pause).await;
        }
    }

    /// A whole list, which then is what is held.
    async fn list(&mut self) -> Result<(), Broken> {
        let since = Instant::now();
        self.feed.is_catching_up();
        let mut store = Store::default();
        self.objects.count_list(self.feed.title.clone(), "watch");
        let path = self.feed.list_path();
        let read = list::pages(&self.objects.watcher, &path, |items| {
            let mut pool = self.objects.pool();
            for item in items {
                store.put(item, &mut pool);
            }
        });
        let version = read.await;
        self.objects.note_lost(&version);
        let version = version?;
        if version.is_empty() {
            return Err(Broken::Versionless);
        }
        store.complete(&version);
        // It is of the moment when it began: one that took long is not answered from before the
        // watch has said what happened meanwhile.
        self.feed.replace(store, since);
        self.expired = false;
        self.objects.pool().sweep();
        self.count_objects();
        let took = since.elapsed();
        tracing::debug!(
            objects = self.feed.title,
            held = self.feed.len(),
            ?took,
            "listed"
        );
        Ok(())
    }

    /// One watch, to its end.
    async fn follow(&mut self, version: &str) -> Result<(), Broken> {
        let path = self.feed.watch_path(version, self.time().as_secs());
        let label = self.label();
        self.objects
            .metrics
            .object_watches
            .get_or_create(&label)
            .inc();
        let opened = self.objects.watcher.stream(&path, METADATA).await;
        self.objects.note_lost(&opened);
        let stream = match opened {
            Err(error) if error.status() == Some(410) => {
                return Err(Broken::Expired(error.to_string()));
            }
            other => other?,
        };
        self.refused_at = None;
        let ended = self.read(stream).await;
        self.feed.is_unwatched(Instant::now());
        ended
    }

    /// How long the next watch is to last.
    fn time(&self) -> Duration {
        match self.bookmarked {
            true => pace::between(WATCH_TIME, 2 * WATCH_TIME),
            false => pace::between(UNPROVEN_TIME, UNPROVEN_TIME * 5 / 3),
        }
    }

    /// What the server says, until it says no more.
    async fn read(&mut self, mut stream: Stream) -> Result<(), Broken> {
        let began = Instant::now();
        if !self.feed.can_go_on() {
            return Err(Broken::Away);
        }
        let (mut heard, mut settled) = (began, false);
        let mut lines = Lines::default();
        loop {
            let until = match settled {
                false => began + SETTLED,
                true => heard + SILENCE,
            };
            match timeout_at(until, stream.next()).await {
                Err(_) if !settled => {
                    settled = true;
                    self.settle();
                }
                Err(_) => {
                    self.feed.is_unwatched(heard);
                    return Err(Broken::Silent);
                }
                Ok(Ok(Some(piece))) => {
                    heard = Instant::now();
                    self.show_heard();
                    let caught_up = self.take(&mut lines, &piece)?;
                    self.bookmarked |= caught_up;
                    if caught_up && !settled {
                        settled = true;
                        self.settle();
                    }
                }
                Ok(Ok(None)) if settled => return Ok(()),
                Ok(Ok(None)) => return Err(Broken::Short),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Takes up what a piece of the watch says; whether a bookmark was among it.
    fn take(&self, lines: &mut Lines, piece: &[u8]) -> Result<bool, Broken> {
        let mut caught_up = false;
        lines.feed(piece, |line| {
            if line.is_empty() {
                return Ok(());
            }
            let event = Event::read(line)?;
            caught_up |= matches!(event, Event::Bookmark { .. });
            let mut pool = self.objects.pool();
            let applied = self.feed.change(|store| store.apply(event, &mut pool));
            match applied {
                None | Some(Ok(())) => Ok(()),
                Some(Err(ended)) if ended.code == 410 => Err(Broken::Expired(ended.message)),
                Some(Err(ended)) => Err(Broken::Ended(ended)),
            }
        })?;
        self.count_objects();
        Ok(caught_up)
    }

    /// A watch is there, and has said all that happened before.
    fn settle(&mut self) {
        self.feed.is_watched();
        self.show(true);
        self.show_heard();
        self.pace.succeeded();
        self.relisted = false;
        let (objects, held) = (&self.feed.title, self.feed.len());
        if self.failure.take().is_some() || !self.told {
            self.told = true;
            tracing::info!(objects, held, "objects are watched");
        }
    }

    /// Logs a failure once, and gives how long to wait.
    fn note(&mut self, broken: &Broken, from: Option<String>) -> Duration {
        let error = with_causes(broken);
        let objects = &self.feed.title;
        match broken {
            // A list of all again. Twice without a watch between is a failure as any other. From
            // the same version the server would say the same that was not understood.
            Broken::Expired(_) | Broken::Away | Broken::Silent | Broken::Line(_) => {
                self.refused_at = None;
                self.expired = true;
                if !std::mem::replace(&mut self.relisted, true) {
                    // A server that never lets a watch go on would have it told each minute.
                    match std::mem::replace(&mut self.relist_told, true) {
                        false => tracing::info!(objects, why = error, "{LISTED_AGAIN}"),
                        true => tracing::debug!(objects, why = error, "{LISTED_AGAIN}"),
                    }
                    return Duration::ZERO;
                }
            }
            Broken::Client(error)
                if matches!(error.status(), Some(403 | 405)) && from.is_some() =>
            {
                // Without a watch it is of no use.
                self.refused_at = from;
                self.feed.clear();
                self.count_objects();
            }
            _ => {}
        }
        self.feed.has_given_up();
        self.show(false);
        if self.failure.as_ref() != Some(&error) {
            tracing::warn!(
                objects,
                error,
                "objects cannot be watched, trying on: until they can, each ask is a list"
            );
            self.failure = Some(error);
        }
        self.pace.pause(true)
    }

    fn show(&self, watched: bool) {
        let watches = &self.objects.metrics.objects_watched;
        let gauge = watches.get_or_create(&self.label());
        gauge.set(i64::from(watched));
    }

    fn show_heard(&self) {
        let heard = &self.objects.metrics.objects_heard;
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        heard.get_or_create(&self.label()).set(now);
    }

    fn label(&self) -> ObjectsLabel {
        ObjectsLabel {
            objects: self.feed.title.clone(),
        }
    }

    fn count_objects(&self) {
        let label = self.label();
        let held = i64::try_from(self.feed.len()).unwrap_or(i64::MAX);
        self.objects
            .metrics
            .objects_held
            .get_or_create(&label)
            .set(held);
    }
}

#[cfg(test)]
mod tests;
