//! One query in parts, all answered by one server.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Answer, Client, Error, Notes, Refusal, Sample};

/// What is asked of a replica.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// As they are sent, at least one.
    pub(super) texts: &'a [String],
    pub(super) at: Timestamp,
}

impl Parts<'_> {
    /// Asks one after the other within `budget` and folds what comes into one value. `see` gets
    /// what stands beside each answer and may refuse it.
    pub(super) async fn ask<T, F>(
        self,
        client: &Client,
        budget: Duration,
        (init, fold): (T, F),
        mut see: impl FnMut(&Notes) -> Result<(), Error>,
    ) -> Result<Answer<T>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Sample) -> Result<(), Refusal> + Clone + Send + 'static,
    {
        let deadline = Instant::now() + budget;
        let (first, further) = self.texts.split_first().ok_or(Error::Internal)?;
        let mut whole = client
            .query(first, self.at, budget, init, fold.clone())
            .await?;
        see(&whole.notes)?;
        for text in further {
            let left = deadline.saturating_duration_since(Instant::now());
            let part = client
                .query(text, self.at, left, whole.value, fold.clone())
                .await?;
            see(&part.notes)?;
            whole = Answer {
                value: part.value,
                kind: part.kind,
                samples: whole.samples + part.samples,
                histograms: whole.histograms + part.histograms,
                notes: whole.notes.and(part.notes),
            };
        }
        Ok(whole)
    }
}
