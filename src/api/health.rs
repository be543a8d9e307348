//! `/healthz`, `/livez`, `/readyz`: each a list of named checks.
//!
//! Names and texts are those of a Go API server (`k8s.io/apiserver/pkg/server/healthz`), so that
//! probes which name a check go on. Prometheus is in none of them: if it were, all replicas would
//! become unready together and the cluster's discovery would go stale with them.

use super::route::{Health, Probe};

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The process answers.
    Ping,
    /// Logs are written; kept for its name, a Go server checks its log flusher here.
    Log,
    /// Objects and metrics have been listed once, so that a new replica does not answer "not
    /// found" before it has looked. A Prometheus that fails counts as looked at.
    StartInformers,
    /// The same, by the name that readiness uses.
    InformerSync,
    /// The limit of requests in flight is in force.
    MaxInFlight,
    /// Kept for its name: a Go server counts stored objects here, and we store none.
    StorageObjectCount,
    /// We are not stopping.
    Shutdown,
}

/// What the checks look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// Whether it is known whom to believe, our certificate is trusted as far as we see to that,
    /// and objects and metrics have been listed once, or enough time was given to it.
    pub(super) names_known: bool,
    /// Whether the server is stopping.
    pub(super) stopping: bool,
}

impl State {
    /// Whether requests should be sent here.
    pub(super) fn is_ready(self) -> bool {
        self.names_known && !self.stopping
    }
}

/// The outcome of a probe: status and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200.
    Healthy(String),
    /// 500, always with the list of checks.
    Failed(String),
    /// There is no such check.
    NoSuchCheck,
}

impl Check {
    /// As it stands in paths and lists.
    pub(super) fn name(self) -> &'static str {
        match self {
            Check::Ping => "ping",
            Check::Log => "log",
            Check::StartInformers => "poststarthook/generic-apiserver-start-informers",
            Check::InformerSync => "informer-sync",
            Check::MaxInFlight => "poststarthook/max-in-flight-filter",
            Check::StorageObjectCount => "poststarthook/storage-object-count-tracker-hook",
            Check::Shutdown => "shutdown",
        }
    }

    fn failure(self, state: State) -> Option<&'static str> {
        match self {
            Check::StartInformers | Check::InformerSync if !state.names_known => {
                Some("kinds, trust or metrics are being listed for the first time")
            }
            Check::Shutdown if state.stopping => Some("process is shutting down"),
            _ => None,
        }
    }
}

/// The three sets of checks.
pub(super) fn probes() -> [Probe; 3] {
    [Probe::Healthz, Probe::Livez, Probe::Readyz]
}

/// The checks of one set, in the order of their list.
pub(super) fn checks(probe: Probe) -> impl Iterator<Item = Check> {
    let readiness = probe == Probe::Readyz;
    let all = [
        (Check::Ping, true),
        (Check::Log, true),
        (Check::StartInformers, true),
        (Check::InformerSync, readiness),
        (Check::MaxInFlight, true),
        (Check::StorageObjectCount, true),
        (Check::Shutdown, readiness),
    ];
    all.into_iter()
        .filter_map(|(check, belongs)| belongs.then_some(check))
}

/// Answers a probe.
pub(super) fn answer(ask: &Health, state: State) -> Outcome {
    // Liveness does not depend on anything outside of the process: a restart would not mend it.
    let state = match ask.probe {
        Probe::Readyz => state,
        Probe::Healthz | Probe::Livez => State {
            names_known: true,
            stopping: false,
        },
    };
    if let Some(name) = &ask.check {
        let Some(check) = checks(ask.probe).find(|check| check.name() == name) else {
            return Outcome::NoSuchCheck;
        };
        return match check.failure(state) {
            None => Outcome::Healthy("ok".to_owned()),
            Some(cause) => Outcome::Failed(format!("internal server error: {cause}\n")),
        };
    }
    let mut list = String::new();
    let mut failed = false;
    for check in checks(ask.probe) {
        let name = check.name();
        if ask.exclude.iter().any(|excluded| excluded == name) {
            list += &format!("[+]{name} excluded: ok\n");
        } else if check.failure(state).is_some() {
            failed = true;
            list += &format!("[-]{name} failed: reason withheld\n");
        } else {
            list += &format!("[+]{name} ok\n");
        }
    }
    let unknown: Vec<String> = ask
        .exclude
        .iter()
        .filter(|excluded| !checks(ask.probe).any(|check| check.name() == *excluded))
        .map(|excluded| format!("{excluded:?}"))
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(",");
        list += &format!("warn: some health checks cannot be excluded: no matches for {unknown}\n");
    }
    let probe = ask.probe.name();
    match (failed, ask.verbose) {
        (true, _) => Outcome::Failed(format!("{list}{probe} check failed\n")),
        (false, true) => Outcome::Healthy(format!("{list}{probe} check passed\n")),
        (false, false) => Outcome::Healthy("ok".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(probe: Probe, verbose: bool, exclude: &[&str]) -> Health {
        let exclude = exclude.iter().map(|name| (*name).to_owned()).collect();
        Health {
            probe,
            check: None,
            verbose,
            exclude,
        }
    }

    const WELL: State = State {
        names_known: true,
        stopping: false,
    };

    #[test]
    fn a_stopping_server_is_alive_but_not_ready() {
        let state = State {
            stopping: true,
            ..WELL
        };
        let Outcome::Failed(text) = answer(&ask(Probe::Readyz, false, &[]), state) else {
            panic!("must fail");
        };
        assert!(
            text.ends_with("[-]shutdown failed: reason withheld\nreadyz check failed\n"),
            "{text}"
        );
        assert_eq!(
            answer(&ask(Probe::Livez, false, &[]), state),
            Outcome::Healthy("ok".to_owned())
        );
    }

    #[test]
    fn a_check_can_be_asked_alone_and_left_out() {
        let state = State {
            names_known: false,
            ..WELL
        };
        let one = |name: &str| Health {
            check: Some(name.to_owned()),
            ..ask(Probe::Readyz, false, &[])
        };
        assert_eq!(
            answer(&one("ping"), state),
            Outcome::Healthy("ok".to_owned())
        );
        assert!(matches!(
            answer(&one("informer-sync"), state),
            Outcome::Failed(_)
        ));
        assert_eq!(answer(&one("nope"), state), Outcome::NoSuchCheck);
        let excluded = [
            "informer-sync",
            "poststarthook/generic-apiserver-start-informers",
        ];
        let healthy = answer(&ask(Probe::Readyz, false, &excluded), state);
        assert_eq!(healthy, Outcome::Healthy("ok".to_owned()));
        let Outcome::Healthy(text) = answer(&ask(Probe::Livez, true, &["x"]), WELL) else {
            panic!("must pass");
        };
        assert!(
            text.contains("cannot be excluded: no matches for \"x\"\n"),
            "{text}"
        );
    }
}
