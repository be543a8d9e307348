//! One case for each cause that an explanation names, and a world in which all of them are so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidegauge::api::Cause;

use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::Tap;

/// A path, and why its answer has no value.
pub struct Case {
    /// The cause.
    pub cause: Cause,
    /// The path and query of the API.
    pub path: &'static str,
    /// What the message of the Status says behind Go's text; nothing where the answer is an empty
    /// list.
    pub message: &'static str,
    /// What some advice says.
    pub advice: &'static str,
    /// What is said somewhere else.
    pub says: &'static [&'static str],
}

/// The rules of the world.
pub const RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^depth.*",namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: '{__name__=~"^http_.*_total$",namespace!=""}'
  seriesFilters: [{isNot: "_debug_total$"}]
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
- seriesQuery: 'latency'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, service: {resource: service}}}
  metricsQuery: 'max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'waiting'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'gauge'
  resources: {overrides: {namespace: {resource: namespace}, gauge: {group: acme.io, resource: gauge}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'homeless'
  resources: {overrides: {pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'merged'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (zone)'
- seriesQuery: 'number'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'scalar(sum(<<.Series>>{<<.LabelMatchers>>}))'
- seriesQuery: 'ticks_total'
  name: {as: "ticks"}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1s])) by (<<.GroupBy>>)'
- seriesQuery: 'strict'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>} > 1000) by (<<.GroupBy>>)'
- seriesQuery: 'exported'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'plain'
  name: {matches: "^x_(.*)$"}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'raw'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: '<<.Series>>{<<.LabelMatchers>>}'
- seriesQuery: '{__name__=~"^bare_.*"}'
  seriesFilters: [{isNot: "noise"}]
  resources: {overrides: {namespace: {resource: namespace}, pod_name: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'loose'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: '{__name__=~"^queue_.*"}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (topic)'
"#;

/// The objects of the world: two pods with series and one without.
pub const OBJECTS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-9, namespace: shop, labels: {app: lonely}}}
";

/// What Prometheus scrapes. The series `depth_once` comes to an end.
fn exposition(elapsed: Duration, has_ended: bool) -> String {
    let rises = elapsed.as_secs_f64();
    let once = match !has_ended {
        true => "depth_once{namespace=\"shop\",pod=\"web-1\"} 1\n",
        false => "",
    };
    format!(
        "{once}\
         depth{{namespace=\"shop\",pod=\"web-1\"}} 3\n\
         depth{{namespace=\"shop\",pod=\"web-2\"}} 4\n\
         depth_nan{{namespace=\"shop\",pod=\"web-1\"}} NaN\n\
         http_hits_total{{namespace=\"shop\",pod=\"web-1\"}} {rises}\n\
         http_noise_debug_total{{namespace=\"shop\",pod=\"web-1\"}} {rises}\n\
         latency{{namespace=\"shop\",service=\"front\"}} 1\n\
         waiting{{namespace=\"shop\",exported_pod=\"web-1\"}} 1\n\
         gauge{{namespace=\"shop\",gauge=\"tide\"}} 1\n\
         homeless{{pod=\"web-1\"}} 1\n\
         merged{{namespace=\"shop\",pod=\"web-1\",zone=\"a\"}} 1\n\
         number{{namespace=\"shop\",pod=\"web-1\"}} 1\n\
         ticks_total{{namespace=\"shop\",pod=\"web-1\"}} {rises}\n\
         strict{{namespace=\"shop\",pod=\"web-1\"}} 1\n\
         exported{{namespace=\"shop\",pod=\"exporter\",exported_pod=\"web-1\"}} 1\n\
         plain{{namespace=\"shop\",pod=\"web-1\"}} 1\n\
         raw{{namespace=\"shop\",pod=\"web-1\",zone=\"a\"}} -2\n\
         raw{{namespace=\"shop\",pod=\"web-1\",zone=\"b\"}} -3\n\
         loose{{namespace=\"shop\",pod=\"other\"}} 1\n\
         bare_noise{{zone=\"a\"}} 1\n\
         bare_load{{pod=\"web-1\",zone=\"a\"}} 1\n\
         queue_length{{namespace=\"shop\",topic=\"orders\"}} 7\n"
    )
}

/// Each cause but that of a rule that cannot be listed.
pub const CASES: &[Case] = &[
    Case {
        cause: Cause::NoRule,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/dpth",
        message: "for pods: no rule makes it; similar: depth",
        advice: "did you mean depth",
        says: &["none of 15 rules has anything to do with dpth"],
    },
    Case {
        cause: Cause::OtherKind,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/latency",
        message: "for pods: it is a metric of namespaces, services; rules[2] (line 11) finds no \
                  label \"pod\" on its series",
        advice: "ask for it as a metric of namespaces, services",
        says: &["not for pods"],
    },
    Case {
        cause: Cause::OtherApi,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_length",
        message: "for pods: it is an external metric",
        advice: "external/queue_length",
        says: &[],
    },
    Case {
        cause: Cause::OtherApi,
        path: "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/depth",
        message: "it is a custom metric, of namespaces, pods",
        advice: "type Pods or Object",
        says: &[],
    },
    Case {
        cause: Cause::OtherName,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_hits_total",
        message: "rules[1] (line 6) calls the series http_hits_total \"http_hits_per_second\"",
        advice: "ask for http_hits_per_second",
        says: &[],
    },
    Case {
        cause: Cause::OtherName,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/plain",
        message: "name.matches of rules[11] (line 39) does not match the series plain",
        advice: "change name.matches of rules[11] (line 39)",
        says: &[],
    },
    Case {
        cause: Cause::FilteredOut,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_noise_debug_per_second",
        message: "the seriesFilters of rules[1] (line 6) leave the series http_noise_debug_total out",
        advice: "change the seriesFilters of rules[1] (line 6)",
        says: &[],
    },
    Case {
        cause: Cause::FilteredOut,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/bare_noise",
        message: "the seriesFilters of rules[13] (line 46) leave the series bare_noise out",
        advice: "change the seriesFilters of rules[13] (line 46)",
        says: &["Prometheus has series called bare_noise"],
    },
    Case {
        cause: Cause::NoSeries,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_gone_per_second",
        message: "rules[1] (line 6) would make it, but Prometheus has 0 series for it with the \
                  label \"pod\": {__name__=~\"^http_.*_total$\",namespace!=\"\"}",
        advice: "whether http_gone_total is scraped",
        says: &["Prometheus has 0 series called http_gone_total"],
    },
    Case {
        cause: Cause::SeriesTooOld,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/depth_once",
        message: "for pods web-1: the query of rules[0] (line 3) gives no series for it",
        advice: "nothing writes depth_once any more",
        says: &[],
    },
    Case {
        cause: Cause::NoObjectLabel,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/waiting",
        message: "the series waiting of rules[3] (line 14) has no label \"pod\" that names pods; it \
                  has exported_pod, namespace",
        advice: "exported_pod: {resource: pods}; or set honor_labels: true",
        says: &[],
    },
    Case {
        cause: Cause::NoObjectLabel,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/exported",
        message: "gives no series for it",
        advice: "the series carry the label \"exported_pod\"",
        says: &["the label exported_pod has what pod should have"],
    },
    Case {
        cause: Cause::NoObjectLabel,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/bare_load",
        message: "rules[13] (line 46) would make it, but Prometheus has 0 series for it with the \
                  label \"pod_name\"",
        advice: "replace pod_name (line 48) in resources.overrides of rules[13] (line 46) by \
                 pod: {resource: pods}",
        says: &[
            "would make it of series called bare_load, of which its last listing has none",
            "bare_load is there, without the label",
        ],
    },
    Case {
        cause: Cause::RuleOff,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/gauge",
        message: "rules[4] is off: line 18: no matches for acme.io/, Resource=gauge",
        advice: "line 18",
        says: &[],
    },
    Case {
        cause: Cause::UnknownKind,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/widgets/*/depth",
        message: "unable to list matching resources: no matches for /, Resource=widgets",
        advice: "kubectl api-resources",
        says: &[],
    },
    Case {
        cause: Cause::UnknownKind,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/po/web-1/depth",
        message: "for po: no matches for /, Resource=po; similar: pods",
        advice: "kubectl api-resources",
        says: &[],
    },
    Case {
        cause: Cause::NoObjects,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth?labelSelector=app%3Dwbe",
        message: "",
        advice: "did you mean app=web",
        says: &["none of the 3 pods in shop with app=wbe", "app=web (2)"],
    },
    Case {
        cause: Cause::NoQuery,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/homeless",
        message: "rules[5] (line 20): unable to convert resource namespaces into label",
        advice: "mend rules[5] (line 20)",
        says: &[],
    },
    Case {
        cause: Cause::SelectorNotPromql,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth?metricLabelSelector=a%3E1",
        message: "the operator \">\" in the metric selector cannot be expressed in PromQL",
        advice: "change the metric selector",
        says: &[],
    },
    Case {
        cause: Cause::NoRows,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/strict",
        message: "for pods web-1: the query of rules[9] (line 33) gives no series for it",
        advice: "other matchers, comparisons and joins",
        says: &["strict{namespace=\\\"shop\\\",pod=\\\"web-1\\\"} is there"],
    },
    Case {
        cause: Cause::RowsWithoutLabel,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/merged",
        message: "rules[6] (line 23): the query gives series without the label \"pod\", which names \
                  the objects; they have zone",
        advice: "by (<<.GroupBy>>)",
        says: &["an aggregation that is not `by (<<.GroupBy>>)`"],
    },
    Case {
        cause: Cause::RowsWithoutLabel,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/merged",
        message: "the server could not find the metric merged for pods web-1: rules[6] (line 23): \
                  the query gives series without the label \"pod\"",
        advice: "by (<<.GroupBy>>)",
        says: &[],
    },
    Case {
        cause: Cause::WrongScope,
        path: "/apis/custom.metrics.k8s.io/v1beta2/pods/web-1/depth",
        message: "pods are in namespaces: ask below /namespaces/NAMESPACE/pods/",
        advice: "ask below /namespaces/NAMESPACE/pods/",
        says: &[],
    },
    Case {
        cause: Cause::MetricSelector,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth?metricLabelSelector=shard%3D9",
        message: "",
        advice: "change the metric selector",
        says: &["without shard=9 there are 2 series"],
    },
    Case {
        cause: Cause::WindowTooShort,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/ticks",
        message: "",
        advice: "a rate needs two samples in its window, and [1s] holds one at most",
        says: &["four times that"],
    },
    Case {
        cause: Cause::OtherObjects,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth?labelSelector=app%3Dlonely",
        message: "",
        advice: "(web-9) is scraped for depth",
        says: &["pod: web-1, web-2"],
    },
    Case {
        cause: Cause::OtherObjects,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shopp/pods/web-1/depth",
        message: "gives no series for it",
        advice: "did you mean -n shop?",
        says: &["namespace: shop"],
    },
    Case {
        cause: Cause::OtherObjects,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/loose",
        message: "",
        advice: "whether web-1, web-2, web-9 is scraped; a query without <<.LabelMatchers>>",
        says: &["the query is that of rules[14] (line 50)"],
    },
    Case {
        cause: Cause::OtherObjects,
        path: "/apis/external.metrics.k8s.io/v1beta1/namespaces/bank/queue_length",
        message: "",
        advice: "namespaced: false",
        says: &[
            "namespace: shop",
            "did you mean -n shop? or is queue_length scraped in bank?",
        ],
    },
    Case {
        cause: Cause::NotANumber,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/depth_nan",
        message: "the sample is not a number (NaN)",
        advice: "0/0",
        says: &[],
    },
    Case {
        cause: Cause::Scalar,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/number",
        message: "the query gives a scalar, which belongs to no object",
        advice: "by (<<.GroupBy>>)",
        says: &[],
    },
    Case {
        cause: Cause::GroupOff,
        path: "/apis/metrics.k8s.io/v1beta1/nodes",
        message: "",
        advice: "resourceRules",
        says: &[],
    },
    Case {
        cause: Cause::BadRequest,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth?labelSelector=%28",
        message: "found '('",
        advice: "",
        says: &[],
    },
    Case {
        cause: Cause::UnknownPath,
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/depth/more",
        message: "the server could not find the requested resource",
        advice: "",
        says: &[],
    },
];

/// A rule whose selector Prometheus refuses.
const BROKEN_RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^lag.*",}}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
"#;

/// The cases of that rule.
pub const BROKEN: &[Case] = &[Case {
    cause: Cause::NotListed,
    path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/lag",
    message: "(rules[0] (line 3) cannot be listed: bad_data:",
    advice: "mend the seriesQuery of rules[0] (line 3): bad_data:",
    says: &[],
}];

/// Where all cases are so.
pub struct Worlds {
    /// Of [`CASES`].
    pub adapter: Adapter,
    /// Of [`BROKEN`].
    pub broken: Adapter,
    /// Between the first and its Prometheus.
    pub tap: Tap,
    _prometheus: Prometheus,
    _exporter: Exporter,
}

impl Worlds {
    /// Starts a Prometheus with all series, waits until one of them has ended, and two adapters with
    /// these flags.
    pub async fn start(flags: &[&str]) -> Worlds {
        let has_ended = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&has_ended);
        let text = move |elapsed| exposition(elapsed, ending.load(Ordering::Relaxed));
        let exporter = Exporter::start(text).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus
            .wait_for(&["depth_once", "rate(ticks_total[10s])", "queue_length"])
            .await;
        has_ended.store(true, Ordering::Relaxed);
        poll::until(
            "a series ends",
            Duration::from_secs(30),
            async || match prometheus.query("depth_once").await?.as_slice() {
                [] => Ok(()),
                _ => Err("it is still there".to_owned()),
            },
        )
        .await;
        let tap = Tap::start(&prometheus.url).await;
        let start = async |rules| {
            let started = Adapter::standalone(OBJECTS, rules, &tap.url, flags).await;
            started.unwrap_or_else(|refusal| panic!("{}", refusal.stderr))
        };
        Worlds {
            adapter: start(RULES).await,
            broken: start(BROKEN_RULES).await,
            tap,
            _prometheus: prometheus,
            _exporter: exporter,
        }
    }
}
