//! `tidegauge autoscale`: over a standalone adapter and a real Prometheus, and over a cluster.

mod cluster;
mod commands;
mod once;
mod zero;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::autoscaler::{Autoscaler, folder};
use crate::support::exporter::Exporter;
use crate::support::http_client;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};

/// A busy machine may miss a scrape.
const RULES: &str = r#"
rules:
- seriesQuery: 'depth{namespace!=""}'
  resources: {template: "<<.Resource>>"}
  metricsQuery: 'sum(last_over_time(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: 'orders_waiting'
  resources: {namespaced: false}
  metricsQuery: 'max(last_over_time(<<.Series>>{<<.LabelMatchers>>}[1m]))'
"#;

/// Scales out at once and in after three seconds.
const BEHAVIOR: &str = "
    behavior:
      scaleUp: {policies: [{type: Percent, value: 100, periodSeconds: 1}]}
      scaleDown:
        stabilizationWindowSeconds: 3
        policies: [{type: Percent, value: 100, periodSeconds: 1}]
";

const EXTERNAL: &str = "{type: External, external: {metric: {name: orders_waiting}, \
                        target: {type: AverageValue, averageValue: 10}}}";

const PODS: &str = "{type: Pods, pods: {metric: {name: depth}, \
                    target: {type: AverageValue, averageValue: 10}}}";

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, resources: {requests: {cpu: 1}}}]}
";

/// The autoscaler `shop/web` of 1 to 8 replicas.
fn hpa(metric: &str) -> String {
    format!(
        "
  apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {{name: web, namespace: shop}}
  spec:
    scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}
    minReplicas: 1
    maxReplicas: 8
    metrics: [{metric}]{BEHAVIOR}"
    )
}

/// Orders that wait, in a real Prometheus behind a real adapter. Two pods, each with a depth of half
/// of them.
struct World {
    orders: Arc<AtomicU64>,
    _exporter: Exporter,
    prometheus: Prometheus,
    adapter: Adapter,
}

impl World {
    async fn start(orders: u64) -> World {
        let orders = Arc::new(AtomicU64::new(orders));
        let told = Arc::clone(&orders);
        let text = move |_| {
            let orders = told.load(Ordering::SeqCst);
            let half = orders / 2;
            format!(
                "orders_waiting {orders}\n\
                 depth{{namespace=\"shop\",pod=\"web-a\"}} {half}\n\
                 depth{{namespace=\"shop\",pod=\"web-b\"}} {half}\n"
            )
        };
        let exporter = Exporter::start(text).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["orders_waiting", "depth"]).await;
        let pods = ["web-a", "web-b"].map(|name| {
            let metadata = json!({"name": name, "namespace": "shop", "labels": {"app": "web"}});
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        });
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string();
        let adapter = Adapter::standalone(&objects, RULES, &prometheus.url, EACH_ASK).await;
        World {
            orders,
            _exporter: exporter,
            prometheus,
            adapter: adapter.expect("the rules must load"),
        }
    }

    fn wait(&self, orders: u64) {
        self.orders.store(orders, Ordering::SeqCst);
    }

    /// The autoscaler of two replicas, with these flags beside the usual ones.
    fn autoscaler(&self, metric: &str, exec: &str, flags: &[&str]) -> Autoscaler {
        let hpa = hpa(metric);
        let files = [
            ("hpa.yaml", hpa.as_str()),
            ("deployment.yaml", DEPLOYMENT),
            ("n", "2\n"),
        ];
        let server = format!("--server={}", self.adapter.url);
        let own = [
            "-f=hpa.yaml",
            "--filename=deployment.yaml",
            &server,
            "--current=cat n",
            exec,
            "--interval=200ms",
            "-o=json",
        ];
        Autoscaler::start(folder(&files), &[&own, flags].concat())
    }
}

const WRITE: &str = "--exec=echo {replicas} > n.new && mv n.new n";

/// When a round was.
fn time(told: &Value) -> jiff::Timestamp {
    let text = told["time"].as_str().expect("a round must have a time");
    text.parse().expect("it must be one")
}

/// Whether a round was so much later than another that the window of three seconds is over.
fn is_long_after(earlier: &Value) -> impl Fn(&Value) -> bool {
    let over = time(earlier) + jiff::SignedDuration::from_secs(5);
    move |told| time(told) > over
}

fn acted(told: &Value) -> bool {
    told["acted"] == true
}

fn condition<'a>(told: &'a Value, kind: &str) -> &'a Value {
    let conditions = told["conditions"]
        .as_array()
        .expect("there must be conditions");
    let found = conditions.iter().find(|it| it["type"] == kind);
    found.unwrap_or(&Value::Null)
}

#[tokio::test]
async fn it_scales_out_at_once_and_in_after_the_window() {
    let world = World::start(40).await;
    let autoscaler = world.autoscaler(EXTERNAL, WRITE, &[]);
    let (at, out) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!((&out["current"], &out["desired"]), (&json!(2), &json!(4)));
    assert_eq!(out["reason"], "SuccessfulRescale");
    assert_eq!(
        out["message"],
        "external metric orders_waiting(nil) above target"
    );
    assert_eq!(
        (&out["namespace"], &out["name"]),
        (&json!("shop"), &json!("web"))
    );
    assert_eq!(autoscaler.read("n"), "4\n");
    let (at, quiet) = autoscaler
        .round("it is content", at + 1, |it| it["current"] == 4)
        .await;
    assert_eq!(quiet["reason"], "ReadyForNewScale", "{quiet}");
    let average = &quiet["metrics"][0]["external"]["current"]["averageValue"];
    assert_eq!(average, "10", "{quiet}");

    world.wait(20);
    let is_held = |it: &Value| it["reason"] == "ScaleDownStabilized";
    let (at, held) = autoscaler
        .round("it waits for the window", at, is_held)
        .await;
    assert_eq!((&held["current"], &held["desired"]), (&json!(4), &json!(4)));
    let (end, back) = autoscaler.round("it scales in", at, acted).await;
    assert_eq!((&back["current"], &back["desired"]), (&json!(4), &json!(2)));
    assert_eq!(back["message"], "All metrics below target");
    assert_eq!(autoscaler.read("n"), "2\n");
    let told = autoscaler.told();
    // The round before was the last that called for four.
    let waited = time(&back).duration_since(time(&told[at - 1]));
    assert!(waited.as_millis() >= 2_999, "{waited:?} of 3s");
    let between = &told[at..end];
    assert!(between.iter().all(|it| it["current"] == 4), "{between:?}");
}

#[tokio::test]
async fn it_holds_while_prometheus_is_away_and_goes_on_when_it_is_back() {
    let mut world = World::start(40).await;
    let autoscaler = world.autoscaler(EXTERNAL, WRITE, &["--metrics-address=127.0.0.1:0"]);
    let (at, _) = autoscaler.round("it scales out", 0, acted).await;
    world.prometheus.kill();
    world.wait(0);
    let (at, held) = autoscaler
        .round("it is blind", at, |it| it["error"].is_string())
        .await;
    assert_eq!(held["reason"], "FailedGetExternalMetric", "{held}");
    let message = held["message"].as_str().unwrap();
    let expected = "the HPA was unable to compute the replica count: unable to get external metric \
                    shop/orders_waiting/nil: unable to fetch metrics from external metrics API: ";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(condition(&held, "ScalingActive")["status"], "False");
    // Longer than the window: what is not known is not below the target.
    let is_later = is_long_after(&held);
    let (_, last) = autoscaler.round("the window is over", at, is_later).await;
    assert_eq!(
        (&last["current"], &last["acted"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(autoscaler.read("n"), "4\n");
    let metrics = own_metrics(&autoscaler).await;
    let has = |sample: &str| metrics.lines().any(|line| line.starts_with(sample));
    let of = "namespace=\"shop\",name=\"web\"";
    assert!(
        has(&format!("tidegauge_autoscale_current_replicas{{{of}}} 4")),
        "{metrics}"
    );
    assert!(
        has(&format!("tidegauge_autoscale_desired_replicas{{{of}}} 4")),
        "{metrics}"
    );
    let outcome =
        |it: &str| format!("tidegauge_autoscale_decisions_total{{{of},outcome=\"{it}\"}}");
    assert!(has(&format!("{} 1", outcome("scaled_out"))), "{metrics}");
    assert!(has(&outcome("read_failed")), "{metrics}");
    let errors = |it: &str| format!("tidegauge_autoscale_errors_total{{{of},cause=\"{it}\"}}");
    assert!(has(&format!("{} 0", errors("act"))), "{metrics}");
    assert!(!has(&format!("{} 0", errors("metrics"))), "{metrics}");
    assert!(
        has("tidegauge_autoscale_last_success_timestamp_seconds"),
        "{metrics}"
    );

    world.prometheus.restart().await;
    let (_, back) = autoscaler
        .round("it sees again, and scales in", at, acted)
        .await;
    assert_eq!(back["current"], 4);
}

/// The text of its own metrics.
async fn own_metrics(autoscaler: &Autoscaler) -> String {
    let log = autoscaler.stderr();
    let (_, rest) = log
        .split_once("metrics on ")
        .expect("the log must name the address");
    let url = rest.split_whitespace().next().unwrap();
    let answer = http_client().get(url).send().await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_replica_that_no_metric_names_yet_is_neither_idle_nor_gone() {
    // Two pods of 15 each at a target of 10: three replicas, and not a third of the way back to two
    // because only two of the three are named.
    let world = World::start(30).await;
    let autoscaler = world.autoscaler(PODS, WRITE, &[]);
    let (at, out) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!((&out["current"], &out["desired"]), (&json!(2), &json!(3)));
    assert_eq!(out["message"], "pods metric depth above target");
    let is_later = is_long_after(&out);
    let (at, held) = autoscaler.round("the window is over", at, is_later).await;
    assert_eq!(
        (&held["current"], &held["desired"]),
        (&json!(3), &json!(3)),
        "{held}"
    );
    // With little to do the third counts as one that does as much as it should.
    world.wait(2);
    let (_, back) = autoscaler.round("it scales in", at, acted).await;
    assert_eq!((&back["current"], &back["desired"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn lines_for_people_tell_each_change_and_each_new_reason_once() {
    let world = World::start(40).await;
    let autoscaler = world.autoscaler(EXTERNAL, WRITE, &["-o=text"]);
    let lines = poll::until("it has scaled out", Duration::from_secs(30), async || {
        let text = autoscaler.read("stdout");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        match text.ends_with('\n') && lines.len() > 1 {
            true => Ok(lines),
            false => Err(format!("{text}{}", autoscaler.stderr())),
        }
    });
    let lines = lines.await;
    let (time, rest) = lines[0].split_once(' ').unwrap();
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && time.len() == 20,
        "{time}"
    );
    assert_eq!(
        rest,
        "shop/web 2 → 4: external metric orders_waiting(nil) above target"
    );
    let (_, rest) = lines[1].split_once(' ').unwrap();
    assert_eq!(rest, "shop/web 4: recommended size matches current size");
    world.wait(10);
    let text = poll::until("it has scaled in", Duration::from_secs(30), async || {
        let text = autoscaler.read("stdout");
        match text.contains("4 → 1: All metrics below target\n") {
            true => Ok(text),
            false => Err(text),
        }
    });
    // The window holds for many rounds; that is told once.
    let told = text
        .await
        .matches("recent recommendations were higher")
        .count();
    assert_eq!(told, 1);
}
