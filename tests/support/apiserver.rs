//! A kube-apiserver, as far as a metrics adapter talks to one, answering as the real one was
//! recorded.
//!
//! It keeps each call, takes one bearer token only, can be stopped and come back at its address,
//! and can misbehave. Who may do what is decided as the recorded cluster's default roles decide it.

mod answers;
mod apiservices;
mod kinds;
mod objects;
mod published;
mod roles;
mod watch;
mod workloads;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use answers::{answer, recorded_trust, refusal};
use apiservices::ApiServices;
use objects::Objects;
pub use roles::Grant;
use watch::{Body, Signal};
pub use watch::{End, Watches};
use workloads::Workloads;

use super::pki::Authority;
use super::poll;
use super::tap::decode;

/// The only credential it takes, until told otherwise.
const TOKEN: &str = "token-of-the-adapter";

/// A bearer token that its token review knows, of `system:serviceaccount:shop:default`.
pub const VALID_TOKEN: &str = "VALID-TOKEN";

/// What it does with a call, after it noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Answers.
    Well,
    /// Never answers.
    Hang,
    /// Answers 500.
    Fail,
    /// Answers 403.
    Forbid,
    /// Closes the connection without a word.
    Close,
    /// Answers with this status and does nothing.
    Refuse(u16),
    /// Answers 200 with an empty object, as a proxy in its place may.
    Nonsense,
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path without the query string.
    pub path: String,
    /// The query's parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// `Accept`.
    pub accept: String,
    /// The body, or null.
    pub body: Value,
}

impl Call {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The same at another path.
    fn at(&self, path: &str) -> Call {
        Call {
            path: path.to_owned(),
            ..self.clone()
        }
    }

    /// What the last part of the path names.
    pub fn plural(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is to say what changes.
    pub fn is_watch(&self) -> bool {
        self.parameter("watch") == Some("true")
    }
}

/// A running API server.
pub struct ApiServer {
    /// Signs its own certificate.
    pub authority: Authority,
    address: SocketAddr,
    state: Arc<State>,
    server: Option<AbortOnDropHandle<()>>,
}

struct State {
    tls: TlsAcceptor,
    world: Mutex<World>,
}

struct World {
    /// By the beginning of the path.
    conduct: Vec<(String, Conduct)>,
    calls: Vec<Call>,
    /// The ConfigMap's data.
    trust: BTreeMap<String, String>,
    /// The ConfigMap's version.
    published: tokio::sync::watch::Sender<u64>,
    /// Group documents beside the recorded ones.
    groups: Vec<Value>,
    /// Does it aggregate its discovery documents?
    aggregates: bool,
    /// Between a call and its answer.
    delay: Duration,
    /// Objects in one answer, at most.
    page: usize,
    apiservices: ApiServices,
    workloads: Workloads,
    grants: Vec<Grant>,
    /// Bearer tokens of callers that its token review does not know any more.
    revoked: Vec<String>,
    token: String,
    objects: Objects,
    watches: Watches,
    /// Between two bookmarks.
    bookmarks: Duration,
    /// Sent at each change of what a watch has to say.
    signal: tokio::sync::watch::Sender<Signal>,
    /// One reference more for each open watch.
    open_watches: Arc<()>,
}

impl ApiServer {
    /// Starts one that trusts `clients` and, as front proxies, what `proxies` signed.
    pub async fn start(clients: &Authority, proxies: &Authority) -> ApiServer {
        let authority = Authority::new("kubernetes");
        let tls = super::tls_acceptor(&authority.server("kube-apiserver"));
        let world = World {
            conduct: Vec::new(),
            calls: Vec::new(),
            trust: BTreeMap::new(),
            published: tokio::sync::watch::Sender::new(1),
            groups: Vec::new(),
            aggregates: true,
            delay: Duration::ZERO,
            page: usize::MAX,
            apiservices: ApiServices::default(),
            workloads: Workloads::default(),
            grants: Vec::new(),
            revoked: Vec::new(),
            token: TOKEN.to_owned(),
            objects: Objects::new(),
            watches: Watches::Served,
            bookmarks: Duration::from_secs(60),
            signal: tokio::sync::watch::Sender::new(Signal {
                ends: (0, End::Proper),
            }),
            open_watches: Arc::new(()),
        };
        let state = Arc::new(State {
            tls,
            world: Mutex::new(world),
        });
        let unbound = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = ApiServer {
            authority,
            address: unbound,
            state,
            server: None,
        };
        server.trust(&[clients], &[proxies]);
        server.resume().await;
        server
    }

    /// Ends it, with all of its connections.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again where it was.
    pub async fn resume(&mut self) {
        let listener = poll::until(
            "the API server's port is free",
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
        let server = tokio::spawn(accept(listener, Arc::clone(&self.state)));
        self.server = Some(AbortOnDropHandle::new(server));
    }

    /// Publishes these authorities of clients and of front proxies.
    pub fn trust(&self, clients: &[&Authority], proxies: &[&Authority]) {
        let pem = |all: &[&Authority]| all.iter().map(|it| it.pem()).collect::<String>();
        let mut trust = recorded_trust();
        trust.insert("client-ca-file".to_owned(), pem(clients));
        trust.insert("requestheader-client-ca-file".to_owned(), pem(proxies));
        self.change_trust(|published| *published = trust);
    }

    /// Puts this in the published ConfigMap, in place of one entry.
    pub fn publish(&self, key: &str, value: &str) {
        self.change_trust(|trust| {
            trust.insert(key.to_owned(), value.to_owned());
        });
    }

    fn change_trust(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut world = self.world();
        change(&mut world.trust);
        world.published.send_modify(|version| *version += 1);
    }

    /// Allows something more.
    pub fn grant(&self, grant: Grant) {
        self.world().grants.push(grant);
    }

    /// From now on nobody has this token.
    pub fn revoke(&self, token: &str) {
        self.world().revoked.push(token.to_owned());
    }

    /// How it treats calls whose path begins so, from now on.
    pub fn conduct(&self, path: &str, conduct: Conduct) {
        let mut world = self.world();
        world.conduct.retain(|(known, _)| known != path);
        world.conduct.push((path.to_owned(), conduct));
    }

    /// Answers at most so many objects at once.
    pub fn page(&self, objects: usize) {
        self.world().page = objects;
    }

    /// Takes this bearer token only, from now on.
    pub fn rotate(&self, token: &str) {
        token.clone_into(&mut self.world().token);
    }

    /// The bearer token that it takes.
    pub fn token(&self) -> String {
        self.world().token.clone()
    }

    /// Gives plain discovery documents only, as before Kubernetes 1.26.
    pub fn do_not_aggregate(&self) {
        self.world().aggregates = false;
    }

    /// Has a kind more, in the group `acme.io`.
    pub fn add_kind(&self, plural: &str, kind: &str) {
        let group = kinds::group("acme.io", plural, kind);
        self.world().groups.push(group);
    }

    /// Has so many groups more, of custom resources of so many kinds.
    pub fn add_groups(&self, groups: usize, kinds: usize) {
        self.world().groups.extend(kinds::crowd(groups, kinds));
    }

    /// Has a group more whose server was never reached.
    pub fn add_unread_group(&self, name: &str) {
        self.world().groups.push(kinds::unread(name));
    }

    /// Has those no more.
    pub fn forget_unread_groups(&self) {
        let is_read = |group: &Value| group["versions"][0]["freshness"] != "Stale";
        self.world().groups.retain(is_read);
    }

    /// Answers each call after so long.
    pub fn delay(&self, delay: Duration) {
        self.world().delay = delay;
    }

    /// Has an APIService, of which `spec` is what matters.
    pub fn add_api_service(&self, name: &str, spec: Value) {
        self.world().apiservices.add(name, spec);
    }

    /// Gives an APIService an annotation.
    pub fn annotate_api_service(&self, name: &str, annotation: &str, value: &str) {
        self.world().apiservices.annotate(name, annotation, value);
    }

    /// The `spec` of an APIService as it is now.
    pub fn api_service(&self, name: &str) -> Value {
        self.world().apiservices.spec(name)
    }

    /// Refuses so many of the next changes of an APIService, because somebody was faster.
    pub fn conflict(&self, changes: usize) {
        self.world().apiservices.conflicts = changes;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call since they were last taken, in order; they stay.
    pub fn seen(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// Every call since the last time, in order.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.world().calls)
    }

    /// What was asked since the last time at a path that ends so, in order.
    pub fn take_reviews(&self, plural: &str) -> Vec<Value> {
        let calls = self
            .take()
            .into_iter()
            .filter(|call| call.path.ends_with(plural));
        calls.map(|call| call.body["spec"].clone()).collect()
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "adapter"}}],
            "users": [{"name": "adapter", "user": {"tokenFile": "token"}}],
            "clusters": [{"name": "here", "cluster": {
                "server": format!("https://{}", self.address), "certificate-authority": "ca.crt",
            }}],
        });
        config.to_string()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.state.world()
    }
}

impl State {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no holder of this lock may panic")
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let Ok(stream) = state.tls.accept(stream).await else {
                return;
            };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(|request| handle(request, Arc::clone(&state)));
            // The error is the misbehaviour that a test asked for, or the adapter going away.
            if http2 {
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            } else {
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

async fn handle(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default()
    };
    let call = Call {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: decode(parts.uri.query().unwrap_or_default().as_bytes()),
        accept: header(ACCEPT).to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (conduct, delay) = {
        let mut world = state.world();
        world.calls.push(call.clone());
        let mut rules = world.conduct.iter().rev();
        let conduct = rules
            .find(|(path, _)| call.path.starts_with(path))
            .map_or(Conduct::Well, |it| it.1);
        (conduct, world.delay)
    };
    // The time of a network and of a busy server, not a wait for anything.
    tokio::time::sleep(delay).await;
    let bearer = format!("Bearer {}", state.world().token);
    let (status, body) = match conduct {
        Conduct::Hang => std::future::pending().await,
        Conduct::Close => return Err(std::io::Error::other("told to close")),
        Conduct::Fail => refusal(500, "etcdserver: leader changed"),
        Conduct::Refuse(status) => refusal(status, "told to refuse"),
        Conduct::Nonsense => (200, json!({})),
        Conduct::Forbid => refusal(403, "User \"adapter\" cannot do this"),
        Conduct::Well if header(AUTHORIZATION) != bearer => refusal(401, "Unauthorized"),
        Conduct::Well if call.path.starts_with(apiservices::PATH) => {
            state.world().apiservices.answer(&call)
        }
        Conduct::Well if call.is_watch() && call.plural() == "configmaps" => {
            return watch::response(200, published::watch(&call, &state));
        }
        Conduct::Well if call.is_watch() && state.world().objects.has_kind(call.plural()) => {
            let (status, body) = watch::answer(&call, &state);
            return watch::response(status, body);
        }
        Conduct::Well => answer(&call, &mut state.world()),
    };
    watch::response(status, full(&body))
}

/// A body that is all there.
fn full(body: &Value) -> Body {
    text(body.to_string())
}

fn text(body: String) -> Body {
    Full::new(Bytes::from(body))
        .map_err(|never| match never {})
        .boxed()
}
