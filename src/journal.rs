//! What was asked lately, by whom, and what came of it; how the backends answered. The status page
//! reads it, and it is made only where there is one.
//!
//! Promises: bounded in number and in bytes, whatever is asked; answers do not wait on each other,
//! for what is kept is spread over locks that are held for one change of one slot; what was used
//! longest ago goes first. Time comes in as a value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

mod ask;
mod ring;
mod slots;
#[cfg(test)]
mod tests;
mod upstream;

pub use ask::{About, Ask, Asker};
use ring::Ring;
use slots::Slots;
pub use upstream::{BACKEND_MINUTES, Ended, Faults, Minute, Upstream};

/// Asks that are remembered: of one caller, for one metric of some objects.
pub const ASKS: usize = 4096;

/// Errors that are remembered: each text once.
const ERRORS: usize = 128;

/// How many minutes a rate is taken over.
const RATE_MINUTES: usize = 5;

/// The longest text that is kept of what a client sent, in bytes.
const TEXT: usize = 256;

/// The longest message that is kept, in bytes.
const MESSAGE: usize = 1024;

/// How some asks went.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// How many there were.
    pub count: u64,
    minutes: Ring<u32, RATE_MINUTES>,
    /// The values that were served last, and when.
    pub served: Option<(Timestamp, Summary)>,
    /// How the last asks failed, if they did.
    pub failing: Option<Failing>,
}

/// The error of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// The message of the `metav1.Status`.
    pub message: Arc<str>,
}

/// Asks that failed one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The last error.
    pub failure: Failure,
    /// When the first of them was asked.
    pub since: Timestamp,
    /// How many there were.
    pub count: u64,
}

/// The values of one answer in short.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many objects, or items of an external metric, have a value.
    pub count: usize,
    /// The values; of pods and nodes, their CPU in cores. `None` where there is none.
    pub values: Option<Range>,
    /// Memory of pods and nodes, in bytes.
    pub memory: Option<Range>,
    /// The time of the oldest value.
    pub oldest: Option<Timestamp>,
}

/// From the smallest to the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// An error that was answered, once or many times.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What was answered.
    pub failure: Failure,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
    /// To whom, the last time.
    pub asker: Asker<String>,
    /// To which path and query, the last time.
    pub path: String,
}

/// What is remembered of one ask.
pub type Heard = (Arc<Ask<String>>, Asked);

/// What was asked lately.
#[derive(Debug)]
pub struct Journal {
    began: Timestamp,
    asks: Slots<Arc<Ask<String>>, Asked>,
    troubles: Slots<Failure, Trouble>,
    backends: Mutex<BTreeMap<String, Arc<Upstream>>>,
}

impl Journal {
    /// An empty one.
    pub fn new(now: Timestamp) -> Journal {
        Journal {
            began: now,
            asks: Slots::new(ASKS),
            troubles: Slots::new(ERRORS),
            backends: Mutex::default(),
        }
    }

    /// When it was begun, which is when the process was.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// An ask for a metric was answered: with these values, or with code and message of an error.
    pub fn answered(
        &self,
        ask: &Ask<&str>,
        outcome: Result<Option<&Summary>, (u16, &str)>,
        now: Timestamp,
    ) {
        let ask = ask.cut();
        let new = || (Arc::new(ask.owned()), Asked::new(now));
        self.asks.change(
            &ask,
            |known| ask.is(known),
            new,
            now,
            |asked| {
                asked.note(outcome, now);
            },
        );
    }

    /// A request was answered with an error.
    pub fn failed(&self, asker: &Asker<&str>, path: &str, error: (u16, &str), now: Timestamp) {
        let (code, message) = (error.0, cut(error.1, MESSAGE));
        let is = |known: &Failure| known.is(code, message);
        let new = || {
            let failure = Failure::new(code, message);
            (failure.clone(), Trouble::new(failure, now))
        };
        self.troubles
            .change(&(code, message), is, new, now, |trouble| {
                trouble.last = now;
                trouble.count += 1;
                trouble.asker = asker.cut().owned();
                cut(path, MESSAGE).clone_into(&mut trouble.path);
            });
    }

    /// Where the requests to a backend are told.
    pub fn upstream(&self, backend: &str) -> Arc<Upstream> {
        let mut backends = lock(&self.backends);
        let known = backends.entry(backend.to_owned());
        Arc::clone(known.or_default())
    }

    /// No rule asks this backend any more.
    pub fn forget(&self, backend: &str) {
        lock(&self.backends).remove(backend);
    }

    /// All asks, in no order.
    pub fn asks(&self) -> Vec<Heard> {
        self.asks.all()
    }

    /// When the youngest ask that was forgotten for others had been asked.
    pub fn forgotten(&self) -> Option<Timestamp> {
        self.asks.forgotten()
    }

    /// All errors, the latest first.
    pub fn troubles(&self) -> Vec<Trouble> {
        let all = self.troubles.all().into_iter();
        let mut troubles: Vec<Trouble> = all.map(|(_, trouble)| trouble).collect();
        troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.last));
        troubles
    }
}

impl Asked {
    fn new(now: Timestamp) -> Asked {
        Asked {
            first: now,
            last: now,
            count: 0,
            minutes: Ring::default(),
            served: None,
            failing: None,
        }
    }

    fn note(&mut self, outcome: Result<Option<&Summary>, (u16, &str)>, now: Timestamp) {
        self.last = now;
        self.count += 1;
        let minute = self.minutes.at(now);
        *minute = minute.saturating_add(1);
        match outcome {
            Ok(summary) => {
                self.served = summary.map(|summary| (now, *summary));
                self.failing = None;
            }
            Err((code, message)) => {
                let message = cut(message, MESSAGE);
                let failing = self.failing.get_or_insert_with(|| Failing {
                    failure: Failure::new(code, message),
                    since: now,
                    count: 0,
                });
                failing.count += 1;
                // The same text time after time is written once.
                if !failing.failure.is(code, message) {
                    failing.failure = Failure::new(code, message);
                }
            }
        }
    }

    /// How often it is asked in a minute, over the last minutes; of what is younger than one, how
    /// often it was.
    pub fn per_minute(&self, now: Timestamp) -> f64 {
        let asked: u32 = self.minutes.until(now).iter().sum();
        let window = self.minutes.window(now).min(now.duration_since(self.first));
        let minutes = window.as_secs_f64() / 60.0;
        f64::from(asked) / minutes.max(1.0)
    }
}

impl Failure {
    fn new(code: u16, message: &str) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }

    fn is(&self, code: u16, message: &str) -> bool {
        self.code == code && *self.message == *message
    }
}

impl Trouble {
    /// Whether all of its path was kept.
    pub fn is_whole(&self) -> bool {
        is_whole(&self.path, MESSAGE)
    }

    fn new(failure: Failure, now: Timestamp) -> Trouble {
        Trouble {
            failure,
            first: now,
            last: now,
            count: 0,
            asker: Asker::default(),
            path: String::new(),
        }
    }
}

impl Range {
    /// Of some values; `None` of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Range> {
        let mut values = values.into_iter();
        let first = values.next()?;
        let (min, max) = (first, first);
        Some(values.fold(Range { min, max }, |range, value| Range {
            min: range.min.min(value),
            max: range.max.max(value),
        }))
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether `cut` has surely left it as it was. What it cuts off is up to three bytes longer than it
/// must be.
fn is_whole(text: &str, bytes: usize) -> bool {
    text.len() + 3 < bytes
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can panic and leave half a change behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
