//! What `tidegauge demo` is told.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::Stop;

const ABOUT: &str = "\
Shows the whole loop on this machine: a load that swells and ebbs, an example service whose \
replicas follow it, and nothing lost on the way.

Started are, each as a process of its own: Prometheus, Redis, two to eight replicas of the example \
service, this adapter and `tidegauge autoscale` with the HorizontalPodAutoscaler of \
manifests/example. It needs prometheus and redis-server on the PATH, and example-service beside \
this program or on the PATH; `make demo` sees to all three.

In a terminal of 80 columns and 24 lines it draws charts; elsewhere, or with NO_COLOR set, it \
prints lines.

The exit code is 0 only if it scaled out and back in, no request failed and no session was lost. \
Whatever was started is stopped at the end, and by Ctrl-C. What stays is one file: the picture of \
the run.";

/// What the demo is told.
#[derive(Debug, Parser)]
#[command(about = "Shows the whole loop on this machine", long_about = ABOUT)]
pub struct Demo {
    /// In about half of the time and with half of the load: to about four replicas and back,
    /// instead of seven. A machine with other things to do needs more replicas, and longer.
    #[arg(long)]
    pub fast: bool,
    /// Leave all running at the end, to play with, until Ctrl-C. Prints what to ask it.
    #[arg(long)]
    pub keep: bool,
    /// Stop Redis while the load ebbs, until each replica has said that it is degraded, and start
    /// it again. Its customers are told to come back later then, and no session may be lost.
    #[arg(long)]
    pub redis_restart: bool,
    /// Where to write the picture of the run.
    #[arg(long, value_name = "FILE", default_value = "tidegauge-demo.svg")]
    pub svg: PathBuf,
    /// Whether the terminal is to get plain text: `NO_COLOR` is not empty (no-color.org), or `TERM`
    /// is `dumb`.
    #[arg(skip)]
    pub plain: bool,
}

impl Demo {
    /// Reads what follows `tidegauge demo` and the environment.
    pub fn read(
        arguments: &[OsString],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Demo, Stop> {
        let command = Demo::command().no_binary_name(true);
        let command = command.name("tidegauge demo").bin_name("tidegauge demo");
        let matches = command.try_get_matches_from(arguments);
        let demo = matches.and_then(|it| Demo::from_arg_matches(&it));
        let mut demo = demo.map_err(|error| Stop::of(&error, "tidegauge demo --help"))?;
        let no_color = env("NO_COLOR").is_some_and(|it| !it.is_empty());
        demo.plain = no_color || env("TERM").as_deref() == Some("dumb");
        Ok(demo)
    }

    /// Reads what follows `tidegauge demo`, and the process's environment.
    pub fn from_process(arguments: &[OsString]) -> Result<Demo, Stop> {
        Demo::read(arguments, super::environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], env: &[(&str, &str)]) -> Result<Demo, Stop> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Demo::read(&arguments, |name| {
            let found = env.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_arguments_the_whole_demo_runs_and_ends() {
        let demo = read(&[], &[("TERM", "xterm"), ("NO_COLOR", "")]).unwrap();
        assert!(!demo.fast && !demo.keep && !demo.redis_restart && !demo.plain);
        assert_eq!(demo.svg, PathBuf::from("tidegauge-demo.svg"));
    }

    #[test]
    fn who_wants_no_colours_gets_plain_text() {
        assert!(read(&[], &[("NO_COLOR", "1")]).unwrap().plain);
        assert!(read(&[], &[("TERM", "dumb")]).unwrap().plain);
    }

    #[test]
    fn an_argument_that_is_not_known_is_named_and_help_names_the_command() {
        let error = read(&["--quick"], &[]).unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("--quick"), "{error}");
        let help = read(&["--help"], &[]).unwrap_err();
        assert_eq!(help.code(), 0);
        assert!(help.to_string().contains("Usage: tidegauge demo"), "{help}");
    }
}
