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
    /// query, and such an answer is whole.
    ///
    /// # Errors
    /// [`Error::Partial`] where the answer is incomplete and that is refused.
    pub fn check(self, notes: &Notes) -> Result<(), Error> {
        let incomplete = notes.partial || notes.warnings.count > 0;
        match self {
            Partial::Refuse if incomplete => {
                Err(Error::Partial(notes.warnings.first.first().cloned()))
            }
            Partial::Accept | Partial::Refuse => Ok(()),
        }
    }
}
