//! The checks across the flags of `tidegauge check` and `tidegauge test`.

use std::path::PathBuf;

use super::{prometheus, service};
use crate::config::KubernetesFlags;
use crate::config::flags::{Prometheus, Relist, rules as flags};
use crate::config::rules::{Check, Test, Upstream};
use crate::kubernetes::{WatchLimits, kubeconfig};

/// Standard input.
const INPUT: &str = "-";

/// Every complaint at once, one line each.
pub(in crate::config) fn check(
    (args, given): (flags::Check, Vec<&'static str>),
    env: impl Fn(&str) -> Option<String>,
) -> Result<Check, Vec<String>> {
    let mut complaints = Vec::new();
    if args.files.is_empty() && !args.list {
        complaints.push("name the files or folders with rules; - is standard input".to_owned());
    }
    if args.files.iter().filter(|file| **file == *INPUT).count() > 1 {
        complaints.push("standard input can be read once: give - once".to_owned());
    }
    let is_asked = given.contains(&"--prometheus-url");
    if let (Some(flag), false) = (given.first(), is_asked) {
        complaints.push(format!(
            "{flag} without --prometheus-url: give the URL to ask what the rules find, or leave \
             {flag} out"
        ));
    }
    let mut ignored = Vec::new();
    let upstream = match is_asked {
        true => upstream(
            args.prometheus,
            &args.relist,
            &env,
            &mut ignored,
            &mut complaints,
        ),
        false => None,
    };
    match complaints.is_empty() {
        true => Ok(Check {
            files: args.files.iter().map(PathBuf::from).collect(),
            together: args.together,
            output: args.output,
            strict: args.strict,
            verbose: args.verbose,
            list: args.list,
            upstream,
            plain: is_plain(&env),
        }),
        false => Err(complaints),
    }
}

fn upstream(
    flags: Prometheus,
    relist: &Relist,
    env: impl Fn(&str) -> Option<String>,
    ignored: &mut Vec<String>,
    complaints: &mut Vec<String>,
) -> Option<Upstream> {
    let prometheus = prometheus::prometheus(flags, ignored, complaints);
    let relist = prometheus::relist(relist, complaints);
    let service = service(env, complaints);
    Some(Upstream {
        prometheus: prometheus?,
        relist,
        kubernetes: KubernetesFlags {
            kubeconfig: None,
            service_account: PathBuf::from(kubeconfig::SERVICE_ACCOUNT),
            watched: WatchLimits::NONE,
            service,
        },
    })
}

/// Every complaint at once, one line each.
pub(in crate::config) fn test(
    args: flags::Test,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Test, Vec<String>> {
    if args.files.is_empty() {
        return Err(vec!["name the files with tests".to_owned()]);
    }
    Ok(Test {
        files: args.files.iter().map(PathBuf::from).collect(),
        output: args.output,
        prometheus: args.prometheus,
        run: args.run,
        plain: is_plain(&env),
    })
}

/// `NO_COLOR` is not empty (no-color.org), or `TERM` is `dumb`.
fn is_plain(env: impl Fn(&str) -> Option<String>) -> bool {
    env("NO_COLOR").is_some_and(|it| !it.is_empty()) || env("TERM").as_deref() == Some("dumb")
}
