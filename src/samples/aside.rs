//! Looks at what is remembered, and questions beside it, of somebody who explains an answer: they
//! change nothing for those who ask.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Outcome, Query, Remembered, Samples};

impl Samples {
    /// What is remembered of `query`. No ask is noted.
    pub fn look(&self, query: &Query) -> Option<Remembered> {
        let entry = self.shared.entries.get(query)?;
        let state = entry.lock();
        Some(state.look(query.policy, Instant::now()))
    }

    /// Has `query` asked: nothing that is remembered is given, and nothing is remembered.
    ///
    /// # Errors
    /// The backend gives no rows.
    pub async fn aside(&self, query: Query) -> Outcome {
        (self.shared.fetch)(Arc::new(query)).await
    }
}
