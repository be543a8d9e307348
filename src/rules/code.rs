//! What kinds of finding there are: a word for each that never changes, so that a reader of reports
//! can count, compare and silence them.

use std::fmt;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Not UTF-8.
    NotUtf8,
    /// Not YAML.
    YamlSyntax,
    /// Aliases or merge keys beyond what is followed.
    YamlLimit,
    /// More than one document.
    IgnoredDocument,
    /// Another kind of file.
    NotRules,
    /// A file of nothing, or of nothing but remarks.
    NoRules,
    /// A value of another type.
    WrongType,
    /// A value that cannot be.
    InvalidValue,
    /// A field that does not exist.
    UnknownField,
    /// Something is given twice.
    GivenTwice,
    /// Not a regular expression.
    Regex,
    /// Not a template.
    Template,
    /// A template whose execution fails.
    TemplateField,
    /// Delimiters of another template language.
    TemplateDelimiters,
    /// Not PromQL once rendered.
    Promql,
    /// No `seriesQuery`.
    NoSeriesQuery,
    /// No query.
    NoQuery,
    /// A filter with both words or neither.
    SeriesFilter,
    /// Several groups and no `as`.
    NameGroups,
    /// `as` refers to nothing.
    NameReference,
    /// A rule with `query` that has too much or too little.
    QueryRule,
    /// An override without a resource.
    OverrideResource,
    /// Two labels for one kind.
    OverrideTwice,
    /// A label template that cannot be used.
    LabelTemplate,
    /// No label names the namespace.
    NoNamespaceLabel,
    /// No label names an object.
    NoResourceLabel,
    /// No label names the container.
    NoContainerLabel,
    /// One of the two resource rules is missing.
    NoResourceRule,
    /// A backend that is not written as it must be.
    Backend,
    /// A backend that does not exist.
    UnknownBackend,
    /// A backend that no rule asks.
    UnusedBackend,
    /// Matchers that cannot be put into a query.
    EnforcedMatchers,
    /// Two rules make one metric.
    NameCollision,
    /// All series of a rule are left out by its own filters.
    NameUnmatched,
    /// The metric has no name.
    NameEmpty,
    /// A matcher of the `seriesQuery` that the query lacks.
    MatcherIgnored,
    /// The query loses the label that names the object.
    ObjectLabelDropped,
    /// A quantile of buckets without their bounds.
    BucketsDropped,
    /// The query is the same whatever is asked for.
    AskIgnored,
    /// Several names where one can match.
    NamesAsOne,
    /// An ask that can never become a query.
    AskFails,
    /// A counter's total instead of its rate.
    CounterWithoutRate,
    /// A kind that a plain Kubernetes lacks.
    UnknownKind,
    /// For how many objects one query is asked.
    Widening,
    /// Prometheus refuses or does not answer.
    Prometheus,
    /// Prometheus has no such series.
    FindsNothing,
    /// The series have no such label.
    LabelMissing,
    /// A rate over less than two samples.
    WindowTooShort,
}

impl Code {
    /// All of them, each with its word and what it means, in the order of a file's way through the
    /// checks.
    pub const ALL: &[(Code, &str, &str)] = &[
        (Code::NotUtf8, "not-utf8", "The file is not UTF-8."),
        (Code::YamlSyntax, "yaml-syntax", "The file is not YAML."),
        (
            Code::YamlLimit,
            "yaml-limit",
            "Aliases or merge keys repeat more of the file than is read.",
        ),
        (
            Code::IgnoredDocument,
            "ignored-document",
            "Only the first YAML document of a file is read; this one is not.",
        ),
        (
            Code::NotRules,
            "not-rules",
            "The file is something else, such as a manifest without rules or values of the chart.",
        ),
        (
            Code::NoRules,
            "no-rules",
            "The file is empty, or has nothing but remarks.",
        ),
        (
            Code::WrongType,
            "wrong-type",
            "The value is of another type than the field takes.",
        ),
        (
            Code::InvalidValue,
            "invalid-value",
            "The value is none that the field takes, such as a duration without its unit.",
        ),
        (
            Code::UnknownField,
            "unknown-field",
            "There is no such field, or not here.",
        ),
        (
            Code::GivenTwice,
            "given-twice",
            "The same field, label or name is given twice.",
        ),
        (
            Code::Regex,
            "regex",
            "The text is not a regular expression of Go's.",
        ),
        (
            Code::Template,
            "template",
            "The text is not a template of Go's.",
        ),
        (
            Code::TemplateField,
            "template-field",
            "The template parses, and fails when it is filled for an ask.",
        ),
        (
            Code::TemplateDelimiters,
            "template-delimiters",
            "Actions begin with << here; {{ is sent to Prometheus as it stands.",
        ),
        (
            Code::Promql,
            "promql",
            "The query, filled for an ask, is hardly PromQL. Prometheus has the last word.",
        ),
        (
            Code::NoSeriesQuery,
            "no-series-query",
            "The rule finds no series, for it has no seriesQuery.",
        ),
        (
            Code::NoQuery,
            "no-query",
            "Every ask fails, for the rule has no query.",
        ),
        (
            Code::SeriesFilter,
            "series-filter",
            "An entry of seriesFilters has both is and isNot, or neither.",
        ),
        (
            Code::NameGroups,
            "name-groups",
            "name.matches has several groups, and no name.as says what to make of them.",
        ),
        (
            Code::NameReference,
            "name-reference",
            "name.as refers to a group that name.matches does not have.",
        ),
        (
            Code::QueryRule,
            "query-rule",
            "A rule with query has a field that it cannot have, or lacks one that it must have.",
        ),
        (
            Code::OverrideResource,
            "override-resource",
            "An entry of resources.overrides names no resource.",
        ),
        (
            Code::OverrideTwice,
            "override-twice",
            "Two labels of resources.overrides name one kind: only the first is asked for.",
        ),
        (
            Code::LabelTemplate,
            "label-template",
            "resources.template cannot lead from labels to resources.",
        ),
        (
            Code::NoNamespaceLabel,
            "no-namespace-label",
            "No label stands for the namespace, so asks within a namespace fail.",
        ),
        (
            Code::NoResourceLabel,
            "no-resource-label",
            "No label stands for the objects, so the rule makes no metric or cannot be asked.",
        ),
        (
            Code::NoContainerLabel,
            "no-container-label",
            "No label stands for the container.",
        ),
        (
            Code::NoResourceRule,
            "no-resource-rule",
            "resourceRules has only one of cpu and memory, and needs both.",
        ),
        (
            Code::Backend,
            "backend",
            "An entry of backends cannot be used as it is written.",
        ),
        (
            Code::UnknownBackend,
            "unknown-backend",
            "The rule asks a backend that the file does not have.",
        ),
        (
            Code::UnusedBackend,
            "unused-backend",
            "No rule asks the backend.",
        ),
        (
            Code::EnforcedMatchers,
            "enforced-matchers",
            "The enforceMatchers of the backend cannot be put into the query.",
        ),
        (
            Code::NameCollision,
            "name-collision",
            "Two rules make the same metric of the same kind: only one of them can answer.",
        ),
        (
            Code::NameUnmatched,
            "name-unmatched",
            "The filters of the rule leave out all series that its seriesQuery finds.",
        ),
        (
            Code::NameEmpty,
            "name-empty",
            "The name that the rule makes of its series is empty.",
        ),
        (
            Code::MatcherIgnored,
            "matcher-ignored",
            "A matcher of the seriesQuery is not in the query: the seriesQuery finds names alone, \
             and the value is made of all series of the name.",
        ),
        (
            Code::ObjectLabelDropped,
            "object-label-dropped",
            "The query loses the label that tells whose a row is, so nothing is found.",
        ),
        (
            Code::BucketsDropped,
            "buckets-dropped",
            "The query loses the label le of classic buckets before it makes a quantile of them, \
             so there is none.",
        ),
        (
            Code::AskIgnored,
            "ask-ignored",
            "The query takes neither .LabelMatchers nor .LabelValuesByName: it is the same \
             whatever is asked for.",
        ),
        (
            Code::NamesAsOne,
            "names-as-one",
            "With several objects, a matcher with = compares to all their names as one text.",
        ),
        (
            Code::AskFails,
            "ask-fails",
            "No ask of this kind can become a query.",
        ),
        (
            Code::CounterWithoutRate,
            "counter-without-rate",
            "A series named …_total is served as it is: it only grows, and falls when its process \
             restarts.",
        ),
        (
            Code::UnknownKind,
            "unknown-kind",
            "An override names a kind that no Kubernetes has by itself. Where no \
             CustomResourceDefinition adds it, the rule is off.",
        ),
        (
            Code::Widening,
            "widening",
            "For how many objects one query is asked, and which part of it forbids more.",
        ),
        (
            Code::Prometheus,
            "prometheus",
            "Prometheus refuses what the rule asks, or does not answer.",
        ),
        (
            Code::FindsNothing,
            "finds-nothing",
            "Prometheus holds no series for the rule now.",
        ),
        (
            Code::LabelMissing,
            "label-missing",
            "Prometheus holds series for the rule now, without a label that resources names.",
        ),
        (
            Code::WindowTooShort,
            "window-too-short",
            "A rate needs two samples, and they are further apart than its window is long.",
        ),
    ];

    /// Its word.
    pub fn slug(self) -> &'static str {
        self.entry().1
    }

    /// What it means, for somebody who meets it for the first time.
    pub fn meaning(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> &'static (Code, &'static str, &'static str) {
        let entry = Code::ALL.iter().find(|(code, _, _)| *code == self);
        entry.expect("every code must be in the list")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}
