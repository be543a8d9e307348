//! `tidegauge autoscale`, as a process that is listened to.

use anyhow::Context;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::processes::{Group, Process};
use super::record::{Decision, Record};
use super::replicas::Replicas;

const HPA: &str = include_str!("../../../manifests/example/hpa.yaml");
const DEPLOYMENT: &str = include_str!("../../../manifests/example/deployment.yaml");

/// What the process is called.
pub(super) const AUTOSCALER: &str = "the autoscaler";

/// How often it decides. The HPA controller's default is 15 s.
const INTERVAL: &str = "1s";

/// What the HPA of manifests/example says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// Replicas, at least and at most.
    pub(super) replicas: (u32, u32),
    /// Requests a second of each.
    pub(super) target: f64,
    /// How many metrics are asked for in each round.
    pub(super) metrics: u64,
}

impl Aim {
    pub(super) fn read() -> anyhow::Result<Aim> {
        let hpa: Value = serde_saphyr::from_str(HPA)?;
        let spec = &hpa["spec"];
        let number = |of: &Value| of.as_u64().and_then(|it| u32::try_from(it).ok());
        let replicas = number(&spec["minReplicas"]).zip(number(&spec["maxReplicas"]));
        let metrics = spec["metrics"].as_array().map_or(0, Vec::len);
        let metrics = u64::try_from(metrics)?;
        let target = &spec["metrics"][0]["pods"]["target"]["averageValue"];
        Ok(Aim {
            metrics,
            replicas: replicas.context("the HPA must have minReplicas and maxReplicas")?,
            target: target
                .as_str()
                .and_then(|it| it.parse().ok())
                .context("the HPA's first metric must be one of pods, with an averageValue")?,
        })
    }
}

/// One round of the autoscaler, as it tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    /// From and to, where replicas were set.
    pub(super) rescale: Option<(u32, u32)>,
    /// Why, or why not.
    pub(super) why: String,
    /// What could not be read or done.
    pub(super) error: Option<String>,
}

/// The rounds of the autoscaler, in their order.
pub(super) type Rounds = mpsc::UnboundedReceiver<Round>;

/// `tidegauge autoscale` with the HPA of manifests/example as it stands.
pub(super) fn start(group: &Group, adapter: &str) -> anyhow::Result<(Process, Rounds)> {
    let hpa = group.write("hpa.yaml", HPA)?;
    let deployment = group.write("deployment.yaml", DEPLOYMENT)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["autoscale", "-f"])
        .arg(hpa)
        .arg("-f")
        .arg(deployment)
        .args(["--server", adapter])
        .args(["--current", &Replicas::command_current(group.folder())])
        .args(["--exec", &Replicas::command_exec(group.folder())])
        .args(["--interval", INTERVAL, "-o", "json"]);
    let (sender, rounds) = mpsc::unbounded_channel();
    let hear = move |line: &str| {
        if let Some(round) = round(line) {
            // Nobody listens at the very end.
            let _ = sender.send(round);
        }
    };
    let process = group.start(AUTOSCALER, command, hear)?;
    Ok((process, rounds))
}

/// A round, if this line tells one: it may be one of the log.
fn round(line: &str) -> Option<Round> {
    let line: Value = serde_json::from_str(line).ok()?;
    let number = |of: &str| line[of].as_u64().and_then(|it| u32::try_from(it).ok());
    let acted = line["acted"].as_bool()?;
    Some(Round {
        rescale: number("current").zip(number("desired")).filter(|_| acted),
        why: line["message"].as_str()?.to_owned(),
        error: line["error"].as_str().map(str::to_owned),
    })
}

/// What the autoscaler has told, and the record of the run.
pub(super) struct Heard {
    rounds: Rounds,
    /// When its rounds began.
    pub(super) began: Instant,
    pub(super) record: Record,
    /// How many rounds there were.
    pub(super) count: u64,
    /// The last it said.
    pub(super) now: String,
}

impl Heard {
    pub(super) fn new(rounds: Rounds) -> Heard {
        Heard {
            rounds,
            began: Instant::now(),
            record: Record::default(),
            count: 0,
            now: String::new(),
        }
    }

    /// Puts down what was told since the last time.
    pub(super) fn listen(&mut self) {
        while let Ok(round) = self.rounds.try_recv() {
            self.count += 1;
            if let Some((from, to)) = round.rescale {
                self.record.decisions.push(Decision {
                    at: self.began.elapsed().as_secs_f64(),
                    from,
                    to,
                    reason: round.why.clone(),
                });
            }
            self.now = round.error.unwrap_or(round.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_aim_is_that_of_the_manifest() {
        let aim = Aim::read().unwrap();
        assert_eq!(aim.replicas, (2, 8));
        assert!((aim.target - 20.0).abs() < 1e-9);
    }

    #[test]
    fn only_what_was_carried_out_is_a_rescale() {
        let line = |acted: bool| {
            let why = "pods metric http_requests_per_second above target";
            json!({"current": 2, "desired": 4, "acted": acted, "message": why, "error": null})
        };
        let told = |acted| round(&line(acted).to_string()).unwrap();
        assert_eq!(told(true).rescale, Some((2, 4)));
        assert_eq!(
            told(true).why,
            "pods metric http_requests_per_second above target"
        );
        assert_eq!(told(false).rescale, None);
        assert_eq!(
            round(r#"{"level": "INFO", "message": "metrics on …"}"#),
            None
        );
        assert_eq!(round("no JSON"), None);
    }
}
