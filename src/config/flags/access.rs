//! Flags of authentication and authorization, as every Kubernetes API server has them.

use std::time::Duration;

use crate::config::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub(in crate::config) struct Authentication {
    /// How to reach the API server for token reviews and the authentication ConfigMap. Without it,
    /// as the pod's service account.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) authentication_kubeconfig: String,
    /// Do not read the ConfigMap kube-system/extension-apiserver-authentication.
    #[arg(long)]
    pub(in crate::config) authentication_skip_lookup: bool,
    /// Be ready although that ConfigMap cannot be read; without this flag the server starts, and is
    /// not ready before it could read it. Until then no certificate is believed, so a front proxy's
    /// users are not known.
    #[arg(long)]
    pub(in crate::config) authentication_tolerate_lookup_failure: bool,
    /// How long the answer of a token review is remembered.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub(in crate::config) authentication_token_webhook_cache_ttl: Duration,
    /// Accept client certificates signed by this bundle (PEM). Without it, the bundle of the
    /// cluster.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) client_ca_file: String,
    /// Accept users named by a front proxy whose certificate this bundle signed (PEM). Without it,
    /// the bundle of the cluster, with the cluster's names of proxies and headers: then the other
    /// --requestheader flags have no effect.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) requestheader_client_ca_file: String,
    /// Headers that hold the user's name, the first one set wins. Only with
    /// --requestheader-client-ca-file.
    #[arg(
        long,
        value_name = "NAMES",
        default_value = "x-remote-user",
        value_delimiter = ','
    )]
    pub(in crate::config) requestheader_username_headers: Vec<String>,
    /// Headers that hold the user's UID, the first one set wins: X-Remote-Uid. Only with
    /// --requestheader-client-ca-file.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::config) requestheader_uid_headers: Vec<String>,
    /// Headers that hold the user's groups. Only with --requestheader-client-ca-file.
    #[arg(
        long,
        value_name = "NAMES",
        default_value = "x-remote-group",
        value_delimiter = ','
    )]
    pub(in crate::config) requestheader_group_headers: Vec<String>,
    /// Prefixes of headers that hold extra attributes. Only with --requestheader-client-ca-file.
    #[arg(
        long,
        value_name = "PREFIXES",
        default_value = "x-remote-extra-",
        value_delimiter = ','
    )]
    pub(in crate::config) requestheader_extra_headers_prefix: Vec<String>,
    /// Common names a front proxy's certificate may have, separated by commas. Without it, any.
    /// Only with --requestheader-client-ca-file; it does not restrict whom the cluster's bundle
    /// admits: tell kube-apiserver (--requestheader-allowed-names), which publishes both.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::config) requestheader_allowed_names: Vec<String>,
    /// Which of [`WITH_BUNDLE`] were given, by name.
    #[arg(skip)]
    pub(in crate::config) given_with_bundle: Vec<&'static str>,
}

/// Flags that say nothing by themselves: they go with `--requestheader-client-ca-file`
/// (`k8s.io/apiserver/pkg/server/options/authentication.go`,
/// `RequestHeaderAuthenticationOptions.ToAuthenticationRequestHeaderConfig`).
pub(super) const WITH_BUNDLE: [(&str, &str); 5] = [
    (
        "requestheader_username_headers",
        "--requestheader-username-headers",
    ),
    ("requestheader_uid_headers", "--requestheader-uid-headers"),
    (
        "requestheader_group_headers",
        "--requestheader-group-headers",
    ),
    (
        "requestheader_extra_headers_prefix",
        "--requestheader-extra-headers-prefix",
    ),
    (
        "requestheader_allowed_names",
        "--requestheader-allowed-names",
    ),
];

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authorization")]
pub(in crate::config) struct Authorization {
    /// How to reach the API server for access reviews. Without it, as the pod's service account.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) authorization_kubeconfig: String,
    /// Paths that anybody may get, separated by commas. A trailing * stands for anything.
    #[arg(
        long,
        value_name = "PATHS",
        default_value = "/healthz,/readyz,/livez",
        value_delimiter = ','
    )]
    pub(in crate::config) authorization_always_allow_paths: Vec<String>,
    /// How long a permission is remembered.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub(in crate::config) authorization_webhook_cache_authorized_ttl: Duration,
    /// How long a refusal is remembered.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub(in crate::config) authorization_webhook_cache_unauthorized_ttl: Duration,
    /// First ask whether the caller may read everything in the API group, in all namespaces; only
    /// if not, ask about the single thing. A thousand autoscalers of one service account that has a
    /// cluster role for resource "*" then cost a review or two every ten seconds instead of a
    /// thousand. Sound where roles decide (--authorization-mode=Node,RBAC): they only ever allow.
    /// Leave it off where an authorizer can deny a part of what it allows as a whole: a webhook or
    /// ABAC. If the broad question fails, the request does.
    #[arg(long)]
    pub(in crate::config) authorization_broad_checks: bool,
}
