//! The backends: that of the flags, and those of the rules file.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::config::{KubernetesFlags, PrometheusFlags, UpstreamFlags};
use crate::journal::Journal;
use crate::kubernetes::kubeconfig::Secret;
use crate::prometheus::backend::Plan;
use crate::prometheus::{Auth, Backend, Backends, Settings, SetupError};
use crate::promql::Enforcer;
use crate::rules::{AuthSpec, BackendSpec, DEFAULT_BACKEND, Rules};
use crate::samples::Samples;
use crate::telemetry::Metrics;

/// How long one may go on to be asked by what was under way: twice as long as a request or a query
/// may take, for widening looks again, and so much more.
const LAST_ASKS: Duration = Duration::from_secs(10);

/// Backends that no rule asks any more, as long as a request may do that was under way. Then they
/// are closed: the memory for answers lets a key go long after its rows, and would hold the
/// connections of each backend that there ever was.
#[derive(Default)]
pub(super) struct Retired(Vec<(Instant, Arc<Backend>)>);

impl Retired {
    /// Requests that ask it end within `timeout`.
    pub(super) fn add(&mut self, backend: &Arc<Backend>, timeout: Duration) {
        let until = Instant::now() + 2 * timeout.max(backend.timeout()) + LAST_ASKS;
        self.0.push((until, Arc::clone(backend)));
    }

    /// Closes those that nobody asks any more.
    pub(super) fn close(&mut self, samples: &Samples) {
        let now = Instant::now();
        for (_, backend) in self.0.extract_if(.., |(until, _)| *until <= now) {
            // Of requests that were under way: one like it may be in force again.
            samples.forget(&backend);
            backend.close();
        }
    }
}

/// All of them, in the order in which rules know them. Those of `former` that stay as they are are
/// the very same: what is open at them stays counted, and what they answered stays remembered.
///
/// # Errors
/// One cannot be used; the text says which, and why.
pub(crate) fn backends(
    config: UpstreamFlags<'_>,
    rules: &Rules,
    metrics: &Arc<Metrics>,
    journal: Option<&Arc<Journal>>,
    former: &Backends,
) -> anyhow::Result<Backends> {
    let make = |plan: &Plan| -> Result<Arc<Backend>, SetupError> {
        match former.iter().find(|it| it.plan() == plan) {
            Some(same) => Ok(Arc::clone(same)),
            None => {
                let made = Backend::new(plan, Arc::clone(metrics))?;
                let noted = journal.map(|journal| journal.upstream(&plan.name));
                Ok(Arc::new(made.noted(noted)))
            }
        }
    };
    let default = settings(config.prometheus, config.kubernetes);
    let mut backends = vec![make(&plan(config, DEFAULT_BACKEND, vec![default]))?];
    for spec in &rules.backends {
        let replica = |url: &Secret| replica(spec, &url.0, config);
        let mut plan = plan(config, &spec.name, spec.urls.iter().map(replica).collect());
        plan.concurrency = spec.concurrency.unwrap_or(plan.concurrency);
        plan.enforced = Enforcer::new(spec.enforced.clone());
        let backend = make(&plan).with_context(|| {
            forget(&backends, former, metrics, journal);
            let file = spec.file.as_deref().unwrap_or("the rules file");
            let (name, line) = (&spec.name, spec.line);
            format!("the backend {name} (line {line} of {file}) cannot be used")
        })?;
        backends.push(backend);
    }
    Ok(backends)
}

/// Ends the state of those of `gone` whose names none of `stay` has.
pub(super) fn forget(
    gone: &Backends,
    stay: &Backends,
    metrics: &Metrics,
    journal: Option<&Arc<Journal>>,
) {
    let stays = |gone: &Backend| stay.iter().any(|it| it.name() == gone.name());
    for backend in gone.iter().filter(|it| !stays(it)) {
        metrics.forget_backend(backend.name());
        if let Some(journal) = journal {
            journal.forget(backend.name());
        }
    }
}

/// A backend as far as the flags alone say.
fn plan(config: UpstreamFlags<'_>, name: &str, replicas: Vec<Settings>) -> Plan {
    Plan {
        name: name.to_owned(),
        replicas,
        concurrency: config.prometheus.concurrency,
        enforced: Enforcer::default(),
        listing_timeout: config.relist.timeout,
        listing_bytes_max: config.relist.max_response_bytes,
    }
}

/// As many, each of them the one of the flags, held to the matchers of its own.
///
/// # Errors
/// The flags cannot be used.
pub(crate) fn all_one(
    config: UpstreamFlags<'_>,
    rules: &Rules,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Backends> {
    let default = settings(config.prometheus, config.kubernetes);
    let own = |name: &str, enforced| Plan {
        enforced,
        ..plan(config, name, vec![default.clone()])
    };
    let first = own(DEFAULT_BACKEND, Enforcer::default());
    let others = rules.backends.iter();
    let others = others.map(|spec| own(&spec.name, Enforcer::new(spec.enforced.clone())));
    let made = std::iter::once(first)
        .chain(others)
        .map(|plan| Ok(Arc::new(Backend::new(&plan, Arc::clone(metrics))?)));
    made.collect()
}

/// The flags' own.
fn settings(flags: &PrometheusFlags, kubernetes: &KubernetesFlags) -> Settings {
    let (client_cert_file, client_key_file) = flags.client_tls.clone().unzip();
    let auth = match &flags.auth_config {
        Some(path) => Auth::Kubeconfig(path.clone()),
        None if flags.auth_incluster => in_cluster(kubernetes),
        None => Auth::None,
    };
    Settings {
        url: flags.url.clone(),
        verb: flags.verb,
        headers: flags.headers.clone(),
        token_file: flags.token_file.clone(),
        ca_file: flags.ca_file.clone(),
        client_cert_file,
        client_key_file,
        auth,
        timeout: flags.timeout,
        response_bytes_max: flags.max_response_bytes,
        ..Settings::default()
    }
}

/// One replica of a backend of the file. What that leaves open is as the flags say for theirs, but
/// nothing of who we are: no credential goes to a server that it was not given for.
fn replica(spec: &BackendSpec, url: &str, config: UpstreamFlags<'_>) -> Settings {
    let (client_cert_file, client_key_file) = spec.tls.certificate.clone().unzip();
    let flags = config.prometheus;
    let (mut auth, mut basic, mut token_file) = (Auth::None, None, None);
    match &spec.auth {
        AuthSpec::None => {}
        AuthSpec::Basic {
            username,
            password_file,
        } => basic = Some((username.clone(), password_file.clone())),
        AuthSpec::TokenFile(path) => token_file = Some(path.clone()),
        AuthSpec::InCluster => auth = in_cluster(config.kubernetes),
        AuthSpec::Kubeconfig(path) => auth = Auth::Kubeconfig(path.clone()),
    }
    Settings {
        backend: Some(spec.name.clone()),
        url: url.to_owned(),
        verb: spec.verb.unwrap_or(flags.verb),
        headers: shown(&spec.headers),
        headers_from: spec.headers_from.clone(),
        query_params: shown(&spec.query_params),
        basic,
        token_file,
        ca_file: spec.tls.ca_file.clone(),
        client_cert_file,
        client_key_file,
        server_name: spec.tls.server_name.clone(),
        auth,
        timeout: spec.timeout.unwrap_or(flags.timeout),
        response_bytes_max: spec.response_bytes_max.unwrap_or(flags.max_response_bytes),
        ..Settings::default()
    }
}

fn in_cluster(kubernetes: &KubernetesFlags) -> Auth {
    let service = kubernetes.service.as_ref();
    Auth::InCluster {
        host: service.map(|(host, _)| host.clone()),
        port: service.map(|(_, port)| port.to_string()),
        account: kubernetes.service_account.clone(),
    }
}

fn shown(pairs: &[(String, Secret)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(String, Secret)| (name.clone(), value.0.clone());
    pairs.iter().map(pair).collect()
}
