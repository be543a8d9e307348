//! Rules, pods and series, each of a number; a real Prometheus that holds the series.

use std::fmt::Write as _;

use super::SOON;
use super::report::Asks;
use super::support::adapter::Adapter;
use super::support::exporter::Exporter;
use super::support::poll;
use super::support::prometheus::{Prometheus, TargetLabels};

/// As the HPA controller calls itself where nobody is authenticated.
pub const AUTOSCALER: &str = "kube-controller-manager/v1.36.0 (linux/amd64) kubernetes/0123456 \
                              system:serviceaccount:kube-system:horizontal-pod-autoscaler";

/// How much there is.
#[derive(Clone, Copy)]
pub struct Size {
    /// Rules, each of a metric of pods and of namespaces, and workloads with one pod.
    pub rules: usize,
    pub namespaces: usize,
    /// Asks until the journal is full.
    pub most: usize,
}

impl Size {
    pub const FULL: Size = Size {
        rules: 1_000,
        namespaces: 50,
        most: 4_096,
    };
    pub const SMALL: Size = Size {
        rules: 150,
        namespaces: 10,
        most: 600,
    };
}

/// Everything but the adapter.
pub struct World {
    pub size: Size,
    prometheus: Prometheus,
    _exporter: Exporter,
}

impl World {
    pub async fn start(size: Size) -> World {
        let exporter = Exporter::start(move |_| size.series()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        let last = metric(size.rules - 1);
        prometheus.wait_for(&[last.as_str()]).await;
        World {
            size,
            prometheus,
            _exporter: exporter,
        }
    }

    /// A fresh one, ready, and where its page is.
    pub async fn adapter(&self) -> (Adapter, String) {
        let (objects, rules) = (self.size.objects(), self.size.rules());
        let flags = ["--status-address=127.0.0.1:0"];
        let adapter = Adapter::standalone(&objects, &rules, &self.prometheus.url, &flags);
        let adapter = adapter.await.expect("the rules must load");
        let page = poll::until("the page has an address", SOON, async || {
            let log = adapter.stderr();
            let (_, rest) = log.split_once("status page: ").ok_or("not said yet")?;
            let (page, _) = rest.split_once("/\n").ok_or("half said")?;
            Ok(page.to_owned())
        })
        .await;
        // Each series must be there before it is asked for.
        let last = self.asks(Asks::Own).last().expect("somebody must ask");
        poll::until(
            "the last metric has a value",
            SOON,
            async || match adapter.get(&last).await {
                answer if answer.status == 200 => Ok(()),
                answer => Err(answer.body),
            },
        )
        .await;
        (adapter, page)
    }

    /// The paths that autoscalers ask.
    pub fn asks(&self, asks: Asks) -> impl Iterator<Item = String> + use<> {
        let Size {
            rules,
            namespaces,
            most,
        } = self.size;
        let (count, extra) = match asks {
            Asks::None => (0, 0),
            Asks::Own | Asks::Same => (rules, 0),
            Asks::Full => (rules, most / rules),
        };
        (0..count * (extra + 1)).map(move |number| {
            let (workload, extra) = (number % rules, number / rules);
            let (namespace, asked) = (
                workload % namespaces,
                match asks {
                    Asks::Same => "queue_messages".to_owned(),
                    _ => metric(workload),
                },
            );
            let own = match extra {
                0 => String::new(),
                extra => format!(",tier!%3D{extra}"),
            };
            format!(
                "/apis/custom.metrics.k8s.io/v1beta2/namespaces/team-{namespace}/pods/*/{asked}\
                 ?labelSelector=app.kubernetes.io%2Fname%3Dservice-{workload}{own}"
            )
        })
    }
}

impl Size {
    fn objects(&self) -> String {
        let mut text = String::new();
        for number in 0..self.rules {
            let namespace = number % self.namespaces;
            writeln!(
                text,
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: service-{number}-0, namespace: \
                 team-{namespace}, labels: {{app.kubernetes.io/name: service-{number}}}}}}}"
            )
            .unwrap();
        }
        text
    }

    /// One metric for each, and one that all have.
    fn rules(&self) -> String {
        let mut text = "rules:\n".to_owned();
        let names = (0..self.rules).map(metric);
        for name in names.chain(["queue_messages".to_owned()]) {
            writeln!(
                text,
                "- seriesQuery: '{name}{{namespace!=\"\",pod!=\"\"}}'\n  \
                 resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}\n  \
                 metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)"
            )
            .unwrap();
        }
        text
    }

    fn series(&self) -> String {
        let mut text = String::new();
        for number in 0..self.rules {
            let namespace = number % self.namespaces;
            let labels = format!("namespace=\"team-{namespace}\",pod=\"service-{number}-0\"");
            for name in [metric(number), "queue_messages".to_owned()] {
                writeln!(text, "{name}{{{labels}}} {number}").unwrap();
            }
        }
        text
    }
}

fn metric(number: usize) -> String {
    format!("service_requests_in_flight_{number:04}")
}
