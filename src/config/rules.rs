//! What `tidegauge check` and `tidegauge test` were told, checked.

use std::path::PathBuf;

use super::{Config, KubernetesFlags, PrometheusFlags, RelistFlags, Stop, check, flags};

/// Everything that `tidegauge check` was told.
#[derive(Debug)]
pub struct Check {
    /// Files and folders; `-` for standard input. At least one, unless `list`.
    pub files: Vec<PathBuf>,
    /// All of them are one set of rules, as a server with several `--config` reads them.
    pub together: bool,
    /// Shape of the report.
    pub output: CheckOutput,
    /// Warnings fail as errors do.
    pub strict: bool,
    /// Notes as well, and each rule in a line.
    pub verbose: bool,
    /// Only say which findings there are.
    pub list: bool,
    /// Whom to ask what the rules find; `None`: nobody.
    pub upstream: Option<Upstream>,
    /// Whether the terminal is to get plain text (no-color.org).
    pub plain: bool,
}

/// How to reach Prometheus, as the server is told.
#[derive(Debug)]
pub struct Upstream {
    /// The backend of the flags.
    pub prometheus: PrometheusFlags,
    /// How its names are listed.
    pub relist: RelistFlags,
    /// Whose credentials `--prometheus-auth-incluster` means.
    pub kubernetes: KubernetesFlags,
}

/// All that the flags say about whom to ask for series.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamFlags<'a> {
    /// The backend of the flags.
    pub prometheus: &'a PrometheusFlags,
    /// How its names are listed.
    pub relist: &'a RelistFlags,
    /// Whose credentials `--prometheus-auth-incluster` means.
    pub kubernetes: &'a KubernetesFlags,
}

impl Config {
    /// What it says about whom to ask for series.
    pub fn upstream(&self) -> UpstreamFlags<'_> {
        UpstreamFlags {
            prometheus: &self.prometheus,
            relist: &self.relist,
            kubernetes: &self.kubernetes,
        }
    }
}

impl Upstream {
    /// The same, lent.
    pub fn flags(&self) -> UpstreamFlags<'_> {
        UpstreamFlags {
            prometheus: &self.prometheus,
            relist: &self.relist,
            kubernetes: &self.kubernetes,
        }
    }

    /// A Prometheus at `url`, with the defaults of all other flags.
    ///
    /// # Errors
    /// It is no URL.
    pub fn at(url: &str) -> Result<Upstream, Stop> {
        let url = format!("--prometheus-url={url}");
        let check = Check::parse(&["tidegauge", "check", "-", &url], |_| None)?;
        let missing = || Stop::Wrong("--prometheus-url must be used".to_owned());
        check.upstream.ok_or_else(missing)
    }
}

/// Shape of a report on rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckOutput {
    /// Code frames and a summary.
    Text,
    /// One object.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// Everything that `tidegauge test` was told.
#[derive(Debug)]
pub struct Test {
    /// Files of tests, at least one.
    pub files: Vec<PathBuf>,
    /// Shape of the report.
    pub output: TestOutput,
    /// Which Prometheus to start.
    pub prometheus: PathBuf,
    /// Only tests whose name holds this.
    pub run: Option<String>,
    /// Whether the terminal is to get plain text (no-color.org).
    pub plain: bool,
}

/// Shape of a report on tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TestOutput {
    /// A line for each test, and what differs.
    Text,
    /// One object.
    Json,
    /// JUnit's XML.
    Junit,
}

impl Check {
    /// Reads the process's own arguments and environment.
    pub fn from_process() -> Result<Check, Stop> {
        Check::parse(&super::process_arguments()?, super::environment)
    }

    /// Reads arguments (the program's name and `check` first) and environment variables.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Check, Stop> {
        let args: Vec<&str> = args.iter().skip(1).map(AsRef::as_ref).collect();
        let args = flags::rules::parse_check(&args)
            .map_err(|error| Stop::of(&error, "tidegauge check --help"))?;
        check::rules::check(args, env).map_err(Stop::complain)
    }
}

impl Test {
    /// Reads the process's own arguments and environment.
    pub fn from_process() -> Result<Test, Stop> {
        Test::parse(&super::process_arguments()?, super::environment)
    }

    /// Reads arguments (the program's name and `test` first) and environment variables.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Test, Stop> {
        let args: Vec<&str> = args.iter().skip(1).map(AsRef::as_ref).collect();
        let args = flags::rules::parse_test(&args)
            .map_err(|error| Stop::of(&error, "tidegauge test --help"))?;
        check::rules::test(args, env).map_err(Stop::complain)
    }
}

#[cfg(test)]
mod tests;
