//! The rules file as it is written: which fields there are, of which type, and where each stands.
//!
//! Follows `yaml.UnmarshalStrict` of Go's yaml.v2 over prometheus-adapter's `pkg/config/config.go`:
//! unknown and repeated fields are errors, null gives the zero value, any scalar is text where text
//! is wanted, merge keys apply where they stand. Unlike Go it goes on after an error, to report
//! them all.

use std::collections::HashSet;
use std::ops::Range;

use super::Code;
use super::located::Located;
use super::reader::Reader;
use super::report::{Report, quoted};
use super::yaml::{self, NodeId};

mod backends;
mod resource;

pub(super) use backends::{Pair, RawAuth, RawBackend, shown};
pub(super) use resource::{RawResourceRule, RawResourceRules};

const TOP: &[&str] = &["rules", "externalRules", "resourceRules", "backends"];
const RULE: &[&str] = &[
    "seriesQuery",
    "seriesFilters",
    "resources",
    "name",
    "metricsQuery",
    "query",
    "backend",
    "partial",
    "ttl",
    "staleGrace",
    "timeout",
    "offsetFromNow",
    "onEmpty",
    "nonFinite",
    "widen",
];
const FILTER: &[&str] = &["is", "isNot"];
const RESOURCES: &[&str] = &["template", "overrides", "namespaced"];
const OVERRIDE: &[&str] = &["group", "resource"];
const NAME: &[&str] = &["matches", "as"];

/// Where a field belongs that stands in the wrong mapping.
const HOMES: &[(&[&str], &str)] = &[
    (RULE, "a rule"),
    (RESOURCES, "`resources`"),
    (NAME, "`name`"),
    (FILTER, "an entry of `seriesFilters`"),
    (
        resource::RESOURCE_RULE,
        "`resourceRules.cpu` and `resourceRules.memory`",
    ),
    (TOP, "the top level"),
    (backends::BACKEND, "an entry of `backends`"),
    (backends::TLS, "`tls` of a backend"),
    (backends::AUTH, "`auth` of a backend"),
];

#[derive(Debug, Default)]
pub(super) struct RawFile {
    pub(super) rules: Vec<RawRule>,
    pub(super) external: Vec<RawRule>,
    pub(super) resource: Option<RawResourceRules>,
    pub(super) backends: Vec<RawBackend>,
}

impl RawFile {
    /// How many rules there are, of all sorts.
    pub(super) fn count(&self) -> usize {
        let resource = self.resource.iter();
        let resource = resource.flat_map(|it| [&it.cpu, &it.memory]);
        let resource = resource.filter(|it| it.span.is_some());
        self.rules.len() + self.external.len() + resource.count()
    }
}

#[derive(Debug, Default)]
pub(super) struct RawRule {
    pub(super) span: Range<usize>,
    /// Something in it could not be read: what it lacks may be no mistake of its own.
    pub(super) malformed: bool,
    pub(super) series_query: Option<Located>,
    pub(super) filters: Vec<RawFilter>,
    pub(super) resources: RawResources,
    pub(super) matches: Option<Located>,
    pub(super) name_as: Option<Located>,
    pub(super) metrics_query: Option<Located>,
    pub(super) query: Option<Located>,
    pub(super) source: RawSource,
    pub(super) terms: RawTerms,
}

/// Where a rule's samples come from.
#[derive(Debug, Default)]
pub(super) struct RawSource {
    pub(super) backend: Option<Located>,
    pub(super) partial: Option<Located>,
}

/// How a rule's queries are asked.
#[derive(Debug, Default)]
pub(super) struct RawTerms {
    pub(super) ttl: Option<Located>,
    pub(super) stale_grace: Option<Located>,
    pub(super) timeout: Option<Located>,
    pub(super) offset_from_now: Option<Located>,
    pub(super) on_empty: Option<Located>,
    pub(super) non_finite: Option<Located>,
    pub(super) widen: Option<Located>,
}

#[derive(Debug, Default)]
pub(super) struct RawFilter {
    pub(super) span: Range<usize>,
    pub(super) is: Option<Located>,
    pub(super) is_not: Option<Located>,
}

#[derive(Debug, Default)]
pub(super) struct RawResources {
    /// Where `resources` stands, if it does.
    pub(super) span: Option<Range<usize>>,
    pub(super) template: Option<Located>,
    pub(super) overrides: Vec<RawOverride>,
    pub(super) namespaced: Option<bool>,
    pub(super) labels: HashSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct RawOverride {
    pub(super) label: Located,
    pub(super) group: Option<Located>,
    pub(super) resource: Option<Located>,
}

/// Reads what can be read; what cannot is in `report`.
pub(super) fn read(report: &mut Report<'_>) -> RawFile {
    let mut file = RawFile::default();
    let document = match yaml::compose(report.text()) {
        Ok(document) => document,
        Err(error) => {
            if let Some(secret) = backends::secret_in_broken(report.text(), error.at) {
                report.hide(secret);
            }
            report.error(
                Code::YamlSyntax,
                error.at..error.at + 1,
                "",
                error.message,
                error.help,
            );
            return file;
        }
    };
    if let Some(at) = document.ignored_from {
        let help = "only the first YAML document is read: put all rules into it".to_owned();
        report.warning(
            Code::IgnoredDocument,
            at..at + 1,
            "",
            "everything from here on is ignored",
            help,
        );
    }
    let mut reader = Reader::new(&document, report, HOMES);
    match document.root.filter(|root| !reader.is_null(*root)) {
        Some(root) => reader.file(root, &mut file),
        None => {
            let help = "write `rules: []` if that is meant".to_owned();
            let message = "there is nothing in this file: it makes no metric";
            report.warning(Code::NoRules, 0..0, "", message, help);
        }
    }
    file
}

impl Reader<'_, '_> {
    fn file(&mut self, id: NodeId, file: &mut RawFile) {
        if self.is_manifest(id) {
            let help = "mount the text under its `data` key, or pass that to --config".to_owned();
            let message = "this is a Kubernetes manifest, not a rules file";
            self.error(Code::NotRules, id, "", message.to_owned(), Some(help));
            return;
        }
        let what = "a mapping with `rules`, `externalRules` or `resourceRules`";
        self.mapping(id, "", what, TOP, &mut |me, key, value, path| match key {
            "rules" => me.rules(value, path, &mut file.rules),
            "externalRules" => me.rules(value, path, &mut file.external),
            "backends" => me.backends(value, path, &mut file.backends),
            _ => me.resource_rules(value, path, &mut file.resource),
        });
    }

    fn is_manifest(&self, id: NodeId) -> bool {
        let keys = self.keys(id);
        keys.contains(&"apiVersion") && keys.contains(&"kind")
    }

    fn rules(&mut self, id: NodeId, path: &str, rules: &mut Vec<RawRule>) {
        if self
            .keys(id)
            .iter()
            .any(|key| matches!(*key, "default" | "custom" | "external"))
        {
            let help = "move the list under `rules.custom` to `rules`, the one under \
                        `rules.external` to `externalRules`, `rules.resource` to `resourceRules`";
            let message = "these are values of the Helm chart, not the file it makes of them";
            let help = Some(help.to_owned());
            self.error(Code::NotRules, id, path, message.to_owned(), help);
            return;
        }
        let what = "a list of rules, each beginning with `- seriesQuery:`";
        rules.clear();
        self.sequence(id, path, what, &mut |me, id, path| {
            let mut rule = RawRule {
                span: me.span(id),
                ..RawRule::default()
            };
            let before = me.count();
            me.rule(id, path, &mut rule);
            rule.malformed = me.count() > before;
            rules.push(rule);
        });
    }

    fn rule(&mut self, id: NodeId, path: &str, rule: &mut RawRule) {
        let what = "a rule: a mapping with `seriesQuery`, `resources`, `name` and `metricsQuery`";
        self.mapping(
            id,
            path,
            what,
            RULE,
            &mut |me, key, value, path| match key {
                "seriesQuery" => me.text(value, path, &mut rule.series_query),
                "seriesFilters" => me.filters(value, path, &mut rule.filters),
                "resources" => me.resources(value, path, &mut rule.resources),
                "name" => me.name(value, path, rule),
                "backend" => me.text(value, path, &mut rule.source.backend),
                "partial" => me.text(value, path, &mut rule.source.partial),
                "metricsQuery" => me.text(value, path, &mut rule.metrics_query),
                "query" => me.text(value, path, &mut rule.query),
                _ => me.term(key, value, path, &mut rule.terms),
            },
        );
    }

    fn term(&mut self, key: &str, value: NodeId, path: &str, terms: &mut RawTerms) {
        let into = match key {
            "ttl" => &mut terms.ttl,
            "staleGrace" => &mut terms.stale_grace,
            "timeout" => &mut terms.timeout,
            "offsetFromNow" => &mut terms.offset_from_now,
            "onEmpty" => &mut terms.on_empty,
            "widen" => &mut terms.widen,
            _ => &mut terms.non_finite,
        };
        self.text(value, path, into);
    }

    fn filters(&mut self, id: NodeId, path: &str, filters: &mut Vec<RawFilter>) {
        filters.clear();
        let what = "a list of `- is: REGEX` and `- isNot: REGEX`";
        self.sequence(id, path, what, &mut |me, id, path| {
            let mut filter = RawFilter {
                span: me.span(id),
                ..RawFilter::default()
            };
            let before = me.count();
            let what = "`is: REGEX` or `isNot: REGEX`";
            me.mapping(
                id,
                path,
                what,
                FILTER,
                &mut |me, key, value, path| match key {
                    "is" => me.text(value, path, &mut filter.is),
                    _ => me.text(value, path, &mut filter.is_not),
                },
            );
            if me.count() == before {
                filters.push(filter);
            }
        });
    }

    fn name(&mut self, id: NodeId, path: &str, rule: &mut RawRule) {
        if self.is_null(id) {
            (rule.matches, rule.name_as) = (None, None);
        }
        let what = "a mapping, as `{matches: REGEX, as: NAME}`";
        self.mapping(
            id,
            path,
            what,
            NAME,
            &mut |me, key, value, path| match key {
                "matches" => me.text(value, path, &mut rule.matches),
                _ => me.text(value, path, &mut rule.name_as),
            },
        );
    }

    fn resources(&mut self, id: NodeId, path: &str, resources: &mut RawResources) {
        if self.is_null(id) {
            *resources = RawResources::default();
        }
        resources.span = Some(self.span(id));
        let what = "a mapping with `overrides`, `template` or `namespaced`";
        self.mapping(
            id,
            path,
            what,
            RESOURCES,
            &mut |me, key, value, path| match key {
                "template" => me.text(value, path, &mut resources.template),
                "overrides" => me.overrides(value, path, resources),
                _ => me.boolean(value, path, &mut resources.namespaced),
            },
        );
    }

    fn overrides(&mut self, id: NodeId, path: &str, resources: &mut RawResources) {
        if self.is_null(id) {
            resources.overrides.clear();
            resources.labels.clear();
        }
        let what = "a mapping from label to resource, as `pod: {resource: pod}`";
        self.table(id, path, what, &mut |me, key, value| {
            let mut label = None;
            me.text(key, path, &mut label);
            let label = label.unwrap_or(Located {
                span: me.span(key),
                ..Located::default()
            });
            let path = format!("{path}.{}", label.text);
            if !resources.labels.insert(label.text.clone()) {
                let message = format!("the label {} is mapped twice", quoted(&label.text));
                let help = Some("keep one of them".to_owned());
                me.error(Code::GivenTwice, key, &path, message, help);
                return;
            }
            let before = me.count();
            let mut raw = RawOverride {
                label,
                ..RawOverride::default()
            };
            let what = "a mapping with `resource` and, outside the core group, `group`, \
                        as `{resource: pod}`";
            me.mapping(
                value,
                &path,
                what,
                OVERRIDE,
                &mut |me, key, value, path| match key {
                    "group" => me.text(value, path, &mut raw.group),
                    _ => me.text(value, path, &mut raw.resource),
                },
            );
            if me.count() == before {
                resources.overrides.push(raw);
            }
        });
    }
}
