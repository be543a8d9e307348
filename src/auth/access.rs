//! Whether a user may do something: a group that always may, paths that anybody may get, and the
//! cluster's word for the rest (`k8s.io/apiserver/pkg/server/options/authorization.go`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes as ReviewedResource, SubjectAccessReviewSpec,
};

use super::cache::{Cache, digest};
use super::{Attributes, Refusal, User};
use crate::kubernetes::Client;
use crate::telemetry::with_causes;

/// The group that may do everything, whatever the cluster's roles say.
const MASTERS: &str = "system:masters";

/// Asks and remembers.
#[derive(Debug)]
pub(super) struct Access {
    client: Arc<Client>,
    always: AlwaysAllowed,
    decisions: Arc<Cache<Decision>>,
    allowed_ttl: Duration,
    denied_ttl: Duration,
}

#[derive(Clone, Debug)]
struct Decision {
    allowed: bool,
    reason: String,
}

/// Paths that need no permission.
#[derive(Debug, Default)]
pub(super) struct AlwaysAllowed {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl AlwaysAllowed {
    /// A trailing `*` stands for anything (`authorizerfactory/path.go`).
    pub(super) fn new(paths: &[String]) -> AlwaysAllowed {
        let mut always = AlwaysAllowed::default();
        for path in paths {
            let path = path.strip_prefix('/').unwrap_or(path);
            match path.strip_suffix('*') {
                Some(prefix) => always.prefixes.push(prefix.to_owned()),
                None => always.exact.push(path.to_owned()),
            }
        }
        always
    }

    /// Only paths that name no resource are ever free.
    fn holds(&self, attributes: &Attributes) -> bool {
        let path = attributes
            .path
            .strip_prefix('/')
            .unwrap_or(&attributes.path);
        attributes.resource.is_none()
            && (self.exact.iter().any(|exact| exact == path)
                || self.prefixes.iter().any(|prefix| path.starts_with(prefix)))
    }
}

impl Access {
    pub(super) fn new(
        client: Arc<Client>,
        always: AlwaysAllowed,
        allowed_ttl: Duration,
        denied_ttl: Duration,
    ) -> Access {
        Access {
            client,
            always,
            decisions: Arc::default(),
            allowed_ttl,
            denied_ttl,
        }
    }

    /// `Ok` only where somebody said yes.
    pub(super) async fn allow(&self, user: &User, attributes: &Attributes) -> Result<(), Refusal> {
        if user.groups.iter().any(|group| group == MASTERS) || self.always.holds(attributes) {
            return Ok(());
        }
        let decision = self.decide(spec(user, attributes)).await?;
        if decision.allowed {
            return Ok(());
        }
        Err(Refusal::Forbidden {
            user: user.name.clone(),
            attributes: Box::new(attributes.clone()),
            reason: decision.reason,
        })
    }

    async fn decide(&self, spec: SubjectAccessReviewSpec) -> Result<Decision, Refusal> {
        let question = serde_json::to_vec(&spec).expect("maps with text as keys must be JSON");
        let client = Arc::clone(&self.client);
        let review = async move {
            let status = client.review_access(spec).await?;
            // `denied` beside `allowed` is a contradiction: then nobody may.
            let allowed = status.allowed && status.denied != Some(true);
            Ok(Decision {
                allowed,
                reason: status.reason.unwrap_or_default(),
            })
        };
        let (allowed, denied) = (self.allowed_ttl, self.denied_ttl);
        let ttl = move |decision: &Decision| if decision.allowed { allowed } else { denied };
        let decision = self.decisions.get(digest(&question), ttl, review).await;
        decision.map_err(|error| {
            tracing::warn!(error = with_causes(&*error), "an access review failed");
            Refusal::Review(error)
        })
    }
}

/// What the cluster is asked. Absent parts are left out, as Go does.
fn spec(user: &User, attributes: &Attributes) -> SubjectAccessReviewSpec {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let verb = given(&attributes.verb);
    let (resource, path) = match &attributes.resource {
        Some(it) => {
            let resource = ReviewedResource {
                namespace: given(&it.namespace),
                verb,
                group: given(&it.group),
                version: given(&it.version),
                resource: given(&it.resource),
                subresource: given(&it.subresource),
                name: given(&it.name),
                ..ReviewedResource::default()
            };
            (Some(resource), None)
        }
        None => (
            None,
            Some(NonResourceAttributes {
                path: given(&attributes.path),
                verb,
            }),
        ),
    };
    SubjectAccessReviewSpec {
        user: given(&user.name),
        uid: given(&user.uid),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        resource_attributes: resource,
        non_resource_attributes: path,
    }
}

/// What a refused user reads (`responsewriters.Forbidden`, `NewForbidden`).
pub(super) fn forbidden(user: &str, attributes: &Attributes, reason: &str) -> String {
    let verb = &attributes.verb;
    let (what, message) = match &attributes.resource {
        None => (
            "forbidden".to_owned(),
            format!("path {:?}", attributes.path),
        ),
        Some(it) => {
            let kind = match it.group.as_str() {
                "" => it.resource.clone(),
                group => format!("{}.{group}", it.resource),
            };
            let what = match it.name.as_str() {
                "" => format!("{kind} is forbidden"),
                name => format!("{kind} {name:?} is forbidden"),
            };
            let resource = match it.subresource.as_str() {
                "" => it.resource.clone(),
                subresource => format!("{}/{subresource}", it.resource),
            };
            let place = match it.namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            (
                what,
                format!("resource {resource:?} in API group {:?} {place}", it.group),
            )
        }
    };
    // The text may be shown by a browser.
    let message = format!("User {user:?} cannot {verb} {message}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    match reason {
        "" => format!("{what}: {message}"),
        reason => format!("{what}: {message}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ResourceAttributes;

    fn path(path: &str) -> Attributes {
        Attributes {
            verb: "get".to_owned(),
            path: path.to_owned(),
            resource: None,
        }
    }

    #[test]
    fn only_the_named_paths_are_free_and_no_resource_ever() {
        let paths = ["/healthz", "/readyz", "/openapi/*"].map(str::to_owned);
        let always = AlwaysAllowed::new(&paths);
        for free in ["/healthz", "/readyz", "/openapi/", "/openapi/v2"] {
            assert!(always.holds(&path(free)), "{free}");
        }
        for other in [
            "/",
            "/readyz/ping",
            "/healthz/",
            "/livez",
            "/%68ealthz",
            "/openapi",
            "",
        ] {
            assert!(!always.holds(&path(other)), "{other}");
        }
        let resource = Some(ResourceAttributes::default());
        assert!(!always.holds(&Attributes {
            resource,
            ..path("/healthz")
        }));
    }

    #[test]
    fn a_refusal_reads_as_gos() {
        let resource = ResourceAttributes {
            group: "custom.metrics.k8s.io".to_owned(),
            namespace: "shop".to_owned(),
            resource: "pods".to_owned(),
            subresource: "depth".to_owned(),
            name: "*".to_owned(),
            ..ResourceAttributes::default()
        };
        let of = |resource| Attributes {
            resource: Some(resource),
            ..path("/x")
        };
        assert_eq!(
            forbidden("bob", &of(resource.clone()), "no role"),
            "pods.custom.metrics.k8s.io \"*\" is forbidden: User \"bob\" cannot get resource \
             \"pods/depth\" in API group \"custom.metrics.k8s.io\" in the namespace \"shop\": no \
             role"
        );
        let node = ResourceAttributes {
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
            ..resource
        };
        assert_eq!(
            forbidden("<b>", &of(node), ""),
            "pods.custom.metrics.k8s.io is forbidden: User \"&lt;b&gt;\" cannot get resource \
             \"pods\" in API group \"custom.metrics.k8s.io\" at the cluster scope"
        );
        let text = forbidden("bob", &path("/metrics"), "");
        assert_eq!(text, "forbidden: User \"bob\" cannot get path \"/metrics\"");
    }

    #[test]
    fn what_is_not_known_is_not_asked_about() {
        let user = User {
            name: "bob".to_owned(),
            ..User::default()
        };
        let asked = serde_json::to_value(spec(&user, &path("/metrics"))).unwrap();
        let expected = serde_json::json!({
            "user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        });
        assert_eq!(asked, expected);
    }
}
