//! Answers that the server itself calls incomplete.

use super::decode::Notes;
use super::error::Error;

/// What becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Partial {
    /// They are counted and taken as they are, as the Go adapter does.
    #[default]
    Accept,
    /// They are errors.
    Refuse,
}

impl Partial {
    /// Says what is wrong with an answer with these notes. `infos` of Prometheus are about the
    /// query, as are some of its warnings, and such an answer is whole.
    ///
    /// # Errors
    /// [`Error::Partial`] where the answer is incomplete and that is refused.
    pub fn check(self, notes: &Notes) -> Result<(), Error> {
        let warned = notes.warnings.count > notes.warnings.of_query;
        match self {
            Partial::Refuse if warned || notes.partial => {
                let first = notes.warnings.first.first();
                Err(Error::Partial(first.filter(|_| warned).cloned()))
            }
            Partial::Accept | Partial::Refuse => Ok(()),
        }
    }
}
