//! One step of the ladder: do enough different asks meet for one query to answer them all, and may
//! it? Time comes in as a value.
//!
//! ```text
//!        asks meet                  fails, or costs more than it saves
//! narrow ─────────▶ wide ────────────────────────────────────────────▶ held back
//!    ▲               │ they have not met for a while                       │ 5, 10 … 60 min
//!    └───────────────┘◀────────────────────────────────────────────────────┘
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How long an ask counts. An autoscaler asks every 15 s, and may miss some.
const WINDOW: Duration = Duration::from_secs(60);

/// A step that was taken is kept for so long after asks have met for the last time.
const QUIET: Duration = Duration::from_secs(5 * 60);

/// For how long a step that did not go well is not taken again; each time in a row it doubles.
const FIRST_HOLD: Duration = Duration::from_secs(5 * 60);

/// The longest that it is not.
const LONGEST_HOLD: Duration = Duration::from_secs(60 * 60);

/// Between two looks whether a narrower query would be answered.
const BETWEEN_PROBES: Duration = Duration::from_secs(15);

/// Different asks that are told apart. More of them are worth any query that the limits let pass.
const COUNTED: usize = 256;

/// Between two looks for asks that count no more, where as many are known as are told apart: a
/// thousand autoscalers would have all of them looked at for each ask.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// So many rows are never too many: they take the time of a few queries.
const ROWS_FREE: usize = 2_000;

/// Rows that take Prometheus about as much time as one ask's own queries. It was seen to take 2 ms
/// for a query of a few pods and 7 µs for each row of a wide one; that is asked every 4 s while
/// somebody asks, and each ask comes every 15 s.
const ROWS_PER_ASK: usize = 100;

/// What is known of one step.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Who asked what lately: the group it belongs to, and when.
    asks: HashMap<u64, (u64, Instant)>,
    /// When those who have not asked for a while were forgotten last.
    swept: Option<Instant>,
    wide: Option<Wide>,
    held: Option<Held>,
    probed: Option<Instant>,
    /// Whoever has been told to look, until that has come to its end.
    probing: Weak<()>,
    /// Since when it fails in a way that may be that of a server that comes and goes, and when it
    /// did so last.
    doubted: Option<(Instant, Instant)>,
    /// Which rows were late, with none in time since.
    late: Option<Timestamp>,
    /// Which rows were looked at last.
    seen: Option<Timestamp>,
}

#[derive(Debug)]
struct Wide {
    /// Since when.
    since: Instant,
    /// When asks met for the last time.
    met: Instant,
}

#[derive(Debug)]
struct Held {
    until: Instant,
    pause: Duration,
}

impl Level {
    /// Takes note of an ask that belongs to `group`, and says whether the step is taken: once so
    /// many groups have asked lately.
    pub(super) fn ask(&mut self, ask: u64, group: u64, groups: usize, now: Instant) -> bool {
        let is_new = !self.asks.contains_key(&ask);
        let is_full = self.asks.len() >= COUNTED.min(self.asks.capacity());
        let swept = |at| self.asks.len() >= COUNTED && is_within(at, BETWEEN_SWEEPS, now);
        if is_new && is_full && !self.swept.is_some_and(swept) {
            // Rather than to grow: each roll-out brings names that nobody asks for again.
            self.swept = Some(now);
            self.asks.retain(|_, (_, at)| is_within(*at, WINDOW, now));
            self.asks.shrink_to(2 * self.asks.len());
        }
        if !is_new || self.asks.len() < COUNTED {
            self.asks.insert(ask, (group, now));
        }
        if self.meet(groups, now) {
            let wide = self
                .wide
                .take()
                .filter(|wide| is_within(wide.met, QUIET, now));
            let since = wide.map_or(now, |wide| wide.since);
            self.wide = Some(Wide { since, met: now });
        }
        self.is_taken(now)
    }

    /// Whether the step is taken now. No ask is noted.
    pub(super) fn is_taken(&self, now: Instant) -> bool {
        let wide = self.wide.as_ref();
        wide.is_some_and(|wide| is_within(wide.met, QUIET, now)) && !self.is_held(now)
    }

    /// Whether this many groups have asked lately.
    fn meet(&self, groups: usize, now: Instant) -> bool {
        let mut seen: Vec<u64> = Vec::with_capacity(groups);
        for (group, at) in self.asks.values() {
            if is_within(*at, WINDOW, now) && !seen.contains(group) {
                seen.push(*group);
            }
            if seen.len() >= groups {
                return true;
            }
        }
        false
    }

    /// Whether the step did not go well lately.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| now < held.until)
    }

    /// The step did not go well: it is not taken for a while. Whether that is news.
    pub(super) fn hold(&mut self, jitter: impl Fn(Duration) -> Duration, now: Instant) -> bool {
        if self.is_held(now) {
            return false;
        }
        self.forget_doubt();
        // Not long after it was tried again.
        let again = self
            .held
            .take()
            .filter(|held| now < held.until + held.pause);
        let pause = again.map_or(FIRST_HOLD, |held| (held.pause * 2).min(LONGEST_HOLD));
        let until = now + jitter(pause);
        self.held = Some(Held { until, pause });
        if let Some(wide) = &mut self.wide {
            wide.since = until;
        }
        true
    }

    /// Whether the step went wrong when it was tried again after it had gone wrong.
    pub(super) fn is_held_again(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.pause > FIRST_HOLD)
    }

    /// Whether somebody should see if a narrower query would be answered; whoever gets this turn
    /// does, and keeps it until then.
    pub(super) fn probe(&mut self, now: Instant) -> Option<Arc<()>> {
        let lately = |probed| is_within(probed, BETWEEN_PROBES, now);
        if self.probed.is_some_and(lately) || self.probing.strong_count() > 0 {
            return None;
        }
        self.probed = Some(now);
        let turn = Arc::new(());
        self.probing = Arc::downgrade(&turn);
        Some(turn)
    }

    /// The same where the server may just have gone away: not before that has lasted.
    pub(super) fn doubt(&mut self, now: Instant) -> Option<Arc<()>> {
        let lately = self
            .doubted
            .filter(|(_, last)| is_within(*last, WINDOW, now));
        let since = lately.map_or(now, |(since, _)| since);
        self.doubted = Some((since, now));
        if is_within(since, BETWEEN_PROBES, now) {
            return None;
        }
        self.probe(now)
    }

    /// It was answered, or fails in another way.
    pub(super) fn forget_doubt(&mut self) {
        self.doubted = None;
    }

    /// Whether the answer that was evaluated for `at` is another one than the last: hundreds of
    /// asks are answered with the same rows, and what they cost is judged once.
    pub(super) fn is_news(&mut self, at: Timestamp) -> bool {
        self.seen.replace(at) != Some(at)
    }

    /// Whether the answer that was evaluated for `at` is late, and the one before was: a server
    /// that has just begun is slow once.
    pub(super) fn is_late_again(&mut self, is_late: bool, at: Timestamp) -> bool {
        let first = is_late.then(|| self.late.unwrap_or(at));
        self.late = first;
        first.is_some_and(|first| first != at)
    }

    /// Whether an answer of so many rows costs more than it saves. That can be told when all who
    /// ask have had their turn.
    pub(super) fn is_wasteful(&self, rows: usize, now: Instant) -> bool {
        let settled = |wide: &Wide| wide.since + WINDOW <= now;
        if rows <= ROWS_FREE || !self.wide.as_ref().is_some_and(settled) {
            return false;
        }
        let lately = |(_, at): &&(u64, Instant)| is_within(*at, WINDOW, now);
        let asks = self.asks.values().filter(lately).count();
        asks < COUNTED && rows > asks * ROWS_PER_ASK
    }
}

/// Whether it is no longer ago than that.
fn is_within(at: Instant, window: Duration, now: Instant) -> bool {
    now.saturating_duration_since(at) < window
}

#[cfg(test)]
mod tests;
