//! The alerts, by promtool, as somebody without the Operator gets them; and where they lead, by amtool
//! and a real Alertmanager.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::command::run;
use super::super::{list, text};
use super::{file, yaml};
use crate::support::poll;
use crate::support::process::Process;

const START: Duration = Duration::from_secs(30);
/// Looks in a row that show the same.
const SETTLED: usize = 5;

/// The alerts with their tests in a directory, made by the command that stands above them.
fn alerts() -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in ["prometheus-rule.yaml", "alerts.test.yaml"] {
        std::fs::write(
            directory.path().join(name),
            file(&format!("monitoring/{name}")),
        )
        .unwrap();
    }
    let rules = file("monitoring/prometheus-rule.yaml");
    let command = rules
        .lines()
        .find_map(|line| line.strip_prefix("# Without the Operator: "));
    run(directory.path(), "sh", &["-euc", command.unwrap()]);
    directory
}

/// Each alert.
fn all() -> Firing {
    let rules = yaml("monitoring/prometheus-rule.yaml");
    let groups = list(&rules["spec"]["groups"]).iter();
    let rules = groups.flat_map(|group| list(&group["rules"]));
    rules
        .map(|rule| (&rule["alert"], &rule["labels"]["severity"]))
        .map(|(name, severity)| (text(name).to_owned(), text(severity).to_owned()))
        .collect()
}

#[test]
fn promtool_takes_the_alerts_and_each_fires_where_it_must() {
    let directory = alerts();
    let told = run(
        directory.path(),
        "promtool",
        &["check", "rules", "alerts.yaml"],
    );
    assert!(
        told.contains(&format!("{} rules found", all().len())),
        "{told}"
    );
    run(
        directory.path(),
        "promtool",
        &["test", "rules", "alerts.test.yaml"],
    );
}

/// Name and severity of alerts.
pub(in super::super) type Firing = BTreeSet<(String, String)>;

/// The moments of a test, in seconds, with the alerts that fire at each.
pub(in super::super) fn moments(test: &Value) -> Vec<(u64, Firing)> {
    let name = regex::Regex::new(r#"alertname="(\w+)",severity="(\w+)""#).unwrap();
    let time = regex::Regex::new(r"^(?:(\d+)m)?(?:(\d+)s)?$").unwrap();
    let firing = |moment: &Value| {
        let samples = list(&moment["exp_samples"]).iter();
        let labels = samples.map(|it| text(&it["labels"]));
        let pairs = labels.map(|it| {
            let found = name.captures(it).unwrap_or_else(|| panic!("{it}"));
            (found[1].to_owned(), found[2].to_owned())
        });
        let at = time.captures(text(&moment["eval_time"])).unwrap();
        let part = |of: usize| at.get(of).map_or(0, |it| it.as_str().parse().unwrap());
        (part(1) * 60 + part(2), pairs.collect())
    };
    list(&test["promql_expr_test"]).iter().map(firing).collect()
}

/// An evaluation earlier it must be silent: so a shorter `for` or another threshold does not pass.
#[test]
fn every_alert_is_tested_where_it_fires_and_just_before() {
    let tests = yaml("monitoring/alerts.test.yaml");
    assert_eq!(tests["evaluation_interval"], "15s");
    let (mut tested, mut begun) = (Firing::new(), Firing::new());
    for test in list(&tests["tests"]) {
        let moments = moments(test);
        assert!(moments[0].1.is_empty(), "{}: it begins well", test["name"]);
        for pair in moments.windows(2) {
            let ((before, silent), (at, firing)) = (&pair[0], &pair[1]);
            if before + 15 == *at {
                begun.extend(firing.difference(silent).cloned());
            }
        }
        tested.extend(moments.into_iter().flat_map(|(_, firing)| firing));
    }
    assert_eq!(tested, all());
    assert_eq!(begun, all(), "just before");
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_look_at() {
    let rules = yaml("monitoring/prometheus-rule.yaml");
    for group in list(&rules["spec"]["groups"]) {
        for rule in list(&group["rules"]) {
            let name = &rule["alert"];
            assert!(
                ["critical", "warning"].contains(&text(&rule["labels"]["severity"])),
                "{name}"
            );
            assert!(
                rule["for"].is_string(),
                "{name}: an autoscaler needs time to mend it"
            );
            for annotation in ["summary", "description"] {
                assert!(!text(&rule["annotations"][annotation]).is_empty(), "{name}");
            }
        }
    }
}

/// `alertmanager.yaml` in a directory.
fn routing() -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("alertmanager.yaml");
    std::fs::write(path, file("monitoring/alertmanager.yaml")).unwrap();
    directory
}

#[test]
fn amtool_takes_the_routes_and_each_severity_goes_where_it_should() {
    let directory = routing();
    run(
        directory.path(),
        "amtool",
        &["check-config", "alertmanager.yaml"],
    );
    let route = |labels: &[&str]| {
        let arguments = [
            "config",
            "routes",
            "test",
            "--config.file=alertmanager.yaml",
        ];
        let told = run(
            directory.path(),
            "amtool",
            &[&arguments[..], labels].concat(),
        );
        told.trim().to_owned()
    };
    for (name, severity) in all() {
        let name = format!("alertname={name}");
        let severity_label = format!("severity={severity}");
        let expected = match severity.as_str() {
            "critical" => "pager,channel",
            _ => "channel",
        };
        assert_eq!(
            route(&[&name, &severity_label, "namespace=shop"]),
            expected,
            "{name}"
        );
    }
    assert_eq!(route(&["alertname=Watchdog", "severity=none"]), "nobody");
    // Whoever forgets to say how bad it is must not lose it.
    assert_eq!(route(&["alertname=Unknown"]), "channel");
}

#[test]
fn every_secret_of_a_receiver_is_read_from_a_file() {
    let configuration = yaml("monitoring/alertmanager.yaml");
    let receivers = configuration["receivers"].to_string();
    let secret = regex::Regex::new(r#""(api_url|routing_key|service_key|url|password|token)":"#);
    assert!(!secret.unwrap().is_match(&receivers), "{receivers}");
    for path in ["slack-url", "pagerduty-key"] {
        let there = format!("/etc/alertmanager/secrets/alertmanager-receivers/{path}");
        assert!(receivers.contains(&there), "{receivers}");
    }
}

/// A real one with the example's configuration, on a free port.
struct Alertmanager {
    url: String,
    client: reqwest::Client,
    process: Process,
    _directory: TempDir,
}

impl Alertmanager {
    async fn start() -> Alertmanager {
        let directory = routing();
        let mut command = Command::new("prometheus-alertmanager");
        command.current_dir(directory.path()).args([
            "--config.file=alertmanager.yaml",
            "--storage.path=data",
            "--cluster.listen-address=",
            "--web.listen-address=127.0.0.1:0",
        ]);
        let process = Process::start(command, &directory.path().join("stderr")).unwrap();
        let mut alertmanager = Alertmanager {
            url: String::new(),
            client: crate::support::http_client(),
            process,
            _directory: directory,
        };
        let address = regex::Regex::new(r#"msg="Listening on" address=(\S+)\n"#).unwrap();
        poll::until("alertmanager is ready", START, async || {
            let said = alertmanager.process.stderr();
            let found = address.captures(&said).ok_or_else(|| said.clone())?;
            alertmanager.url = format!("http://{}", &found[1]);
            alertmanager.get("/-/ready").await.map(drop)
        })
        .await;
        alertmanager
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| error.to_string())?;
        answer.text().await.map_err(|error| error.to_string())
    }

    /// Waits until only `expected` of these alerts, all firing in the namespace, are told. Who is
    /// silenced by another is heard until that one has been looked at, too.
    async fn tells(&self, alerts: &[(&str, &str)], expected: &[&str]) {
        let alerts: Vec<Value> = alerts
            .iter()
            .map(|(name, severity)| {
                json!({"labels": {"alertname": name, "severity": severity, "namespace": "shop"}})
            })
            .collect();
        let post = self.client.post(format!("{}/api/v2/alerts", self.url));
        let post = post.header("Content-Type", "application/json");
        let sent = post.body(json!(alerts).to_string()).send().await.unwrap();
        assert!(sent.status().is_success(), "{}", sent.status());
        let expected: BTreeSet<String> = expected.iter().map(|&it| it.to_owned()).collect();
        let mut looks = 0_usize;
        poll::until(
            "only those are told that should be",
            Duration::from_secs(30),
            async || {
                let text = self.get("/api/v2/alerts").await?;
                let all: Vec<Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                let judged = all.iter().all(|it| it["status"]["state"] != "unprocessed");
                if all.len() < alerts.len() || !judged {
                    return Err(text);
                }
                let active = all.iter().filter(|it| it["status"]["state"] == "active");
                let labels = active.map(|it| &it["labels"]);
                let told: BTreeSet<String> = labels
                    .map(|it| format!("{} {}", text_of(&it["alertname"]), text_of(&it["severity"])))
                    .collect();
                looks = if told == expected { looks + 1 } else { 0 };
                match looks {
                    SETTLED.. => Ok(()),
                    _ => Err(format!("told: {told:?}, and not {expected:?}")),
                }
            },
        )
        .await;
    }
}

fn text_of(value: &Value) -> String {
    text(value).to_owned()
}

#[tokio::test]
async fn of_one_trouble_alertmanager_tells_the_cause_alone() {
    let alertmanager = Alertmanager::start().await;
    let firing = [
        ("ShopErrorsHigh", "critical"),
        ("ShopErrorsHigh", "warning"),
        ("ShopLatencyHigh", "warning"),
        ("HorizontalPodAutoscalerAtMax", "warning"),
    ];
    let expected = [
        "HorizontalPodAutoscalerAtMax warning",
        "ShopErrorsHigh critical",
        "ShopLatencyHigh warning",
    ];
    alertmanager.tells(&firing, &expected).await;

    // Where no replica is left its autoscaler has nothing to go by: one page, not two.
    let alertmanager = Alertmanager::start().await;
    let firing = [("ShopDown", "critical"), ("AutoscalerBlind", "critical")];
    alertmanager.tells(&firing, &["ShopDown critical"]).await;

    let alertmanager = Alertmanager::start().await;
    let expected = [
        "AdapterDown critical",
        "HorizontalPodAutoscalerAtMax warning",
        "ShopDown critical",
    ];
    alertmanager.tells(&all_firing(), &expected).await;
}

/// Everything at once.
fn all_firing() -> Vec<(&'static str, &'static str)> {
    let all = all().into_iter();
    all.map(|(name, severity)| (&*name.leak(), &*severity.leak()))
        .collect()
}
