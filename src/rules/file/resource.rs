//! `resourceRules` as it is written.

use std::ops::Range;

use super::{RawResources, RawSource, RawTerms, Reader};
use crate::rules::located::Located;
use crate::rules::yaml::NodeId;

const RESOURCE_RULES: &[&str] = &["cpu", "memory", "window"];
pub(super) const RESOURCE_RULE: &[&str] = &[
    "containerQuery",
    "nodeQuery",
    "resources",
    "containerLabel",
    "backend",
    "partial",
    "ttl",
    "staleGrace",
    "timeout",
    "offsetFromNow",
    "widen",
];

#[derive(Debug, Default)]
pub(in crate::rules) struct RawResourceRules {
    pub(in crate::rules) span: Range<usize>,
    /// As for a rule.
    pub(in crate::rules) malformed: bool,
    pub(in crate::rules) cpu: RawResourceRule,
    pub(in crate::rules) memory: RawResourceRule,
    pub(in crate::rules) window: Option<Located>,
}

#[derive(Debug, Default)]
pub(in crate::rules) struct RawResourceRule {
    /// Where the rule stands, if it does.
    pub(in crate::rules) span: Option<Range<usize>>,
    pub(in crate::rules) container_query: Option<Located>,
    pub(in crate::rules) node_query: Option<Located>,
    pub(in crate::rules) resources: RawResources,
    pub(in crate::rules) container_label: Option<Located>,
    pub(in crate::rules) source: RawSource,
    pub(in crate::rules) terms: RawTerms,
}

impl Reader<'_, '_> {
    pub(super) fn resource_rules(
        &mut self,
        id: NodeId,
        path: &str,
        rules: &mut Option<RawResourceRules>,
    ) {
        if self.is_null(id) {
            *rules = None;
            return;
        }
        let rules = rules.get_or_insert_default();
        rules.span = self.span(id);
        let before = self.count();
        let what = "a mapping with `cpu`, `memory` and `window`";
        self.mapping(
            id,
            path,
            what,
            RESOURCE_RULES,
            &mut |me, key, value, path| match key {
                "cpu" => me.resource_rule(value, path, &mut rules.cpu),
                "memory" => me.resource_rule(value, path, &mut rules.memory),
                _ => me.text(value, path, &mut rules.window),
            },
        );
        rules.malformed |= self.count() > before;
    }

    fn resource_rule(&mut self, id: NodeId, path: &str, rule: &mut RawResourceRule) {
        if self.is_null(id) {
            *rule = RawResourceRule::default();
        }
        rule.span = Some(self.span(id));
        let what = "a mapping with `containerQuery`, `nodeQuery`, `resources` and `containerLabel`";
        self.mapping(
            id,
            path,
            what,
            RESOURCE_RULE,
            &mut |me, key, value, path| match key {
                "containerQuery" => me.text(value, path, &mut rule.container_query),
                "nodeQuery" => me.text(value, path, &mut rule.node_query),
                "resources" => me.resources(value, path, &mut rule.resources),
                "backend" => me.text(value, path, &mut rule.source.backend),
                "partial" => me.text(value, path, &mut rule.source.partial),
                "containerLabel" => me.text(value, path, &mut rule.container_label),
                _ => me.term(key, value, path, &mut rule.terms),
            },
        );
    }
}
