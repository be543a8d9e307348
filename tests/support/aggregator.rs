//! A kube-apiserver as its clients see it, with kube-aggregator before one metrics server.
//!
//! `kubectl` and controllers talk to it over TLS. Requests for registered group versions go to the
//! real server behind exactly as `kube-aggregator` sends them, over one HTTP/2 connection; everything
//! else is answered by the [`ApiServer`] that the server behind asks too. Nothing runs by itself: a
//! test says when the aggregator's controllers look ([`probe`](Aggregator::probe),
//! [`fetch`](Aggregator::fetch)), as the real ones do every 30 s and every minute.

mod backend;
mod core;
pub mod discovery;
pub mod escape;
mod front;
pub mod proxy;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::apiserver::ApiServer;
use super::pki::Authority;
use super::poll;
use backend::Backend;
pub use backend::{Answer, Sent, Target};
use discovery::{Discovery, Fetched, GroupVersion};

/// Attempts of one availability check, and the time of each (`remote_available_controller.go`).
const ATTEMPTS: usize = 5;
const ATTEMPT: Duration = Duration::from_secs(5);

/// Somebody whose token the API server knows.
#[derive(Debug)]
pub struct User {
    /// User name.
    pub name: &'static str,
    /// Its uid, or nothing.
    pub uid: &'static str,
    /// The groups.
    pub groups: &'static [&'static str],
    /// Keys and values, several with one key where there are several values.
    pub extra: &'static [(&'static str, &'static str)],
}

/// May do everything.
pub static ADMIN: User = User {
    name: "admin",
    uid: "",
    groups: &["system:masters", "system:authenticated"],
    extra: &[(
        "authentication.kubernetes.io/credential-id",
        "X509SHA256=00",
    )],
};
/// May do nothing of ours.
pub static BOB: User = User {
    name: "bob",
    uid: "4711",
    groups: &["dev", "system:authenticated"],
    extra: &[
        ("example.org/team mates", "anna"),
        ("example.org/team mates", "carl"),
    ],
};
/// The HPA controller, as recorded.
pub static AUTOSCALER: User = User {
    name: "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
    uid: "caaa0796-9d6e-4572-908b-427f2917948c",
    groups: &["system:authenticated"],
    extra: &[(
        "authentication.kubernetes.io/credential-id",
        "JTI=cde46766-716d-4fbe-b82c-7b12167bd49d",
    )],
};

impl User {
    const ALL: [&'static User; 3] = [&ADMIN, &BOB, &AUTOSCALER];

    /// What it shows to the API server.
    pub fn token(&self) -> String {
        format!("token-of-{}", self.name)
    }
}

/// A running aggregator.
pub struct Aggregator {
    /// Signs its own certificate.
    pub authority: Authority,
    address: SocketAddr,
    state: Arc<State>,
    server: Option<AbortOnDropHandle<()>>,
}

struct State {
    tls: TlsAcceptor,
    core: core::Core,
    backend: Backend,
    /// The API services: preferred versions of a group first.
    registered: Vec<GroupVersion>,
    unavailable: Mutex<BTreeSet<GroupVersion>>,
    discovery: tokio::sync::Mutex<Discovery>,
}

impl Aggregator {
    /// Starts one before `target`, which serves each of `registered` (`group/version`, the preferred
    /// version of a group first) and is taken for available until it was probed.
    pub async fn start(api: &ApiServer, target: Target, registered: &[&str]) -> Aggregator {
        let authority = Authority::new("kubernetes");
        let tls = super::tls_acceptor(&authority.server("kube-apiserver"));
        let state = State {
            tls,
            core: core::Core::of(api),
            backend: Backend::new(target),
            registered: registered
                .iter()
                .map(|text| GroupVersion::of(text))
                .collect(),
            unavailable: Mutex::default(),
            discovery: tokio::sync::Mutex::default(),
        };
        let mut aggregator = Aggregator {
            authority,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: Arc::new(state),
            server: None,
        };
        aggregator.resume().await;
        aggregator
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A client with the user's token, over HTTP/2 as client-go.
    pub fn client(&self) -> reqwest::Client {
        super::https_client(&self.authority.pem(), None, true)
    }

    /// A kubeconfig for this user; the authority's certificate must lie beside it as `ca.crt`.
    pub fn kubeconfig(&self, user: &User) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "users": [{"name": "me", "user": {"token": user.token()}}],
            "clusters": [{"name": "here", "cluster": {
                "server": self.url(), "certificate-authority": "ca.crt",
            }}],
        });
        config.to_string()
    }

    /// Ends it, with all of its connections.
    pub async fn stop(&mut self) {
        self.server = None;
        self.state.backend.hang_up().await;
    }

    /// Starts it again where it was.
    pub async fn resume(&mut self) {
        let listener = poll::until(
            "the aggregator's port is free",
            Duration::from_secs(10),
            async || {
                TcpListener::bind(self.address)
                    .await
                    .map_err(|error| error.to_string())
            },
        )
        .await;
        self.address = listener
            .local_addr()
            .expect("a bound socket must have an address");
        self.state.backend.wake();
        let server = tokio::spawn(front::accept(listener, Arc::clone(&self.state)));
        self.server = Some(AbortOnDropHandle::new(server));
    }

    /// Checks once whether each registered version is available, as the availability controller does:
    /// several attempts at the same time, of which one must succeed. Gives those that are not.
    pub async fn probe(&self) -> BTreeSet<String> {
        let mut failed = BTreeSet::new();
        for name in &self.state.registered {
            let GroupVersion { group, version } = name;
            let path = format!("/apis/{group}/{version}");
            let headers = [
                ("user-agent", "Go-http-client/2.0"),
                ("x-remote-user", "system:kube-aggregator"),
                ("x-remote-group", "system:masters"),
                ("accept-encoding", "gzip"),
            ];
            let attempts = (0..ATTEMPTS)
                .map(|_| tokio::time::timeout(ATTEMPT, self.state.backend.get(&path, &headers)));
            let mut attempts: FuturesUnordered<_> = attempts.collect();
            let mut available = false;
            while let Some(attempt) = attempts.next().await {
                available = matches!(attempt, Ok(Ok(answer)) if answer.status.is_success());
                if available {
                    break;
                }
            }
            let mut unavailable = self.state.unavailable();
            if available {
                unavailable.remove(name);
            } else {
                unavailable.insert(name.clone());
                failed.insert(format!("{group}/{version}"));
            }
        }
        failed
    }

    /// Fetches the server's discovery document once, as a current aggregator does.
    pub async fn fetch(&self) -> Fetched {
        self.fetch_as(discovery::ACCEPT).await
    }

    /// As [`fetch`](Self::fetch), with an `Accept` of its own.
    pub async fn fetch_as(&self, accept: &str) -> Fetched {
        let State {
            backend,
            registered,
            ..
        } = &*self.state;
        let mut discovery = self.state.discovery.lock().await;
        discovery.fetch(backend, registered, accept).await
    }

    /// GET of a path and query as they stand, with these headers alone, on the front proxy's
    /// connection.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        match self.state.backend.get(target, headers).await {
            Ok(answer) => answer,
            Err(reason) => panic!("{target}: {reason}"),
        }
    }

    /// Every request to the server behind since the last call, in the order they left.
    pub fn take_sent(&self) -> Vec<Sent> {
        self.state.backend.take_sent()
    }

    /// How many connections to the server behind were ever begun.
    pub fn connections(&self) -> usize {
        self.state.backend.dialed()
    }
}

impl State {
    fn unavailable(&self) -> std::sync::MutexGuard<'_, BTreeSet<GroupVersion>> {
        self.unavailable
            .lock()
            .expect("no holder of this lock may panic")
    }

    fn is_available(&self, name: &GroupVersion) -> bool {
        !self.unavailable().contains(name)
    }

    /// Each registered group once, in order.
    fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.registered.iter().map(|it| it.group.as_str()).collect();
        groups.dedup();
        groups
    }

    /// The registered version that a path is about, if it goes to the server behind.
    fn concerned(&self, segments: &[&str]) -> Option<&GroupVersion> {
        let (group, version) = match segments {
            ["apis", group, version, ..] | ["openapi", "v3", "apis", group, version] => {
                (group, version)
            }
            _ => return None,
        };
        let mut registered = self.registered.iter();
        registered.find(|name| name.group == *group && name.version == *version)
    }
}
