//! The checks across the flags of `tidegauge autoscale`.

use std::time::Duration;

use jiff::SignedDuration;

use super::service;
use crate::autoscale::Settings;
use crate::config::autoscale::{Acting, Autoscale, From, placeholders};
use crate::config::flags::autoscale as flags;

/// The least time between two rounds, each of which asks for all and may run a command.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Every complaint at once, one line each.
pub(in crate::config) fn check(
    args: flags::Autoscale,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Autoscale, Vec<String>> {
    let mut complaints = Vec::new();
    if args.what.filename.is_empty() {
        let text = "-f: give the file with the HorizontalPodAutoscaler";
        complaints.push(text.to_owned());
    }
    let current = args.acting.current.clone();
    let from = from(args.from, env, &mut complaints);
    let is_server = matches!(from, Some(From::Server(_)));
    let acting = acting(&args.acting, is_server, &mut complaints);
    let settings = settings(&args.algorithm, &mut complaints);
    if args.pace.interval < INTERVAL_MIN {
        let (interval, least) = (args.pace.interval, INTERVAL_MIN);
        complaints.push(format!(
            "--interval {interval:?}: must be at least {least:?}; metrics are seldom newer than \
             some seconds"
        ));
    }
    if args.pace.once && args.telling.metrics_address.is_some() {
        let text = "--once, --metrics-address: nobody can scrape a process that ends; give one";
        complaints.push(text.to_owned());
    }
    match from {
        Some(from) if complaints.is_empty() => Ok(Autoscale {
            files: args.what.filename,
            from,
            current,
            acting,
            command_timeout: args.acting.command_timeout,
            interval: args.pace.interval,
            once: args.pace.once,
            memory: args.pace.memory,
            settings,
            output: args.telling.output,
            metrics_address: args.telling.metrics_address,
            log: super::log(&args.logging),
        }),
        _ => Err(complaints),
    }
}

fn from(
    flags: flags::From,
    env: impl Fn(&str) -> Option<String>,
    complaints: &mut Vec<String>,
) -> Option<From> {
    match (flags.server, flags.kubeconfig) {
        (Some(_), Some(_)) => {
            let text = "--server, --kubeconfig: give one; --server is an API without a cluster";
            complaints.push(text.to_owned());
            None
        }
        (Some(server), None) => {
            let is_url = |it: &reqwest::Url| matches!(it.scheme(), "http" | "https");
            if reqwest::Url::parse(&server).is_ok_and(|it| is_url(&it) && it.has_host()) {
                return Some(From::Server(server));
            }
            complaints.push(format!(
                "--server {server:?} is no URL: write it like http://127.0.0.1:6443"
            ));
            None
        }
        (None, Some(path)) => Some(From::Kubeconfig(path)),
        (None, None) => {
            let before = complaints.len();
            let service = service(env, complaints);
            if service.is_none() && complaints.len() == before {
                let text = "nobody to ask for metrics: give --server=URL of a tidegauge that runs \
                            with --standalone, or --kubeconfig=FILE of a cluster, or run this in \
                            a pod of one";
                complaints.push(text.to_owned());
            }
            Some(From::Pod {
                service: service?,
                account: flags.service_account_directory,
            })
        }
    }
}

fn acting(flags: &flags::Acting, is_server: bool, complaints: &mut Vec<String>) -> Acting {
    let (current, exec) = (flags.current.is_some(), flags.exec.as_ref());
    if is_server && !current {
        let text = "--server without --current: give a command that prints how many replicas there \
                    are, such as --current=\"docker service inspect --format \
                    '{{.Spec.Mode.Replicated.Replicas}}' web\"";
        complaints.push(text.to_owned());
    } else if exec.is_some() && !current && !is_server {
        let text = "--exec without --current: replicas that a command sets only a command can \
                    tell; give --current, or leave both away to use the scale subresource";
        complaints.push(text.to_owned());
    }
    if exec.is_none() && !flags.dry_run && (is_server || current) {
        let text = "nothing would act: give --exec with a command that sets the replicas, such as \
                    --exec='docker service scale web={replicas}', or --dry-run";
        complaints.push(text.to_owned());
    }
    if exec.is_some_and(|it| !placeholders::is_told_replicas(it)) {
        let text = "--exec: the command does not mention {replicas} or $REPLICAS, so it could not \
                    set them (${replicas} is the shell's and {{replicas}} a template's: both stay)";
        complaints.push(text.to_owned());
    }
    if flags
        .current
        .as_deref()
        .is_some_and(placeholders::has_replicas)
    {
        let text = "--current: it is to tell how many replicas there are; {replicas} is for --exec";
        complaints.push(text.to_owned());
    }
    for (flag, command) in [("--current", &flags.current), ("--exec", &flags.exec)] {
        if command.as_ref().is_some_and(|it| it.trim().is_empty()) {
            complaints.push(format!("{flag}: the command is empty"));
        }
    }
    match exec {
        _ if flags.dry_run => Acting::DryRun,
        Some(command) => Acting::Exec(command.clone()),
        None => Acting::Scale,
    }
}

fn settings(flags: &flags::Algorithm, complaints: &mut Vec<String>) -> Settings {
    let tolerance = flags.horizontal_pod_autoscaler_tolerance;
    if !(tolerance.is_finite() && tolerance >= 0.0) {
        complaints.push(format!(
            "--horizontal-pod-autoscaler-tolerance {tolerance}: must be a part of one, such as 0.1"
        ));
    }
    let signed = |it: Duration| SignedDuration::try_from(it).unwrap_or(SignedDuration::MAX);
    Settings {
        tolerance,
        cpu_initialization_period: signed(
            flags.horizontal_pod_autoscaler_cpu_initialization_period,
        ),
        initial_readiness_delay: signed(flags.horizontal_pod_autoscaler_initial_readiness_delay),
        downscale_stabilization: signed(flags.horizontal_pod_autoscaler_downscale_stabilization),
        // Whoever writes `minReplicas: 0` means it; there is no gate to forget.
        scale_to_zero: true,
        configurable_tolerance: true,
    }
}
