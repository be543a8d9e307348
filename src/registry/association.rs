//! A rule's labels bound to the kinds of one cluster: which label names which kind of object, and
//! back.
//!
//! After `pkg/naming/resource_converter.go` of the Go adapter. Where two override labels name one
//! kind, Go takes either, by chance; here the first in the file is the one that queries use.

use thiserror::Error;

use super::Disabled;
use crate::kinds::{GroupResource, Kinds, NoMatch};
use crate::rules::{Association, Origin, Rule};

/// Why no label is known for a kind of object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// The rule has neither an override for the kind nor a template.
    #[error(
        "unable to convert resource {0} into label: \
         no generic resource label form specified for this metric"
    )]
    NoTemplate(GroupResource),
    /// The kind has no singular name to put into the template.
    #[error("unable to convert resource {0} into label: unable to singularize resource {0}")]
    NoSingular(GroupResource),
    /// The template cannot render this kind.
    #[error("unable to convert resource {0} into label: {1}")]
    Template(GroupResource, String),
    /// The rule is off: one of its overrides names a kind that the cluster lacks.
    #[error("the rule is off: {0}")]
    NoKind(NoMatch),
}

/// One rule over one cluster's kinds.
#[derive(Debug)]
pub struct Binding<'a> {
    association: &'a Association,
    kinds: &'a Kinds,
    overrides: Vec<(&'a str, GroupResource)>,
}

impl<'a> Binding<'a> {
    /// Resolves the overrides of `rule`; refuses the rule where the cluster lacks one of the kinds.
    pub fn new(rule: &'a Rule, kinds: &'a Kinds) -> Result<Binding<'a>, Disabled> {
        Binding::of(&rule.association, kinds, || rule.origin())
    }

    /// The same for the association of any rule; `origin` names it where it is refused.
    pub(super) fn of(
        association: &'a Association,
        kinds: &'a Kinds,
        origin: impl Fn() -> Origin,
    ) -> Result<Binding<'a>, Disabled> {
        let overrides = association.overrides.iter().map(|named| {
            let resource = GroupResource {
                group: named.group.clone(),
                resource: named.resource.clone(),
            };
            let kind = kinds.resource_for(&resource).map_err(|cause| Disabled {
                rule: origin().rule,
                line: named.line,
                cause,
            })?;
            Ok((named.label.as_str(), kind.group_resource()))
        });
        Ok(Binding {
            association,
            kinds,
            overrides: overrides.collect::<Result<_, _>>()?,
        })
    }

    /// The kind of object that the values of `label` name, if they name one.
    pub fn resource_of(&self, label: &str) -> Option<GroupResource> {
        let named = self.overrides.iter().find(|(name, _)| *name == label);
        if let Some((_, resource)) = named {
            return Some(resource.clone());
        }
        let (group, resource) = self.association.template.as_ref()?.resource_of(label)?;
        let kind = self
            .kinds
            .resource_for(&GroupResource { group, resource })
            .ok()?;
        Some(kind.group_resource())
    }

    /// The label whose values name objects of this kind; `resource` as the cluster lists it.
    pub fn label_of(&self, resource: &GroupResource) -> Result<String, LabelError> {
        let named = self.overrides.iter().find(|(_, kind)| kind == resource);
        if let Some((label, _)) = named {
            return Ok((*label).to_owned());
        }
        let template = self.association.template.as_ref();
        let template = template.ok_or_else(|| LabelError::NoTemplate(resource.clone()))?;
        let singular = self.kinds.singularize(&resource.resource);
        let singular = singular.ok_or_else(|| LabelError::NoSingular(resource.clone()))?;
        template
            .label_for(&resource.group, singular)
            .map_err(|e| LabelError::Template(resource.clone(), e.to_string()))
    }
}
