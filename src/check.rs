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
use crate::registry::{Listings, ResourceMetric, Snapshot};
use crate::rules::{
    Association, Code, File, Finding, Findings, ResourceRules, Rule, Rules, Severity,
};

mod asks;
mod collisions;
mod labels;
mod queries;
mod resource;
mod series;
#[cfg(test)]
mod tests;
mod widening;

pub use asks::probe;
pub use widening::{Summary, summaries};

/// Findings about rules that were read from `files` as one, in the order of each file; `known` are
/// those of reading them, which are not told twice.
///
/// # Panics
/// Where `files` are not those that the rules were read from.
pub fn lint(rules: &Arc<Rules>, files: &[File<'_>], known: &[Vec<Finding>]) -> Findings {
    let mut lints = Lints::new(rules, files, known);
    let (kinds, unknown) = kinds(rules);
    let kinds = Arc::new(kinds);
    each_rule(rules, &kinds, &unknown, &mut lints);
    for rule in rules.series_rules() {
        widening::note(&Subject::new(rule), &kinds, lints.of(rule.id.file.as_ref()));
    }
    for metric in resource_metrics(rules, &kinds) {
        resource::note(&metric, lints.of(metric.rule.file.as_ref()));
    }
    let snapshot = Snapshot::build(Arc::clone(rules), kinds, &Listings::default());
    collisions::check(rules, &snapshot, &mut lints);
    lints.in_order()
}

/// Rules that collide in `snapshot`, which was made of `rules`, and those that collide whatever
/// there is.
///
/// # Panics
/// Where `files` are not those that the rules were read from.
pub fn collisions(rules: &Rules, snapshot: &Snapshot, files: &[File<'_>]) -> Findings {
    let mut lints = Lints::new(rules, files, &[]);
    collisions::check(rules, snapshot, &mut lints);
    lints.in_order()
}

/// The kinds of a plain Kubernetes, and those that the rules name beyond them.
pub fn kinds_of(rules: &Rules) -> Kinds {
    kinds(rules).0
}

/// The same for one rule.
pub fn kinds_of_rule(rule: &Rule) -> Kinds {
    kinds_named(std::iter::once(&rule.association)).0
}

/// What a server should log about its rules, beyond what reading them has told. Which kinds there
/// are and whose names collide it sees for itself.
///
/// # Panics
/// Where `files` are not those that the rules were read from.
pub fn warnings(rules: &Rules, files: &[File<'_>], known: &[Vec<Finding>]) -> Findings {
    let mut lints = Lints::new(rules, files, known);
    let (kinds, unknown) = kinds(rules);
    each_rule(rules, &Arc::new(kinds), &unknown, &mut lints);
    let mut findings = lints.in_order();
    for of_file in &mut findings {
        of_file.retain(|it| it.severity == Severity::Warning && it.code != Code::UnknownKind);
    }
    findings
}

/// What can be said about each rule by itself.
fn each_rule(rules: &Rules, kinds: &Arc<Kinds>, unknown: &[GroupResource], lints: &mut Lints<'_>) {
    for rule in rules.series_rules() {
        let subject = Subject::new(rule);
        let lints = lints.of(rule.id.file.as_ref());
        unknown_kinds(&rule.association, &subject.path, unknown, kinds, lints);
        labels::named_twice(&rule.association, &subject.path, kinds, lints);
        series::names(&subject, lints);
        queries::of_rule(&subject, kinds, lints);
    }
    for metric in resource_metrics(rules, kinds) {
        let rule = &metric.rule;
        let lints = lints.of(rule.file.as_ref());
        unknown_kinds(&rule.association, rule.path, unknown, kinds, lints);
        labels::named_twice(&rule.association, rule.path, kinds, lints);
        resource::check(&metric, lints);
    }
}

/// Both of `resourceRules`, bound to `kinds`.
fn resource_metrics(rules: &Rules, kinds: &Arc<Kinds>) -> Vec<ResourceMetric> {
    let resource = rules.resource.as_ref().map(|it| ResourceRules {
        cpu: Arc::clone(&it.cpu),
        memory: Arc::clone(&it.memory),
        window: it.window,
    });
    let alone = Rules {
        resource,
        ..Rules::default()
    };
    let snapshot = Snapshot::build(Arc::new(alone), Arc::clone(kinds), &Listings::default());
    let metrics = snapshot.resource().into_iter();
    metrics
        .flat_map(|it| [it.cpu.clone(), it.memory.clone()])
        .collect()
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
        let path = rule.id.in_file();
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

/// The findings about all files as they grow.
struct Lints<'a> {
    files: &'a [File<'a>],
    of_files: Vec<FileLints<'a>>,
}

impl<'a> Lints<'a> {
    fn new(rules: &'a Rules, files: &'a [File<'a>], known: &'a [Vec<Finding>]) -> Lints<'a> {
        let of_file = |(at, file): (usize, &File<'a>)| FileLints {
            text: file.text,
            hidden: rules.hidden.get(at).map(Vec::as_slice).unwrap_or_default(),
            known: known.get(at).map(Vec::as_slice).unwrap_or_default(),
            found: Vec::new(),
        };
        Lints {
            files,
            of_files: files.iter().enumerate().map(of_file).collect(),
        }
    }

    /// Those about the file of a rule.
    fn of(&mut self, file: Option<&Arc<str>>) -> &mut FileLints<'a> {
        let mut files = self.files.iter().zip(&mut self.of_files);
        let found = files.find(|(it, _)| it.name == file.map(|it| &**it));
        let (_, lints) = found.expect("rules must be of the files that they were read from");
        lints
    }

    fn in_order(self) -> Findings {
        let lints = self.of_files.into_iter();
        lints.map(FileLints::in_order).collect()
    }
}

/// The findings about one file as they grow.
struct FileLints<'a> {
    text: &'a str,
    hidden: &'a [Range<usize>],
    known: &'a [Finding],
    found: Vec<Finding>,
}

impl FileLints<'_> {
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
    lints: &mut FileLints<'_>,
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
