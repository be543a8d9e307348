//! Our answers: what was asked for, the code, and how long it took.
//!
//! Counted at every request, so all there is to count is made at the start: an answer costs a
//! search among a few dozen sorts and three additions. What a client writes is in no label.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::latency::{GO, Latency, OWN, Observed};

/// The codes that are answered, and their labels.
const CODES: [(u16, &str); 15] = [
    (200, "200"),
    (301, "301"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (415, "415"),
    (429, "429"),
    (500, "500"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

const CUSTOM: &str = "custom.metrics.k8s.io";
const EXTERNAL: &str = "external.metrics.k8s.io";
const RESOURCE: &str = "metrics.k8s.io";

/// What a request is about. Texts that are the same for all requests of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    /// The API group; empty for paths of none.
    pub group: &'static str,
    /// What is asked for: `named` or `selected` objects, a `list`, `discovery`, `health`, …
    pub kind: &'static str,
    /// The API version; empty where there is none.
    pub version: &'static str,
    /// `*`, `pods` or `nodes`; empty where there is none.
    pub resource: &'static str,
    /// As Go's API servers call it: `cluster`, `namespace`, `resource`; empty where there is none.
    pub scope: &'static str,
}

impl Sort {
    /// One of no group.
    pub const fn of_no_group(kind: &'static str) -> Sort {
        Sort {
            group: "",
            kind,
            version: "",
            resource: "",
            scope: "",
        }
    }

    /// Whatever is no other.
    const OTHER: Sort = Sort::of_no_group("other");

    /// All that are told apart.
    fn all() -> Vec<Sort> {
        let of = |group, version, kind, resource, scope| Sort {
            group,
            kind,
            version,
            resource,
            scope,
        };
        let mut all = Vec::new();
        for version in ["v1beta1", "v1beta2"] {
            for kind in ["named", "selected"] {
                // `cmhandlers.go` of custom-metrics-apiserver.
                all.push(of(CUSTOM, version, kind, "*", "cluster"));
                all.push(of(CUSTOM, version, kind, "*", "resource"));
            }
        }
        // `emhandlers.go`.
        all.push(of(EXTERNAL, "v1beta1", "list", "*", "cluster"));
        for version in ["v1beta1", "v1"] {
            all.push(of(RESOURCE, version, "list", "nodes", "cluster"));
            all.push(of(RESOURCE, version, "named", "nodes", "resource"));
            all.push(of(RESOURCE, version, "list", "pods", "cluster"));
            all.push(of(RESOURCE, version, "list", "pods", "namespace"));
            all.push(of(RESOURCE, version, "named", "pods", "resource"));
        }
        for group in [CUSTOM, EXTERNAL, RESOURCE] {
            all.push(of(group, "", "discovery", "", ""));
            all.push(of(group, "", "refused", "", ""));
        }
        let of_no_group = ["discovery", "openapi", "health", "metrics", "version"];
        all.extend(of_no_group.map(Sort::of_no_group));
        all.extend(["index", "explain"].map(Sort::of_no_group));
        all.push(Sort::OTHER);
        all
    }

    /// Whether it is an ask for metrics.
    fn is_ask(&self) -> bool {
        !self.resource.is_empty()
    }
}

type Label = (&'static str, &'static str);
/// How often each code was answered, and how long that took.
type Counted = ([u64; CODES.len()], Observed);

/// All answers.
#[derive(Clone, Debug)]
pub struct Answers {
    rows: Arc<BTreeMap<Sort, Row>>,
}

/// The answers of one sort.
#[derive(Default)]
struct Row {
    codes: [AtomicU64; CODES.len()],
    latency: Latency,
}

impl Default for Answers {
    fn default() -> Answers {
        let rows = Sort::all().into_iter().map(|sort| (sort, Row::default()));
        Answers {
            rows: Arc::new(rows.collect()),
        }
    }
}

impl Answers {
    /// Counts an answer. A sort that is not told apart is one of the others.
    pub fn count(&self, sort: Sort, code: u16, took: Duration) {
        let row = self.rows.get(&sort);
        let Some(row) = row.or_else(|| self.rows.get(&Sort::OTHER)) else {
            return;
        };
        let place = CODES.iter().position(|(known, _)| *known == code);
        if let Some(count) = row.codes.get(place.unwrap_or(CODES.len() - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        row.latency.observe(took);
    }

    /// Whether such answers are told apart from others.
    pub fn knows(&self, sort: Sort) -> bool {
        self.rows.contains_key(&sort)
    }

    /// By group and kind, where there was one.
    fn by_kind(&self) -> BTreeMap<[Label; 2], Counted> {
        let mut all = BTreeMap::new();
        for (sort, row) in self.rows.iter() {
            let labels = [("group", sort.group), ("kind", sort.kind)];
            let (codes, observed): &mut Counted = all.entry(labels).or_default();
            row.add_to(codes);
            observed.add(&row.latency.observed());
        }
        all.retain(|_, (codes, _)| codes.iter().any(|count| *count > 0));
        all
    }
}

impl Row {
    fn add_to(&self, codes: &mut [u64; CODES.len()]) {
        for (to, from) in codes.iter_mut().zip(&self.codes) {
            *to += from.load(Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

/// Ours: `tidegauge_answers_total`, `tidegauge_answer_duration_seconds`.
#[derive(Debug)]
struct Own(Answers);

/// Those that dashboards of Go's API servers know.
#[derive(Debug)]
struct Go(Answers);

impl Metrics {
    pub(super) fn register_answers(&self, own: &mut Registry) {
        own.register_collector(Box::new(Own(self.answers.clone())));
        own.register(
            "requests_in_flight",
            "Requests for metrics that are served at this moment; more than \
             --max-requests-inflight are answered 429",
            self.in_flight.clone(),
        );
        own.register(
            "ready",
            "Whether /readyz answers that requests should be sent here",
            self.ready.clone(),
        );
        own.register(
            "limit_reached",
            "How often a limit was reached: something was refused, given up, left out or made to \
             wait for it",
            self.reached.words(),
        );
    }
}

impl Answers {
    /// By the names of Go's API servers, in a registry without a prefix.
    pub(super) fn register_go(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Go(self.clone())));
    }
}

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.by_kind();
        let help = "Answers by API group, by what was asked for, and by HTTP status.";
        let mut family = encoder.encode_descriptor("answers", help, None, MetricType::Counter)?;
        for (labels, (codes, _)) in &all {
            for ((code, word), count) in CODES.iter().zip(codes) {
                // A rate of failures needs something to be a part of.
                if *count > 0 || *code == 200 {
                    let labels = [labels[0], labels[1], ("code", word)];
                    ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let help = "How long answers took, from the request's headers to the answer.";
        let name = "answer_duration_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, (_, observed)) in &all {
            observed.encode(OWN, family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

impl Collector for Go {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let asks = || self.0.rows.iter().filter(|(sort, _)| sort.is_ask());
        let mut by_labels = BTreeMap::new();
        for (sort, row) in asks() {
            let (codes, observed): &mut Counted = by_labels.entry(go_labels(sort)).or_default();
            row.add_to(codes);
            observed.add(&row.latency.observed());
        }
        by_labels.retain(|_, (codes, _)| codes.iter().any(|count| *count > 0));
        let help = "Answers to asks for metrics, as Go's API servers count them.";
        let name = "apiserver_request";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, (codes, _)) in &by_labels {
            for ((_, word), count) in CODES.iter().zip(codes).filter(|(_, count)| **count > 0) {
                let labels = [labels.as_slice(), &[("code", word)]].concat();
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "How long answers to asks for metrics took, as Go's API servers measure it.";
        let name = "apiserver_request_duration_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, (_, observed)) in &by_labels {
            observed.encode(GO, family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// The labels of the Go adapter's `apiserver_request_total`, and of metrics-server's.
fn go_labels(sort: &Sort) -> Vec<Label> {
    let (verb, subresource, component) = match (sort.group, sort.kind) {
        (CUSTOM, _) => ("LIST", "*", "custom-metrics"),
        (EXTERNAL, _) => ("LIST", "*", "external-metrics"),
        (_, "named") => ("GET", "", "apiserver"),
        _ => ("LIST", "", "apiserver"),
    };
    vec![
        ("verb", verb),
        ("dry_run", ""),
        ("group", sort.group),
        ("version", sort.version),
        ("resource", sort.resource),
        ("subresource", subresource),
        ("scope", sort.scope),
        ("component", component),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Sort = Sort {
        group: CUSTOM,
        kind: "named",
        version: "v1beta2",
        resource: "*",
        scope: "resource",
    };

    #[test]
    fn answers_are_told_apart_by_group_kind_and_code_and_go_has_its_names() {
        let metrics = Metrics::new();
        metrics.answers.count(NAMED, 200, Duration::from_millis(3));
        let older = Sort {
            version: "v1beta1",
            scope: "cluster",
            ..NAMED
        };
        metrics.answers.count(older, 503, Duration::from_secs(2));
        let text = metrics.text();
        let group = r#"group="custom.metrics.k8s.io""#;
        let go = |version: &str, scope: &str| {
            format!(
                "verb=\"LIST\",dry_run=\"\",{group},version=\"{version}\",resource=\"*\",\
                 subresource=\"*\",scope=\"{scope}\",component=\"custom-metrics\""
            )
        };
        let (newer, older) = (go("v1beta2", "resource"), go("v1beta1", "cluster"));
        let took = "answer_duration_seconds";
        for line in [
            format!("tidegauge_answers_total{{{group},kind=\"named\",code=\"200\"}} 1"),
            format!("tidegauge_answers_total{{{group},kind=\"named\",code=\"503\"}} 1"),
            format!("tidegauge_{took}_count{{{group},kind=\"named\"}} 2"),
            format!("tidegauge_{took}_bucket{{le=\"0.005\",{group},kind=\"named\"}} 1"),
            format!("apiserver_request_total{{{newer},code=\"200\"}} 1"),
            format!("apiserver_request_duration_seconds_bucket{{le=\"1.5\",{older}}} 0"),
            format!("apiserver_request_duration_seconds_bucket{{le=\"2.0\",{older}}} 1"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(!text.contains("external.metrics.k8s.io"), "{text}");
    }

    #[test]
    fn what_is_not_told_apart_is_one_of_the_others() {
        let metrics = Metrics::new();
        let odd = Sort::of_no_group("odd");
        assert!(!metrics.answers.knows(odd));
        metrics.answers.count(odd, 418, Duration::ZERO);
        let line = r#"tidegauge_answers_total{group="",kind="other",code="other"} 1"#;
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}
