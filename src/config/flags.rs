//! Which flags exist, and how pflag writes them: `--flag=value` and `--flag value`, booleans as
//! `--flag` and `--flag=false` (never `--flag false`), the last of repeated scalars wins, lists
//! separated by commas whose first occurrence replaces the default, `-v4`, and positional
//! arguments that are ignored (the Helm chart passes `/adapter`).

mod access;
mod api;
pub(super) mod autoscale;
mod compat;
pub(super) mod explain;
mod metrics;
mod prometheus;
pub(super) mod rules;
mod samples;
mod serving;
mod status;

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches};

pub(super) use access::{Authentication, Authorization};
pub(super) use api::Api;
use metrics::OwnMetrics;
pub(super) use prometheus::{Prometheus, Relist};
pub(super) use samples::Samples;
pub(super) use serving::Serving;
use serving::Standalone;
use status::Status;

use super::{LogFormat, command, values};
use crate::kubernetes::kubeconfig;

const ABOUT: &str = "\
Custom, external and resource metrics for Kubernetes autoscalers, over Prometheus.

Answers the APIs custom.metrics.k8s.io, external.metrics.k8s.io and metrics.k8s.io: the rules say \
which Prometheus series become which metrics, and of which objects. Takes the configuration file, \
the flags and the place of prometheus-adapter.

Durations are written like 500ms, 30s, 10m or 1h30m, sizes like 64MiB or 1048576. Switches are \
written --flag or --flag=false.";

const EXAMPLES: &str = "\
Examples:
  In a cluster, with the flags of the prometheus-adapter chart:
    tidegauge --config=/etc/adapter/config.yaml --prometheus-url=http://prometheus:9090 \\
      --metrics-relist-interval=1m --secure-port=6443 --cert-dir=/tmp/cert

  On a laptop, without a cluster (then: curl localhost:6443/apis/custom.metrics.k8s.io/v1beta2):
    tidegauge --config=rules.yaml --prometheus-url=http://localhost:9090 \\
      --standalone=objects.yaml --secure-port=6443

  Further commands, each with --help: tidegauge check, test, explain, autoscale, demo";

/// Stage one: each flag by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) rules: Rules,
    #[command(flatten)]
    pub(super) api: Api,
    #[command(flatten)]
    pub(super) prometheus: Prometheus,
    #[command(flatten)]
    pub(super) samples: Samples,
    #[command(flatten)]
    pub(super) relist: Relist,
    #[command(flatten)]
    pub(super) kubernetes: Kubernetes,
    #[command(flatten)]
    pub(super) serving: Serving,
    #[command(flatten)]
    pub(super) authentication: Authentication,
    #[command(flatten)]
    pub(super) authorization: Authorization,
    #[command(flatten)]
    pub(super) standalone: Standalone,
    #[command(flatten)]
    pub(super) metrics: OwnMetrics,
    #[command(flatten)]
    pub(super) status: Status,
    #[command(flatten)]
    pub(super) logging: Logging,
    /// Arguments that are no flags, as the log may name them.
    #[arg(skip)]
    pub(super) strays: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct Rules {
    /// The rules: the YAML file of prometheus-adapter, or a directory with several (*.yaml, *.yml,
    /// by name), which are read as one. Required; may be given several times. All mistakes are
    /// shown at once, each with its place and what to write instead. The files are followed, also
    /// where a ConfigMap is mounted: new rules are in force some seconds later, at once after
    /// SIGHUP, and without a restart; what has a mistake is refused as a whole and the rules there
    /// were stay.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) config: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub(super) struct Kubernetes {
    /// How to reach the API server for objects and kinds. Without it, as the pod's service account.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) lister_kubeconfig: String,
    /// Where the pod's service account is mounted: the files token, ca.crt and namespace. Only a
    /// pod that mounts them elsewhere, as a projected volume of its own, needs to say so.
    #[arg(long, value_name = "DIR", default_value = kubeconfig::SERVICE_ACCOUNT)]
    pub(super) service_account_directory: String,
    /// Names and labels of objects are watched from the first ask for their kind until nobody has
    /// asked for so long; asks are then answered from memory, at about 0.4 kB for each pod of the
    /// cluster. 0s watches nothing: each ask is a list of its own, as it is where the cluster
    /// forbids to watch.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = values::duration)]
    pub(super) object_watch_idle: Duration,
    /// Kinds of objects that are watched at the same time: pods, services, kinds of your own. Each
    /// ask for another kind is a list. Pods that run count as a kind of their own. A kind is let go
    /// when nobody has asked for it for --object-watch-idle.
    #[arg(long, value_name = "COUNT", default_value = "64")]
    pub(super) max_object_watches: NonZeroUsize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct Logging {
    /// How much to log, as klog counts: 0 is what matters, 4 explains decisions, 6 shows each
    /// request to Prometheus, 10 shows everything.
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 0)]
    pub(super) v: i32,
    /// text for people, json for machines. Both go to standard error.
    #[arg(
        long,
        value_name = "text|json",
        default_value = "text",
        value_parser = values::log_format
    )]
    pub(super) log_format: LogFormat,
}

/// The command with all flags, also those that do nothing.
pub(super) fn command() -> Command {
    // The texts come last: flattening brings the structs' own.
    Args::augment_args(Command::new("tidegauge"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT.lines().next().unwrap_or_default())
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .after_long_help(format!("{}\n\n{EXAMPLES}", compat::help()))
        .override_usage("tidegauge --config=FILE --prometheus-url=URL [FLAGS]")
        .args_override_self(true)
        .arg(Arg::new("ignored").action(ArgAction::Append).hide(true))
        .args(compat::args())
        .mut_args(as_pflag)
}

/// Parses the arguments, the program's name first. Second: flags given that do nothing.
pub(super) fn parse(args: &[&str]) -> Result<(Args, Vec<String>), clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let ignored = compat::names()
        .filter(given)
        .map(|name| format!("--{name}"))
        .collect();
    let mut args = Args::from_arg_matches(&matches)?;
    let strays = matches.get_many::<String>("ignored");
    args.strays = command::strays(strays.into_iter().flatten());
    let with_bundle = access::WITH_BUNDLE.iter();
    args.authentication.given_with_bundle = with_bundle
        .filter(|(id, _)| given(id))
        .map(|(_, flag)| *flag)
        .collect();
    Ok((args, ignored))
}

/// A switch takes a value only after `=`; any other flag takes whatever follows.
fn as_pflag(arg: Arg) -> Arg {
    match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_name("BOOL")
            .hide_possible_values(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .value_parser(values::boolean),
        ArgAction::Set | ArgAction::Append if arg.get_long().is_some() => {
            arg.allow_hyphen_values(true)
        }
        _ => arg,
    }
}
