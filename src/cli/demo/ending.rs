//! What was claimed, and what was seen. Pure.

use super::tally::Counts;

/// What is known at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The most replicas that served at one time, those at the end, and the fewest there may be.
    pub(super) most: u32,
    pub(super) last: u32,
    pub(super) least: u32,
    pub(super) counts: Counts,
    /// What the autoscaler asked for, and in how many rounds.
    pub(super) asks: u64,
    pub(super) rounds: u64,
    /// Queries that Prometheus was sent.
    pub(super) queries: u64,
    /// What was seen while Redis was away, if that was wanted.
    pub(super) outage: Option<Away>,
    /// Seconds.
    pub(super) took: f64,
}

/// How many replicas were seen to be degraded while Redis was away, and well again after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) degraded: usize,
    pub(super) well: usize,
}

/// One line for each claim.
pub(super) struct Claim {
    pub(super) holds: bool,
    pub(super) words: String,
}

pub(super) fn claims(facts: &Facts) -> Vec<Claim> {
    let Facts {
        most,
        last,
        least,
        counts,
        ..
    } = facts;
    let claim = |holds, words| Claim { holds, words };
    let mut claims = vec![
        claim(
            most > least,
            format!("scaled out from {least} replicas to {most}"),
        ),
        claim(last == least, format!("and back in to {last}")),
        claim(
            counts.requests > 0 && counts.failed == 0,
            format!(
                "{} requests, {} failed; {} were asked to come back, and served then",
                counts.requests, counts.failed, counts.put_off
            ),
        ),
        claim(
            counts.sessions > 0 && counts.lost == 0,
            format!(
                "{} sessions, {} lost: {} carts were compared",
                counts.sessions, counts.lost, counts.compared
            ),
        ),
    ];
    if let Some(Away { degraded, well }) = facts.outage {
        // Nobody put off: nobody has seen it.
        let holds = degraded > 0 && well > 0 && counts.put_off > 0;
        let words = format!(
            "Redis was away and back: all {degraded} replicas said degraded, then all {well} ok"
        );
        claims.push(claim(holds, words));
    }
    claims
}

/// What else is worth to be known.
pub(super) fn remarks(facts: &Facts) -> Vec<String> {
    let mut remarks = vec![format!(
        "{} metrics asked for in {} rounds of the autoscaler, by {} PromQL queries",
        facts.asks, facts.rounds, facts.queries
    )];
    let reasons = facts.counts.reasons.iter();
    remarks.extend(reasons.map(|reason| format!("Why: {reason}")));
    remarks
}

/// What the shoppers have counted.
pub(super) fn in_numbers(counts: &Counts) -> String {
    let Counts {
        requests,
        failed,
        sessions,
        lost,
        ..
    } = counts;
    format!("{requests} requests, {failed} failed; {sessions} sessions, {lost} lost")
}

/// The claims in a line, for the picture.
pub(super) fn in_short(facts: &Facts) -> String {
    let counts = &facts.counts;
    format!(
        "{} replicas to {} and back to {} in {:.0} s. {}.",
        facts.least,
        facts.most,
        facts.last,
        facts.took,
        in_numbers(counts)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            most: 7,
            last: 2,
            least: 2,
            counts: Counts {
                requests: 9000,
                sessions: 70,
                put_off: 5,
                ..Counts::default()
            },
            outage: Some(Away {
                degraded: 4,
                well: 2,
            }),
            ..Facts::default()
        }
    }

    fn holds(change: impl FnOnce(&mut Facts)) -> bool {
        let mut facts = good();
        change(&mut facts);
        claims(&facts).iter().all(|claim| claim.holds)
    }

    #[test]
    fn every_claim_can_fail() {
        assert!(holds(|_| {}));
        assert!(!holds(|facts| facts.most = 2), "never scaled out");
        assert!(!holds(|facts| facts.last = 3), "not back");
        assert!(!holds(|facts| facts.counts.failed = 1), "a request failed");
        assert!(!holds(|facts| facts.counts.lost = 1), "a session was lost");
        assert!(!holds(|facts| facts.counts.requests = 0), "no load");
        assert!(!holds(|facts| facts.counts.sessions = 0), "no session");
        let away = |degraded, well| Some(Away { degraded, well });
        assert!(!holds(|facts| facts.outage = away(0, 2)), "none degraded");
        assert!(!holds(|facts| facts.outage = away(4, 0)), "none well again");
        assert!(!holds(|facts| facts.counts.put_off = 0), "nobody noticed");
    }
}
