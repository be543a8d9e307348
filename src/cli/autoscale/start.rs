//! The start: all files are read and checked, ports taken, nobody asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Run;
use super::manifests::{self, Manifests, key};
use super::metrics::{self, Metrics};
use super::remembered::File;
use super::report::Reporter;
use super::round::{Autoscaler, Shared};
use super::target::{Target, Workload};
use super::world::World;
use crate::config::autoscale::{Acting, Autoscale, From};
use crate::kinds::Kinds;

/// Reads all files and takes the address of the metrics.
pub(super) fn start(flags: Autoscale, background: &mut JoinSet<()>) -> anyhow::Result<Run> {
    let Manifests {
        autoscalers,
        workloads,
        kinds,
        unused,
    } = read(&flags)?;
    if !unused.is_empty() {
        tracing::info!(documents = unused.join(", "), "not used");
    }
    let targets = match &flags.from {
        From::Server(_) => targets(&autoscalers, &workloads)?,
        From::Kubeconfig(_) | From::Pod { .. } => vec![None; autoscalers.len()],
    };
    let file = memory(&flags, &autoscalers)?;
    let kinds = Kinds::builtin_and(kinds);
    let world = World::new(&flags.from, kinds, flags.interval, background)?;
    let names = |it: &HorizontalPodAutoscaler| {
        let metadata = it.metadata.clone();
        let (namespace, name) = (metadata.namespace, metadata.name);
        (namespace.unwrap_or_default(), name.unwrap_or_default())
    };
    let metrics = Metrics::new(autoscalers.iter().map(names));
    if let Some(address) = flags.metrics_address {
        background.spawn(metrics::serve(address, Arc::clone(&metrics))?);
    }
    let keys: Vec<String> = autoscalers.iter().map(key).collect();
    if !flags.once {
        let interval = flags.interval;
        tracing::info!(autoscalers = keys.join(" "), ?interval, "scaling");
    }
    // Those of a cluster are known once their targets are: all wait for that.
    let meeting = matches!(flags.from, From::Kubeconfig(_) | From::Pod { .. })
        .then(|| Arc::new(Barrier::new(autoscalers.len())));
    let selectors = keys.into_iter().zip(&targets);
    let selectors = selectors.filter_map(|(key, it)| Some((key, it.as_ref()?.selector.clone())));
    let selectors = Mutex::new(selectors.collect());
    let shared = Arc::new(Shared {
        world,
        settings: flags.settings,
        current: flags.current,
        acting: flags.acting,
        limit: flags.command_timeout,
        selectors,
    });
    let autoscaler = |(mut hpa, target): (HorizontalPodAutoscaler, Option<Target>)| {
        let before = file.as_ref().map(|it| it.of(&key(&hpa)));
        let before = before.unwrap_or_default();
        hpa.status = before.status;
        Autoscaler {
            hpa,
            memory: before.memory,
            target,
            meeting: meeting.clone(),
            shared: Arc::clone(&shared),
        }
    };
    let autoscalers = autoscalers.into_iter().zip(targets).map(autoscaler);
    Ok(Run {
        once: flags.once,
        interval: flags.interval,
        autoscalers: autoscalers.collect(),
        reporter: Reporter::new(flags.output, metrics, file)?,
    })
}

fn read(flags: &Autoscale) -> anyhow::Result<Manifests> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("-f: cannot read {name}"))?;
        Ok((name, text))
    };
    let files = flags.files.iter().map(read);
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    manifests::read(&files, "default", &flags.settings)
        .map_err(|problems| anyhow!("the manifests cannot be used\n{problems}"))
}

/// What each autoscaler scales, where there is no cluster that tells.
fn targets(
    autoscalers: &[HorizontalPodAutoscaler],
    workloads: &[Workload],
) -> anyhow::Result<Vec<Option<Target>>> {
    let (mut targets, mut missing) = (Vec::new(), Vec::new());
    for (at, hpa) in autoscalers.iter().enumerate() {
        match Target::find(hpa, at, workloads) {
            Ok(target) => targets.push(Some(target)),
            Err(why) => missing.push(why),
        }
    }
    match missing.is_empty() {
        true => Ok(targets),
        false => bail!("{}", missing.join("\n")),
    }
}

/// The memory file; and whether it can be done without.
fn memory(
    flags: &Autoscale,
    autoscalers: &[HorizontalPodAutoscaler],
) -> anyhow::Result<Option<File>> {
    let is_dry = flags.acting == Acting::DryRun;
    if let Some(path) = &flags.memory {
        return File::open(path, is_dry).map(Some);
    }
    let mut to_zero = autoscalers
        .iter()
        .filter(|it| it.spec.min_replicas == Some(0));
    if let Some(hpa) = to_zero.next().filter(|_| !is_dry) {
        bail!(
            "{} has minReplicas 0: give --memory=FILE. Replicas at zero count as switched off by \
             hand unless it is known that they were scaled there, and without the file a restart \
             forgets that: they would stay at zero",
            key(hpa)
        );
    }
    if flags.once && !is_dry {
        tracing::warn!(
            "--once without --memory: this run knows nothing of the one before, so it never scales \
             in; give --memory=FILE"
        );
    }
    Ok(None)
}
