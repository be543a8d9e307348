//! What `tidegauge autoscale` was told, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{LogFlags, LogFormat, Stop, check, flags};
use crate::autoscale::Settings;

pub mod placeholders;
#[cfg(test)]
mod tests;

/// Everything that `tidegauge autoscale` was told.
#[derive(Debug)]
pub struct Autoscale {
    /// `-f`: manifests, at least one.
    pub files: Vec<PathBuf>,
    /// Where the metrics are.
    pub from: From,
    /// `--current`: prints how many replicas there are; `None`: the scale subresource says so.
    pub current: Option<String>,
    /// How replicas are set.
    pub acting: Acting,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// Between two rounds.
    pub interval: Duration,
    /// `--once`: one round alone.
    pub once: bool,
    /// `--memory`: what is kept over the end of the process.
    pub memory: Option<PathBuf>,
    /// The flags of the controller.
    pub settings: Settings,
    /// Shape of the lines on standard output.
    pub output: LogFormat,
    /// `--metrics-address`
    pub metrics_address: Option<SocketAddr>,
    /// What to log.
    pub log: LogFlags,
}

/// Where the metrics are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// `--server`: an API without a cluster behind it.
    Server(String),
    /// `--kubeconfig`: a cluster.
    Kubeconfig(PathBuf),
    /// The cluster of this pod.
    Pod {
        /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
        service: (String, u16),
        /// Where its service account is mounted.
        account: PathBuf,
    },
}

/// How replicas are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acting {
    /// By this command.
    Exec(String),
    /// By the scale subresource.
    Scale,
    /// Not at all.
    DryRun,
}

impl Autoscale {
    /// Reads the process's own arguments and environment.
    pub fn from_process() -> Result<Autoscale, Stop> {
        let args = super::process_arguments()?;
        Autoscale::parse(&args, super::environment)
    }

    /// Reads arguments (the program's name and `autoscale` first) and environment variables.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Autoscale, Stop> {
        let args: Vec<&str> = args.iter().skip(1).map(AsRef::as_ref).collect();
        let args = flags::autoscale::parse(&args)
            .map_err(|error| Stop::of(&error, "tidegauge autoscale --help"))?;
        check::autoscale::check(args, env).map_err(Stop::complain)
    }
}
