//! Permissions beside the recorded ones, decided as RBAC decides
//! (`plugin/pkg/auth/authorizer/rbac/rbac.go` of Kubernetes).

use serde_json::Value;

/// A rule of a role, bound to one user.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whom it is for.
    pub user: &'static str,
    /// The API group.
    pub group: &'static str,
    /// `get`, `list` …
    pub verbs: &'static [&'static str],
    /// `pods`, `pods/depth`, `*/depth`, `*`
    pub resources: &'static [&'static str],
    /// A role of this namespace; `None`: a cluster role, bound in the whole cluster.
    pub namespace: Option<&'static str>,
}

impl Grant {
    /// Whether it allows what a SubjectAccessReview's spec asks.
    pub(super) fn allows(&self, spec: &Value) -> bool {
        let asked = &spec["resourceAttributes"];
        let of = |key: &str| asked[key].as_str().unwrap_or_default();
        let (resource, subresource) = (of("resource"), of("subresource"));
        let whole = match subresource {
            "" => resource.to_owned(),
            _ => format!("{resource}/{subresource}"),
        };
        let any = format!("*/{subresource}");
        let covers = |rule: &&str| {
            *rule == "*" || **rule == *whole || (!subresource.is_empty() && **rule == *any)
        };
        spec["user"] == self.user
            && asked.is_object()
            && of("group") == self.group
            && self.verbs.contains(&of("verb"))
            && self.resources.iter().any(covers)
            && self.namespace.is_none_or(|it| it == of("namespace"))
    }
}
