//! Objects that are thought of: names alone, with the labels that a selector asks for.

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::config::explain::Thought;
use crate::kinds::{GroupResource, Kinds};
use crate::kubernetes::standalone::Objects;
use crate::selector::{Operator, Selector};

/// The objects of all of these.
pub(super) fn objects(thoughts: &[Thought]) -> anyhow::Result<Objects> {
    let kinds = Kinds::builtin();
    let mut items = Vec::new();
    for thought in thoughts.iter().filter(|it| !it.names.is_empty()) {
        let asked = GroupResource::parse(&thought.resource);
        let kind = kinds.resource_for(&asked).with_context(|| {
            format!(
                "--name: {} is no kind of a plain Kubernetes; give --standalone with its \
                 CustomResourceDefinition, or --lister-kubeconfig",
                thought.resource
            )
        })?;
        let api_version = match kind.group.as_str() {
            "" => kind.version.clone(),
            group => format!("{group}/{}", kind.version),
        };
        let labels = labels(&thought.selector)?;
        for name in &thought.names {
            if name.is_empty() {
                bail!("--name: an empty name");
            }
            let mut metadata = json!({"name": name, "labels": labels});
            if kind.namespaced {
                metadata["namespace"] = json!(thought.namespace);
            }
            let (version, kind) = (&api_version, &kind.kind);
            items.push(json!({"apiVersion": version, "kind": kind, "metadata": metadata}));
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Ok(Objects::parse(list.to_string().as_bytes())?)
}

/// Labels that a selector selects.
fn labels(selector: &str) -> anyhow::Result<Value> {
    let selector = Selector::parse(selector).context("-l")?;
    let mut labels = json!({});
    for requirement in selector.requirements() {
        let value = match (requirement.operator, requirement.values.first()) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, Some(value)) => {
                value.clone()
            }
            (Operator::Exists, _) => String::new(),
            (Operator::GreaterThan, Some(bound)) => shifted(bound, 1)?,
            (Operator::LessThan, Some(bound)) => shifted(bound, -1)?,
            _ => continue,
        };
        labels[&requirement.key] = json!(value);
    }
    Ok(labels)
}

fn shifted(bound: &str, by: i64) -> anyhow::Result<String> {
    let bound: i64 = bound.parse().context("-l: a bound that is no number")?;
    let value = bound
        .checked_add(by)
        .context("-l: no number is beyond this bound")?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_are_thought_of_are_those_that_the_selector_selects() {
        let selector = "app=web,tier in (front,back),track,!canary,zone!=a,size>3";
        let thought = Thought {
            resource: "pods".to_owned(),
            namespace: "shop".to_owned(),
            names: vec!["web-1".to_owned(), "web-2".to_owned()],
            selector: selector.to_owned(),
        };
        let objects = objects(std::slice::from_ref(&thought)).unwrap();
        let kinds = Kinds::builtin();
        let pods = kinds.resource_for(&GroupResource::core("pods")).unwrap();
        let selector = Selector::parse(selector).unwrap();
        assert_eq!(
            objects.names(pods, Some("shop"), &selector),
            ["web-1", "web-2"]
        );
        assert!(objects.names(pods, Some("bank"), &selector).is_empty());
        let strange = Thought {
            resource: "gauges.acme.io".to_owned(),
            ..thought
        };
        let error = super::objects(&[strange]).unwrap_err().to_string();
        assert!(error.contains("gauges.acme.io"), "{error}");
        assert!(super::objects(&[]).unwrap().is_empty());
    }
}
