//! One fetch of an entry, and what becomes of those who wait for it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Entry, Outcome, pause};
use crate::prometheus::Error;

/// A fetch under way. One that panics must not leave those who wait, and those who come after them,
/// without an answer.
pub(super) struct Driving<'a> {
    entry: &'a Entry,
    pub(super) began: Instant,
}

impl<'a> Driving<'a> {
    pub(super) fn new(entry: &'a Entry) -> Driving<'a> {
        let began = Instant::now();
        Driving { entry, began }
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        let policy = self.entry.query.policy;
        let pause = |failures| pause(policy, failures);
        let mut state = self.entry.lock();
        state.fetched(outcome, pause, self.began, Instant::now());
        drop(state);
        self.entry.ended.send_replace(());
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ended(Err(Arc::new(Error::Internal)));
            self.entry.lock().undrive();
        }
    }
}
