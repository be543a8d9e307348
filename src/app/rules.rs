//! The rules of the server: read at the start, followed while it runs, and put into force whole or
//! not at all.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{FOLLOW_EVERY, backends};
use crate::api::route::ApiGroup;
use crate::config::Config;
use crate::journal::Journal;
use crate::prometheus::Backends;
use crate::relist::{Changes, Configuration};
use crate::reload::config::{self, ConfigFile, ConfigState};
use crate::reload::{self, Change, Failure, Followed};
use crate::rules::{Findings, Rules};
use crate::samples::Samples;
use crate::telemetry::{Metrics, with_causes};

mod compile;
mod warnings;

pub(crate) use compile::{Mistakes, compile};
use warnings::{Warning, note_warnings};

/// What the files say, and what came of it at the start.
pub(super) struct Files {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    journal: Option<Arc<Journal>>,
    followed: Followed<Vec<ConfigFile>>,
    hangup: Signal,
    retired: backends::Retired,
    /// What is in force.
    pub(super) configuration: Configuration,
    /// The same, for people.
    pub(super) state: Arc<ArcSwap<ConfigState>>,
    /// The warnings about it that are told.
    warnings: Vec<Warning>,
    /// What it was read from and what was found then, until its rules were tried.
    untried: Option<(Vec<ConfigFile>, Findings)>,
    /// Whether what was refused last may be good the next time, although no rules file changes.
    may_heal: bool,
}

/// Rules that can be put into force.
pub(super) struct Loaded {
    pub(super) configuration: Configuration,
    pub(super) state: ConfigState,
    /// The warnings of reading the files.
    findings: Findings,
}

/// Why rules cannot be put into force.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// They have mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// One holds nothing, and the rules in force come of something.
    #[error("{0} is empty, as a file is that is being written; `rules: []` means no rules")]
    Empty(String),
    /// A backend cannot be made of what its files hold.
    #[error("{0}")]
    Backend(String),
    /// Our own fault.
    #[error("reading the rules failed")]
    Internal(#[source] tokio::task::JoinError),
}

impl Files {
    /// As [`read`], and begins to listen for SIGHUP.
    ///
    /// # Errors
    /// Whatever keeps the server from starting.
    pub(super) fn open(
        config: &Arc<Config>,
        metrics: &Arc<Metrics>,
        journal: Option<&Arc<Journal>>,
    ) -> anyhow::Result<Files> {
        // First of all: until then it ends the process.
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let (files, loaded) = read(config, metrics, journal)?;
        let Loaded {
            configuration,
            state,
            findings,
        } = loaded;
        metrics.config.succeeded(&state.hash, state.loaded_at);
        let paths = config.rules.clone();
        Ok(Files {
            config: Arc::clone(config),
            metrics: Arc::clone(metrics),
            journal: journal.cloned(),
            warnings: warnings::of_reading(&files, &findings),
            untried: Some((files.clone(), findings)),
            followed: Followed::new(move || config::read(&paths), files),
            hangup,
            retired: backends::Retired::default(),
            configuration,
            state: Arc::new(ArcSwap::from_pointee(state)),
            may_heal: false,
        })
    }

    /// Follows the files for ever: what is good is put into force by `changes`. SIGHUP says to look
    /// now, and to tell what comes of it.
    pub(super) async fn follow(mut self, changes: Changes, samples: Arc<Samples>) {
        let mut tick = reload::ticks(FOLLOW_EVERY).await;
        self.try_rules().await;
        loop {
            let told = tokio::select! {
                _ = tick.tick() => false,
                Some(()) = self.hangup.recv() => true,
            };
            if told {
                tracing::info!("SIGHUP: reading the rules files");
                self.followed.tell();
            }
            self.look(told, &changes, &samples).await;
        }
    }

    /// Tells what the rules in force cannot do, once that has been looked at: nobody waits for it.
    async fn try_rules(&mut self) {
        let Some((files, findings)) = self.untried.take() else {
            return;
        };
        let rules = Arc::clone(&self.configuration.rules);
        let read = warnings::of_reading(&files, &findings);
        let tried = move || warnings::of_trying(&rules, &files, &findings);
        match tokio::task::spawn_blocking(tried).await {
            Ok(tried) => {
                let all = [read, tried].concat();
                note_warnings(&all, &self.warnings);
                self.warnings = all;
            }
            Err(error) => tracing::error!(%error, "trying the rules failed"),
        }
    }

    async fn look(&mut self, told: bool, changes: &Changes, samples: &Samples) {
        self.retired.close(samples);
        if self.may_heal {
            self.followed.retry();
        }
        let (config, metrics) = (Arc::clone(&self.config), Arc::clone(&self.metrics));
        let former = Arc::clone(&self.configuration.backends);
        let journal = self.journal.clone();
        // Thousands of rules take their time, and backends read files: not on a thread that answers
        // requests.
        let parse = async |files: Vec<ConfigFile>| {
            if let Some(file) = files.iter().find(|file| file.is_empty()) {
                return Err(Error::Empty(file.path.clone()));
            }
            let load = move || {
                let loaded = load(&files, &config, (&metrics, journal.as_ref()), &former)?;
                Ok((loaded, files))
            };
            let loaded = tokio::task::spawn_blocking(load).await;
            loaded.unwrap_or_else(|error| Err(Error::Internal(error)))
        };
        match self.followed.look(parse).await {
            Change::None if told => {
                tracing::info!("the rules files are as they were");
                self.succeeded();
            }
            Change::None => {}
            Change::Published((loaded, files)) => {
                self.may_heal = false;
                self.untried = Some((files, loaded.findings.clone()));
                self.apply(loaded, changes, samples).await;
                self.try_rules().await;
            }
            Change::Refused(failure) => self.refused(&failure),
            Change::Restored => {
                self.may_heal = false;
                tracing::info!("the rules files are again what is in force");
                self.succeeded();
            }
        }
    }

    async fn apply(&mut self, loaded: Loaded, changes: &Changes, samples: &Samples) {
        let Loaded {
            configuration,
            state,
            ..
        } = loaded;
        changes.apply(configuration.clone()).await;
        let former = std::mem::replace(&mut self.configuration, configuration);
        let (gone, stay) = (&former.backends, &self.configuration.backends);
        for backend in gone.iter().filter(|it| !stay.contains(it)) {
            samples.forget(backend);
            let timeout = self.config.serving.request_timeout;
            self.retired.add(backend, timeout);
        }
        backends::forget(gone, stay, &self.metrics, self.journal.as_ref());
        note_rules("rules reloaded", &self.configuration.rules, &state);
        self.state.store(Arc::new(state));
        self.succeeded();
    }

    /// What stands in the files is in force.
    fn succeeded(&self) {
        let state = self.state.load();
        if state.last_error.is_some() {
            let last_error = None;
            let state = ConfigState {
                last_error,
                ..(**state).clone()
            };
            self.state.store(Arc::new(state));
        }
        self.metrics.config.succeeded(&state.hash, Timestamp::now());
    }

    /// What stands in the files is not in force.
    fn refused(&mut self, failure: &Failure<Error>) {
        let error = with_causes(failure);
        match failure {
            Failure::Parse(Error::Mistakes(Mistakes { frames, .. })) => tracing::error!(
                "the rules files have mistakes, the rules in force stay: {error}\n{frames}"
            ),
            _ => tracing::error!(%error, "the rules files cannot be used, the rules in force stay"),
        }
        self.may_heal = matches!(failure, Failure::Parse(Error::Backend(_)));
        let state = ConfigState {
            last_error: Some(error),
            ..(**self.state.load()).clone()
        };
        self.state.store(Arc::new(state));
        self.metrics.config.failed();
    }
}

/// Reads the files, and makes the backends. Warnings are logged.
///
/// # Errors
/// A file cannot be read, the rules have mistakes, which are shown with their code frames, or a
/// backend cannot be made.
pub(super) fn read(
    config: &Config,
    metrics: &Arc<Metrics>,
    journal: Option<&Arc<Journal>>,
) -> anyhow::Result<(Vec<ConfigFile>, Loaded)> {
    let files = config::read(&config.rules)?;
    let loaded = match load(&files, config, (metrics, journal), &Backends::default()) {
        Ok(loaded) => loaded,
        Err(Error::Mistakes(Mistakes { frames, .. })) => {
            bail!("the rules file cannot be used\n{frames}")
        }
        Err(error) => bail!(with_causes(&error)),
    };
    let rules = &loaded.configuration.rules;
    note_warnings(&warnings::of_reading(&files, &loaded.findings), &[]);
    note_rules("rules loaded", rules, &loaded.state);
    note_groups(&config.api.groups, rules);
    Ok((files, loaded))
}

/// Makes rules and backends of the files, or neither.
fn load(
    files: &[ConfigFile],
    config: &Config,
    (metrics, journal): (&Arc<Metrics>, Option<&Arc<Journal>>),
    former: &Backends,
) -> Result<Loaded, Error> {
    let (mut rules, findings) = compile(files, std::io::stderr().is_terminal())?;
    switch_off(&mut rules, &config.api.groups);
    let backends = backends::backends(config.upstream(), &rules, metrics, journal, former);
    let backends = backends.map_err(|error| Error::Backend(format!("{error:#}")))?;
    Ok(Loaded {
        configuration: Configuration {
            rules: Arc::new(rules),
            backends: Arc::new(backends),
        },
        state: ConfigState::new(files, Timestamp::now()),
        findings,
    })
}

/// Leaves out the rules of the groups that are switched off: nothing is asked about them.
fn switch_off(rules: &mut Rules, groups: &[ApiGroup]) {
    let off = ApiGroup::ALL.into_iter();
    for group in off.filter(|group| !groups.contains(group)) {
        match group {
            ApiGroup::Custom => rules.custom.clear(),
            ApiGroup::External => rules.external.clear(),
            ApiGroup::Resource => rules.resource = None,
        }
    }
}

fn note_rules(what: &str, rules: &Rules, state: &ConfigState) {
    let (custom, external) = (rules.custom.len(), rules.external.len());
    let (resource, hash) = (rules.resource.is_some(), &state.hash);
    let file = state.files.join(" ");
    tracing::info!(file, hash, custom, external, resource, "{what}");
    if custom + external == 0 && !resource {
        tracing::warn!(file, "there is no rule, and so there is no metric");
    }
}

/// Says which groups are switched off.
fn note_groups(groups: &[ApiGroup], rules: &Rules) {
    let off = ApiGroup::ALL.into_iter();
    for group in off.filter(|group| !groups.contains(group)) {
        tracing::info!(%group, "the API group is switched off, and its rules are not used");
    }
    if groups == [ApiGroup::Resource] && rules.resource.is_none() {
        tracing::warn!("metrics.k8s.io is not served either: the rules file has no resourceRules");
    }
}

#[cfg(test)]
mod tests;
