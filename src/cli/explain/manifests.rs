//! What the controller of an HPA asks for each of its metrics.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, anyhow};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec};

use super::controller;
use crate::autoscale::request::{self, Place};
use crate::autoscale::{self, Settings};
use crate::cli::autoscale::manifests::{self, Manifests, key};
use crate::cli::autoscale::target::{Target, group};
use crate::config::explain::{Named, Thought, Whom};
use crate::kinds::{Kind, Kinds};
use crate::kubernetes::client::Client;
use crate::kubernetes::kubeconfig::Connection;
use crate::kubernetes::scale;
use crate::selector::Selector;
use crate::telemetry::with_causes;

/// The version of `custom.metrics.k8s.io` that controllers of this century prefer.
const CUSTOM_VERSION: &str = "v1beta2";

/// The autoscalers of some files, each with the selector of its pods.
pub(super) struct Manifest {
    autoscalers: Vec<(HorizontalPodAutoscaler, Selector)>,
    kinds: Kinds,
}

/// What is asked for one metric.
pub(super) struct Ask {
    /// The autoscaler and which of its metrics.
    pub(super) title: String,
    /// The metric.
    pub(super) metric: MetricSpec,
    /// The path, or why there is none.
    pub(super) path: Result<String, String>,
}

impl Manifest {
    /// Reads the files, and finds out whose pods their metrics are about.
    pub(super) async fn read(named: &Named, whom: &Whom) -> anyhow::Result<Manifest> {
        let files = named.files.iter().map(|file| text_of(file));
        let files = files.collect::<anyhow::Result<Vec<_>>>()?;
        let namespace = named.namespace.as_deref().unwrap_or("default");
        let settings = Settings {
            scale_to_zero: true,
            ..Settings::default()
        };
        let read = manifests::read(&files, namespace, &settings);
        let read = read.map_err(|problems| anyhow!("the manifests cannot be used\n{problems}"))?;
        let Manifests {
            autoscalers,
            mut workloads,
            mut kinds,
            ..
        } = read;
        if let Some(objects) = objects_of(whom) {
            let (_, text) = text_of(objects).context("--standalone")?;
            let there = manifests::beside(&text, &settings);
            workloads.extend(there.workloads);
            kinds.extend(there.kinds);
        }
        let kinds = Kinds::builtin_and(kinds);
        let mut found = Vec::new();
        for (at, hpa) in autoscalers.into_iter().enumerate() {
            let pods = match (&named.selector, Target::find(&hpa, at, &workloads)) {
                (Some(text), _) => Selector::parse(text).context("-l")?,
                (None, Ok(target)) => target.selector,
                (None, Err(why)) => in_cluster(&hpa, &kinds, whom, &why).await?,
            };
            found.push((hpa, pods));
        }
        Ok(Manifest {
            autoscalers: found,
            kinds,
        })
    }

    /// The pods of all of them, without names.
    pub(super) fn pods(&self) -> Vec<Thought> {
        let pods = self.autoscalers.iter().map(|(hpa, selector)| Thought {
            resource: "pods".to_owned(),
            namespace: namespace(hpa).to_owned(),
            names: Vec::new(),
            selector: selector.to_string(),
        });
        pods.collect()
    }

    /// What is asked, metric by metric.
    pub(super) fn asks(&self) -> Vec<Ask> {
        let asks = self.autoscalers.iter().flat_map(|(hpa, pods)| {
            let metrics = autoscale::metrics(hpa);
            let count = metrics.len();
            let asks = metrics.iter().enumerate().map(|(at, metric)| {
                let place = Place {
                    namespace: namespace(hpa),
                    pods,
                    custom_version: CUSTOM_VERSION,
                };
                let plural = |group: &str, kind: &str| {
                    let kind = self.kinds.of_group(group, kind)?;
                    Some(kind.group_resource().to_string())
                };
                let path = match controller::refused(metric) {
                    Some(why) => Err(why),
                    None => request::path(metric, &place, plural)
                        .map_err(|why| self.unasked(metric, why.0)),
                };
                let (key, what) = (key(hpa), called(metric));
                Ask {
                    title: format!("{key}: metric {} of {count}: {what}", at + 1),
                    metric: metric.clone(),
                    path,
                }
            });
            asks.collect::<Vec<_>>()
        });
        asks.collect()
    }
}

impl Manifest {
    /// Why nothing is asked for a metric, and what helps.
    fn unasked(&self, metric: &MetricSpec, why: String) -> String {
        let of_object = metric.object.as_ref().map(|it| &it.described_object);
        let is_known = of_object.is_none_or(|it| {
            let of_group = group(it.api_version.as_deref().unwrap_or_default());
            self.kinds.of_group(of_group, &it.kind).is_some()
        });
        match is_known {
            true => why,
            false => format!("{why}: give its definition in the file, too"),
        }
    }
}

/// The selector of the pods as the cluster knows it, or what to give instead.
async fn in_cluster(
    hpa: &HorizontalPodAutoscaler,
    kinds: &Kinds,
    whom: &Whom,
    why: &str,
) -> anyhow::Result<Selector> {
    let kubeconfig = match whom {
        Whom::Here { config, .. } => config.kubernetes.kubeconfig.as_ref(),
        Whom::Server(_) => None,
    };
    let Some(kubeconfig) = kubeconfig else {
        return Err(anyhow!("{why}; or say with -l which pods are meant"));
    };
    let target = &hpa.spec.scale_target_ref;
    let of_group = group(target.api_version.as_deref().unwrap_or_default());
    let kind: &Kind = kinds.of_group(of_group, &target.kind).with_context(|| {
        let kind = &target.kind;
        format!(
            "{}: no kind {kind} in group {of_group:?}; say with -l which pods are meant",
            key(hpa)
        )
    })?;
    let client = Client::new(Connection::from_kubeconfig(kubeconfig)?)?;
    let path = scale::path(kind, namespace(hpa), &target.name);
    let scale = scale::get(&client, &path).await.map_err(|error| {
        let error = with_causes(&error);
        anyhow!(
            "{}: the scale of its target: {error}; say with -l which pods are meant",
            key(hpa)
        )
    })?;
    let selector = scale.status.and_then(|status| status.selector);
    Selector::parse(&selector.unwrap_or_default()).context("the selector of the target")
}

/// `--standalone`, in which a target may be.
fn objects_of(whom: &Whom) -> Option<&Path> {
    match whom {
        Whom::Here { config, .. } => config.standalone.as_deref(),
        Whom::Server(_) => None,
    }
}

fn namespace(hpa: &HorizontalPodAutoscaler) -> &str {
    hpa.metadata.namespace.as_deref().unwrap_or_default()
}

/// The name and the text of a file; `-` is the standard input.
fn text_of(file: &Path) -> anyhow::Result<(String, String)> {
    let name = match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}

/// What a metric is called.
fn called(metric: &MetricSpec) -> String {
    let of_pods = metric.pods.as_ref().map(|it| &it.metric.name);
    let of_object = metric.object.as_ref().map(|it| &it.metric.name);
    let external = metric.external.as_ref().map(|it| &it.metric.name);
    let resource = metric.resource.as_ref().map(|it| &it.name);
    let container = metric.container_resource.as_ref().map(|it| &it.name);
    let all = [of_pods, of_object, external, resource, container];
    let name = all.into_iter().flatten().next();
    let name = name.map_or("", |name| name.as_str());
    format!("{} {name}", metric.type_)
}
