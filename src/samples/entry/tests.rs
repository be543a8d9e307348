//! What an ask is told to do, moment by moment.

use proptest::prelude::*;

use super::super::rows::{Builder, Head, Labels};
use super::*;
use crate::prometheus::Kind;

const POLICY: Policy = Policy {
    ttl: Duration::from_secs(5),
    stale_grace: Duration::from_secs(60),
};
const HEAD: Head = Head {
    kind: Kind::Vector,
    histograms: 0,
    partial: false,
    at: jiff::Timestamp::UNIX_EPOCH,
    took: Duration::ZERO,
};
const PAUSE: Duration = Duration::from_secs(2);

fn rows() -> Arc<Rows> {
    Arc::new(Builder::new(Labels::All, 1).finish(HEAD))
}

fn failure() -> Outcome {
    Err(Arc::new(Error::Deadline))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A state whose rows were fetched at `now`.
fn fetched(now: Instant) -> State {
    let mut state = State::default();
    assert!(matches!(state.ask(POLICY, now), Step::Fetch));
    state.fetched(Ok(rows()), |_| PAUSE, now, now);
    state
}

#[test]
fn rows_answer_until_their_ttl_ends() {
    let start = Instant::now();
    let mut state = fetched(start);
    let step = state.ask(POLICY, start + seconds(4.999));
    assert!(matches!(step, Step::Serve(_, Freshness::Fresh)), "{step:?}");
    assert!(matches!(
        state.ask(POLICY, start + seconds(5.0)),
        Step::Fetch
    ));
    assert!(matches!(
        state.ask(POLICY, start + seconds(5.1)),
        Step::Wait
    ));
}

#[test]
fn the_first_failure_gives_the_last_rows_and_later_asks_do_not_wait() {
    let start = Instant::now();
    let mut state = fetched(start);
    state.drive();
    assert!(matches!(
        state.ask(POLICY, start + seconds(15.0)),
        Step::Fetch
    ));
    let now = start + seconds(16.0);
    state.fetched(failure(), |_| PAUSE, now, now);
    let outcome = state.outcome(POLICY, now).unwrap();
    assert_eq!(outcome.unwrap().1, Freshness::Stale);
    let step = state.ask(POLICY, now + seconds(1.9));
    assert!(matches!(step, Step::Serve(_, Freshness::Stale)), "{step:?}");
    assert!(matches!(
        state.ask(POLICY, now + seconds(2.0)),
        Step::ServeAndFetch(_)
    ));
    // While that fetch hangs.
    let step = state.ask(POLICY, now + seconds(9.0));
    assert!(matches!(step, Step::Serve(_, Freshness::Stale)), "{step:?}");
}

#[test]
fn where_nobody_looks_whether_newer_rows_can_be_had_the_ask_does() {
    let start = Instant::now();
    let mut state = fetched(start);
    assert!(matches!(
        state.ask(POLICY, start + seconds(15.0)),
        Step::Fetch
    ));
    let now = start + seconds(15.0);
    state.fetched(failure(), |_| PAUSE, now, now);
    assert!(matches!(
        state.ask(POLICY, now + seconds(15.0)),
        Step::Fetch
    ));
}

#[test]
fn rows_are_as_old_as_the_beginning_of_their_fetch() {
    let start = Instant::now();
    let mut state = State::default();
    state.ask(POLICY, start);
    state.fetched(Ok(rows()), |_| PAUSE, start, start + seconds(4.0));
    let step = state.ask(POLICY, start + seconds(4.9));
    assert!(matches!(step, Step::Serve(_, Freshness::Fresh)), "{step:?}");
    assert!(matches!(
        state.ask(POLICY, start + seconds(5.0)),
        Step::Fetch
    ));
}

#[test]
fn what_fails_is_not_asked_for_more_often_than_before() {
    let start = Instant::now();
    let mut state = fetched(start);
    state.ask(POLICY, start + seconds(15.0));
    let now = start + seconds(15.0);
    state.fetched(failure(), |_| PAUSE, now, now);
    let next = state.next(POLICY, now).unwrap();
    assert_eq!(next, now + seconds(13.5));
}

#[test]
fn after_the_grace_there_is_the_error_until_it_is_time_to_try_again() {
    let start = Instant::now();
    let mut state = fetched(start);
    assert!(matches!(
        state.ask(POLICY, start + seconds(64.0)),
        Step::Fetch
    ));
    let now = start + seconds(65.0);
    state.fetched(failure(), |_| PAUSE, now, now);
    assert!(state.outcome(POLICY, now).unwrap().is_err());
    assert!(matches!(
        state.ask(POLICY, now + seconds(1.0)),
        Step::Fail(_)
    ));
    assert!(matches!(state.ask(POLICY, now + seconds(2.0)), Step::Fetch));
    state.fetched(
        Ok(rows()),
        |_| PAUSE,
        now + seconds(3.0),
        now + seconds(3.0),
    );
    let step = state.ask(POLICY, now + seconds(4.0));
    assert!(matches!(step, Step::Serve(_, Freshness::Fresh)), "{step:?}");
}

#[test]
fn without_a_grace_nothing_is_ever_stale() {
    let policy = Policy {
        stale_grace: Duration::ZERO,
        ..POLICY
    };
    let start = Instant::now();
    let mut state = fetched(start);
    assert!(matches!(
        state.ask(policy, start + seconds(5.0)),
        Step::Fetch
    ));
    state.fetched(
        failure(),
        |_| PAUSE,
        start + seconds(5.0),
        start + seconds(5.0),
    );
    assert!(
        state
            .outcome(policy, start + seconds(5.0))
            .unwrap()
            .is_err()
    );
    assert!(matches!(
        state.ask(policy, start + seconds(5.1)),
        Step::Fail(_)
    ));
}

#[test]
fn failures_are_counted_for_the_pause_and_a_success_ends_the_count() {
    let now = Instant::now();
    let mut state = State::default();
    let counted = std::cell::RefCell::new(Vec::new());
    let pause = |count| {
        counted.borrow_mut().push(count);
        PAUSE
    };
    for outcome in [failure(), failure(), failure(), Ok(rows()), failure()] {
        state.fetched(outcome, pause, now, now);
    }
    assert_eq!(*counted.borrow(), [1, 2, 3, 1]);
}

#[test]
fn who_asks_every_15_seconds_finds_fresh_rows() {
    let start = Instant::now();
    let mut state = fetched(start);
    assert!(state.next(POLICY, start).is_none(), "nobody knows yet");
    let mut asked = start + seconds(15.0);
    assert!(matches!(state.ask(POLICY, asked), Step::Fetch));
    state.fetched(Ok(rows()), |_| PAUSE, asked, asked);
    for _ in 0..10 {
        let next = state.next(POLICY, asked).unwrap();
        assert!(next > asked + POLICY.ttl, "no more often than need be");
        assert!(!state.refresh(POLICY, next - seconds(0.1)));
        assert!(state.refresh(POLICY, next));
        state.fetched(Ok(rows()), |_| PAUSE, next, next);
        asked += seconds(15.0);
        let step = state.ask(POLICY, asked);
        assert!(matches!(step, Step::Serve(_, Freshness::Fresh)), "{step:?}");
    }
}

#[test]
fn nobody_is_expected_for_ever() {
    let start = Instant::now();
    let mut state = fetched(start);
    state.ask(POLICY, start + seconds(15.0));
    let last = start + seconds(15.0);
    assert!(state.next(POLICY, last + seconds(44.0)).is_some());
    assert!(state.next(POLICY, last + seconds(45.0)).is_none());
    // Someone who looks once in ten minutes is no steady asker.
    let mut state = fetched(start);
    state.ask(POLICY, start + seconds(600.0));
    assert!(state.next(POLICY, start + seconds(600.0)).is_none());
}

proptest! {
    /// Askers with rhythms of their own, and fetches that take and fail as they like.
    #[test]
    fn rows_are_never_older_than_they_may_be(
        steps in prop::collection::vec((0_u64..20_000, any::<bool>(), any::<bool>()), 1..80),
    ) {
        let mut now = Instant::now();
        let mut state = State::default();
        let mut good: Option<Instant> = None;
        let mut failing = false;
        for (pause, ends, fails) in steps {
            now += Duration::from_millis(pause);
            if state.is_fetching() && ends {
                state.fetched(if fails { failure() } else { Ok(rows()) }, |_| PAUSE, now, now);
                failing = fails;
                if !fails {
                    good = Some(now);
                }
            }
            let age = good.map(|good| now.duration_since(good));
            match state.ask(POLICY, now) {
                Step::Serve(_, Freshness::Fresh) => prop_assert!(age.unwrap() < POLICY.ttl),
                Step::Serve(_, Freshness::Stale) | Step::ServeAndFetch(_) => {
                    prop_assert!(failing);
                    prop_assert!(age.unwrap() < POLICY.ttl + POLICY.stale_grace);
                }
                Step::Serve(_, Freshness::Fetched | Freshness::Shared) => prop_assert!(false, "nobody waited"),
                Step::Fail(_) => prop_assert!(failing),
                Step::Wait | Step::Fetch => prop_assert!(age.is_none_or(|age| age >= POLICY.ttl)),
            }
        }
    }
}
