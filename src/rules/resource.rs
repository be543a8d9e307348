//! `resourceRules`: what CPU and memory of pods and nodes are made of.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::backend::Names;
use super::file::{RawResourceRule, RawResourceRules};
use super::report::Report;
use super::{Association, Code, Identity, Located, Origin, Query, Terms};
use crate::go;
use crate::prometheus::Partial;

/// `resourceRules`: CPU and memory of pods and nodes.
#[derive(Debug)]
pub struct ResourceRules {
    /// CPU, in cores.
    pub cpu: Arc<ResourceRule>,
    /// Memory, in bytes.
    pub memory: Arc<ResourceRule>,
    /// The window told to clients; no query depends on it.
    pub window: Duration,
}

/// `resourceRules.cpu` or `resourceRules.memory`.
#[derive(Debug)]
pub struct ResourceRule {
    /// Which of the two, and where it begins.
    pub origin: Origin,
    /// The file, where there may be several.
    pub file: Option<Arc<str>>,
    /// How the file itself calls it: `resourceRules.cpu`.
    pub path: &'static str,
    /// What it says.
    pub identity: Identity,
    /// Usage of containers.
    pub container_query: Query,
    /// Usage of nodes.
    pub node_query: Query,
    /// Which labels are the namespace, the pod and the node.
    pub association: Association,
    /// The label that names the container.
    pub container_label: String,
    /// Whom to ask, as in [`Rule::backend`](super::Rule::backend).
    pub backend: usize,
    /// What becomes of answers that the backend calls incomplete.
    pub partial: Partial,
    /// How its queries are asked.
    pub terms: Terms,
}

impl ResourceRules {
    pub(super) fn compile(
        raw: &RawResourceRules,
        names: &Names<'_>,
        file: Option<&Arc<str>>,
        report: &mut Report<'_>,
    ) -> Option<ResourceRules> {
        let mut compile =
            |rule, path| ResourceRule::compile((rule, raw), names, (path, file), report);
        let cpu = compile(&raw.cpu, "resourceRules.cpu");
        let memory = compile(&raw.memory, "resourceRules.memory");
        let window = match &raw.window {
            None => Some(Duration::ZERO),
            Some(window) => go::duration::parse_prometheus(&window.text)
                .map_err(|error| {
                    let help = "write numbers with their units, largest first, as `1m` or `1h30m`";
                    let span = window.span.clone();
                    let message = error.to_string();
                    let field = "resourceRules.window";
                    report.error(Code::InvalidValue, span, field, message, help.to_owned());
                })
                .ok(),
        };
        Some(ResourceRules {
            cpu: Arc::new(cpu?),
            memory: Arc::new(memory?),
            window: window?,
        })
    }
}

impl ResourceRule {
    fn compile(
        (raw, parent): (&RawResourceRule, &RawResourceRules),
        names: &Names<'_>,
        (path, file): (&'static str, Option<&Arc<str>>),
        report: &mut Report<'_>,
    ) -> Option<ResourceRule> {
        let span = raw.span.clone().unwrap_or_else(|| parent.span.clone());
        let missing = Located {
            span: span.clone(),
            ..Located::default()
        };
        let absent = raw.span.is_none();
        let quiet = absent || parent.malformed;
        if absent && !parent.malformed {
            let message = "without this rule no pod and no node has resource metrics";
            let help =
                "add it with `containerQuery`, `nodeQuery`, `containerLabel` and `resources`";
            let help = help.to_owned();
            report.warning(Code::NoResourceRule, span.clone(), path, message, help);
        }
        let association = Association::compile(&raw.resources, path, report);
        let source = names.source(&raw.source, path, report);
        let terms = Terms::compile(&raw.terms, path, report);
        let mut query = |raw: &Option<Located>, field: &str| {
            Query::compile(
                raw.as_ref(),
                &missing,
                quiet,
                &format!("{path}.{field}"),
                report,
            )
        };
        let container_query = query(&raw.container_query, "containerQuery");
        let node_query = query(&raw.node_query, "nodeQuery");
        let container_label = raw.container_label.clone().unwrap_or_default().text;
        let origin = Origin {
            rule: file.map_or_else(|| path.to_owned(), |file| format!("{file}:{path}")),
            line: report.line(&span),
        };
        if let (Some(association), false) = (&association, quiet) {
            let span = raw.resources.span.clone().unwrap_or(span);
            check_resource_labels(association, &container_label, span, path, report);
        }
        let (backend, partial) = source?;
        let (container_query, node_query) = (container_query?, node_query?);
        if let Some(enforced) = names.enforced(backend) {
            let field = format!("{path}.containerQuery");
            enforced.check_query(&container_query, &field, report);
            enforced.check_query(&node_query, &format!("{path}.nodeQuery"), report);
        }
        Some(ResourceRule {
            origin,
            file: file.cloned(),
            path,
            identity: Identity::of_resource(path, raw),
            container_query,
            node_query,
            association: association?,
            container_label,
            backend,
            partial,
            terms: terms?,
        })
    }
}

fn check_resource_labels(
    association: &Association,
    container_label: &str,
    span: Range<usize>,
    path: &str,
    report: &mut Report<'_>,
) {
    for (kind, plural) in [
        ("namespace", "namespaces"),
        ("pod", "pods"),
        ("node", "nodes"),
    ] {
        if !association.maps(&[kind, plural]) {
            let message = format!("no label is mapped to the {kind}: asks that need it fail");
            let help = format!("add `overrides: {{{kind}: {{resource: {kind}}}}}`");
            let code = match kind {
                "namespace" => Code::NoNamespaceLabel,
                _ => Code::NoResourceLabel,
            };
            let field = format!("{path}.resources");
            report.warning(code, span.clone(), &field, message, help);
        }
    }
    if container_label.is_empty() {
        let message = "there is no `containerLabel`: containers have no names";
        let help = "add the label that names the container, as `containerLabel: container`";
        report.warning(
            Code::NoContainerLabel,
            span,
            &format!("{path}.containerLabel"),
            message,
            help.to_owned(),
        );
    }
}
