//! Why an ask has no value, as a word.
//!
//! Users of the Go adapter read one sentence, "the server could not find the metric", for sixteen
//! different causes ([`Cause::NOT_FOUND`]). Here each has a word of its own, that does not change
//! from release to release: programs may rely on it.

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $name:ident = $slug:literal,)+) => {
        /// Why an ask has no value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Cause {
            $($(#[doc = $doc])+ #[serde(rename = $slug)] $name,)+
            /// One that a newer server knows.
            #[serde(other)]
            Other,
        }

        impl Cause {
            /// All that this version knows.
            pub const ALL: &'static [Cause] = &[$(Cause::$name,)+];

            /// The word.
            pub fn slug(self) -> &'static str {
                match self {
                    $(Cause::$name => $slug,)+
                    Cause::Other => "other",
                }
            }

            /// What it means, in a line.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Cause::$name => concat!($($doc),+),)+
                    Cause::Other => " One that a newer server knows.",
                }
                .trim_start()
            }
        }
    };
}

causes! {
    /// No rule has anything to do with a metric of this name.
    NoRule = "no-rule",
    /// The metric is there, of other kinds of object.
    OtherKind = "other-kind",
    /// The metric is there, in the other API: external instead of custom, or the other way round.
    OtherApi = "other-api",
    /// A rule takes the series, and calls the metric otherwise, or its `name.matches` fails.
    OtherName = "other-name",
    /// The `seriesFilters` of the rule leave the series out.
    FilteredOut = "filtered-out",
    /// A rule would make the metric, and Prometheus has none of its series.
    NoSeries = "no-series",
    /// Prometheus has the series, but no sample that is new enough.
    SeriesTooOld = "series-too-old",
    /// The series have no label that names this kind of object.
    NoObjectLabel = "no-object-label",
    /// The rule that may make the metric could not be listed.
    NotListed = "not-listed",
    /// The rule is off: the cluster lacks a kind that one of its overrides names.
    RuleOff = "rule-off",
    /// The cluster has no such kind of object.
    UnknownKind = "unknown-kind",
    /// The label selector selects no object.
    NoObjects = "no-objects",
    /// The rule cannot make a query: it has no label for the namespace, or its template fails.
    NoQuery = "no-query",
    /// The metric selector says something that PromQL cannot.
    SelectorNotPromql = "selector-not-promql",
    /// The query gives nothing for these objects.
    NoRows = "no-rows",
    /// The query gives rows that do not say of which objects they are.
    RowsWithoutLabel = "rows-without-label",
    /// The path has a namespace where the kind has none, or the other way round.
    WrongScope = "wrong-scope",
    /// The query gives nothing with this metric selector, and would without it.
    MetricSelector = "metric-selector",
    /// The query gives nothing because its window holds less than two samples.
    WindowTooShort = "window-too-short",
    /// Prometheus has the series, of other objects than those that are asked about.
    OtherObjects = "other-objects",
    /// The sample is NaN, infinite, or a native histogram.
    NotANumber = "not-a-number",
    /// The query gives a scalar, which belongs to no object.
    Scalar = "scalar",
    /// A `query` of the rules file gives several rows where one is wanted.
    SeveralRows = "several-rows",
    /// The query is longer than it may be, and cannot be asked in parts.
    QueryTooLong = "query-too-long",
    /// There is usage of the pods, and not of the container that the autoscaler names.
    NoContainer = "no-container",
    /// The API group is switched off, or the rules file has no `resourceRules`.
    GroupOff = "group-off",
    /// There is no such path.
    UnknownPath = "unknown-path",
    /// The request cannot be understood.
    BadRequest = "bad-request",
    /// The pod or node is not there, or does not run.
    NoSuchObject = "no-such-object",
    /// The cluster does not say which objects there are.
    ObjectsUnlisted = "objects-unlisted",
    /// Prometheus cannot be reached, or breaks off.
    PrometheusUnreachable = "prometheus-unreachable",
    /// Prometheus does not answer in time, or has too much to do.
    PrometheusTimeout = "prometheus-timeout",
    /// Prometheus refuses the query, or does not let us in.
    PrometheusRefused = "prometheus-refused",
    /// Prometheus answers what cannot be used.
    PrometheusFailed = "prometheus-failed",
    /// Nobody knows who asks.
    Unauthorized = "unauthorized",
    /// The one who asks may not.
    Forbidden = "forbidden",
    /// Too much is asked at once, or the time of the request ran out.
    Busy = "busy",
    /// A fault of tidegauge itself.
    Internal = "internal",
}

impl Cause {
    /// Those for which the Go adapter says that it could not find the metric, or answers nothing.
    pub const NOT_FOUND: [Cause; 16] = [
        Cause::NoRule,
        Cause::OtherKind,
        Cause::OtherApi,
        Cause::OtherName,
        Cause::FilteredOut,
        Cause::NoSeries,
        Cause::SeriesTooOld,
        Cause::NoObjectLabel,
        Cause::NotListed,
        Cause::RuleOff,
        Cause::UnknownKind,
        Cause::NoObjects,
        Cause::NoQuery,
        Cause::SelectorNotPromql,
        Cause::NoRows,
        Cause::RowsWithoutLabel,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_its_word_in_json_and_has_a_meaning() {
        for (at, cause) in Cause::ALL.iter().enumerate() {
            let json = serde_json::to_string(cause).unwrap();
            assert_eq!(json, format!("{:?}", cause.slug()));
            assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), *cause);
            assert!(cause.meaning().ends_with('.'), "{cause:?}");
            let before = &Cause::ALL[..at];
            assert!(before.iter().all(|it| it.slug() != cause.slug()));
        }
        assert!(Cause::NOT_FOUND.iter().all(|it| Cause::ALL.contains(it)));
        let newer: Cause = serde_json::from_str("\"of-tomorrow\"").unwrap();
        assert_eq!(newer, Cause::Other);
    }
}
