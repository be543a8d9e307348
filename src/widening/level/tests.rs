//! When a step is taken, kept and given up, moment by moment.

use proptest::prelude::*;

use super::*;

/// A jitter that takes nothing.
fn plain(pause: Duration) -> Duration {
    pause
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A level at which two asks have met, and when.
fn met() -> (Level, Instant) {
    let (mut level, now) = (Level::default(), Instant::now());
    assert!(!level.ask(1, 1, 2, now));
    assert!(level.ask(2, 2, 2, now));
    (level, now)
}

#[test]
fn one_ask_alone_meets_nobody_however_often_it_comes() {
    let (mut level, start) = (Level::default(), Instant::now());
    for turn in 0..100 {
        assert!(!level.ask(1, 1, 2, start + seconds(turn * 15)));
    }
}

#[test]
fn asks_meet_within_a_minute_and_groups_are_counted_not_asks() {
    let (mut level, start) = (Level::default(), Instant::now());
    assert!(!level.ask(1, 1, 2, start));
    assert!(!level.ask(2, 2, 2, start + seconds(60)));
    assert!(level.ask(1, 1, 2, start + seconds(119)));
    let mut level = Level::default();
    for ask in 0..20 {
        // Twenty asks of two groups.
        assert!(!level.ask(ask, ask % 2, 3, start));
    }
    assert!(level.ask(99, 2, 3, start));
    // From then on whoever asks finds it so.
    assert!(level.ask(0, 0, 3, start + seconds(15)));
}

#[test]
fn a_step_is_kept_for_minutes_after_asks_have_met() {
    let (mut level, start) = met();
    for turn in 1..=22 {
        // One of them has gone.
        assert!(level.ask(1, 1, 2, start + seconds(turn * 15)), "{turn}");
    }
    assert!(!level.ask(1, 1, 2, start + seconds(45 + 300)));
    assert!(level.ask(2, 2, 2, start + seconds(45 + 301)));
}

#[test]
fn what_did_not_go_well_is_tried_again_later_each_time() {
    let (mut level, mut now) = met();
    for minutes in [5, 10, 20, 40, 60, 60] {
        assert!(level.hold(plain, now));
        assert!(!level.hold(plain, now + seconds(1)), "known already");
        let end = now + seconds(minutes * 60);
        for at in [now, end - seconds(1)] {
            level.ask(1, 1, 2, at);
            assert!(!level.ask(2, 2, 2, at), "{minutes}");
        }
        level.ask(1, 1, 2, end);
        assert!(level.ask(2, 2, 2, end), "{minutes}");
        now = end + seconds(10);
    }
    // After it has gone well for as long, the next time is the first again.
    let later = now + seconds(2 * 60 * 60);
    assert!(level.hold(plain, later));
    assert!(!level.is_held(later + seconds(300)));
    assert!(level.is_held(later + seconds(299)));
}

#[test]
fn one_at_a_time_looks_whether_a_narrower_query_is_answered() {
    let (mut level, start) = met();
    let turn = level.probe(start);
    assert!(turn.is_some());
    assert!(level.probe(start).is_none());
    assert!(level.probe(start + seconds(15)).is_none(), "it is not over");
    drop(turn);
    assert!(level.probe(start + seconds(14)).is_none());
    assert!(level.probe(start + seconds(15)).is_some());
}

#[test]
fn a_doubt_counts_while_it_lasts_and_nothing_else_is_told() {
    let (mut level, start) = met();
    assert!(level.doubt(start).is_none());
    assert!(level.doubt(start + seconds(15)).is_some());
    // Told otherwise, or not asked for a while, it begins anew.
    level.forget_doubt();
    assert!(level.doubt(start + seconds(40)).is_none());
    assert!(level.doubt(start + seconds(54)).is_none());
    let later = start + seconds(54 + 60);
    assert!(level.doubt(later).is_none());
    assert!(level.doubt(later + seconds(15)).is_some());
}

#[test]
fn an_answer_is_late_again_if_another_one_was_before_it() {
    let mut level = Level::default();
    let at = |second| Timestamp::from_second(second).unwrap();
    assert!(!level.is_late_again(true, at(1)));
    assert!(!level.is_late_again(true, at(1)), "the same rows");
    assert!(level.is_late_again(true, at(6)));
    assert!(!level.is_late_again(false, at(11)));
    assert!(!level.is_late_again(true, at(16)));
}

#[test]
fn asks_that_are_over_are_forgotten() {
    let (mut level, start) = (Level::default(), Instant::now());
    for name in 0..1_000 {
        level.ask(name, name, 2, start + seconds(name * 20));
        assert!(
            level.asks.capacity() < 32,
            "{name}: {}",
            level.asks.capacity()
        );
    }
}

#[test]
fn where_all_places_are_taken_those_that_are_over_make_room_within_a_second() {
    let (mut level, start) = (Level::default(), Instant::now());
    let counted = u64::try_from(COUNTED).unwrap();
    for ask in 0..counted {
        level.ask(ask, ask, 2, start);
    }
    let end = start + WINDOW;
    level.ask(counted, 0, 2, end - seconds(1));
    assert!(!level.asks.contains_key(&counted), "nobody's time is over");
    level.ask(counted, 0, 2, end);
    assert_eq!(level.asks.len(), 1, "all others'");
    assert!(level.asks.contains_key(&counted));
    // Between two looks nobody is looked at, and nobody is let in.
    for ask in 0..counted {
        level.ask(ask, ask, 2, end);
    }
    let later = end + WINDOW - BETWEEN_SWEEPS;
    level.ask(9_999, 0, 2, later);
    level.ask(9_999, 0, 2, end + WINDOW - Duration::from_millis(1));
    assert!(!level.asks.contains_key(&9_999));
    level.ask(9_999, 0, 2, later + BETWEEN_SWEEPS);
    assert!(level.asks.contains_key(&9_999));
}

#[test]
fn the_same_rows_are_looked_at_once() {
    let mut level = Level::default();
    let at = |second| Timestamp::from_second(second).unwrap();
    let looks = [1, 1, 6, 6, 1].map(|second| level.is_news(at(second)));
    assert_eq!(looks, [true, false, true, false, true]);
}

#[test]
fn rows_are_too_many_for_few_asks_once_all_have_had_their_turn() {
    let (mut level, start) = met();
    let rows = 2 * ROWS_PER_ASK + ROWS_FREE;
    assert!(!level.is_wasteful(rows, start + seconds(59)));
    let settled = start + seconds(60);
    level.ask(1, 1, 2, settled);
    level.ask(2, 2, 2, settled);
    assert!(level.is_wasteful(rows, settled));
    assert!(!level.is_wasteful(ROWS_FREE, settled), "a few cost nothing");
    for ask in 3..40 {
        level.ask(ask, ask, 2, settled);
    }
    assert!(!level.is_wasteful(rows, settled), "enough asks for them");
    for ask in 40..2 * u64::try_from(COUNTED).unwrap() {
        level.ask(ask, ask, 2, settled);
    }
    assert!(
        !level.is_wasteful(usize::MAX, settled),
        "the limits' matter"
    );
    assert_eq!(level.asks.len(), COUNTED);
    // Who asked once is not counted for ever.
    let later = settled + seconds(61);
    level.ask(1, 1, 2, later);
    assert!(level.is_wasteful(rows, later));
    // Held back and tried again, all have their turn again.
    let held = later + seconds(1);
    level.hold(plain, held);
    let end = held + FIRST_HOLD;
    level.ask(1, 1, 2, end);
    assert!(level.ask(2, 2, 2, end));
    assert!(!level.is_wasteful(rows, end + seconds(59)));
}

proptest! {
    /// Whoever asks, and whatever goes wrong.
    #[test]
    fn a_step_is_taken_only_where_asks_met_and_never_while_it_is_held(
        steps in prop::collection::vec((0_u64..40, 0_u64..4, 0_u8..20), 1..200),
    ) {
        let (mut level, mut now) = (Level::default(), Instant::now());
        let mut asked: Vec<(u64, Instant)> = Vec::new();
        let mut met: Option<Instant> = None;
        let mut held: Option<Instant> = None;
        for (pause, ask, event) in steps {
            now += seconds(pause);
            if event == 0 && level.hold(plain, now) {
                held = Some(now);
            }
            asked.push((ask, now));
            let mut lately: Vec<u64> = asked
                .iter()
                .filter(|(_, at)| now.duration_since(*at) < WINDOW)
                .map(|(ask, _)| *ask)
                .collect();
            lately.sort_unstable();
            lately.dedup();
            if lately.len() >= 2 {
                met = Some(now);
            }
            let wide = level.ask(ask, ask, 2, now);
            let has_met = met.is_some_and(|met| now.duration_since(met) < QUIET);
            if held.is_some_and(|held| now.duration_since(held) < FIRST_HOLD) {
                prop_assert!(!wide);
            } else if !level.is_held(now) {
                prop_assert_eq!(wide, has_met);
            }
        }
    }
}
