//! Which replica gets the next request: those that are ready, in turn, as behind a Service.

use std::sync::{Arc, Mutex, MutexGuard};

/// The replicas that are ready. Who is put in or taken out is told by its name.
#[derive(Clone, Default)]
pub(super) struct Rotation(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Name and URL.
    ready: Vec<(String, String)>,
    next: usize,
}

impl Rotation {
    /// Puts a replica in, or takes it out. Says whether that changed anything.
    pub(super) fn set(&self, name: &str, url: &str, ready: bool) -> bool {
        let mut state = self.lock();
        let at = state.ready.iter().position(|(other, _)| other == name);
        match (at, ready) {
            (None, true) => state.ready.push((name.to_owned(), url.to_owned())),
            (Some(at), false) => {
                state.ready.remove(at);
            }
            _ => return false,
        }
        true
    }

    /// The URL of the one whose turn it is, or nothing while none is ready.
    pub(super) fn next(&self) -> Option<String> {
        let mut state = self.lock();
        state.next = state.next.wrapping_add(1);
        let turn = state.next.checked_rem(state.ready.len())?;
        state.ready.get(turn).map(|(_, url)| url.clone())
    }

    /// How many are ready.
    pub(super) fn len(&self) -> usize {
        self.lock().ready.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is in there is whole after each step.
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_to_those_that_are_ready_in_turn() {
        let rotation = Rotation::default();
        assert_eq!(rotation.next(), None);
        assert!(rotation.set("a", "A", true) && rotation.set("b", "B", true));
        assert!(!rotation.set("b", "B", true));
        let mut turns: Vec<_> = (0..4).filter_map(|_| rotation.next()).collect();
        turns.sort();
        assert_eq!(turns, ["A", "A", "B", "B"]);
        assert!(rotation.set("a", "A", false) && !rotation.set("a", "A", false));
        assert_eq!(rotation.next().as_deref(), Some("B"));
        assert_eq!(rotation.len(), 1);
    }
}
