//! The requests to one backend: how many in each of the last minutes, and what went wrong.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::ring::Ring;
use super::{TEXT, cut, lock};

/// How far back the requests to a backend are remembered.
pub const BACKEND_MINUTES: usize = 30;

/// One minute of requests to a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Requests that ended.
    pub requests: u32,
    /// Those of them to which there was no answer.
    pub failed: u32,
    /// Those of them that were answered by a word on the request: it is wrong, or wants too much.
    pub refused: u32,
    /// What they took, all together.
    pub took: Duration,
    /// What the slowest one took.
    pub longest: Duration,
}

/// The requests to one backend. Fed where they are counted.
#[derive(Debug, Default)]
pub struct Upstream(Mutex<Requests>);

#[derive(Clone, Debug, Default)]
struct Requests {
    minutes: Ring<Minute, BACKEND_MINUTES>,
    faults: Faults,
}

/// How a request to a backend ended.
#[derive(Clone, Copy)]
pub enum Ended<'a> {
    /// With an answer.
    Well,
    /// With a word on the request.
    Refused(&'a dyn fmt::Display),
    /// Without an answer.
    Failed(&'a dyn fmt::Display),
}

/// What went wrong with the requests to a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The last one without an answer.
    pub failed: Option<(Timestamp, String)>,
    /// The last one that was refused.
    pub refused: Option<(Timestamp, String)>,
    /// Since when there has been no answer to any; `None` where the last one had one.
    pub silent_since: Option<Timestamp>,
}

impl Upstream {
    /// A request has ended so, in so much time.
    pub fn note(&self, took: Duration, ended: Ended<'_>, now: Timestamp) {
        let text = |error: &dyn fmt::Display| cut(&error.to_string(), TEXT).to_owned();
        let mut requests = lock(&self.0);
        let Requests { minutes, faults } = &mut *requests;
        let minute = minutes.at(now);
        minute.requests = minute.requests.saturating_add(1);
        minute.took = minute.took.saturating_add(took);
        minute.longest = minute.longest.max(took);
        match ended {
            Ended::Well => faults.silent_since = None,
            Ended::Refused(error) => {
                minute.refused = minute.refused.saturating_add(1);
                faults.refused = Some((now, text(error)));
                faults.silent_since = None;
            }
            Ended::Failed(error) => {
                minute.failed = minute.failed.saturating_add(1);
                faults.failed = Some((now, text(error)));
                faults.silent_since.get_or_insert(now);
            }
        }
    }

    /// The last minutes, the oldest first; the last one is not over.
    pub fn minutes(&self, now: Timestamp) -> [Minute; BACKEND_MINUTES] {
        lock(&self.0).minutes.until(now)
    }

    /// What went wrong.
    pub fn faults(&self) -> Faults {
        lock(&self.0).faults.clone()
    }
}
