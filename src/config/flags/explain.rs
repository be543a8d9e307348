//! Flags of `tidegauge explain`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches};

use super::{Args, as_pflag, compat};

const ABOUT: &str = "\
Says why a metric has the value it has, or none.

Goes the way of an answer step by step: which rule makes the metric, which objects are chosen, \
what Prometheus is asked, which rows come back and what becomes of them. Where there is no value, \
it finds out why, with a few more questions to Prometheus, and says what to do.

Nothing is changed by it. It works on the rules and a Prometheus alone (--config, \
--prometheus-url, with --name, --standalone or --lister-kubeconfig for the objects), or asks a \
tidegauge that runs (--server).

Exit codes: 0 each metric that was asked for has a value; 1 one has none, or it could not be found \
out; 2 the flags or the files cannot be used.";

const EXAMPLES: &str = "\
Paths:
  pods/METRIC                 of all pods, or of those that -l selects, in the namespace of -n
  pods/NAME/METRIC            of one; so for any kind: services, deployments.apps, nodes, namespaces
  external/METRIC             an external metric; -l selects series
  /apis/…                     a path of the API, with its query, as kubectl get --raw takes it
  -f hpa.yaml -f web.yaml     each metric of a HorizontalPodAutoscaler, as its controller asks;
                              web.yaml has the Deployment that it scales, whose selector says
                              which pods are meant; so do -l, --standalone or --lister-kubeconfig;
                              kubectl get hpa.v2.autoscaling web -o yaml |
                              tidegauge explain -f - -l app=web

Examples:
  The rules and Prometheus alone; two pods that are thought of:
    tidegauge explain pods/http_requests_per_second -n shop --name web-1,web-2 \\
      --config=rules.yaml --prometheus-url=http://localhost:9090

  With the pods of a cluster, as an HPA on them asks:
    tidegauge explain pods/http_requests_per_second -n shop -l app=web \\
      --config=rules.yaml --prometheus-url=http://localhost:9090 \\
      --lister-kubeconfig=$HOME/.kube/config

  All metrics of an HPA, asked of the tidegauge of a cluster (kubectl -n monitoring port-forward
  service/tidegauge 6443:443):
    tidegauge explain -f hpa.yaml -f web.yaml --server=https://127.0.0.1:6443 \\
      --token-file=token --certificate-authority=ca.crt

  Further flags are those of the server, such as --prometheus-header and --prometheus-token-file: \
tidegauge --help";

/// Stage one: each flag by itself.
#[derive(Debug, clap::Args)]
pub(in crate::config) struct Explain {
    #[command(flatten)]
    pub(in crate::config) what: What,
    #[command(flatten)]
    pub(in crate::config) whom: Whom,
    #[command(flatten)]
    pub(in crate::config) telling: Telling,
    #[command(flatten)]
    pub(in crate::config) server: Args,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to explain")]
pub(in crate::config) struct What {
    /// The metric, as pods/METRIC; a path of the API; or files with HorizontalPodAutoscalers.
    #[arg(value_name = "PATH")]
    pub(in crate::config) path: Vec<String>,
    /// A YAML or JSON file with HorizontalPodAutoscalers, and the Deployments or StatefulSets that
    /// they scale, whose selectors say which pods are meant: those may also be in a further -f, in
    /// --standalone, or in the cluster of --lister-kubeconfig; or give -l. May be repeated; - reads
    /// the standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(in crate::config) filename: Vec<PathBuf>,
    /// The namespace; as for kubectl, default where it is not given. With -f, that of manifests
    /// which name none.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub(in crate::config) namespace: Option<String>,
    /// The label selector of objects, such as app=web; of an external metric, that of its series.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(in crate::config) selector: Option<String>,
    /// The selector of series (metricLabelSelector), as in metric.selector of an HPA.
    #[arg(long, value_name = "SELECTOR")]
    pub(in crate::config) metric_selector: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whom to ask")]
pub(in crate::config) struct Whom {
    /// Names of objects that are thought of, separated by commas: no cluster is needed. They have
    /// the labels that -l asks for.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::config) name: Vec<String>,
    /// A tidegauge that runs, such as https://127.0.0.1:6443: it explains what it answers itself.
    /// Whoever asks must be allowed to get the path /explain, and the metric.
    #[arg(long, value_name = "URL")]
    pub(in crate::config) server: Option<String>,
    /// A file with a bearer token for --server, as kubectl create token prints one.
    #[arg(long, value_name = "FILE")]
    pub(in crate::config) token_file: Option<PathBuf>,
    /// A PEM file with the authorities that may have signed the certificate of --server. Without
    /// it, those of the operating system.
    #[arg(long, value_name = "FILE")]
    pub(in crate::config) certificate_authority: Option<PathBuf>,
    /// The name in the certificate of --server, where it is not the host of the URL, such as
    /// tidegauge.monitoring.svc.
    #[arg(long, value_name = "NAME")]
    pub(in crate::config) tls_server_name: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How to tell")]
pub(in crate::config) struct Telling {
    /// text for people; json or yaml for programs: the explanation, or with -f a list of them.
    #[arg(
        short = 'o',
        long,
        value_name = "text|json|yaml",
        default_value = "text"
    )]
    pub(in crate::config) output: String,
}

/// The command with its flags.
fn command() -> Command {
    let of_server = Args::augment_args(Command::new("tidegauge"));
    let shown = [
        "config",
        "prometheus_url",
        "standalone",
        "lister_kubeconfig",
    ];
    let others: Vec<String> = of_server
        .get_arguments()
        .map(|arg| arg.get_id().to_string())
        .filter(|id| !shown.contains(&id.as_str()))
        .collect();
    // The texts come last: flattening brings the structs' own.
    Explain::augment_args(Command::new("tidegauge explain"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT.lines().next().unwrap_or_default())
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .override_usage(
            "tidegauge explain PATH --config=FILE --prometheus-url=URL [FLAGS]\n       tidegauge \
             explain PATH --server=URL [FLAGS]",
        )
        .args_override_self(true)
        .args(compat::args())
        .mut_args(
            move |arg| match others.iter().any(|id| *id == arg.get_id().as_str()) {
                true => as_pflag(arg).hide(true),
                false => as_shown(as_pflag(arg)),
            },
        )
}

fn as_shown(arg: Arg) -> Arg {
    match arg.get_action() {
        // A list is given at once, or one by one.
        ArgAction::Append => arg.allow_hyphen_values(false),
        _ => arg,
    }
}

/// Parses the arguments, the command's name first.
pub(in crate::config) fn parse(args: &[&str]) -> Result<Explain, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    Explain::from_arg_matches(&matches)
}
