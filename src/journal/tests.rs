//! Bounds, rates, and who is counted with whom.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ask<'a>(metric: &'a str, namespace: &'a str) -> Ask<&'a str> {
    Ask {
        about: About {
            group: "custom.metrics.k8s.io",
            resource: "pods",
            metric,
            namespace,
            ..About::default()
        },
        asker: Asker {
            user: "alice",
            agent: "kubectl/v1.36.0",
        },
    }
}

fn summary(value: f64) -> Summary {
    Summary {
        count: 1,
        values: Range::of([value]),
        ..Summary::default()
    }
}

#[test]
fn an_ask_keeps_its_last_values_through_a_failure_and_loses_the_failure_with_the_next_ones() {
    let journal = Journal::new(at(0));
    journal.answered(&ask("depth", "shop"), Ok(Some(&summary(3.0))), at(0));
    journal.answered(&ask("depth", "shop"), Err((503, "away")), at(15));
    let [(key, asked)] = &journal.asks()[..] else {
        panic!("one ask");
    };
    assert_eq!(**key, ask("depth", "shop").owned());
    assert_eq!((asked.first, asked.last, asked.count), (at(0), at(15), 2));
    assert_eq!(asked.served, Some((at(0), summary(3.0))));
    let failing = asked.failing.as_ref().unwrap();
    assert_eq!(&*failing.failure.message, "away");
    assert_eq!((failing.since, failing.count), (at(15), 1));
    journal.answered(&ask("depth", "shop"), Ok(Some(&summary(4.0))), at(30));
    let (_, asked) = journal.asks().remove(0);
    assert_eq!(asked.served, Some((at(30), summary(4.0))));
    assert_eq!(asked.failing, None);
}

#[test]
fn failures_in_a_row_are_counted_from_the_first_one_on_with_the_last_error() {
    let journal = Journal::new(at(0));
    let failing = || journal.asks().remove(0).1.failing;
    let one = ask("depth", "shop");
    journal.answered(&one, Err((404, "no such metric")), at(0));
    journal.answered(&one, Ok(None), at(15));
    assert_eq!(failing(), None);
    for (second, text) in [(30, "away"), (45, "away"), (60, "timed out")] {
        journal.answered(&one, Err((503, text)), at(second));
    }
    let expected = Failing {
        failure: Failure::new(503, "timed out"),
        since: at(30),
        count: 3,
    };
    assert_eq!(failing(), Some(expected));
}

#[test]
fn who_asks_for_something_else_or_is_somebody_else_is_counted_apart() {
    let journal = Journal::new(at(0));
    let mut other = ask("depth", "shop");
    other.asker.user = "bob";
    let mut agent = ask("depth", "shop");
    agent.asker.agent = "curl/8";
    let mut one = ask("depth", "shop");
    one.about.name = "web-1";
    for ask in [
        ask("depth", "shop"),
        ask("depth", "bank"),
        other,
        agent,
        one,
    ] {
        journal.answered(&ask, Ok(None), at(0));
        journal.answered(&ask, Ok(None), at(1));
    }
    let counts: Vec<u64> = journal
        .asks()
        .iter()
        .map(|(_, asked)| asked.count)
        .collect();
    assert_eq!(counts, [2; 5]);
}

#[test]
fn a_rate_is_that_of_the_last_minutes_and_falls_to_nothing() {
    let journal = Journal::new(at(0));
    let rate = |now| journal.asks()[0].1.per_minute(now);
    for second in (0..600).step_by(15) {
        journal.answered(&ask("depth", "shop"), Ok(None), at(second));
        if second == 30 {
            assert!((rate(at(30)) - 3.0).abs() < 1e-9, "as many as there were");
        }
    }
    let now = rate(at(599));
    assert!((now - 4.0).abs() < 0.1, "four in each minute, not {now}");
    let later = rate(at(599 + 6 * 60));
    assert!(later == 0.0, "{later}");
}

#[test]
fn an_error_is_kept_once_by_its_text_with_its_count_and_the_last_one_who_had_it() {
    let journal = Journal::new(at(0));
    let asker = |user| Asker { user, agent: "a" };
    journal.failed(&asker("alice"), "/one", (404, "no such metric"), at(0));
    journal.failed(&asker("bob"), "/two", (404, "no such metric"), at(9));
    journal.failed(&asker("bob"), "/two", (503, "no such metric"), at(5));
    let troubles = journal.troubles();
    let of = |at: usize| (troubles[at].failure.code, troubles[at].count);
    assert_eq!((of(0), of(1)), ((404, 2), (503, 1)));
    assert_eq!((troubles[0].first, troubles[0].last), (at(0), at(9)));
    assert_eq!(troubles[0].asker.user, "bob");
    assert_eq!(troubles[0].path, "/two");
}

#[test]
fn what_is_kept_is_bounded_and_the_latest_stays() {
    let journal = Journal::new(at(0));
    for number in 0..20_000_i64 {
        let metric = format!("m{number}");
        journal.answered(&ask(&metric, "shop"), Ok(None), at(number));
        journal.failed(&Asker::default(), "/", (404, &metric), at(number));
    }
    let asks = journal.asks();
    assert!(
        asks.len() <= ASKS && asks.len() > ASKS / 2,
        "{}",
        asks.len()
    );
    let forgotten = journal.forgotten().unwrap();
    assert!(
        forgotten > at(10_000) && forgotten < at(19_900),
        "{forgotten}"
    );
    assert_eq!(Journal::new(at(0)).forgotten(), None);
    let troubles = journal.troubles();
    assert!(troubles.len() <= ERRORS, "{}", troubles.len());
    assert_eq!(&*troubles[0].failure.message, "m19999");
    let kept: BTreeSet<&str> = asks
        .iter()
        .map(|(ask, _)| ask.about.metric.as_str())
        .collect();
    for number in 19_900..20_000 {
        assert!(kept.contains(format!("m{number}").as_str()), "m{number}");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let journal = Journal::new(at(0));
    let long = "ü".repeat(10_000);
    journal.answered(&ask(&long, &long), Err((404, &long)), at(0));
    journal.failed(&Asker::default(), &long, (404, &long), at(0));
    let (key, asked) = journal.asks().remove(0);
    assert_eq!(key.about.metric.len(), TEXT);
    assert_eq!(asked.failing.unwrap().failure.message.len(), MESSAGE);
    assert!(!key.about.is_whole() && !journal.troubles()[0].is_whole());
    assert_eq!(cut("aü", 2), "a");
    // What is the same after the cut is one ask.
    journal.answered(&ask(&format!("{long}x"), &long), Ok(None), at(1));
    assert_eq!(journal.asks().len(), 1);
}

#[test]
fn a_backend_keeps_its_last_half_hour_by_minutes() {
    let journal = Journal::new(at(0));
    let upstream = journal.upstream("default");
    let took = Duration::from_millis;
    upstream.note(took(10), Ended::Well, at(0));
    upstream.note(took(30), Ended::Failed(&"timed out"), at(59));
    upstream.note(took(5), Ended::Refused(&"bad_data"), at(60));
    let minutes = journal.upstream("default").minutes(at(60));
    let first = Minute {
        requests: 2,
        failed: 1,
        refused: 0,
        took: took(40),
        longest: took(30),
    };
    assert_eq!(minutes[BACKEND_MINUTES - 2], first);
    let last = minutes[BACKEND_MINUTES - 1];
    assert_eq!((last.requests, last.failed, last.refused), (1, 0, 1));
    assert!(
        minutes[..BACKEND_MINUTES - 2]
            .iter()
            .all(|it| *it == Minute::default())
    );
    let mut faults = Faults {
        failed: Some((at(59), "timed out".to_owned())),
        refused: Some((at(60), "bad_data".to_owned())),
        silent_since: None,
    };
    assert_eq!(upstream.faults(), faults, "a refusal is an answer");
    for second in [70, 80] {
        upstream.note(took(1), Ended::Failed(&"reset"), at(second));
    }
    faults.failed = Some((at(80), "reset".to_owned()));
    faults.silent_since = Some(at(70));
    assert_eq!(upstream.faults(), faults);
    upstream.note(took(1), Ended::Well, at(81));
    assert_eq!(upstream.faults().silent_since, None);
    let later = upstream.minutes(at(29 * 60));
    assert_eq!(later[0], first);
    assert_eq!(upstream.minutes(at(31 * 60))[0], Minute::default());
    journal.forget("default");
    let anew = journal.upstream("default").minutes(at(60));
    assert!(anew.iter().all(|it| *it == Minute::default()));
}

proptest! {
    /// However asks fall, a ring says what a list of all times says.
    #[test]
    fn a_ring_counts_what_a_list_of_all_times_counts(
        steps in prop::collection::vec(0_i64..200, 1..60),
        look in 0_i64..600,
    ) {
        let mut ring: Ring<u32, 5> = Ring::default();
        let mut now = 0;
        let mut times = Vec::new();
        for step in steps {
            now += step;
            *ring.at(at(now)) += 1;
            times.push(now);
        }
        let now = now + look;
        let minute = |second: i64| at(second).as_second().div_euclid(60);
        let expected: Vec<u32> = (0..5_i64).rev().map(|ago| {
            let its = times.iter().filter(|time| minute(**time) == minute(now) - ago);
            u32::try_from(its.count()).unwrap()
        }).collect();
        prop_assert_eq!(ring.until(at(now)).to_vec(), expected);
    }
}
