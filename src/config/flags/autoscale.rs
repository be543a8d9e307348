//! Flags of `tidegauge autoscale`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as _, Command, FromArgMatches};

use super::{Logging, as_pflag};
use crate::config::values;
use crate::kubernetes::kubeconfig;

const ABOUT: &str = "\
Scales replicas as Kubernetes' HorizontalPodAutoscaler does, where nobody else does it.

Reads HorizontalPodAutoscalers (autoscaling/v2 or v1) from files, asks a metrics API for their \
metrics every few seconds, computes the replicas as the controller of Kubernetes 1.36 does \
(tolerance, pods that are not ready, stabilization, policies), and sets them: by a command of \
yours, such as docker or aws, or in a cluster by the scale subresource of the target.

What cannot be read changes nothing: it says why and tries again at the next round. One line on \
standard output tells each change, and each new reason to change nothing; the log is on standard \
error. The files are read once, at the start.

Exit codes: 0 told to stop, or with --once: all decided; 1 a part of it has ended by a fault \
(start it again), or with --once: something could not be read, set or written, the line or the \
log says what, or it was told to stop before its end; 2 the flags or the files cannot be used.";

const EXAMPLES: &str = "\
Placeholders in --current and --exec: {replicas} (only --exec), {name} and {namespace} of the
autoscaler, {target} for the name in its scaleTargetRef. The commands also find them in their
environment: REPLICAS, CURRENT_REPLICAS, HPA_NAME, HPA_NAMESPACE, TARGET_KIND, TARGET_NAME.

Example: the service `web` of a Docker Swarm, scaled by the orders that wait
  1. The metric. tidegauge answers for Prometheus, without a cluster (objects.yaml is empty:
     {kind: List, apiVersion: v1, items: []}; rules.yaml has an externalRule `orders_waiting`):
       tidegauge --config=rules.yaml --prometheus-url=http://prometheus:9090 \\
         --standalone=objects.yaml --secure-port=6443
  2. The autoscaler, web-hpa.yaml. From 2 to 10 replicas, one for each 20 orders:
       apiVersion: autoscaling/v2
       kind: HorizontalPodAutoscaler
       metadata: {name: web, namespace: shop}
       spec:
         scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
         minReplicas: 2
         maxReplicas: 10
         metrics:
         - type: External
           external:
             metric: {name: orders_waiting}
             target: {type: AverageValue, averageValue: \"20\"}
  3. Look at what it would do; then leave --dry-run away:
       tidegauge autoscale -f web-hpa.yaml --server=http://127.0.0.1:6443 --dry-run \\
         --current=\"docker service inspect {target} \\
           --format '{{.Spec.Mode.Replicated.Replicas}}'\" \\
         --exec='docker service scale --detach {target}={replicas}'

Example: a cluster whose HPA controller is off or not yours to configure
  tidegauge autoscale -f hpa.yaml --kubeconfig=$HOME/.kube/config";

/// Stage one: each flag by itself.
#[derive(Debug, clap::Args)]
pub(in crate::config) struct Autoscale {
    #[command(flatten)]
    pub(in crate::config) what: What,
    #[command(flatten)]
    pub(in crate::config) from: From,
    #[command(flatten)]
    pub(in crate::config) acting: Acting,
    #[command(flatten)]
    pub(in crate::config) pace: Pace,
    #[command(flatten)]
    pub(in crate::config) algorithm: Algorithm,
    #[command(flatten)]
    pub(in crate::config) telling: Telling,
    #[command(flatten)]
    pub(in crate::config) logging: Logging,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to scale")]
pub(in crate::config) struct What {
    /// A YAML or JSON file with HorizontalPodAutoscalers; may be repeated, and each may have
    /// several documents. With --server also the Deployments or StatefulSets that they scale: the
    /// labels of their pods and the requests of their containers are read from there (needed for
    /// metrics of type Pods, Resource and ContainerResource), and CustomResourceDefinitions of
    /// kinds that Object metrics describe. Other documents are left alone.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(in crate::config) filename: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whom to ask")]
pub(in crate::config) struct From {
    /// A tidegauge that runs with --standalone, such as http://127.0.0.1:6443. There are no pods to
    /// look at: each one that the metrics APIs name counts as running and ready, and --current says
    /// how many there are; those that no metric names yet count as pods without a value.
    #[arg(long, value_name = "URL")]
    pub(in crate::config) server: Option<String>,
    /// A cluster: its metrics APIs, its pods, and the scale subresource of the target. Without this
    /// and --server, the cluster of the pod that this runs in.
    #[arg(long, value_name = "FILE")]
    pub(in crate::config) kubeconfig: Option<PathBuf>,
    /// Where the pod's service account is mounted.
    #[arg(long, value_name = "DIR", default_value = kubeconfig::SERVICE_ACCOUNT)]
    pub(in crate::config) service_account_directory: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How to act")]
pub(in crate::config) struct Acting {
    /// A command for sh that prints how many replicas there are to be now, a whole number and
    /// nothing else. One that fails or prints something else changes nothing. In a cluster the
    /// scale subresource says it, unless --current and --exec are given.
    #[arg(long, value_name = "COMMAND")]
    pub(in crate::config) current: Option<String>,
    /// A command for sh that sets the number of replicas. One that fails is reported, with what it
    /// wrote; the next round looks what came of it and decides anew. Names in placeholders are
    /// letters, digits, - and . alone: anything else is refused at the start, so that no name is
    /// ever read as a command.
    #[arg(long, value_name = "COMMAND")]
    pub(in crate::config) exec: Option<String>,
    /// How long one command may take; then it is killed, with all that it started.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::above_zero)]
    pub(in crate::config) command_timeout: Duration,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(in crate::config) dry_run: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "When")]
pub(in crate::config) struct Pace {
    /// Between two rounds of one autoscaler, at least 100ms
    /// (--horizontal-pod-autoscaler-sync-period there).
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = values::above_zero)]
    pub(in crate::config) interval: Duration,
    /// One round, then end; for cron or a systemd timer. Give --memory too: a run that remembers
    /// nothing takes the replicas that are there for a recommendation of now, as a controller that
    /// starts does, so that nothing is ever scaled in while there is a stabilization window, and no
    /// policy knows what was changed before.
    #[arg(long)]
    pub(in crate::config) once: bool,
    /// Keep what is remembered from round to round in this file: recommendations, changes, and
    /// whether it was here that a target was scaled to zero. With it a restart forgets nothing;
    /// --once and minReplicas 0 need it. Written anew before each change and after each round; for
    /// one process at a time, which holds the lock of FILE.lock.
    #[arg(long, value_name = "FILE")]
    pub(in crate::config) memory: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How to decide, as kube-controller-manager is told")]
pub(in crate::config) struct Algorithm {
    /// How far a metric may be from its target without effect, as a part of one; where the behavior
    /// of an autoscaler says nothing else.
    #[arg(long, value_name = "RATIO", default_value_t = 0.1)]
    pub(in crate::config) horizontal_pod_autoscaler_tolerance: f64,
    /// For how long the highest recommendation holds before replicas are taken away, where the
    /// behavior of an autoscaler says nothing else.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::duration)]
    pub(in crate::config) horizontal_pod_autoscaler_downscale_stabilization: Duration,
    /// Within which time after its start a pod that turns not ready has never been ready. Pods of a
    /// cluster only.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub(in crate::config) horizontal_pod_autoscaler_initial_readiness_delay: Duration,
    /// For how long after its start the processor time of a pod is that of its start. Pods of a
    /// cluster only.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::duration)]
    pub(in crate::config) horizontal_pod_autoscaler_cpu_initialization_period: Duration,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to tell")]
pub(in crate::config) struct Telling {
    /// text: a line for each change, and for each new reason to change nothing. json: one object a
    /// line for each round, with time, namespace, name, current, desired, acted, reason, message,
    /// error, conditions and metrics (status.conditions and status.currentMetrics of the object).
    #[arg(
        short = 'o',
        long,
        value_name = "text|json",
        default_value = "text",
        value_parser = values::log_format
    )]
    pub(in crate::config) output: values::LogFormat,
    /// Serve /metrics for Prometheus and /livez on this address, such as 127.0.0.1:9100; port 0
    /// takes any that is free, and the log names it.
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::config) metrics_address: Option<SocketAddr>,
}

/// The command with its flags.
fn command() -> Command {
    // The texts come last: flattening brings the structs' own.
    Autoscale::augment_args(Command::new("tidegauge autoscale"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT.lines().next().unwrap_or_default())
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .override_usage("tidegauge autoscale -f FILE [--server=URL | --kubeconfig=FILE] [FLAGS]")
        .args_override_self(true)
        .mut_args(as_pflag)
}

/// Parses the arguments, the command's name first.
pub(in crate::config) fn parse(args: &[&str]) -> Result<Autoscale, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    Autoscale::from_arg_matches(&matches)
}
