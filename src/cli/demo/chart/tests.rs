//! Charts as they look, and what they never do.

use proptest::prelude::*;

use super::*;
use crate::cli::demo::record::Decision;

fn frame(width: usize, span: f64) -> Frame {
    Frame {
        width,
        span,
        target: 20.0,
        replicas: (2, 8),
    }
}

fn text(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| format!("{}{}", row.label, row.cells))
        .collect()
}

/// A moment a second: load that grows by four a second, two replicas until there are four.
fn ramp(seconds: u32) -> Record {
    let moment = |second: u32| {
        let (at, load) = (f64::from(second), f64::from(4 * second));
        let replicas = if second < 16 { 2.0 } else { 4.0 };
        Moment {
            at,
            load,
            per_replica: load / replicas,
            replicas,
            p50: 2.0,
            p99: at,
        }
    };
    Record {
        moments: (0..=seconds).map(moment).collect(),
        decisions: vec![Decision {
            at: 15.0,
            from: 2,
            to: 4,
            reason: "above target".into(),
        }],
    }
}

#[test]
fn the_charts_of_a_run_look_like_this() {
    let rows = text(&rows(&ramp(25), &frame(61, 43.0)));
    let expected = "
 load        100┤                    ▂▃▄▅▇█
 requests/s     │             ▁▂▃▄▆▇███████
                │       ▁▂▄▅▆▇█████████████
 now 100       0┤ ▁▃▄▅▆████████████████████
 per replica  30┤            ▂▄▆█       ▁▂▃
 target 20 ┄    │┄┄┄┄┄┄┄┄▁▃▅▇████▁▂▃▄▅▆▇███┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
                │    ▁▃▅▇██████████████████
 now 25.0      0┤ ▂▄▆██████████████████████
 replicas      8┤
 2 to 8         │
                │                ██████████
 now 4         0┤██████████████████████████
 p50 now 2 ms   │▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
 p99 now 25 ms  │▁▁▁▁▁▂▂▂▃▃▃▄▄▄▄▅▅▅▆▆▆▇▇▇██
 decisions      │               ▲
                 └0:00          └0:15          └0:30
";
    let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    let expected: Vec<&str> = expected.trim_matches('\n').lines().collect();
    assert_eq!(rows, expected, "\n{}", rows.join("\n"));
}

#[test]
fn before_the_first_moment_the_charts_are_there_and_empty() {
    let rows = rows(&Record::default(), &frame(80, 90.0));
    assert!(rows.iter().all(|row| !row.cells.contains('█')));
}

#[test]
fn a_decision_is_marked_where_it_was_made() {
    let rows = rows(&ramp(25), &frame(60, 43.0));
    let marks = &rows[rows.len() - 2].cells;
    assert_eq!(marks.chars().position(|cell| cell == '▲'), Some(15));
}

#[test]
fn the_line_of_the_target_is_seen_behind_low_bars_only() {
    let rows = rows(&ramp(25), &frame(60, 43.0));
    let above: Vec<&str> = rows[4..8].iter().map(|row| row.cells.as_str()).collect();
    assert!(above.iter().any(|cells| cells.contains('┄')), "{above:?}");
    assert!(rows[..4].iter().all(|row| !row.cells.contains('┄')));
}

proptest! {
    /// Whatever was seen, in whatever terminal: as many columns as it has, and as many rows.
    #[test]
    fn every_row_has_as_many_columns_as_asked_for(
        width in 80_usize..300,
        values in proptest::collection::vec(0.0..1e7_f64, 0..200),
        span in 1.0..1000.0_f64,
    ) {
        let moment = |(at, value): (usize, &f64)| Moment {
            at: f64::from(u32::try_from(at).unwrap()),
            load: *value,
            per_replica: value / 3.0,
            replicas: value % 9.0,
            p50: value / 100.0,
            p99: value / 10.0,
        };
        let record = Record {
            moments: values.iter().enumerate().map(moment).collect(),
            decisions: Vec::new(),
        };
        let rows = text(&rows(&record, &frame(width, span)));
        prop_assert_eq!(rows.len(), 3 * HEIGHT + 4);
        for row in rows {
            prop_assert_eq!(row.chars().count(), width, "{}", row);
        }
    }

    /// A larger value never has a lower bar.
    #[test]
    fn bars_grow_with_their_values(small in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        prop_assert!(eighths(small, HEIGHT) <= eighths(small + more, HEIGHT));
        prop_assert!(eighths(small, 1) <= eighths(small + more, 1));
    }
}
