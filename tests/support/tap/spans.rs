//! From when to when requests were open, and how many at the same time.

// Not every program that shares the tap asks for it.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Instant;

use super::{State, Tap};

/// A request from when it had come until its answer was read, or its sender gave up.
#[derive(Clone, Debug)]
pub struct Span {
    /// The path without the query string.
    pub path: String,
    /// When it had come.
    pub from: Instant,
    /// When it was over.
    pub until: Instant,
}

/// A request that is open. Its end is that of the answer's body, or of the connection.
pub(super) struct Open {
    state: Arc<State>,
    path: String,
    from: Instant,
}

impl Tap {
    /// Every request that ended since the last call, in the order of their ends.
    pub fn take_spans(&self) -> Vec<Span> {
        let spans = self.state.spans.lock();
        std::mem::take(&mut *spans.expect("no holder of this lock may panic"))
    }
}

/// The most requests that were open at the same time.
pub fn most_open(spans: &[Span]) -> usize {
    let begins = spans.iter().map(|span| (span.from, true));
    let ends = spans.iter().map(|span| (span.until, false));
    let mut turns: Vec<(Instant, bool)> = begins.chain(ends).collect();
    // At the same time an end comes before a beginning.
    turns.sort_unstable();
    let mut open = 0_usize;
    let counts = turns.iter().map(|(_, begins)| {
        open = if *begins {
            open + 1
        } else {
            open.saturating_sub(1)
        };
        open
    });
    counts.max().unwrap_or_default()
}

impl Open {
    pub(super) fn now(state: &Arc<State>, path: &str) -> Open {
        Open {
            state: Arc::clone(state),
            path: path.to_owned(),
            from: Instant::now(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let span = Span {
            path: std::mem::take(&mut self.path),
            from: self.from,
            until: Instant::now(),
        };
        // A test that has failed already must not fail twice.
        if let Ok(mut spans) = self.state.spans.lock() {
            spans.push(span);
        }
    }
}
