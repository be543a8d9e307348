//! What the load does, and when: calm, swelling, ebbing. Pure, and driven by what is seen, so that
//! a busy machine makes it longer and not different.

use std::time::Duration;

/// How it goes on where it matters, in seconds and requests a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) calm_rate: f64,
    pub(super) peak_rate: f64,
    pub(super) calm: f64,
    /// From the calm rate to the peak.
    pub(super) swell: f64,
    /// At the peak, when all has settled.
    pub(super) hold: f64,
    /// From the peak to the calm rate.
    pub(super) ebb: f64,
    /// At the end.
    pub(super) rest: f64,
    /// About how long all takes.
    pub(super) planned: Duration,
}

impl Plan {
    /// A minute and a half: to seven replicas and back.
    pub(super) const WHOLE: Plan = Plan {
        calm_rate: 24.0,
        peak_rate: 140.0,
        calm: 4.0,
        swell: 15.0,
        hold: 4.0,
        ebb: 4.0,
        rest: 3.0,
        planned: Duration::from_secs(95),
    };

    /// About half of it: to four and back.
    pub(super) const FAST: Plan = Plan {
        calm_rate: 16.0,
        peak_rate: 72.0,
        calm: 1.0,
        swell: 4.0,
        hold: 1.0,
        ebb: 1.0,
        rest: 1.0,
        planned: Duration::from_secs(50),
    };
}

/// How long is waited for what should come, in seconds: several times what it takes.
const PATIENCE: f64 = 240.0;

/// Latency in milliseconds, as the HPA's metric of the Service has it, above which the autoscaler
/// is right to add replicas and to keep them: a machine that is as busy is waited for.
const SLOW: f64 = 500.0;

/// How long is waited for such a machine, in seconds.
const LONGEST: f64 = 1200.0;

/// For how long nothing may have changed before it counts as settled.
const SETTLED: f64 = 5.0;

/// What is seen of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    /// Seconds since the load began.
    pub(super) now: f64,
    pub(super) ready: usize,
    /// Processes, those that start or end too.
    pub(super) running: usize,
    /// When the autoscaler last decided to change something.
    pub(super) last_decision: f64,
    /// Requests a second of each replica.
    pub(super) per_replica: f64,
    /// What the autoscaler wants of it.
    pub(super) target: f64,
    /// 99 of 100 requests took no longer, in milliseconds.
    pub(super) p99: f64,
    /// Whether something is under way that must end before the end.
    pub(super) busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Calm,
    Swell,
    Peak,
    Ebb,
    Rest,
    Over,
}

impl Stage {
    /// What is to be seen now.
    pub(super) fn words(self) -> &'static str {
        match self {
            Stage::Calm => "calm: two replicas are enough",
            Stage::Swell => "swell: more and more shoppers come",
            Stage::Peak => "peak: until the replicas carry it",
            Stage::Ebb => "ebb: most have left; 30 s of calm, then half of the replicas go",
            Stage::Rest => "calm again",
            Stage::Over => "over",
        }
    }
}

/// How far it is.
#[derive(Debug)]
pub(super) struct Story {
    plan: Plan,
    stage: Stage,
    /// Since when.
    since: f64,
    /// Since when it could have gone on.
    waits_since: f64,
}

impl Story {
    pub(super) fn new(plan: Plan) -> Story {
        Story {
            plan,
            stage: Stage::Calm,
            since: 0.0,
            waits_since: 0.0,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Goes on if what is seen says so. The error says what did not come.
    pub(super) fn go_on(&mut self, view: &View) -> Result<(), String> {
        let plan = &self.plan;
        let past = view.now - self.since;
        let whole = view.running == view.ready;
        let settled = whole && view.now - view.last_decision >= SETTLED;
        if view.p99 >= SLOW {
            self.waits_since = view.now;
        }
        let waited = view.now - self.waits_since;
        let next = match self.stage {
            Stage::Calm => (past >= plan.calm && view.ready >= 2).then_some(Stage::Swell),
            Stage::Swell => (past >= plan.swell).then_some(Stage::Peak),
            Stage::Peak => {
                let carried = view.ready > 2 && view.per_replica <= 1.1 * view.target;
                (past >= plan.hold && settled && carried).then_some(Stage::Ebb)
            }
            Stage::Ebb => {
                let back = past >= plan.ebb && whole && view.ready == 2;
                (back && !view.busy).then_some(Stage::Rest)
            }
            Stage::Rest => (past >= plan.rest).then_some(Stage::Over),
            Stage::Over => None,
        };
        match next {
            Some(next) => {
                self.stage = next;
                (self.since, self.waits_since) = (view.now, view.now);
                Ok(())
            }
            None if self.stage == Stage::Over => Ok(()),
            None if waited > PATIENCE || past > LONGEST => Err(self.missed(view)),
            None => Ok(()),
        }
    }

    fn missed(&self, view: &View) -> String {
        let what = match self.stage {
            Stage::Peak => "the replicas did not come to carry the load",
            Stage::Ebb => "the replicas did not go back to two",
            _ => "the replicas did not become ready",
        };
        format!(
            "{what} within {:.0} s: {} of {} are ready, with {:.0} requests a second each",
            view.now - self.since,
            view.ready,
            view.running,
            view.per_replica
        )
    }

    /// The load that is wished now, in requests a second.
    pub(super) fn rate(&self, now: f64) -> f64 {
        let Plan {
            calm_rate,
            peak_rate,
            swell,
            ebb,
            ..
        } = self.plan;
        let part = |whole: f64| ((now - self.since) / whole).clamp(0.0, 1.0);
        match self.stage {
            Stage::Swell => calm_rate + (peak_rate - calm_rate) * part(swell),
            Stage::Peak => peak_rate,
            Stage::Ebb => peak_rate - (peak_rate - calm_rate) * part(ebb),
            Stage::Calm | Stage::Rest | Stage::Over => calm_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A view in which `replicas` carry what the plan wishes.
    fn view(now: f64, replicas: usize, story: &Story) -> View {
        let count = u32::try_from(replicas).map_or(1.0, f64::from);
        View {
            now,
            ready: replicas,
            running: replicas,
            per_replica: story.rate(now) / count,
            target: 20.0,
            ..View::default()
        }
    }

    fn run(story: &mut Story, from: u32, to: u32, replicas: usize) {
        for second in from..to {
            let view = view(f64::from(second), replicas, story);
            story.go_on(&view).unwrap();
        }
    }

    #[test]
    fn the_load_swells_ebbs_and_waits_for_the_replicas_both_times() {
        let mut story = Story::new(Plan::WHOLE);
        run(&mut story, 0, 21, 2);
        assert_eq!(story.stage(), Stage::Peak);
        run(&mut story, 21, 200, 2);
        assert_eq!(
            story.stage(),
            Stage::Peak,
            "two replicas do not carry the peak"
        );
        run(&mut story, 200, 202, 7);
        assert_eq!(story.stage(), Stage::Ebb);
        run(&mut story, 202, 400, 7);
        assert_eq!(story.stage(), Stage::Ebb);
        assert!((story.rate(400.0) - 24.0).abs() < 1e-9);
        run(&mut story, 400, 410, 2);
        assert_eq!(story.stage(), Stage::Over);
    }

    #[test]
    fn who_waits_in_vain_is_told_for_what() {
        let mut story = Story::new(Plan::FAST);
        run(&mut story, 0, 10, 2);
        let view = view(300.0, 2, &story);
        let why = story.go_on(&view).unwrap_err();
        assert!(
            why.contains("did not come to carry the load within 295 s"),
            "{why}"
        );
        assert!(why.contains("2 of 2 are ready, with 36 requests"), "{why}");
    }

    /// Replicas are kept where requests take long, and that is right.
    #[test]
    fn a_busy_machine_is_waited_for() {
        let mut story = Story::new(Plan::FAST);
        run(&mut story, 0, 8, 4);
        assert_eq!(story.stage(), Stage::Ebb);
        let at = |now, p99, story: &Story| View {
            p99,
            ..view(now, 4, story)
        };
        for now in [200.0, 400.0, 600.0] {
            story.go_on(&at(now, 2000.0, &story)).unwrap();
        }
        story.go_on(&at(800.0, 20.0, &story)).unwrap();
        story.go_on(&at(841.0, 20.0, &story)).unwrap_err();
        story.go_on(&at(1300.0, 2000.0, &story)).unwrap_err();
    }

    #[test]
    fn a_change_that_is_under_way_is_waited_for() {
        let mut story = Story::new(Plan::FAST);
        run(&mut story, 0, 7, 2);
        assert_eq!(story.stage(), Stage::Peak);
        let mut seen = view(20.0, 4, &story);
        seen.running = 5;
        story.go_on(&seen).unwrap();
        assert_eq!(story.stage(), Stage::Peak);
        seen.running = 4;
        seen.last_decision = 19.0;
        story.go_on(&seen).unwrap();
        assert_eq!(story.stage(), Stage::Peak);
        seen.now = 24.0;
        story.go_on(&seen).unwrap();
        assert_eq!(story.stage(), Stage::Ebb);
        let mut seen = view(60.0, 2, &story);
        seen.busy = true;
        story.go_on(&seen).unwrap();
        assert_eq!(story.stage(), Stage::Ebb);
    }
}
