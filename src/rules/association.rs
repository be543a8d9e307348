//! Which labels of a series name Kubernetes objects, and of which resource.
//!
//! Follows prometheus-adapter's `pkg/naming/resource_converter.go` and `lbl_res.go`, except that
//! whether a resource exists is not asked here: that is the cluster's matter and changes while we
//! run.

use std::ops::Range;

use regex::Regex;

use super::Code;
use super::file::{RawOverride, RawResources};
use super::located::Located;
use super::query::{regex_error, regex_help, template_error};
use super::report::{Report, quoted};
use crate::go;

const FIELDS: &str = "a label template holds <<.Resource>> and, if need be, <<.Group>>";

/// How the labels of a rule's series lead to Kubernetes objects.
#[derive(Debug)]
pub struct Association {
    /// In the order of the file. An override comes before the template.
    pub overrides: Vec<Override>,
    /// For the labels and resources without an override.
    pub template: Option<LabelTemplate>,
    /// Whether an external metric is asked for within the namespace of the request.
    pub namespaced: bool,
}

/// `resources.overrides`: one label and the resource it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The Prometheus label.
    pub label: String,
    /// API group as written; empty for the core group, or for any.
    pub group: String,
    /// Resource as written, singular or plural.
    pub resource: String,
    /// Line of the file, from 1.
    pub line: usize,
    /// The resource's place in the file.
    pub span: Range<usize>,
    /// The label's.
    pub label_span: Range<usize>,
}

/// `resources.template`: a pattern of labels, as `kube_<<.Group>>_<<.Resource>>`.
#[derive(Debug)]
pub struct LabelTemplate {
    /// Its place in the file.
    pub span: Range<usize>,
    template: go::template::LabelTemplate,
    regex: Regex,
    /// Number of the regular expression's group.
    group: Option<usize>,
    resource: usize,
}

/// Why a resource has no label.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The template cannot be executed for it.
    #[error("the label template fails for {resource}")]
    Template {
        /// Singular name.
        resource: String,
        /// What the template says.
        source: go::template::Error,
    },
    /// It gives no text.
    #[error("the label template gives an empty label for {0}")]
    Empty(String),
}

impl Association {
    /// Whether some label stands for the namespace, as far as can be said without a cluster.
    pub fn maps_namespaces(&self) -> bool {
        self.maps(&["namespace", "namespaces"])
    }

    /// Whether an override names the core resource called one of `names`, or the template can.
    pub(super) fn maps(&self, names: &[&str]) -> bool {
        let by_override = self.overrides.iter().any(|o| o.is_core(names));
        let singular = names.first().copied().unwrap_or_default();
        let label = || {
            self.template
                .as_ref()
                .map(|template| template.label_for("", singular))
        };
        by_override || label().is_some_and(|label| label.is_ok())
    }

    /// `None` where `report` has an error about it.
    pub(super) fn compile(
        raw: &RawResources,
        path: &str,
        report: &mut Report<'_>,
    ) -> Option<Association> {
        let path = format!("{path}.resources");
        let overrides: Vec<Option<Override>> = raw
            .overrides
            .iter()
            .map(|raw| Override::compile(raw, &path, report))
            .collect();
        let template = match raw
            .template
            .as_ref()
            .filter(|template| !template.text.is_empty())
        {
            Some(text) => Some(LabelTemplate::compile(
                text,
                &format!("{path}.template"),
                report,
            )?),
            None => None,
        };
        Some(Association {
            overrides: overrides.into_iter().collect::<Option<_>>()?,
            template,
            namespaced: raw.namespaced.unwrap_or(true),
        })
    }
}

impl Association {
    /// What the file says of this label.
    pub fn override_of(&self, label: &str) -> Option<&Override> {
        self.overrides.iter().find(|it| it.label == label)
    }
}

impl Override {
    /// Whether it may mean the core resource called one of `names`.
    pub fn is_core(&self, names: &[&str]) -> bool {
        let resource = self.resource.to_lowercase();
        self.group.is_empty() && names.contains(&resource.as_str())
    }

    fn compile(raw: &RawOverride, path: &str, report: &mut Report<'_>) -> Option<Override> {
        let text = |field: &Option<Located>| field.clone().unwrap_or_default();
        let (group, resource) = (text(&raw.group), text(&raw.resource));
        if resource.text.is_empty() {
            let path = format!("{path}.overrides.{}", raw.label.text);
            let message = format!("the label {} has no `resource`", quoted(&raw.label.text));
            let help = "name the resource, singular or plural, as `{resource: pod}` or \
                        `{group: apps, resource: deployment}`";
            let span = raw.label.span.clone();
            report.error(
                Code::OverrideResource,
                span,
                &path,
                message,
                help.to_owned(),
            );
            return None;
        }
        Some(Override {
            label: raw.label.text.clone(),
            group: group.text,
            resource: resource.text,
            line: report.line(&raw.label.span),
            span: resource.span,
            label_span: raw.label.span.clone(),
        })
    }
}

impl LabelTemplate {
    /// The group and resource that `label` names, as texts; `None` where the template does not fit.
    /// Go never turns the underscores of a group back into dots.
    pub fn resource_of(&self, label: &str) -> Option<(String, String)> {
        let captures = self.regex.captures(label)?;
        let text = |index| {
            captures
                .get(index)
                .map_or("", |found| found.as_str())
                .to_owned()
        };
        Some((
            self.group.map(text).unwrap_or_default(),
            text(self.resource),
        ))
    }

    /// The label of a resource, given its group and singular name.
    ///
    /// # Errors
    /// Where the template cannot be executed or gives no text.
    pub fn label_for(&self, group: &str, singular: &str) -> Result<String, LabelError> {
        let label = self
            .template
            .render(&group.replace(['.', '-'], "_"), singular)
            .map_err(|source| LabelError::Template {
                resource: singular.to_owned(),
                source,
            })?;
        if label.is_empty() {
            return Err(LabelError::Empty(singular.to_owned()));
        }
        Ok(label)
    }

    fn compile(text: &Located, path: &str, report: &mut Report<'_>) -> Option<LabelTemplate> {
        let parsed = go::template::LabelTemplate::parse(&text.text);
        let template = parsed
            .map_err(|error| template_error(text, &error, None, path, FIELDS, report))
            .ok()?;
        // The template, filled with patterns, is the pattern of the labels (lbl_res.go).
        let filled = template.render("(?P<group>.+?)", "(?P<resource>.+?)");
        let at = template.lint().first().map(|lint| lint.position.offset);
        let filled = filled
            .map_err(|error| template_error(text, &error, at, path, FIELDS, report))
            .ok()?;
        let mut refuse = |message: String, help: &str| {
            report.error(
                Code::LabelTemplate,
                text.span.clone(),
                path,
                message,
                help.to_owned(),
            );
        };
        let example = "write it with <<.Resource>>, as `kube_<<.Resource>>`";
        if filled.is_empty() {
            refuse("this label template gives an empty label".into(), example);
            return None;
        }
        let pattern = format!("^{filled}$");
        let regex = match go::regex::compile(&pattern) {
            Ok(regex) => regex,
            Err(error) => {
                let error = regex_error(&error);
                let help = regex_help(&error).unwrap_or(example);
                refuse(
                    format!("the labels of this template are no regular expression: {error}"),
                    help,
                );
                return None;
            }
        };
        // Go takes the last of several groups with one name.
        let number = |wanted: &str| {
            let named = go::regex::group_names(&regex).enumerate();
            named
                .filter(|(_, name)| *name == wanted)
                .map(|(number, _)| number)
                .last()
        };
        let Some(resource) = number("resource") else {
            refuse(
                "a label template must contain <<.Resource>>".into(),
                example,
            );
            return None;
        };
        Some(LabelTemplate {
            span: text.span.clone(),
            group: number("group"),
            resource,
            template,
            regex,
        })
    }
}
