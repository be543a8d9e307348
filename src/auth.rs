//! Who asks, and whether they may: delegated to the cluster, as every aggregated API server does
//! it.
//!
//! The chain of `k8s.io/apiserver/pkg/authentication/authenticatorfactory/delegating.go`: a front
//! proxy with a certificate names the user in headers; else a client certificate is the user; else
//! a bearer token is reviewed by the API server; else the caller is anonymous. Credentials that are
//! shown and wrong are refused, never anonymous. Then the API server reviews whether that user may
//! do this.
//!
//! Promises: a header that names a user is believed only behind a verified certificate; a review
//! that fails allows nothing and is not remembered; two equal questions at one time are one review.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;

use crate::kubernetes::{self, Client};
use crate::telemetry::{Reviews, with_causes};

mod access;
mod cache;
mod identity;
mod impersonation;
mod trust;

pub use trust::{Follower, Sources, Trust};

use access::Access;
use cache::{Cache, digest};

/// Every user of the cluster.
const AUTHENTICATED: &str = "system:authenticated";
/// Everybody else.
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

/// Whether anybody is asked who they are.
#[derive(Debug)]
pub enum Auth {
    /// Nobody: without a cluster, on loopback only.
    Off,
    /// Everybody, and the cluster answers.
    Delegated(Box<Delegated>),
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:kube-system:horizontal-pod-autoscaler`
    pub name: String,
    /// Tells users of one name apart over time; empty: not known.
    pub uid: String,
    /// `system:masters`, …
    pub groups: Vec<String>,
    /// Whatever else is known, by lower-case key.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What somebody wants to do: `RequestInfo` of k8s.io/apiserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create` … for resources; the method in lower case otherwise.
    pub verb: String,
    /// The path as the client wrote it.
    pub path: String,
    /// Set where the path names a resource in an API group; otherwise authorization is about
    /// [`path`](Self::path).
    pub resource: Option<ResourceAttributes>,
}

/// The resource a path names. Absent parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    /// API group: `custom.metrics.k8s.io`.
    pub group: String,
    /// Version: `v1beta2`.
    pub version: String,
    /// Namespace.
    pub namespace: String,
    /// Resource: `pods`, `deployments.apps`; for external metrics the metric.
    pub resource: String,
    /// For custom metrics the metric.
    pub subresource: String,
    /// Object name, or `*`.
    pub name: String,
}

/// Why a request is not answered.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The caller shows credentials that prove nothing.
    #[error("Unauthorized")]
    Unauthorized,
    /// The caller may not do this.
    #[error("{}", access::forbidden(.user, .attributes, .reason))]
    Forbidden {
        /// The user's name.
        user: String,
        /// What is forbidden.
        attributes: Box<Attributes>,
        /// What the cluster says about it, where it says something.
        reason: String,
    },
    /// The headers ask to act as somebody without saying who.
    #[error("requested {0} without impersonating a user")]
    Impersonation(&'static str),
    /// Nobody knows: the review failed.
    #[error("the access review failed: {0}")]
    Review(Arc<kubernetes::Error>),
    /// Nobody is asked: too many reviews are under way or waited for.
    #[error("too many reviews are under way")]
    Busy,
}

/// How long answers hold, and what needs none.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of a token review.
    pub token_ttl: Duration,
    /// Of an access review that says yes.
    pub allowed_ttl: Duration,
    /// Of one that says no.
    pub denied_ttl: Duration,
    /// Paths that anybody may get; a trailing `*` stands for anything.
    pub always_allow_paths: Vec<String>,
    /// Whether to ask for a whole API group first (`--authorization-broad-checks`).
    pub broad_checks: bool,
}

/// Authentication and authorization by a cluster.
#[derive(Debug)]
pub struct Delegated {
    trust: Arc<Trust>,
    authenticator: Arc<Client>,
    tokens: Arc<Cache<Option<User>>>,
    token_ttl: Duration,
    access: Access,
}

impl Auth {
    /// Who asks; with an `Impersonate-User` header, as whom.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'static>],
    ) -> Result<User, Refusal> {
        match self {
            Auth::Off => Ok(User::anonymous()),
            Auth::Delegated(delegated) => {
                let user = delegated.authenticate(headers, certificates).await?;
                impersonation::act_as(user, headers, &delegated.access).await
            }
        }
    }

    /// Whether they may.
    pub async fn allow(&self, user: &User, attributes: &Attributes) -> Result<(), Refusal> {
        match self {
            Auth::Off => Ok(()),
            Auth::Delegated(delegated) => delegated.access.allow(user, attributes).await,
        }
    }

    /// Whether nobody is known at the other end of the connection: its client shows no credentials,
    /// or such as are `refused`. Never so of a front proxy, which speaks for everybody.
    pub fn is_stranger(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'static>],
        refused: bool,
    ) -> bool {
        let Auth::Delegated(delegated) = self else {
            return false;
        };
        if certificates.is_empty() {
            return refused || identity::bearer(headers).is_none();
        }
        // Before it is known whom to believe, it may be a front proxy.
        let trust = &delegated.trust;
        refused && trust.is_known() && !trust.current().is_proxy(certificates, UnixTime::now())
    }

    /// Whether it is known whom to believe.
    pub fn is_ready(&self) -> bool {
        match self {
            Auth::Off => true,
            Auth::Delegated(delegated) => delegated.trust.is_known(),
        }
    }
}

impl Delegated {
    /// Asks `authenticator` about tokens and `authorizer` about access, which `reviews` counts;
    /// believes `trust`.
    pub fn new(
        trust: Arc<Trust>,
        authenticator: Arc<Client>,
        authorizer: Arc<Client>,
        settings: Settings,
        reviews: &Reviews,
    ) -> Delegated {
        Delegated {
            trust,
            authenticator,
            tokens: Arc::new(Cache::new(reviews.tokens.clone(), Option::is_some)),
            token_ttl: settings.token_ttl,
            access: Access::new(authorizer, &settings, &reviews.access),
        }
    }

    async fn authenticate(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'static>],
    ) -> Result<User, Refusal> {
        let by_certificate = self
            .trust
            .current()
            .identify(headers, certificates, UnixTime::now());
        if let Ok(Some(user)) = by_certificate {
            return Ok(user.authenticated());
        }
        if !certificates.is_empty() && !self.trust.is_known() {
            // Nobody can judge it yet, and its holder is not anonymous.
            return Err(Refusal::Unauthorized);
        }
        let by_token = match identity::bearer(headers) {
            Some(token) => self.token_user(token).await,
            None => Ok(None),
        };
        match (by_certificate, by_token) {
            (_, Ok(Some(user))) => Ok(user.authenticated()),
            (Ok(_), Ok(None)) => Ok(User::anonymous()),
            (Err(error), _) => {
                tracing::debug!(
                    error = with_causes(&error),
                    "a client certificate is refused"
                );
                // It may be one of an authority that is new.
                self.trust.look_again();
                Err(Refusal::Unauthorized)
            }
            (_, Err(refusal)) => Err(refusal),
        }
    }

    /// The user of a bearer token. A review that fails is a refusal, as in Go.
    async fn token_user(&self, token: &[u8]) -> Result<Option<User>, Refusal> {
        let Ok(token) = String::from_utf8(token.to_vec()) else {
            return Err(Refusal::Unauthorized);
        };
        let ttl = self.token_ttl;
        let client = Arc::clone(&self.authenticator);
        let key = digest(token.as_bytes());
        let review = || async move {
            let status = client.review_token(&token).await?;
            if let Some(error) = &status.error {
                tracing::debug!(error, "a bearer token is refused");
            }
            Ok(identity::reviewed(status))
        };
        match self.tokens.get(key, move |_| ttl, review).await {
            Ok(Some(user)) => Ok(Some(user)),
            Ok(None) => Err(Refusal::Unauthorized),
            // The log has it.
            Err(cache::Error::Review(_)) => Err(Refusal::Unauthorized),
            Err(cache::Error::Busy) => Err(Refusal::Busy),
        }
    }
}

impl User {
    fn anonymous() -> User {
        let groups = vec![UNAUTHENTICATED.to_owned()];
        User {
            name: ANONYMOUS.to_owned(),
            groups,
            ..User::default()
        }
    }

    /// The same with the group of all users (`group.AuthenticatedGroupAdder`).
    fn authenticated(mut self) -> User {
        let said = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.name != ANONYMOUS && !self.groups.iter().any(said) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}
