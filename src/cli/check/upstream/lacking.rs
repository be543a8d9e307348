//! Series that are there, and of which a rule makes nothing, or nothing that can be asked for.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::Told;
use super::held::Held;
use crate::check;
use crate::kinds::{GroupResource, Kind, Kinds};
use crate::promql::{SeriesSelector, reads, syntax};
use crate::registry::{Binding, Known, Listing, Unmade, siblings};
use crate::rules::{Code, List, Rule, Severity};

/// Names and labels that one message repeats.
const SHOWN_MAX: usize = 12;

/// What a rule lacks of the series that it finds.
pub(super) fn told(rule: &Arc<Rule>, known: &Known, held: &Held) -> Vec<Told> {
    let names: Vec<&str> = held.names.iter().map(String::as_str).collect();
    if let Some(told) = left_out(rule, &names) {
        // Of the one name that a selector can find it is known without Prometheus.
        let selector = SeriesSelector::parse(&rule.series_query.text);
        let is_literal = selector.is_some_and(|it| it.literal_name().is_some());
        return Vec::from_iter((!is_literal).then_some(told));
    }
    let kinds = check::kinds_of_rule(rule);
    // One that is off for a kind that the cluster may lack is told by others.
    let Ok(binding) = Binding::new(rule, &kinds) else {
        return Vec::new();
    };
    let lacking = Lacking {
        rule,
        held,
        kinds: &kinds,
        binding,
        names: names
            .into_iter()
            .filter(|it| rule.naming.keeps(it))
            .collect(),
    };
    match rule.id.list {
        List::Custom => lacking.of_custom(known.listing.as_deref()),
        List::External => lacking.of_external(),
    }
}

/// A field that leaves all series out.
fn left_out(rule: &Arc<Rule>, names: &[&str]) -> Option<Told> {
    let left_out = rule.naming.left_out(names)?;
    let origin = rule.origin();
    let field = &left_out.field;
    let all = match names {
        [one] => format!("the series {one}, which is all that is found"),
        _ => {
            let shown = some(names.iter().copied());
            format!(
                "all {} names of series that are found: {shown}",
                names.len()
            )
        }
    };
    let message = format!("{field} of {origin} leaves out {all}");
    Some(Told {
        severity: Severity::Warning,
        code: Code::NameUnmatched,
        span: left_out.span,
        field: format!("{}.{field}", rule.id.in_file()),
        message,
        help: "there is no metric: let it match the names that are meant".to_owned(),
    })
}

struct Lacking<'a> {
    rule: &'a Arc<Rule>,
    held: &'a Held,
    kinds: &'a Kinds,
    binding: Binding<'a>,
    /// Those of the series that its filters keep.
    names: Vec<&'a str>,
}

impl Lacking<'_> {
    fn of_custom(&self, listing: Option<&Listing>) -> Vec<Told> {
        let kept = |name: &&str| listing.and_then(|it| it.get(*name));
        let labels: BTreeSet<&String> = self.names.iter().filter_map(kept).flatten().collect();
        let mut named = labels.iter().filter_map(|it| self.binding.resource_of(it));
        let makes_some = named.next().is_some();
        let mut told = Vec::new();
        for named in &self.rule.association.overrides {
            let Some((kind, resource)) = self.first_of(&named.label) else {
                continue;
            };
            if labels.contains(&named.label) {
                continue;
            }
            let is_asked =
                resource == GroupResource::core("namespaces") && self.is_read(&named.label);
            let severity = match !makes_some || is_asked {
                true => Severity::Warning,
                false => Severity::Note,
            };
            let place = (
                named.label_span.clone(),
                format!("overrides.{}", named.label),
            );
            told.push(self.missing(severity, &named.label, kind, place, makes_some));
        }
        let template = self.rule.association.template.as_ref();
        if let (Some(template), false) = (template, makes_some) {
            told.push(Told {
                severity: Severity::Warning,
                code: Code::LabelMissing,
                span: template.span.clone(),
                field: format!("{}.resources.template", self.rule.id.in_file()),
                message: format!(
                    "no label of {} names a kind of object by this template; {}",
                    self.series(),
                    self.present("")
                ),
                help: "there is no metric: name the labels under resources.overrides".to_owned(),
            });
        }
        told
    }

    fn of_external(&self) -> Vec<Told> {
        let association = &self.rule.association;
        let namespaces = GroupResource::core("namespaces");
        let (Ok(label), Ok(kind)) = (
            self.binding.label_of(&namespaces),
            self.kinds.resource_for(&namespaces),
        ) else {
            return Vec::new();
        };
        if !association.namespaced || self.held.labels.contains(&label) || !self.is_read(&label) {
            return Vec::new();
        }
        let mut overrides = association.overrides.iter();
        let place = match overrides.find(|it| it.label == label) {
            Some(named) => (named.label_span.clone(), format!("overrides.{label}")),
            None => match &association.template {
                Some(template) => (template.span.clone(), "template".to_owned()),
                None => return Vec::new(),
            },
        };
        vec![self.missing(Severity::Warning, &label, kind, place, true)]
    }

    /// The kind that a label names, where queries ask for this label and no other of the kind.
    fn first_of(&self, label: &str) -> Option<(&Kind, GroupResource)> {
        let resource = self.binding.resource_of(label)?;
        let asked = self.binding.label_of(&resource).ok()?;
        let kind = self.kinds.resource_for(&resource).ok()?;
        (asked == label).then_some((kind, resource))
    }

    /// Whether the rule's query wants this label of these very series.
    fn is_read(&self, label: &str) -> bool {
        let Some(name) = self.names.first() else {
            return false;
        };
        let promql = check::probe(self.rule, Some(name));
        let Some(tree) = promql.and_then(|it| syntax(&it).ok()) else {
            return false;
        };
        reads(&tree).iter().any(|read| {
            let matchers = read.matchers();
            let mut of_label = matchers.iter().filter(|it| it.label == label);
            read.name() == Some(*name) && of_label.any(|it| it.operator == "=")
        })
    }

    fn missing(
        &self,
        severity: Severity,
        label: &str,
        kind: &Kind,
        (span, field): (Range<usize>, String),
        makes_some: bool,
    ) -> Told {
        let resource = kind.group_resource();
        let present: Vec<String> = self.held.labels.iter().cloned().collect();
        let message = match self.names.as_slice() {
            [one] => Unmade::NoLabel {
                rule: self.rule.origin(),
                series: (*one).to_owned(),
                kind: resource.clone(),
                label: Ok(label.to_owned()),
                present: present.iter().take(SHOWN_MAX).cloned().collect(),
            }
            .to_string(),
            _ => format!(
                "none of {} has the label {label:?} that names {resource}; {}",
                self.series(),
                self.present(label)
            ),
        };
        let effect = match (makes_some, resource == GroupResource::core("namespaces")) {
            (false, _) => "there is no metric of them".to_owned(),
            (true, true) => "asks within a namespace find nothing".to_owned(),
            (true, false) => format!("there is no metric of {resource}"),
        };
        let help = match siblings(label, &kind.singular, &present).first() {
            Some(sibling) => format!("{effect}; the series carry the label {sibling:?}: name that"),
            None => format!("{effect}: name a label that the series have, or see that they get it"),
        };
        Told {
            severity,
            code: Code::LabelMissing,
            span,
            field: format!("{}.resources.{field}", self.rule.id.in_file()),
            message,
            help,
        }
    }

    /// All series of the rule.
    fn series(&self) -> String {
        let origin = self.rule.origin();
        match self.names.as_slice() {
            [one] => format!("the series {one} of {origin}"),
            names => format!("the {} names of series that {origin} takes", names.len()),
        }
    }

    /// What labels they have, but for the one that only others have.
    fn present(&self, label: &str) -> String {
        let labels = self.held.labels.iter().map(String::as_str);
        format!("they have {}", some(labels.filter(|it| *it != label)))
    }
}

/// The first of these, and whether there are more.
fn some<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut all = all.peekable();
    let shown: Vec<&str> = all.by_ref().take(SHOWN_MAX).collect();
    let more = if all.peek().is_some() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
