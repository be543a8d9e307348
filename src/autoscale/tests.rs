//! The controller's own tests, row by row, and what must hold for any input.

mod answers;
mod attempts;
mod calculator;
mod pods;
mod properties;
mod requests;
mod rules;
mod scenarios;
mod table;
mod texts;
mod validation;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Settings;

/// `defaultTestingCPUInitializationPeriod` and its neighbours.
fn settings() -> Settings {
    Settings {
        cpu_initialization_period: SignedDuration::from_mins(2),
        initial_readiness_delay: SignedDuration::from_secs(10),
        ..Settings::default()
    }
}

fn now() -> Timestamp {
    Timestamp::constant(1_800_000_000, 0)
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn quantity(text: &str) -> Quantity {
    Quantity(text.to_owned())
}

/// A pod that runs and is ready, labelled `name=podNamePrefix`.
fn pod(name: &str) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    let label = ("name".to_owned(), "podNamePrefix".to_owned());
    pod.metadata.labels = Some([label].into());
    let ready = PodCondition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        ..PodCondition::default()
    };
    pod.status = Some(PodStatus {
        phase: Some("Running".to_owned()),
        conditions: Some(vec![ready]),
        start_time: Some(Time(super::pods::NEVER)),
        ..PodStatus::default()
    });
    pod.spec = Some(PodSpec::default());
    pod
}

/// A container that asks for so much of the processor.
fn container(name: &str, cpu: Option<&str>) -> Container {
    let mut container = Container {
        name: name.to_owned(),
        ..Container::default()
    };
    if let Some(cpu) = cpu {
        let requests = container.resources.get_or_insert_default();
        requests.requests = Some([("cpu".to_owned(), quantity(cpu))].into());
    }
    container
}
