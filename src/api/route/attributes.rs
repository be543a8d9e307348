//! What authorization is asked about a request: `RequestInfo` of k8s.io/apiserver
//! (`endpoints/request/requestinfo.go`), with its special cases, because RBAC rules are written
//! against them.

use std::borrow::Cow;

use super::fields;
use super::query::Query;
use crate::auth::{Attributes, ResourceAttributes};

impl Attributes {
    /// A path that names no resource.
    pub(super) fn of_path(method: &str, path: &str) -> Attributes {
        Attributes {
            verb: method.to_ascii_lowercase(),
            path: path.to_owned(),
            resource: None,
        }
    }

    pub(super) fn new(
        method: &str,
        path: &str,
        segments: &[Cow<'_, str>],
        query: &Query,
    ) -> Attributes {
        let mut found = Attributes::of_path(method, path);
        let [prefix, group, version, parts @ ..] = segments else {
            return found;
        };
        if prefix != "apis" || parts.is_empty() {
            return found;
        }
        let mut asked = ResourceAttributes {
            group: group.to_string(),
            version: version.to_string(),
            ..ResourceAttributes::default()
        };
        let (verb, parts) = verb(method, parts);
        found.verb = verb.to_owned();
        let parts = match parts {
            // `status` and `finalize` are subresources of the namespace itself.
            [first, namespace, rest @ ..] if first == "namespaces" => {
                asked.namespace = namespace.to_string();
                match rest {
                    [] => parts,
                    [sub, ..] if sub == "status" || sub == "finalize" => parts,
                    _ => rest,
                }
            }
            _ => parts,
        };
        let part = |at: usize| parts.get(at).map(ToString::to_string).unwrap_or_default();
        (asked.resource, asked.name) = (part(0), part(1));
        if found.verb != "proxy" {
            asked.subresource = part(2);
        }
        if asked.name.is_empty() {
            match found.verb.as_str() {
                "get" => found.verb = asked.list_verb(query).to_owned(),
                "delete" => found.verb = "deletecollection".to_owned(),
                _ => {}
            }
        }
        found.resource = Some(asked);
        found
    }
}

impl ResourceAttributes {
    /// A list without a name takes the name from a field selector that demands exactly one.
    fn list_verb(&mut self, query: &Query) -> &'static str {
        let text = query.get("fieldSelector").unwrap_or_default();
        if let Ok(fields) = fields::parse(text)
            && let Some(name) = fields::exact_name(&fields)
            && is_path_segment(name)
        {
            self.name = name.to_owned();
        }
        if query.watch() { "watch" } else { "list" }
    }
}

/// Verb of the method, unless the path begins with a verb of its own (`watch/`, `proxy/`).
fn verb<'a, 'b>(method: &str, parts: &'b [Cow<'a, str>]) -> (&'static str, &'b [Cow<'a, str>]) {
    match parts {
        [first, rest @ ..] if first == "watch" && !rest.is_empty() => ("watch", rest),
        [first, rest @ ..] if first == "proxy" && !rest.is_empty() => ("proxy", rest),
        _ => {
            let verb = match method {
                "POST" => "create",
                "GET" | "HEAD" => "get",
                "PUT" => "update",
                "PATCH" => "patch",
                "DELETE" => "delete",
                _ => "",
            };
            (verb, parts)
        }
    }
}

/// `IsValidPathSegmentName` of k8s.io/apimachinery.
fn is_path_segment(name: &str) -> bool {
    name != "." && name != ".." && !name.contains(['/', '%'])
}
