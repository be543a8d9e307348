//! Stage two: the checks across flags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::route::ApiGroup;
use crate::kubernetes::WatchLimits;

use super::flags::{Api, Args, Authentication, Authorization, Logging, Samples, Serving};
use super::{
    ApiFlags, AuthenticationFlags, AuthorizationFlags, Config, KubernetesFlags, LogFlags,
    SamplesFlags, ServingFlags, SniFlag, tls,
};

pub(super) mod autoscale;
pub(super) mod explain;
mod prometheus;
pub(super) mod rules;

/// Go's default when the flag is 0 (`secure_serving.go`).
const DEFAULT_HTTP2_STREAMS: u32 = 100;

/// What it takes until every node has heard that a replica is not ready.
const DEFAULT_SHUTDOWN_DELAY: Duration = Duration::from_secs(5);

/// Every complaint at once, one line each.
pub(super) fn check(
    args: Args,
    mut ignored: Vec<String>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Config, Vec<String>> {
    let standalone = path(args.standalone.standalone);
    let mut complaints = Vec::new();
    let rules = rules(args.rules.config, &mut complaints);
    let api = api(args.api, &mut complaints);
    let prometheus = prometheus::prometheus(args.prometheus, &mut ignored, &mut complaints);
    let samples = samples(&args.samples);
    let relist = prometheus::relist(&args.relist, &mut complaints);
    if args
        .serving
        .tls_sni_cert_key
        .iter()
        .any(SniFlag::has_address)
    {
        // In Go they stand for the address that a client without SNI has connected to.
        ignored.push("IP addresses in --tls-sni-cert-key".to_owned());
    }
    let serving = serving(args.serving, standalone.is_some(), &env, &mut complaints);
    let (metrics_address, status_address) =
        (args.metrics.metrics_address, args.status.status_address);
    if let Some(serving) = &serving {
        for (flag, address) in [
            ("--metrics-address", metrics_address),
            ("--status-address", status_address),
        ] {
            port_of_its_own(flag, address, serving, &mut complaints);
        }
    }
    let authentication = authentication(args.authentication, &mut complaints);
    let authorization = authorization(args.authorization, &mut complaints);
    let kubernetes = KubernetesFlags {
        kubeconfig: path(args.kubernetes.lister_kubeconfig),
        service_account: PathBuf::from(args.kubernetes.service_account_directory),
        watched: WatchLimits {
            idle: args.kubernetes.object_watch_idle,
            kinds: args.kubernetes.max_object_watches.get(),
        },
        service: service(&env, &mut complaints),
    };
    let log = log(&args.logging);
    match (prometheus, serving) {
        (Some(prometheus), Some(serving)) if complaints.is_empty() => Ok(Config {
            rules,
            api,
            prometheus,
            samples,
            relist,
            kubernetes,
            authentication,
            authorization,
            serving,
            standalone,
            metrics_address,
            status_address,
            log,
            ignored,
            strays: args.strays,
        }),
        _ => Err(complaints),
    }
}

/// Nothing else can be served at the port of the APIs.
fn port_of_its_own(
    flag: &str,
    address: Option<SocketAddr>,
    serving: &ServingFlags,
    complaints: &mut Vec<String>,
) {
    let Some(address) = address else {
        return;
    };
    let api = serving.bind_address;
    let overlap = api == address.ip() || api.is_unspecified() || address.ip().is_unspecified();
    if overlap && address.port() != 0 && address.port() == serving.secure_port {
        complaints.push(format!(
            "{flag} {address}: the APIs are served on port {} (--secure-port); give another one",
            serving.secure_port
        ));
    }
}

fn rules(given: Vec<String>, complaints: &mut Vec<String>) -> Vec<PathBuf> {
    if given.is_empty() || given.iter().any(String::is_empty) {
        let text = "no metrics discovery configuration file specified (make sure to use --config)";
        complaints.push(text.to_owned());
    }
    let mut rules: Vec<PathBuf> = Vec::new();
    for path in given.into_iter().filter_map(path) {
        if !rules.contains(&path) {
            rules.push(path);
        }
    }
    rules
}

fn log(flags: &Logging) -> LogFlags {
    let verbosity = flags.v.clamp(0, i32::from(u8::MAX));
    LogFlags {
        verbosity: u8::try_from(verbosity).unwrap_or(u8::MAX),
        format: flags.log_format,
    }
}

/// Go's empty string is "not given".
fn path(text: String) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn api(flags: Api, complaints: &mut Vec<String>) -> ApiFlags {
    let all = ApiGroup::ALL;
    let groups = match flags.api_groups {
        None => Vec::from(all),
        Some(names) => {
            let known = all.map(ApiGroup::name).join(", ");
            let mut groups = Vec::new();
            for name in names {
                match all.into_iter().find(|group| group.name() == name.trim()) {
                    Some(group) => groups.push(group),
                    None => complaints.push(format!(
                        "--api-groups: {name:?} is no API group of ours; there are {known}"
                    )),
                }
            }
            groups
        }
    };
    ApiFlags {
        groups,
        discovery_max_metrics: flags.discovery_max_metrics,
    }
}

fn samples(flags: &Samples) -> SamplesFlags {
    SamplesFlags {
        query_ttl: flags.query_ttl,
        stale_grace: flags.stale_grace,
        entries: flags.query_cache_entries.get(),
        bytes: flags.query_cache_bytes,
        rows_max: flags.max_rows.get(),
        query_bytes_max: usize::try_from(flags.max_query_bytes).unwrap_or(usize::MAX),
        widening: flags.widening,
    }
}

fn authentication(it: Authentication, complaints: &mut Vec<String>) -> AuthenticationFlags {
    for (flag, values) in [
        ("username-headers", &it.requestheader_username_headers),
        ("uid-headers", &it.requestheader_uid_headers),
        ("group-headers", &it.requestheader_group_headers),
        (
            "extra-headers-prefix",
            &it.requestheader_extra_headers_prefix,
        ),
        ("allowed-names", &it.requestheader_allowed_names),
    ] {
        if values.iter().any(|value| value.trim().is_empty()) {
            complaints.push(format!(
                "--requestheader-{flag}: empty value in \"requestheader-{flag}\""
            ));
        }
    }
    let requestheader_client_ca_file = path(it.requestheader_client_ca_file);
    let useless_proxy_flags = match requestheader_client_ca_file {
        Some(_) => Vec::new(),
        // As in Go, a command line with them must work here; the log says so.
        None => it.given_with_bundle,
    };
    AuthenticationFlags {
        kubeconfig: path(it.authentication_kubeconfig),
        skip_lookup: it.authentication_skip_lookup,
        tolerate_lookup_failure: it.authentication_tolerate_lookup_failure,
        token_cache_ttl: it.authentication_token_webhook_cache_ttl,
        client_ca_file: path(it.client_ca_file),
        requestheader_client_ca_file,
        username_headers: it.requestheader_username_headers,
        uid_headers: it.requestheader_uid_headers,
        group_headers: it.requestheader_group_headers,
        extra_headers_prefix: it.requestheader_extra_headers_prefix,
        allowed_names: it.requestheader_allowed_names,
        useless_proxy_flags,
    }
}

fn authorization(it: Authorization, complaints: &mut Vec<String>) -> AuthorizationFlags {
    let always_allow_paths = it.authorization_always_allow_paths;
    for path in &always_allow_paths {
        if path.strip_suffix('*').unwrap_or(path).contains('*') {
            complaints.push(format!(
                "--authorization-always-allow-paths: only trailing * allowed in {path:?}"
            ));
        }
    }
    AuthorizationFlags {
        kubeconfig: path(it.authorization_kubeconfig),
        always_allow_paths,
        allowed_ttl: it.authorization_webhook_cache_authorized_ttl,
        denied_ttl: it.authorization_webhook_cache_unauthorized_ttl,
        broad_checks: it.authorization_broad_checks,
    }
}

fn serving(
    flags: Serving,
    standalone: bool,
    env: impl Fn(&str) -> Option<String>,
    complaints: &mut Vec<String>,
) -> Option<ServingFlags> {
    let before = complaints.len();
    service_names(&flags, standalone, complaints);
    let mut note = |text: String| complaints.push(text);
    let bind_address = bind_address(flags.bind_address, standalone, &mut note);
    let port = flags.secure_port;
    let secure_port = u16::try_from(port).unwrap_or_default();
    if port < 0 {
        note(format!(
            "--secure-port {port} must be between 0 and 65535, inclusive. 0 for turning off secure \
             port"
        ));
    } else if port > i64::from(u16::MAX) {
        note(format!(
            "--secure-port {port} must be between 1 and 65535, inclusive. It cannot be turned off \
             with 0"
        ));
    }
    let certificate = certificate(flags.tls_cert_file, flags.tls_private_key_file, &mut note);
    let min_version = tls::version(&flags.tls_min_version).map_err(&mut note);
    let cipher_suites = tls::cipher_suites(&flags.tls_cipher_suites).map_err(&mut note);
    let curves = tls::curves(&flags.tls_curve_preferences).map_err(&mut note);
    let delay = flags.shutdown_delay_duration.unwrap_or(match standalone {
        true => Duration::ZERO,
        false => DEFAULT_SHUTDOWN_DELAY,
    });
    let http2_max_streams = match flags.http2_max_streams_per_connection {
        0 => DEFAULT_HTTP2_STREAMS,
        streams => streams,
    };
    if complaints.len() > before {
        return None;
    }
    Some(ServingFlags {
        bind_address,
        secure_port,
        permit_port_sharing: flags.permit_port_sharing,
        cert_dir: PathBuf::from(flags.cert_dir),
        certificate,
        sni: flags.tls_sni_cert_key,
        service: flags.service_name,
        service_namespace: Some(flags.service_namespace)
            .filter(|it| !it.is_empty())
            .or_else(|| env("POD_NAMESPACE").filter(|it| !it.is_empty())),
        manage_apiservice: flags.manage_apiservice,
        min_version: min_version.ok()?,
        cipher_suites: cipher_suites.ok()?,
        curves: curves.ok()?,
        http2: !flags.disable_http2,
        http2_max_streams,
        request_timeout: flags.request_timeout,
        max_requests_inflight: flags
            .max_requests_inflight
            .get()
            .min(Semaphore::MAX_PERMITS),
        max_connections: flags.max_connections.get().min(Semaphore::MAX_PERMITS),
        shutdown_delay: delay,
        drain_timeout: flags.shutdown_drain_timeout,
    })
}

fn certificate(
    certificate: String,
    key: String,
    mut note: impl FnMut(String),
) -> Option<(PathBuf, PathBuf)> {
    match (path(certificate), path(key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let text = "--tls-cert-file and --tls-private-key-file: give both, or neither for a \
                        self-signed certificate in --cert-dir";
            note(text.to_owned());
            None
        }
    }
}

fn bind_address(given: Option<IpAddr>, standalone: bool, mut note: impl FnMut(String)) -> IpAddr {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match (given, standalone) {
        (None, true) => loopback,
        (None, false) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (Some(address), true) if address != loopback => {
            note(format!(
                "--bind-address {address}: with --standalone nobody is authenticated, so only \
                 127.0.0.1 is served; leave --bind-address away"
            ));
            loopback
        }
        (Some(address), _) => address,
    }
}

/// The service in front of us, and what may be done with its name.
fn service_names(flags: &Serving, standalone: bool, complaints: &mut Vec<String>) {
    let label = |text: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ends = !text.starts_with('-') && !text.ends_with('-');
        (1..=63).contains(&text.len()) && text.bytes().all(inside) && ends
    };
    for (flag, name) in [
        ("--service-name", &flags.service_name),
        ("--service-namespace", &flags.service_namespace),
    ] {
        let unset = flag == "--service-namespace" && name.is_empty();
        if !unset && !label(name) {
            complaints.push(format!(
                "{flag} {name:?}: give the name alone, such as tidegauge; the rest is added"
            ));
        }
    }
    if flags.manage_apiservice && !flags.tls_cert_file.is_empty() {
        let text = "--manage-apiservice, --tls-cert-file: only the authority of a self-signed \
                    certificate is known here; put the one that signed your certificate into \
                    caBundle yourself, as cert-manager's CA injector does";
        complaints.push(text.to_owned());
    }
    if flags.manage_apiservice && standalone {
        let text = "--manage-apiservice, --standalone: without a cluster there is no APIService";
        complaints.push(text.to_owned());
    }
}

/// Where the API server is, as the kubelet tells each container.
fn service(
    env: impl Fn(&str) -> Option<String>,
    complaints: &mut Vec<String>,
) -> Option<(String, u16)> {
    let host = env("KUBERNETES_SERVICE_HOST").filter(|it| !it.is_empty())?;
    let port = env("KUBERNETES_SERVICE_PORT").filter(|it| !it.is_empty())?;
    let number = port.parse();
    if number.is_err() {
        complaints.push(format!(
            "KUBERNETES_SERVICE_PORT={port:?} is not a port number"
        ));
    }
    Some((host, number.ok()?))
}
