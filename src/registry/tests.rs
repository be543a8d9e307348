//! Go's own registry test, collisions, spellings, surveys.

use super::*;
use crate::kinds::Kinds;
use crate::rules;

/// Go's `DefaultConfig(1m, "kube_")` (`cmd/config-gen/utils/default.go`), by meaning.
pub(crate) const DEFAULT_RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^container_(.*)_seconds_total$"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[1m])) by (<<.GroupBy>>)'
- seriesQuery: '{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}'
  seriesFilters: [{isNot: "^container_.*_seconds_total$"}]
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^container_(.*)_total$"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[1m])) by (<<.GroupBy>>)'
- seriesQuery: '{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}'
  seriesFilters: [{isNot: "^container_.*_total$"}]
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^container_(.*)$"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>,container!="POD"}) by (<<.GroupBy>>)'
- seriesQuery: '{kube_namespace!="",__name__!~"^container_.*"}'
  seriesFilters: [{isNot: ".*_total$"}]
  resources: {template: "kube_<<.Resource>>"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: '{kube_namespace!="",__name__!~"^container_.*"}'
  seriesFilters: [{isNot: ".*_seconds_total"}]
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^(.*)_total$"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
- seriesQuery: '{kube_namespace!="",__name__!~"^container_.*"}'
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^(.*)_seconds_total$"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
"#;

pub(crate) fn rules(text: &str) -> Arc<Rules> {
    Arc::new(rules::parse(text).expect("test rules must parse").0)
}

/// Series that Prometheus holds.
fn listing(series: &[(&str, &str)]) -> Known {
    let labels = |text: &str| text.split(',').map(str::to_owned).collect();
    let series = series
        .iter()
        .map(|(name, text)| ((*name).to_owned(), labels(text)));
    Known {
        listing: Some(Arc::new(series.collect())),
        live: true,
        answered: true,
        ..Known::default()
    }
}

/// The series of Go's `series_registry_test.go`.
pub(crate) fn default_snapshot() -> Snapshot {
    let custom = vec![
        listing(&[(
            "container_some_time_seconds_total",
            "pod,namespace,container",
        )]),
        listing(&[("container_some_count_total", "pod,namespace,container")]),
        listing(&[("container_some_usage", "pod,namespace,container")]),
        listing(&[
            ("node_gigawatts", "kube_node"),
            ("service_proxy_packets", "kube_service,kube_namespace"),
        ]),
        listing(&[
            (
                "ingress_hits_total",
                "kube_ingress,kube_service,kube_pod,kube_namespace",
            ),
            ("volume_claims_total", "kube_persistentvolume"),
        ]),
        listing(&[
            (
                "work_queue_wait_seconds_total",
                "kube_deployment,kube_namespace",
            ),
            ("node_fan_seconds_total", "kube_node"),
        ]),
    ];
    let kinds = Arc::new(Kinds::builtin());
    Snapshot::build(
        rules(DEFAULT_RULES),
        kinds,
        &Listings {
            custom,
            external: Vec::new(),
        },
    )
}

fn listed(snapshot: &Snapshot) -> Vec<String> {
    let metrics = snapshot.custom_metrics();
    metrics
        .map(|m| {
            format!(
                "{}/{}{}",
                m.resource,
                m.metric,
                if m.namespaced { "" } else { " (root)" }
            )
        })
        .collect()
}

#[test]
fn the_metrics_of_gos_own_test_are_listed() {
    assert_eq!(
        listed(&default_snapshot()),
        [
            "namespaces/ingress_hits (root)",
            "namespaces/service_proxy_packets (root)",
            "namespaces/some_count (root)",
            "namespaces/some_time (root)",
            "namespaces/some_usage (root)",
            "namespaces/work_queue_wait (root)",
            "nodes/node_fan (root)",
            "nodes/node_gigawatts (root)",
            "persistentvolumes/volume_claims (root)",
            "pods/ingress_hits",
            "pods/some_count",
            "pods/some_time",
            "pods/some_usage",
            "services/ingress_hits",
            "services/service_proxy_packets",
            "deployments.apps/work_queue_wait",
            "ingresses.networking.k8s.io/ingress_hits",
        ]
    );
}

#[test]
fn a_literal_name_is_listed_before_prometheus_answers() {
    let text = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: x
- seriesQuery: '{__name__=~"q.*",namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: x
- seriesQuery: 'templated{namespace!="",service!=""}'
  resources: {template: "<<.Resource>>"}
  metricsQuery: x
externalRules:
- seriesQuery: 'lag{topic="orders"}'
  resources: {namespaced: false}
  metricsQuery: x
- seriesQuery: '{topic="orders"}'
  resources: {namespaced: false}
  metricsQuery: x
"#;
    let kinds = Arc::new(Kinds::builtin());
    let snapshot = Snapshot::build(rules(text), kinds, &Listings::default());
    assert_eq!(
        listed(&snapshot),
        [
            "namespaces/queue_depth (root)",
            "namespaces/templated (root)",
            "pods/queue_depth",
            "services/templated",
        ]
    );
    assert_eq!(snapshot.external_metrics().collect::<Vec<_>>(), ["lag"]);
}

#[test]
fn the_later_rule_wins_and_the_collision_names_both_lines() {
    let text = r#"
rules:
- seriesQuery: 'a{pod!=""}'
  resources: {overrides: {pod: {resource: pod}}}
  name: {as: same}
  metricsQuery: from_a
- seriesQuery: 'b{pod!=""}'
  resources: {overrides: {pod: {resource: pod}}}
  name: {as: same}
  metricsQuery: from_b
"#;
    let kinds = Arc::new(Kinds::builtin());
    let snapshot = Snapshot::build(rules(text), kinds, &Listings::default());
    let (_, metric) = snapshot
        .custom(&GroupResource::core("pods"), true, "same")
        .unwrap();
    assert_eq!(metric.series, "b");
    let said: Vec<String> = snapshot
        .shadowed()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "rules[1] (line 7) and rules[0] (line 3) both make \"pods/same\": \
          rules[1] answers, as the later one; give one of them another name.as"
        ]
    );
}

/// The migration of a renamed series: as in the Go adapter, the rule whose series are there answers.
#[test]
fn a_rule_without_series_gives_way_to_one_that_has_some() {
    let text = r#"
rules:
- seriesQuery: 'live{pod!=""}'
  resources: {overrides: {pod: {resource: pod}}}
  name: {as: same}
  metricsQuery: x
- seriesQuery: 'renamed{pod!=""}'
  resources: {overrides: {pod: {resource: pod}}}
  name: {as: same}
  metricsQuery: x
"#;
    let live = listing(&[("live", "pod")]);
    let renamed = listing(&[("renamed", "pod")]);
    let quiet = Known {
        live: false,
        ..renamed.clone()
    };
    let series = |custom: Vec<Known>| {
        let listings = Listings {
            custom,
            external: Vec::new(),
        };
        let kinds = Arc::new(Kinds::builtin());
        let snapshot = Snapshot::build(rules(text), kinds, &listings);
        let found = snapshot.custom(&GroupResource::core("pods"), true, "same");
        (found.unwrap().1.series.clone(), snapshot.shadowed().len())
    };
    assert_eq!(series(vec![live.clone(), quiet]), ("live".to_owned(), 0));
    // Not asked yet is not quiet: after a restart the same rule answers as before.
    assert_eq!(
        series(vec![live.clone(), Known::default()]),
        ("renamed".to_owned(), 1)
    );
    assert_eq!(series(vec![live, renamed]), ("renamed".to_owned(), 1));
}

#[test]
fn a_collision_of_many_metrics_is_one_remark() {
    let rule = "- seriesQuery: '{a=\"b\"}'\n  resources: {overrides: {pod: {resource: pod}}}\n";
    let twice = format!("rules:\n{rule}{rule}");
    let both = listing(&[("m1", "pod"), ("m2", "pod"), ("m3", "pod")]);
    let listings = Listings {
        custom: vec![both.clone(), both],
        external: Vec::new(),
    };
    let snapshot = Snapshot::build(rules(&twice), Arc::new(Kinds::builtin()), &listings);
    let said: Vec<String> = snapshot
        .shadowed()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("both make \"pods/m1\" and 2 more:"),
        "{said:?}"
    );
}

#[test]
fn a_rule_for_a_kind_that_the_cluster_lacks_is_off_alone() {
    let text = r#"
rules:
- seriesQuery: 'a{gauge!=""}'
  resources: {overrides: {gauge: {group: acme.io, resource: gauge}}}
  metricsQuery: x
- seriesQuery: 'b{pod!=""}'
  resources: {overrides: {pod: {resource: pod}}}
  metricsQuery: x
"#;
    let kinds = Arc::new(Kinds::builtin());
    let snapshot = Snapshot::build(rules(text), kinds, &Listings::default());
    assert_eq!(listed(&snapshot), ["pods/b"]);
    let off: Vec<String> = snapshot
        .disabled()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        off,
        ["rules[0] is off: line 4: no matches for acme.io/, Resource=gauge"]
    );
}

#[test]
fn any_spelling_of_a_kind_finds_its_metrics_in_their_scope() {
    let snapshot = default_snapshot();
    let find = |resource: &str, namespaced, metric: &str| {
        let found = snapshot.custom(&GroupResource::parse(resource), namespaced, metric);
        found.map(|(kind, _)| kind.kind.clone())
    };
    for spelling in ["pods", "pod", "Pods", "PODS", "pods."] {
        assert_eq!(
            find(spelling, true, "some_usage").as_deref(),
            Ok("Pod"),
            "{spelling}"
        );
    }
    assert_eq!(
        find("deployments", true, "work_queue_wait").as_deref(),
        Ok("Deployment")
    );
    assert_eq!(
        find("deployment.apps", true, "work_queue_wait").as_deref(),
        Ok("Deployment")
    );
    assert_eq!(find("nodes", false, "node_fan").as_deref(), Ok("Node"));
    // So the HPA controller asks, whose own namespace it is.
    assert_eq!(find("nodes", true, "node_fan").as_deref(), Ok("Node"));
    assert_eq!(find("pods", false, "some_usage"), Err(NotFound::Metric));
    assert_eq!(find("pods", true, "nope"), Err(NotFound::Metric));
    assert!(matches!(
        find("po", true, "some_usage"),
        Err(NotFound::Kind(_))
    ));
}

/// Questions and conclusions of one rule.
mod survey {
    use super::*;

    fn names(selector: &str) -> Question {
        Question::Names(selector.to_owned())
    }

    fn labels(selector: &str) -> Question {
        Question::Labels(selector.to_owned())
    }

    fn answers(sets: &[(Question, &[&str])]) -> Answers {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let sets = sets
            .iter()
            .map(|(question, values)| (question.clone(), set(values)));
        Answers {
            sets: sets.collect(),
            series: BTreeMap::new(),
        }
    }

    #[test]
    fn a_literal_name_is_asked_for_its_labels_and_a_quiet_series_changes_nothing() {
        let rules =
            rules("{rules: [{seriesQuery: a, resources: {overrides: {pod: {resource: pod}}}}]}");
        let kinds = Kinds::builtin();
        let survey = Survey::new(&rules.custom[0]);
        let binding = Binding::new(&rules.custom[0], &kinds).unwrap();
        assert_eq!(survey.questions(), [labels("a")]);
        let quiet = answers(&[(labels("a"), &[])]);
        assert_eq!(survey.listing(&binding, &quiet), None);
        let unlabelled = answers(&[(labels("a"), &["__name__", "job"])]);
        let listing = survey.listing(&binding, &unlabelled).unwrap();
        assert!(!listing["a"].contains("pod"));
    }

    #[test]
    fn names_are_asked_per_label_and_a_template_takes_its_labels_from_prometheus() {
        let text = r#"
rules:
- seriesQuery: '{job="x"}'
  resources: {template: "kube_<<.Resource>>", overrides: {ns: {resource: namespace}}}
"#;
        let rules = rules(text);
        let kinds = Kinds::builtin();
        let survey = Survey::new(&rules.custom[0]);
        let binding = Binding::new(&rules.custom[0], &kinds).unwrap();
        let (all, in_ns) = (r#"{job="x"}"#, r#"{job="x",ns!=""}"#);
        assert_eq!(survey.questions(), [labels(all), names(in_ns)]);
        let first = [(
            labels(all),
            &["__name__", "kube_pod", "kube_mystery", "pod"][..],
        )];
        let pods = names(r#"{job="x",kube_pod!=""}"#);
        assert_eq!(
            survey.further_questions(&binding, &answers(&first)),
            std::slice::from_ref(&pods)
        );
        let [first] = first;
        let all = answers(&[first, (names(in_ns), &["a", "b"]), (pods, &["b", "c"])]);
        let listing = survey.listing(&binding, &all).unwrap();
        let found: Vec<_> = listing
            .iter()
            .map(|(name, labels)| format!("{name}: {labels:?}"))
            .collect();
        assert_eq!(
            found,
            [
                "a: {\"ns\"}",
                "b: {\"kube_pod\", \"ns\"}",
                "c: {\"kube_pod\"}"
            ]
        );
    }

    #[test]
    fn a_selector_beyond_the_ast_is_asked_as_series() {
        let rules =
            rules("{rules: [{seriesQuery: 'up offset 5m'}], externalRules: [{seriesQuery: ''}]}");
        let series = |text: &str| [Question::Series(text.to_owned())];
        assert_eq!(
            Survey::new(&rules.custom[0]).questions(),
            series("up offset 5m")
        );
        assert_eq!(Survey::new(&rules.external[0]).questions(), series(""));
    }
}

#[test]
fn an_external_metric_is_found_in_the_lower_case_of_client_go_unless_two_are_meant() {
    let rule = |name: &str| {
        format!(
            "- seriesQuery: '{name}{{namespace!=\"\"}}'\n  \
             metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}})\n"
        )
    };
    let names = ["MyQueue_Depth", "lag", "Lag", "Two", "tWo"];
    let text = names.map(rule).concat();
    let snapshot = Snapshot::build(
        rules(&format!("externalRules:\n{text}")),
        Arc::new(Kinds::builtin()),
        &Listings {
            custom: Vec::new(),
            external: names.map(|name| listing(&[(name, "namespace")])).to_vec(),
        },
    );
    let found = |asked: &str| snapshot.external(asked).map(|metric| metric.series.clone());
    for (asked, series) in [
        ("MyQueue_Depth", Some("MyQueue_Depth")),
        ("myqueue_depth", Some("MyQueue_Depth")),
        ("MYQUEUE_DEPTH", None),
        ("lag", Some("lag")),
        ("Lag", Some("Lag")),
        ("two", None),
        ("Two", Some("Two")),
    ] {
        assert_eq!(found(asked).as_deref(), series, "{asked}");
    }
}
