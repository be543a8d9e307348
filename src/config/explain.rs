//! What `tidegauge explain` was told, checked.

use std::path::PathBuf;

use super::{Config, Stop, check, flags};

#[cfg(test)]
mod tests;

/// Everything that `tidegauge explain` was told.
#[derive(Debug)]
pub struct Explain {
    /// What to explain.
    pub what: What,
    /// Whom to ask.
    pub whom: Whom,
    /// Shape of what is printed.
    pub output: Output,
    /// Whether a terminal is to get plain text: `NO_COLOR` is not empty (no-color.org), or `TERM`
    /// is `dumb`.
    pub plain: bool,
    /// klog's verbosity; nothing is logged at 0.
    pub verbosity: u8,
}

/// What to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A path of the API, with its query.
    Path(String),
    /// Each metric of the autoscalers in some files.
    Manifests(Named),
}

/// Files of autoscalers, and what they do not say themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// At least one; `-` is the standard input.
    pub files: Vec<PathBuf>,
    /// `-n`: where those are that name no namespace.
    pub namespace: Option<String>,
    /// `-l`: which pods they are about, where no workload in the files says so.
    pub selector: Option<String>,
}

/// Whom to ask.
#[derive(Debug)]
pub enum Whom {
    /// A tidegauge that runs.
    Server(Server),
    /// The rules and Prometheus, by the flags of the server; with objects that are thought of.
    Here {
        /// What the flags of the server say.
        config: Box<Config>,
        /// `--name`
        thought: Option<Thought>,
    },
}

/// A tidegauge that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `--server`
    pub url: String,
    /// `--token-file`
    pub token_file: Option<PathBuf>,
    /// `--certificate-authority`
    pub certificate_authority: Option<PathBuf>,
    /// `--tls-server-name`
    pub tls_server_name: Option<String>,
}

/// Objects that are thought of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Thought {
    /// The kind, as the path writes it; empty: none are asked for.
    pub resource: String,
    /// Their namespace.
    pub namespace: String,
    /// Their names.
    pub names: Vec<String>,
    /// The selector that they satisfy.
    pub selector: String,
}

/// Shape of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Explain {
    /// Reads the process's own arguments and environment.
    pub fn from_process() -> Result<Explain, Stop> {
        let args = super::process_arguments()?;
        Explain::parse(&args, super::environment)
    }

    /// Reads arguments (the program's name and `explain` first) and environment variables.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Explain, Stop> {
        let args: Vec<&str> = args.iter().skip(1).map(AsRef::as_ref).collect();
        let args = flags::explain::parse(&args)
            .map_err(|error| Stop::of(&error, "tidegauge explain --help"))?;
        check::explain::check(args, env).map_err(Stop::complain)
    }
}
