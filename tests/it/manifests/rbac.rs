//! What a service account may, by the roles that manifests give it and those that every cluster has.

use hyper::Method;
use serde_json::{Value, json};

use super::{list, of_kind, text};
use crate::support::apiserver::Call;

/// One thing that somebody wants to do, as RBAC sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something with a resource.
    Resource {
        verb: String,
        group: String,
        /// With `/subresource`.
        resource: String,
        namespace: Option<String>,
        name: Option<String>,
    },
    /// GET of another path.
    Path(String),
}

/// A rule and where it holds: everywhere, or in one namespace.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) rule: Value,
    pub(super) namespace: Option<String>,
}

impl Wish {
    /// As kube-apiserver reads a request (`endpoints/request/requestinfo.go`).
    pub(super) fn of(call: &Call) -> Wish {
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        let (group, mut rest) = match parts.as_slice() {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Wish::Path(call.path.clone()),
        };
        let mut namespace = None;
        if let ["namespaces", name, inner @ ..] = rest
            && !inner.is_empty()
        {
            (namespace, rest) = (Some((*name).to_owned()), inner);
        }
        let parameter = |name: &str| {
            let found = call.query.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        // A list of one object by its name asks for that name.
        let selected = parameter("fieldSelector").and_then(|it| it.strip_prefix("metadata.name="));
        let (name, subresource) = match rest {
            [_] => (selected, None),
            [_, name] => (Some(*name), None),
            [_, name, subresource, ..] => (Some(*name), Some(*subresource)),
            [] => (None, None),
        };
        let verb = match (call.method.as_str(), rest.len(), parameter("watch")) {
            ("GET", 1, Some("true" | "1")) => "watch",
            ("GET", 1, _) => "list",
            ("GET", _, _) => "get",
            ("POST", _, _) => "create",
            ("PATCH", _, _) => "patch",
            _ => "update",
        };
        let resource = [rest.first().copied(), subresource];
        Wish::Resource {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.into_iter().flatten().collect::<Vec<_>>().join("/"),
            namespace,
            name: name.map(str::to_owned),
        }
    }
}

impl Grant {
    /// Whether this rule is enough (`plugin/pkg/auth/authorizer/rbac`).
    pub(super) fn allows(&self, wish: &Wish) -> bool {
        let has = |field: &str, wanted: &str| {
            let entries = self.rule[field].as_array().into_iter().flatten();
            entries.map(text).any(|it| it == "*" || it == wanted)
        };
        match wish {
            Wish::Path(path) => {
                let entries = self.rule["nonResourceURLs"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let matches = |it: &str| match it.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => it == path,
                };
                self.namespace.is_none() && has("verbs", "get") && entries.map(text).any(matches)
            }
            Wish::Resource {
                verb,
                group,
                resource,
                namespace,
                name,
            } => {
                let names = &self.rule["resourceNames"];
                let named = names.is_null()
                    || name
                        .as_ref()
                        .is_some_and(|it| list(names).contains(&it.as_str().into()));
                let here = self.namespace.is_none() || self.namespace == *namespace;
                here && named
                    && has("verbs", verb)
                    && has("apiGroups", group)
                    && has("resources", resource)
            }
        }
    }
}

/// What every authenticated user may, and the roles that the manifests refer to without having them
/// (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).
fn builtin(role: &str) -> Vec<Value> {
    match role {
        "system:discovery" => vec![json!({"verbs": ["get"], "nonResourceURLs": [
            "/livez", "/readyz", "/healthz", "/version", "/version/",
            "/openapi", "/openapi/*", "/api", "/api/*", "/apis", "/apis/*",
        ]})],
        "system:auth-delegator" => vec![
            json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"],
                "resources": ["tokenreviews"]}),
            json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                "resources": ["subjectaccessreviews"]}),
        ],
        "extension-apiserver-authentication-reader" => {
            vec![json!({"verbs": ["get", "list", "watch"], "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": ["extension-apiserver-authentication"]})]
        }
        _ => panic!("no role {role}"),
    }
}

/// What every metrics adapter is given: discovery, reviews, and the authentication ConfigMap.
pub(super) fn standard() -> Vec<Grant> {
    let reader = builtin("extension-apiserver-authentication-reader");
    let mut grants = given(&builtin("system:discovery"), None);
    grants.extend(given(&builtin("system:auth-delegator"), None));
    grants.extend(given(&reader, Some("kube-system")));
    grants
}

/// Everything that the service account of these objects' Deployment was given.
pub(super) fn grants(objects: &[Value], namespace: &str, account: &str) -> Vec<Grant> {
    let mut grants = given(&builtin("system:discovery"), None);
    for kind in ["ClusterRoleBinding", "RoleBinding"] {
        for binding in of_kind(objects, kind) {
            let ours = list(&binding["subjects"])
                .iter()
                .any(|it| it["name"] == account && it["namespace"] == namespace);
            if ours {
                let inside = binding["metadata"]["namespace"].as_str();
                grants.extend(given(&rules(objects, &binding["roleRef"]), inside));
            }
        }
    }
    grants
}

/// These rules, everywhere or in one namespace.
pub(super) fn given(rules: &[Value], namespace: Option<&str>) -> Vec<Grant> {
    let namespace = namespace.map(str::to_owned);
    let grant = |rule: &Value| Grant {
        rule: rule.clone(),
        namespace: namespace.clone(),
    };
    rules.iter().map(grant).collect()
}

fn rules(objects: &[Value], role: &Value) -> Vec<Value> {
    let roles = of_kind(objects, text(&role["kind"])).into_iter();
    let mut named = roles.filter(|it| it["metadata"]["name"] == role["name"]);
    match named.next() {
        Some(role) => list(&role["rules"]).to_vec(),
        None => builtin(text(&role["name"])),
    }
}

/// What the reference tables of role-based access say, in small.
#[test]
fn the_evaluator_allows_what_rbac_allows() {
    let call = |path: &str, query: &[(&str, &str)], body: Value| Call {
        method: if body.is_null() {
            Method::GET
        } else {
            Method::POST
        },
        path: path.to_owned(),
        query: query
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        accept: String::new(),
        body,
    };
    let pods = given(
        &[json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]})],
        None,
    );
    let allows = |grants: &[Grant], call: &Call| grants.iter().any(|it| it.allows(&Wish::of(call)));
    let list_pods = call("/api/v1/namespaces/a/pods", &[], Value::Null);
    assert!(allows(&pods, &list_pods));
    assert!(allows(&pods, &call("/api/v1/pods", &[], Value::Null)));
    assert!(!allows(
        &pods,
        &call("/api/v1/pods", &[("watch", "true")], Value::Null)
    ));
    assert!(!allows(
        &pods,
        &call("/api/v1/namespaces/a/pods/b", &[], Value::Null)
    ));
    assert!(!allows(
        &pods,
        &call("/api/v1/namespaces", &[], Value::Null)
    ));
    assert!(!allows(
        &pods,
        &call("/apis/metrics.k8s.io/v1/pods", &[], Value::Null)
    ));
    let only_in_b = given(std::slice::from_ref(&pods[0].rule), Some("b"));
    assert!(!allows(&only_in_b, &list_pods));
    let reader = given(
        &builtin("extension-apiserver-authentication-reader"),
        Some("kube-system"),
    );
    let maps = "/api/v1/namespaces/kube-system/configmaps";
    let name = "extension-apiserver-authentication";
    let one = format!("metadata.name={name}");
    assert!(allows(
        &reader,
        &call(&format!("{maps}/{name}"), &[], Value::Null)
    ));
    assert!(allows(
        &reader,
        &call(
            maps,
            &[("fieldSelector", &one), ("watch", "1")],
            Value::Null
        )
    ));
    assert!(!allows(&reader, &call(maps, &[], Value::Null)));
    let reviews = given(&builtin("system:auth-delegator"), None);
    let review = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert!(allows(&reviews, &call(review, &[], json!({}))));
    let discovery = given(&builtin("system:discovery"), None);
    assert!(allows(&discovery, &call("/apis/apps/v1", &[], Value::Null)));
    assert!(!allows(&discovery, &call("/metrics", &[], Value::Null)));
}
