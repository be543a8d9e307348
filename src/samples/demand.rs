//! How often a query is asked for, and when somebody may ask again.
//!
//! Autoscalers ask every 15 s, a thousand of them within a second or spread over all of it. What
//! counts is not each ask but each *round*: an ask that the rows fetched for the one before would
//! not have answered any more. Asks within a round cost nothing, so they tell nothing about when
//! the next fetch is worth its price.

use std::time::Duration;

use tokio::time::Instant;

/// Rounds that are further apart are not expected to go on.
const GAP_MAX: Duration = Duration::from_secs(60);

/// After so many times its usual gap without an ask nobody is expected any more.
const GAPS_MISSED: u32 = 3;

/// Nobody is given up earlier: a controller that restarts comes back.
const PATIENCE: Duration = Duration::from_secs(20);

/// The asks for one query.
#[derive(Debug, Default)]
pub(super) struct Demand {
    last: Option<Instant>,
    /// The first ask of this round.
    round: Option<Instant>,
    /// From one round to the next.
    gap: Option<Duration>,
    /// The longest time lately without any ask.
    silence: Duration,
}

impl Demand {
    /// Takes note of an ask; rows hold for `ttl`.
    pub(super) fn note(&mut self, ttl: Duration, now: Instant) {
        let silence = self
            .last
            .map_or(Duration::ZERO, |last| now.duration_since(last));
        self.silence = self.silence.max(silence);
        self.last = Some(now);
        match self.round {
            Some(round) if now.duration_since(round) < ttl => {}
            Some(round) => {
                let gap = now.duration_since(round);
                // Short gaps count at once, long ones little by little: the next round may come
                // after the shortest.
                let slower = self.gap.map_or(gap, |known| known * 5 / 4);
                self.gap = Some(gap.min(slower));
                self.round = Some(now);
                // A round of a thousand asks says no more about it than one of two.
                self.silence = silence.max(self.silence / 2);
            }
            None => self.round = Some(now),
        }
    }

    /// When the next ask may come that needs newer rows; `None`: none is expected.
    pub(super) fn expected(&self, ttl: Duration, now: Instant) -> Option<Instant> {
        let gap = self.gap.filter(|gap| *gap <= GAP_MAX)?;
        let (round, given_up) = (self.round?, self.given_up()?);
        let is_steady = self.silence < ttl;
        match now < given_up {
            // Somebody asks all the time.
            true if is_steady => Some(now),
            true => Some(round + gap * 9 / 10),
            false => None,
        }
    }

    /// When nobody is expected any more, unless somebody asks before.
    pub(super) fn given_up(&self) -> Option<Instant> {
        Some(self.last? + (self.gap? * GAPS_MISSED).max(PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// The demand of asks at these seconds.
    fn asked(start: Instant, at: &[f64]) -> Demand {
        let mut demand = Demand::default();
        for at in at {
            demand.note(TTL, start + seconds(*at));
        }
        demand
    }

    fn expected(at: &[f64], now: f64) -> Option<f64> {
        let start = Instant::now();
        let expected = asked(start, at).expected(TTL, start + seconds(now));
        expected.map(|it| it.duration_since(start).as_secs_f64())
    }

    fn about(found: Option<f64>, wanted: f64) -> bool {
        found.is_some_and(|found| (found - wanted).abs() < 1e-6)
    }

    #[test]
    fn one_ask_says_nothing_about_another() {
        assert_eq!(expected(&[0.0], 1.0), None);
        // Several at once are one round.
        assert_eq!(expected(&[0.0, 0.1, 0.2], 1.0), None);
    }

    #[test]
    fn a_round_is_expected_somewhat_before_it_was_due() {
        assert!(about(expected(&[0.0, 15.0], 16.0), 28.5));
    }

    #[test]
    fn who_asks_within_a_round_does_not_bring_the_next_one_forward() {
        let two = [0.0, 1.0, 15.0, 16.0, 30.0, 31.0];
        assert!(about(expected(&two, 32.0), 43.5));
        let burst = [0.0, 0.1, 0.2, 0.3, 15.0, 15.1, 15.2, 15.3];
        assert!(about(expected(&burst, 16.0), 28.5));
    }

    #[test]
    fn a_thousand_asks_in_a_second_are_one_round() {
        let burst = |round: u32| {
            let asks = (0..1000).map(|ask| f64::from(ask) / 1000.0);
            asks.map(move |ask| f64::from(round) * 15.0 + ask)
        };
        let asks: Vec<f64> = (0..4).flat_map(burst).collect();
        assert!(about(expected(&asks, 46.0), 45.0 + 13.5));
    }

    #[test]
    fn who_asks_all_the_time_after_a_while_without_may_ask_now() {
        let steady = (0..200).map(|ask| 60.0 + f64::from(ask) * 0.2);
        let asks: Vec<f64> = [0.0].into_iter().chain(steady).collect();
        assert!(about(expected(&asks, 100.0), 100.0));
    }

    #[test]
    fn who_asks_all_the_time_may_ask_now() {
        let steady: Vec<f64> = (0..100).map(|ask| f64::from(ask) * 0.2).collect();
        assert!(about(expected(&steady, 20.0), 20.0));
    }

    #[test]
    fn nobody_is_expected_for_ever() {
        assert!(expected(&[0.0, 15.0], 59.0).is_some());
        assert_eq!(expected(&[0.0, 15.0], 60.0), None);
        assert_eq!(expected(&[0.0, 61.0], 62.0), None);
    }

    #[test]
    fn a_stray_ask_is_forgotten_again() {
        let rounds = (0..20).map(|round| f64::from(round) * 15.0);
        let with_stray: Vec<f64> = [0.0, 7.0].into_iter().chain(rounds.skip(1)).collect();
        let start = Instant::now();
        let demand = asked(start, &with_stray);
        assert_eq!(demand.gap, Some(seconds(15.0)));
    }
}
