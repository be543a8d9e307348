//! What the flags of the way to Prometheus say together.

use hyper::header::{HeaderName, HeaderValue};

use super::path;
use crate::config::flags::{Prometheus, Relist};
use crate::config::{PrometheusFlags, RelistFlags};
use crate::prometheus::Verb;

pub(super) fn prometheus(
    flags: Prometheus,
    ignored: &mut Vec<String>,
    complaints: &mut Vec<String>,
) -> Option<PrometheusFlags> {
    let before = complaints.len();
    let verb = flags.prometheus_verb.parse().unwrap_or_else(|error| {
        complaints.push(format!("--prometheus-verb: {error}"));
        Verb::Get
    });
    let url = &flags.prometheus_url;
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        let text =
            "--prometheus-url: invalid Prometheus URL: it must begin with http:// or https://";
        complaints.push(text.to_owned());
    }
    let ca_file = path(flags.prometheus_ca_file);
    let auth_config = path(flags.prometheus_auth_config);
    let mut auth_config = auth_config;
    let mut auth_incluster = flags.prometheus_auth_incluster;
    if ca_file.is_some() && (auth_incluster || auth_config.is_some()) {
        // As in Go: a token of the cluster never goes to a server that another CA vouches for.
        ignored.push("--prometheus-auth-incluster, --prometheus-auth-config".to_owned());
        (auth_incluster, auth_config) = (false, None);
    }
    if auth_incluster && auth_config.is_some() {
        complaints.push(
            "--prometheus-auth-incluster, --prometheus-auth-config: may not use both in-cluster \
             auth and an explicit kubeconfig at the same time"
                .to_owned(),
        );
    }
    let headers = flags.prometheus_header.iter().map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        // Neither the value, which may be a secret, is repeated, nor what may be name and value.
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            complaints.push(
                "--prometheus-header: this is no name of a header; write NAME=VALUE".to_owned(),
            );
        } else if HeaderValue::from_str(value).is_err() {
            complaints.push(format!(
                "--prometheus-header: the value of {name:?} cannot stand in a header"
            ));
        }
        (name.to_owned(), value.to_owned())
    });
    let headers = headers.collect();
    let certificate = path(flags.prometheus_client_tls_cert_file);
    let key = path(flags.prometheus_client_tls_key_file);
    if certificate.is_some() != key.is_some() {
        // Go ignores half a pair, so a command line with one must work here; the log says so.
        ignored.push("half of --prometheus-client-tls-cert-file and -key-file".to_owned());
    }
    (complaints.len() == before).then_some(PrometheusFlags {
        url: flags.prometheus_url,
        auth_incluster,
        auth_config,
        ca_file,
        client_tls: certificate.zip(key),
        token_file: path(flags.prometheus_token_file),
        headers,
        verb,
        timeout: flags.prometheus_timeout,
        max_response_bytes: flags.prometheus_max_response_bytes,
        concurrency: flags.prometheus_concurrency,
    })
}

pub(super) fn relist(flags: &Relist, complaints: &mut Vec<String>) -> RelistFlags {
    let interval = flags.metrics_relist_interval;
    let max_age = match flags.metrics_max_age {
        age if age.is_zero() => interval,
        age => age,
    };
    if max_age < interval {
        complaints.push(
            "--metrics-max-age, --metrics-relist-interval: max age must not be less than relist \
             interval"
                .to_owned(),
        );
    }
    RelistFlags {
        interval,
        max_age,
        timeout: flags.relist_timeout,
        max_response_bytes: flags.relist_max_response_bytes,
    }
}
