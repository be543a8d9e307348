//! Whether a user may do something: a group that always may, paths that anybody may get, and the
//! cluster's word for the rest (`k8s.io/apiserver/pkg/server/options/authorization.go`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes as ReviewedResource, SubjectAccessReviewSpec,
};

use super::cache::{self, Cache, digest};
use super::{Attributes, Refusal, ResourceAttributes, Settings, User};
use crate::kubernetes::Client;
use crate::telemetry::Review;

/// The group that may do everything, whatever the cluster's roles say.
const MASTERS: &str = "system:masters";

/// Answers about more text of the caller's are not kept (`webhook.go`,
/// `maxControlledAttrCacheSize`).
const KEPT_BYTES: usize = 10_000;

/// The name in a broad question: no object's, and in no role's `resourceNames`, so that only a rule
/// without `resourceNames` says yes. An empty name would also match a rule whose `resourceNames` is
/// `[""]`, which grants nothing else.
const ANY_NAME: &str = "tidegauge:any";

/// Asks and remembers.
#[derive(Debug)]
pub(super) struct Access {
    client: Arc<Client>,
    always: AlwaysAllowed,
    broad_checks: bool,
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
struct AlwaysAllowed {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl AlwaysAllowed {
    /// A trailing `*` stands for anything (`authorizerfactory/path.go`).
    fn new(paths: &[String]) -> AlwaysAllowed {
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

impl User {
    /// Whether this user may do everything, unasked, and is not counted either.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

impl Access {
    pub(super) fn new(client: Arc<Client>, settings: &Settings, review: &Review) -> Access {
        Access {
            client,
            always: AlwaysAllowed::new(&settings.always_allow_paths),
            broad_checks: settings.broad_checks,
            decisions: Arc::new(Cache::new(review.clone(), |it: &Decision| it.allowed)),
            allowed_ttl: settings.allowed_ttl,
            denied_ttl: settings.denied_ttl,
        }
    }

    /// `Ok` only where somebody said yes.
    pub(super) async fn allow(&self, user: &User, attributes: &Attributes) -> Result<(), Refusal> {
        if user.is_master() || self.always.holds(attributes) {
            return Ok(());
        }
        // A broad question that fails is not made good by the single one: it would go to the same
        // server, for as long again.
        if self.broad_checks
            && let Some(broad) = broad(attributes)
            && self.decide(user, &broad).await?.allowed
        {
            return Ok(());
        }
        let decision = self.decide(user, attributes).await?;
        if decision.allowed {
            return Ok(());
        }
        Err(Refusal::Forbidden {
            user: user.name.clone(),
            attributes: Box::new(attributes.clone()),
            reason: decision.reason,
        })
    }

    async fn decide(&self, user: &User, attributes: &Attributes) -> Result<Decision, Refusal> {
        let question = digest(&question(user, attributes));
        if let Some(decision) = self.decisions.at_hand(&question) {
            return Ok(decision);
        }
        let spec = spec(user, attributes);
        let client = Arc::clone(&self.client);
        let review = || async move {
            let status = client.review_access(spec).await?;
            // `denied` beside `allowed` is a contradiction: then nobody may.
            let allowed = status.allowed && status.denied != Some(true);
            Ok(Decision {
                allowed,
                reason: status.reason.unwrap_or_default(),
            })
        };
        let kept = attributes.bytes() < KEPT_BYTES;
        let (allowed, denied) = (self.allowed_ttl, self.denied_ttl);
        let ttl = move |decision: &Decision| match decision.allowed {
            _ if !kept => Duration::ZERO,
            true => allowed,
            false => denied,
        };
        let decision = self.decisions.get(question, ttl, review).await;
        decision.map_err(|error| match error {
            cache::Error::Review(error) => Refusal::Review(error),
            cache::Error::Busy => Refusal::Busy,
        })
    }
}

impl Attributes {
    /// Of what the caller chooses freely.
    fn bytes(&self) -> usize {
        let of = |it: &ResourceAttributes| {
            let texts = [&it.group, &it.version, &it.namespace, &it.resource];
            let texts = texts.into_iter().chain([&it.subresource, &it.name]);
            texts.map(String::len).sum()
        };
        let path = self.path.len();
        self.verb.len() + self.resource.as_ref().map_or(path, of)
    }
}

/// Whether the user may do the same to everything in the API group: a yes answers every question
/// about a single thing there, if roles are all that decides (RBAC; the property test has its
/// rules). `None`: the question is not about reading in an API group.
///
/// - resource `*` without a subresource: only a rule for `*` says yes, and that one covers every
///   resource and subresource. With subresource `*`, a rule for `*/*` would say yes, which covers
///   nothing else;
/// - no namespace: only cluster roles that are bound in the whole cluster say yes;
/// - version `*`, which roles do not look at: v1beta1 and v1beta2 are one question.
fn broad(attributes: &Attributes) -> Option<Attributes> {
    let reads = ["get", "list"].contains(&attributes.verb.as_str());
    let asked = attributes
        .resource
        .as_ref()
        .filter(|it| reads && !it.group.is_empty())?;
    let all = ResourceAttributes {
        group: asked.group.clone(),
        version: "*".to_owned(),
        namespace: String::new(),
        resource: "*".to_owned(),
        subresource: String::new(),
        name: ANY_NAME.to_owned(),
    };
    Some(Attributes {
        verb: attributes.verb.clone(),
        path: String::new(),
        resource: Some(all),
    })
}

/// All that an answer depends on, no two questions alike: each text with its length before it, and
/// each list with its own.
fn question(user: &User, attributes: &Attributes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let length = |bytes: &mut Vec<u8>, length: usize| bytes.extend(length.to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        length(bytes, text.len());
        bytes.extend_from_slice(text.as_bytes());
    };
    let texts = |bytes: &mut Vec<u8>, texts: &[String]| {
        length(bytes, texts.len());
        texts.iter().for_each(|it| text(bytes, it));
    };
    text(&mut bytes, &user.name);
    text(&mut bytes, &user.uid);
    texts(&mut bytes, &user.groups);
    length(&mut bytes, user.extra.len());
    for (key, values) in &user.extra {
        text(&mut bytes, key);
        texts(&mut bytes, values);
    }
    text(&mut bytes, &attributes.verb);
    match &attributes.resource {
        Some(it) => {
            let of_resource = [&it.namespace, &it.group, &it.version, &it.resource];
            let parts = of_resource.into_iter().chain([&it.subresource, &it.name]);
            length(&mut bytes, 6);
            parts.for_each(|it| text(&mut bytes, it));
        }
        None => {
            length(&mut bytes, 1);
            text(&mut bytes, &attributes.path);
        }
    }
    bytes
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
mod tests;
