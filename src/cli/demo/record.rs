//! What was seen of the run, moment by moment: what the charts draw.

use std::time::Duration;

/// One moment. Rates and latencies are those of the last two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// Seconds since the load began.
    pub(super) at: f64,
    /// Requests a second that were answered.
    pub(super) load: f64,
    /// Requests a second of each replica that serves, on average.
    pub(super) per_replica: f64,
    /// Replicas that serve.
    pub(super) replicas: f64,
    /// Half of the requests took no longer, in milliseconds.
    pub(super) p50: f64,
    /// 99 of 100 requests took no longer, in milliseconds.
    pub(super) p99: f64,
}

/// A decision of the autoscaler that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decision {
    /// Seconds since the load began.
    pub(super) at: f64,
    pub(super) from: u32,
    pub(super) to: u32,
    /// In the words of the HorizontalPodAutoscaler's event.
    pub(super) reason: String,
}

/// The run so far. Both lists are in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) moments: Vec<Moment>,
    pub(super) decisions: Vec<Decision>,
}

impl Record {
    /// The last moment.
    pub(super) fn now(&self) -> Moment {
        self.moments.last().copied().unwrap_or_default()
    }

    /// The largest value that was seen.
    pub(super) fn most(&self, value: impl Fn(&Moment) -> f64) -> f64 {
        self.moments.iter().map(value).fold(0.0, f64::max)
    }
}

/// `83.4` seconds as `1:23`.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15 … that is at least `most`: where an
/// axis may end.
pub(super) fn axis(most: f64) -> f64 {
    const STEPS: [f64; 11] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    if most <= 1.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let step = STEPS.iter().find(|step| *step * power >= most);
    step.unwrap_or(&10.0) * power
}

/// How many seconds are between two marks of an axis of time.
pub(super) fn ticks(span: f64) -> f64 {
    let apart = [15.0, 30.0, 60.0, 120.0, 300.0];
    let few = apart.into_iter().find(|apart| span / apart <= 10.0);
    few.unwrap_or(600.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_not_far_above_what_it_shows() {
        for (most, end) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (7.0, 8.0),
            (8.0, 8.0),
            (23.0, 25.0),
            (100.0, 100.0),
            (141.0, 150.0),
            (999.0, 1000.0),
        ] {
            assert!((axis(most) - end).abs() < 1e-9, "{most}: {}", axis(most));
        }
    }

    #[test]
    fn a_clock_has_minutes_and_seconds() {
        assert_eq!(clock(0.0), "0:00");
        assert_eq!(clock(83.9), "1:23");
        assert_eq!(clock(-1.0), "0:00");
    }
}
