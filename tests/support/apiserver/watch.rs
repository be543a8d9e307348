//! Watches: an answer that goes on for as long as the API server likes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::objects::{Asked, bookmark, line};
use super::{ApiServer, Call, State};

/// A body, and why it breaks off.
pub(super) type Body = BoxBody<Bytes, std::io::Error>;

/// How the API server treats watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watches {
    /// Says what changes.
    Served,
    /// Answers with this status instead.
    Refused(u16),
    /// Lets them begin, and says nothing any more.
    Silent,
    /// Answers, to a version that is too old, 410 as a status instead of as an event.
    GoneAtOnce,
}

/// How all watches that there are come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As when their time is over.
    Proper,
    /// In the middle of a line, with the connection.
    MidLine,
    /// With the event that the version is too old.
    Expired,
}

/// What a running watch is told; the number counts the ends.
#[derive(Clone, Copy)]
pub(super) struct Signal {
    pub(super) ends: (u64, End),
}

struct Watching {
    state: Arc<State>,
    asked: Asked,
    version: u64,
    signal: watch::Receiver<Signal>,
    ends: u64,
    bookmark_at: Instant,
    then: Then,
    _open: Arc<()>,
}

/// What follows the pieces so far.
enum Then {
    More,
    End,
    Break,
}

/// The answer to a call with `watch=true`, as a status or as a stream.
pub(super) fn answer(call: &Call, state: &Arc<State>) -> (u16, Body) {
    let world = state.world();
    let from = call.parameter("resourceVersion").unwrap_or_default();
    let from: u64 = from.parse().expect("a watch must begin at a version");
    let expired = from < world.objects.oldest();
    let refused = match world.watches {
        Watches::Refused(status) => Some((status, "forbidden: cannot watch this")),
        Watches::GoneAtOnce if expired => Some((410, "too old resource version")),
        _ => None,
    };
    if let Some((status, message)) = refused {
        return (status, super::full(&super::refusal(status, message).1));
    }
    if expired {
        let text = too_old(from, world.objects.oldest());
        return (200, super::text(text));
    }
    let signal = world.signal.subscribe();
    let ends = signal.borrow().ends.0;
    let watching = Watching {
        state: Arc::clone(state),
        asked: Asked::of(call),
        version: from,
        ends,
        signal,
        bookmark_at: Instant::now() + world.bookmarks,
        then: Then::More,
        _open: Arc::clone(&world.open_watches),
    };
    let pieces = stream::unfold(watching, |mut watching| async {
        let piece = watching.next().await?;
        Some((piece.map(Frame::data), watching))
    });
    (200, BodyExt::boxed(StreamBody::new(pieces)))
}

/// The head that goes before `body`.
pub(super) fn response(status: u16, body: Body) -> Result<Response<Body>, std::io::Error> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    response.body(body).map_err(std::io::Error::other)
}

impl ApiServer {
    /// How it treats watches from now on. Those that are open go on, unless they are to be silent.
    pub fn treat_watches(&self, watches: Watches) {
        self.world().watches = watches;
        self.change(|_| {});
    }

    /// The time between bookmarks of watches that begin after this.
    pub fn bookmark_every(&self, interval: Duration) {
        self.world().bookmarks = interval;
    }

    /// Ends the watches that there are.
    pub fn end_watches(&self, end: End) {
        let world = self.world();
        world
            .signal
            .send_modify(|signal| signal.ends = (signal.ends.0 + 1, end));
    }

    /// How many watches are open.
    pub fn open_watches(&self) -> usize {
        Arc::strong_count(&self.world().open_watches) - 1
    }
}

impl Watching {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        match self.then {
            Then::More => {}
            Then::End => return None,
            Then::Break => return Some(Err(std::io::Error::other("told to break"))),
        }
        loop {
            let (ends, end) = self.signal.borrow_and_update().ends;
            if ends > self.ends {
                return self.end(end);
            }
            let (lines, silent) = {
                let world = self.state.world();
                let silent = world.watches == Watches::Silent;
                let (lines, until) = world.objects.since(&self.asked, self.version);
                if !silent {
                    self.version = until;
                }
                (lines, silent)
            };
            if !silent && !lines.is_empty() {
                return Some(Ok(lines.into()));
            }
            match timeout_at(self.bookmark_at, self.signal.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_closed)) => return None,
                Err(_) => {
                    let interval = self.state.world().bookmarks;
                    self.bookmark_at = Instant::now() + interval.max(Duration::from_millis(1));
                    if !silent {
                        return Some(Ok(bookmark(self.version).into()));
                    }
                }
            }
        }
    }

    fn end(&mut self, end: End) -> Option<Result<Bytes, std::io::Error>> {
        let (then, last) = match end {
            End::Proper => return None,
            End::MidLine => (Then::Break, HALF.to_owned()),
            End::Expired => (Then::End, too_old(self.version, self.version + 1)),
        };
        self.then = then;
        Some(Ok(last.into()))
    }
}

/// The beginning of a line.
const HALF: &str = r#"{"type":"DELETED","object":{"metadata":{"na"#;

fn too_old(version: u64, oldest: u64) -> String {
    line(
        "ERROR",
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("too old resource version: {version} ({oldest})"),
            "reason": "Expired", "code": 410}),
    )
}
