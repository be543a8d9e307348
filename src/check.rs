//! What is wrong with rules that load: all that can be told without a cluster and without
//! Prometheus.
//!
//! [`rules::parse`](crate::rules::parse) finds what keeps a file from being used. Here rules are
//! tried: each is asked for objects that nobody has, through the plan that real asks take, and the
//! queries are read as Prometheus would read them. What is certain to disappoint is a warning; what
//! is good to know is a note. Nothing here refuses a file.

use std::ops::Range;
use std::sync::Arc;

use crate::kinds::{GroupResource, Kind, Kinds};
use crate::registry::{Listings, Snapshot};
use crate::rules::{Association, Code, Finding, Rule, Rules, Severity};

mod asks;
mod collisions;
mod queries;
mod resource;
mod series;
#[cfg(test)]
mod tests;
mod widening;

pub use asks::probe;
pub use widening::{Summary, summaries};

/// Findings about the rules of one file, in its order; `known` are those of reading it, which are
/// not told twice.
pub fn lint(rules: &Arc<Rules>, text: &str, known: &[Finding]) -> Vec<Finding> {
    let (kinds, unknown) = kinds(rules);
    let kinds = Arc::new(kinds);
    let mut lints = Lints {
        text,
        hidden: &rules.hidden,
        known,
        found: Vec::new(),
    };
    for rule in rules.custom.iter().chain(&rules.external) {
        let subject = Subject::new(rule);
        unknown_kinds(
            &rule.association,
            &subject.path,
            &unknown,
            &kinds,
            &mut lints,
        );
        series::names(&subject, &mut lints);
        queries::of_rule(&subject, &kinds, &mut lints);
        widening::note(&subject, &kinds, &mut lints);
    }
    let snapshot = Snapshot::build(Arc::clone(rules), Arc::clone(&kinds), &Listings::default());
    if let Some(metrics) = snapshot.resource() {
        for metric in [&metrics.cpu, &metrics.memory] {
            let path = &metric.rule.origin.rule;
            unknown_kinds(&metric.rule.association, path, &unknown, &kinds, &mut lints);
            resource::check(metric, &mut lints);
        }
    }
    collisions::check(rules, &snapshot, &mut lints);
    lints.in_order()
}

/// Rules that collide in `snapshot`, which was made of `rules`, and those that collide whatever
/// there is.
pub fn collisions(rules: &Rules, snapshot: &Snapshot, text: &str) -> Vec<Finding> {
    let mut lints = Lints {
        text,
        hidden: &rules.hidden,
        known: &[],
        found: Vec::new(),
    };
    collisions::check(rules, snapshot, &mut lints);
    lints.in_order()
}

/// The kinds of a plain Kubernetes, and those that the rules name beyond them.
pub fn kinds_of(rules: &Rules) -> Kinds {
    kinds(rules).0
}

/// What a server should log about its rules at its start. Whose names collide it sees for itself.
pub fn warnings(rules: &Arc<Rules>, text: &str, known: &[Finding]) -> Vec<Finding> {
    let mut findings = lint(rules, text, known);
    findings.retain(|it| it.severity != Severity::Note && it.code != Code::NameCollision);
    findings
}

/// One rule, and what is needed to say something about it.
struct Subject<'a> {
    rule: &'a Arc<Rule>,
    /// `rules[2]`
    path: String,
    /// `rules[2].metricsQuery`
    query_path: String,
    /// The name of its one series, where it can have no other.
    literal: Option<String>,
}

impl<'a> Subject<'a> {
    fn new(rule: &'a Arc<Rule>) -> Subject<'a> {
        let path = rule.id.to_string();
        let field = match rule.metric {
            Some(_) => "query",
            None => "metricsQuery",
        };
        Subject {
            query_path: format!("{path}.{field}"),
            literal: series::literal(rule),
            rule,
            path,
        }
    }
}

/// The findings as they grow.
struct Lints<'a> {
    text: &'a str,
    hidden: &'a [Range<usize>],
    known: &'a [Finding],
    found: Vec<Finding>,
}

impl Lints<'_> {
    fn add(
        &mut self,
        (severity, code): (Severity, Code),
        span: Range<usize>,
        field: &str,
        message: String,
        help: impl Into<Option<String>>,
    ) {
        let is_it = |it: &Finding| it.code == code && it.field == field;
        if self.known.iter().any(is_it) {
            return;
        }
        let finding = Finding::new(severity, code, self.text, span, field, message);
        let finding = Finding {
            help: help.into(),
            hidden: self.hidden.to_vec(),
            ..finding
        };
        let is_same = |it: &Finding| is_it(it) && it.message == finding.message;
        if !self.found.iter().any(is_same) {
            self.found.push(finding);
        }
    }

    /// Whether reading the file has found this about the field, or something below it.
    fn is_known(&self, code: Code, field: &str) -> bool {
        let mut known = self.known.iter();
        known.any(|it| it.code == code && it.field.starts_with(field))
    }

    fn in_order(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|it| (it.span.start, it.severity));
        self.found
    }
}

/// The kinds of a plain Kubernetes, and those that the rules name beyond them; those alone, as they
/// are written.
fn kinds(rules: &Rules) -> (Kinds, Vec<GroupResource>) {
    let resource = rules.resource.iter().flat_map(|it| [&it.cpu, &it.memory]);
    let rules = rules.custom.iter().chain(&rules.external);
    let associations = rules
        .map(|rule| &rule.association)
        .chain(resource.map(|rule| &rule.association));
    kinds_named(associations)
}

fn kinds_named<'a>(
    associations: impl Iterator<Item = &'a Association>,
) -> (Kinds, Vec<GroupResource>) {
    let builtin = Kinds::builtin();
    let mut unknown: Vec<GroupResource> = Vec::new();
    for named in associations.flat_map(|it| &it.overrides) {
        let asked = written(&named.group, &named.resource);
        if builtin.resource_for(&asked).is_err() && !unknown.contains(&asked) {
            unknown.push(asked);
        }
    }
    let made_up = unknown.iter().map(|asked| Kind {
        group: asked.group.to_lowercase(),
        version: "v1".to_owned(),
        kind: asked.resource.clone(),
        plural: asked.resource.to_lowercase(),
        singular: asked.resource.to_lowercase(),
        namespaced: true,
    });
    (Kinds::builtin_with(made_up.collect()), unknown)
}

fn written(group: &str, resource: &str) -> GroupResource {
    GroupResource {
        group: group.to_owned(),
        resource: resource.to_owned(),
    }
}

/// Kinds that only a CustomResourceDefinition could add, or that are mistyped.
fn unknown_kinds(
    association: &Association,
    path: &str,
    unknown: &[GroupResource],
    kinds: &Kinds,
    lints: &mut Lints<'_>,
) {
    for named in &association.overrides {
        let asked = written(&named.group, &named.resource);
        if !unknown.contains(&asked) {
            continue;
        }
        let lower = asked.resource.to_lowercase();
        let is_meant = |kind: &&Kind| {
            let is_near =
                |name: &str| name != lower && strsim::damerau_levenshtein(name, &lower) == 1;
            let is_builtin = kind.plural != lower && kind.singular != lower;
            is_builtin && (is_near(&kind.plural) || is_near(&kind.singular))
        };
        let meant = kinds.all().find(is_meant);
        let (severity, help) = match meant {
            Some(kind) => (
                Severity::Warning,
                format!("did you mean `{}`?", kind.group_resource()),
            ),
            None => (
                Severity::Note,
                "where no CustomResourceDefinition adds it, the rule is off".to_owned(),
            ),
        };
        let field = format!("{path}.resources.overrides.{}", named.label);
        let message = format!("no Kubernetes has the kind `{asked}` by itself");
        let code = (severity, Code::UnknownKind);
        lints.add(code, named.span.clone(), &field, message, help);
    }
}
