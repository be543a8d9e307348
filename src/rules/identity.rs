//! What a rule says, whatever its place in the files.
//!
//! A rule keeps what is known of it when the files are read again, although its number or its line
//! is another one by then. So it is known by all that its fields say, and by nothing else. Whom it
//! is asked of is not here but in the backend of that name, which may have changed as well.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::List;
use super::file::{
    RawFilter, RawOverride, RawResourceRule, RawResources, RawRule, RawSource, RawTerms,
};
use super::located::Located;

/// All that a rule says: two rules with equal ones are the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    hash: u64,
    text: Arc<str>,
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

// Each pattern below names every field: a new one does not compile until it has its place here.
impl Identity {
    pub(super) fn of_rule(list: List, raw: &RawRule) -> Identity {
        let RawRule {
            span: _,
            malformed: _,
            series_query,
            filters,
            resources: objects,
            matches,
            name_as,
            metrics_query,
            query,
            source: whom,
            terms: how,
        } = raw;
        let filters: Vec<_> = filters.iter().map(filter).collect();
        let queries = [series_query, metrics_query, query].map(text);
        let naming = [matches, name_as].map(text);
        let named = (list, queries, filters, naming);
        Identity::new(&format!(
            "{:?}",
            (named, resources(objects), source(whom), terms(how))
        ))
    }

    /// What of a rule decides which series are found, and by which labels. A rule with a `query` is
    /// asked nothing about, and makes what that and its name say.
    pub(super) fn of_survey(list: List, raw: &RawRule) -> Identity {
        let of_query = raw.query.is_some();
        let fixed = of_query.then(|| [&raw.query, &raw.name_as].map(text));
        let (objects, whom) = (resources(&raw.resources), source(&raw.source));
        let series = text(&raw.series_query);
        Identity::new(&format!("{:?}", (list, series, objects, whom, fixed)))
    }

    /// `path` is `resourceRules.cpu` or `resourceRules.memory`.
    pub(super) fn of_resource(path: &str, raw: &RawResourceRule) -> Identity {
        let RawResourceRule {
            span: _,
            container_query,
            node_query,
            resources: objects,
            container_label,
            source: whom,
            terms: how,
        } = raw;
        let texts = [container_query, node_query, container_label].map(text);
        Identity::new(&format!(
            "{:?}",
            (path, texts, resources(objects), source(whom), terms(how))
        ))
    }

    pub(crate) fn new(text: &str) -> Identity {
        Identity {
            hash: BuildHasherDefault::<DefaultHasher>::default().hash_one(text),
            text: text.into(),
        }
    }
}

fn text(field: &Option<Located>) -> Option<&str> {
    field.as_ref().map(|it| it.text.as_str())
}

fn filter(raw: &RawFilter) -> [Option<&str>; 2] {
    let RawFilter {
        span: _,
        is,
        is_not,
    } = raw;
    [is, is_not].map(text)
}

fn resources(raw: &RawResources) -> String {
    let RawResources {
        span: _,
        template,
        overrides,
        namespaced,
        // Those of the overrides once more.
        labels: _,
    } = raw;
    let mapped = |raw: &RawOverride| {
        let RawOverride {
            label,
            group,
            resource,
        } = raw;
        format!("{:?}", (&label.text, text(group), text(resource)))
    };
    let overrides: Vec<String> = overrides.iter().map(mapped).collect();
    format!("{:?}", (text(template), overrides, namespaced))
}

fn source(raw: &RawSource) -> [Option<&str>; 2] {
    let RawSource { backend, partial } = raw;
    [backend, partial].map(text)
}

fn terms(raw: &RawTerms) -> [Option<&str>; 7] {
    let RawTerms {
        ttl,
        stale_grace,
        timeout,
        offset_from_now,
        on_empty,
        non_finite,
        widen,
    } = raw;
    [
        ttl,
        stale_grace,
        timeout,
        offset_from_now,
        on_empty,
        non_finite,
        widen,
    ]
    .map(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::rules::{Rule, parse};

    const RULE: &str = r#"rules:
- seriesQuery: 'depth{a="b"}'
  name: {as: depth}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
"#;

    fn only(text: &str) -> Arc<Rule> {
        let (rules, _) = parse(text).expect("test rules must parse");
        let mut all = rules.custom.iter().chain(&rules.external);
        Arc::clone(all.next_back().expect("there must be a rule"))
    }

    #[test]
    fn a_rule_is_the_same_wherever_and_however_it_is_written() {
        let rule = only(RULE);
        let further = "- seriesQuery: other\n  metricsQuery: x\n";
        let lower = RULE.replacen("rules:\n", &format!("# a remark\nrules:\n{further}"), 1);
        let quoted = RULE.replace("{as: depth}", "{\n    as: \"depth\"}");
        for text in [lower, quoted] {
            let again = only(&text);
            assert_eq!(rule.identity, again.identity, "{text}");
            assert!(again.line >= rule.line);
        }
    }

    #[test]
    fn whatever_a_rule_says_is_part_of_what_it_is() {
        let rule = only(RULE);
        let with = |field: &str| format!("{RULE}  {field}\n");
        let changed = [
            RULE.replace("a=", "c="),
            RULE.replace("{as: depth}", "{as: other}"),
            RULE.replace("{as: depth}", "{as: depth, matches: '.*'}"),
            RULE.replace("pod: {resource: pod}", "pods: {resource: pod}"),
            RULE.replace("pod: {resource: pod}", "pod: {resource: pods}"),
            RULE.replace("pod: {resource: pod}", "pod: {resource: pod, group: ''}"),
            RULE.replace("{overrides:", "{namespaced: true, overrides:"),
            RULE.replace("{overrides:", "{template: 'k_<<.Resource>>', overrides:"),
            RULE.replace("sum(", "max("),
            RULE.replace("rules:", "externalRules:"),
            with("seriesFilters: [{is: a}]"),
            with("seriesFilters: [{isNot: a}]"),
            with("backend: default"),
            with("partial: refuse"),
            with("ttl: 1s"),
            with("staleGrace: 1s"),
            with("timeout: 1s"),
            with("offsetFromNow: 1s"),
            with("onEmpty: zero"),
            with("nonFinite: zero"),
            with("widen: \"off\""),
        ];
        let mut seen = vec![rule.identity.clone()];
        for text in changed {
            let identity = only(&text).identity.clone();
            assert!(!seen.contains(&identity), "{text}");
            seen.push(identity);
        }
    }

    /// `widen` once took the place of `containerLabel`.
    #[test]
    fn each_field_of_a_resource_rule_is_its_own() {
        let rule = "{containerQuery: a, nodeQuery: b, containerLabel: c}";
        let resource = |rule: &str| {
            let text = format!("resourceRules: {{cpu: {rule}, memory: {rule}}}\n");
            let (rules, _) = parse(&text).expect("test rules must parse");
            rules.resource.expect("there must be resource rules")
        };
        let mut seen = vec![resource(rule).cpu.identity.clone()];
        for field in [
            "resources: {namespaced: false}",
            "backend: default",
            "partial: refuse",
            "ttl: 1s",
            "staleGrace: 1s",
            "timeout: 1s",
            "offsetFromNow: 1s",
            "widen: \"off\"",
        ] {
            let cpu = resource(&rule.replace('}', &format!(", {field}}}"))).cpu;
            assert_eq!(cpu.container_label, "c", "{field}");
            assert!(!seen.contains(&cpu.identity), "{field}");
            seen.push(cpu.identity.clone());
        }
    }

    #[test]
    fn the_two_resource_rules_are_two_although_they_say_the_same() {
        let rule = "{containerQuery: a, nodeQuery: b, containerLabel: c}";
        let text = format!("resourceRules: {{cpu: {rule}, memory: {rule}}}\n");
        let (rules, _) = parse(&text).expect("test rules must parse");
        let resource = rules.resource.expect("there must be resource rules");
        assert_ne!(resource.cpu.identity, resource.memory.identity);
    }
}
