//! When the rules of one backend are asked. Time comes in as a value.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::asking::Queues;
use crate::pace::Pace;
use crate::prometheus::Backend;

/// The least time from the start of a relist to one that an unknown name wakes.
const WAKE_PAUSE: Duration = Duration::from_secs(10);

/// Which rules a round is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    All,
    /// Those that failed the last time.
    Failed,
}

/// The rounds of one backend: one at a time, and none waits for those of another.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) backend: Arc<Backend>,
    pub(super) queues: Queues,
    pace: Pace,
    running: Option<Running>,
    /// When the last round over all rules began.
    began: Instant,
    all_at: Instant,
    retry_at: Option<Instant>,
    woken: bool,
    ended: bool,
    /// How long the last round over all rules took, until somebody has asked.
    took: Option<Duration>,
    /// When that ended, in seconds since the epoch.
    asked_at: Option<i64>,
    whole_at: Option<i64>,
}

#[derive(Debug)]
struct Running {
    round: Round,
    rules: usize,
    failed: bool,
}

impl Lane {
    /// Its first round is due now.
    pub(super) fn new(backend: Arc<Backend>, interval: Duration, now: Instant) -> Lane {
        Lane {
            queues: Queues::new(backend.concurrency()),
            backend,
            pace: Pace::new(interval),
            running: None,
            began: now,
            all_at: now,
            retry_at: None,
            woken: false,
            ended: false,
            took: None,
            asked_at: None,
            whole_at: None,
        }
    }

    /// Something is not known that may exist by now.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }

    /// Whether no round is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Whether a round has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// How long the last round over all rules took; told once.
    pub(super) fn took(&mut self) -> Option<Duration> {
        self.took.take()
    }

    /// When all its rules were last listed, in seconds since the epoch: at the end of the last
    /// round over all, once what failed in it has been listed, too.
    pub(super) fn whole_at(&self) -> Option<i64> {
        self.whole_at
    }

    /// When the next round begins; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Instant> {
        let all = self.next_of_all();
        self.is_idle()
            .then(|| self.retry_at.map_or(all, |retry| retry.min(all)))
    }

    fn next_of_all(&self) -> Instant {
        match self.woken {
            true => self.all_at.min(self.began + WAKE_PAUSE),
            false => self.all_at,
        }
    }

    /// The round that is to begin now, if one is.
    pub(super) fn due(&self, now: Instant) -> Option<Round> {
        let next = self.next().filter(|next| *next <= now)?;
        match next == self.next_of_all() || self.next_of_all() <= now {
            true => Some(Round::All),
            false => Some(Round::Failed),
        }
    }

    /// A round over so many rules begins.
    pub(super) fn begin(&mut self, round: Round, rules: usize, now: Instant) {
        if round == Round::All {
            self.began = now;
            self.woken = false;
        }
        let failed = false;
        self.running = Some(Running {
            round,
            rules,
            failed,
        });
        if rules == 0 {
            self.end(now);
        }
    }

    /// One rule has been asked about. Whether that was the last one of the round.
    pub(super) fn surveyed(&mut self, failed: bool, now: Instant) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        running.failed |= failed;
        running.rules -= 1;
        let over = running.rules == 0;
        if over {
            if running.round == Round::All {
                self.took = Some(now.saturating_duration_since(self.began));
            }
            self.end(now);
        }
        over
    }

    /// One rule has been asked about beside the rounds. It is no part of a round, and fails as one:
    /// it is asked again as soon.
    pub(super) fn surveyed_beside(&mut self, failed: bool, now: Instant) {
        match (&mut self.running, failed) {
            (Some(running), true) => running.failed = true,
            (None, true) => {
                let retry = now + self.pace.pause(true);
                self.retry_at = Some(self.retry_at.map_or(retry, |at| at.min(retry)));
            }
            (_, false) => {}
        }
    }

    fn end(&mut self, now: Instant) {
        let Some(Running { round, failed, .. }) = self.running.take() else {
            return;
        };
        self.ended = true;
        if round == Round::All {
            self.all_at = now + self.pace.interval();
            self.asked_at = Some(jiff::Timestamp::now().as_second());
        }
        if !failed {
            self.whole_at = self.asked_at;
        }
        let pause = self.pace.pause(failed);
        self.retry_at = failed.then(|| now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::backend::tests::nobody;

    const INTERVAL: Duration = Duration::from_secs(600);
    const SECOND: Duration = Duration::from_secs(1);

    fn lane() -> (Lane, Instant) {
        let now = Instant::now();
        (Lane::new(nobody("default"), INTERVAL, now), now)
    }

    #[test]
    fn a_round_is_due_at_once_and_then_after_the_interval() {
        let (mut lane, now) = lane();
        assert_eq!(lane.due(now), Some(Round::All));
        lane.begin(Round::All, 2, now);
        assert_eq!((lane.due(now + INTERVAL), lane.next()), (None, None));
        assert!(!lane.surveyed(false, now));
        assert!(!lane.has_ended());
        assert!(lane.surveyed(false, now));
        assert!(lane.has_ended() && lane.whole_at().is_some());
        assert_eq!(lane.due(now + INTERVAL / 2), None);
        assert_eq!(lane.due(now + INTERVAL), Some(Round::All));
    }

    #[test]
    fn what_failed_is_asked_again_sooner_and_alone() {
        let (mut lane, now) = lane();
        lane.begin(Round::All, 2, now);
        lane.surveyed(true, now);
        lane.surveyed(false, now);
        assert_eq!(lane.whole_at(), None);
        assert_eq!(lane.due(now + SECOND), Some(Round::Failed));
        assert_eq!((lane.took(), lane.took()), (Some(Duration::ZERO), None));
        lane.begin(Round::Failed, 1, now + SECOND);
        assert!(lane.surveyed(false, now + SECOND));
        // With what was listed in the round before, all are.
        assert!(lane.whole_at().is_some());
        assert_eq!(lane.took(), None);
        assert_eq!(lane.due(now + INTERVAL / 2), None);
        assert_eq!(lane.due(now + INTERVAL), Some(Round::All));
        lane.begin(Round::All, 1, now + INTERVAL);
        lane.surveyed(true, now + INTERVAL);
        // Both are due: all are asked.
        assert_eq!(lane.due(now + INTERVAL * 3), Some(Round::All));
    }

    #[test]
    fn it_is_woken_ten_seconds_after_it_began_at_the_earliest() {
        let (mut lane, now) = lane();
        lane.begin(Round::All, 1, now);
        lane.wake();
        lane.surveyed(false, now + SECOND);
        assert_eq!(lane.due(now + 9 * SECOND), None);
        assert_eq!(lane.due(now + 10 * SECOND), Some(Round::All));
        lane.begin(Round::All, 1, now + 10 * SECOND);
        assert!(!lane.is_woken());
    }

    #[test]
    fn a_round_without_rules_ends_as_it_begins() {
        let (mut lane, now) = lane();
        lane.begin(Round::All, 0, now);
        assert!(lane.is_idle() && lane.has_ended());
        assert_eq!(lane.due(now + SECOND), None);
    }

    #[test]
    fn a_rule_that_fails_beside_the_rounds_is_asked_again_as_soon() {
        let (mut lane, now) = lane();
        lane.begin(Round::All, 1, now);
        lane.surveyed_beside(true, now);
        lane.surveyed(false, now);
        assert_eq!(lane.due(now + SECOND), Some(Round::Failed));
        lane.begin(Round::Failed, 1, now + SECOND);
        lane.surveyed(false, now + SECOND);
        assert_eq!(lane.due(now + 2 * SECOND), None);
        lane.surveyed_beside(false, now + 2 * SECOND);
        assert_eq!(lane.due(now + 4 * SECOND), None);
        lane.surveyed_beside(true, now + 4 * SECOND);
        assert_eq!(lane.due(now + 5 * SECOND), Some(Round::Failed));
    }
}
