//! Flags that are accepted so that an existing command line works, and do nothing here. Their
//! values are checked as Go checks them.

use clap::{Arg, ArgAction};

use crate::config::values;

#[derive(Clone, Copy)]
enum Kind {
    Switch,
    Text,
    Integer,
    Number,
    Duration,
}

use Kind::{Duration, Integer, Number, Switch, Text};

/// Why a family of flags does nothing, and the family.
const FAMILIES: [(&str, &[(&str, Kind)]); 6] = [
    (
        "The API server limits its clients itself, and kinds are looked up when needed:",
        &[
            ("client-qps", Number),
            ("client-burst", Integer),
            ("discovery-interval", Duration),
        ],
    ),
    (
        "SO_REUSEADDR is always set:",
        &[("permit-address-sharing", Switch)],
    ),
    (
        "There is no Go runtime to profile, and requests are limited by --max-requests-inflight:",
        &[
            ("profiling", Switch),
            ("contention-profiling", Switch),
            ("debug-socket-path", Text),
            ("enable-priority-and-fairness", Switch),
        ],
    ),
    (
        "Logs go to standard error, unbuffered; -v and --log-format say what:",
        &[("vmodule", Text), ("log-flush-frequency", Duration)],
    ),
    (
        "klog's, of charts for prometheus-adapter 0.9 and older:",
        &[
            ("logtostderr", Switch),
            ("alsologtostderr", Switch),
            ("stderrthreshold", Text),
            ("log_dir", Text),
            ("log-dir", Text),
            ("log_file", Text),
            ("log-file", Text),
            ("log_file_max_size", Integer),
            ("log-file-max-size", Integer),
            ("log_backtrace_at", Text),
            ("log-backtrace-at", Text),
            ("add_dir_header", Switch),
            ("add-dir-header", Switch),
            ("skip_headers", Switch),
            ("skip-headers", Switch),
            ("skip_log_headers", Switch),
            ("skip-log-headers", Switch),
            ("one_output", Switch),
            ("one-output", Switch),
        ],
    ),
    (
        "The API server audits what it forwards:",
        &[
            ("audit-policy-file", Text),
            ("audit-log-path", Text),
            ("audit-log-maxage", Integer),
            ("audit-log-maxbackup", Integer),
            ("audit-log-maxsize", Integer),
            ("audit-log-format", Text),
            ("audit-log-version", Text),
            ("audit-log-compress", Switch),
            ("audit-log-mode", Text),
            ("audit-log-batch-buffer-size", Integer),
            ("audit-log-batch-max-size", Integer),
            ("audit-log-batch-max-wait", Duration),
            ("audit-log-batch-throttle-enable", Switch),
            ("audit-log-batch-throttle-qps", Number),
            ("audit-log-batch-throttle-burst", Integer),
            ("audit-log-truncate-enabled", Switch),
            ("audit-log-truncate-max-batch-size", Integer),
            ("audit-log-truncate-max-event-size", Integer),
            ("audit-webhook-config-file", Text),
            ("audit-webhook-initial-backoff", Duration),
            ("audit-webhook-batch-initial-backoff", Duration),
            ("audit-webhook-version", Text),
            ("audit-webhook-mode", Text),
            ("audit-webhook-batch-buffer-size", Integer),
            ("audit-webhook-batch-max-size", Integer),
            ("audit-webhook-batch-max-wait", Duration),
            ("audit-webhook-batch-throttle-enable", Switch),
            ("audit-webhook-batch-throttle-qps", Number),
            ("audit-webhook-batch-throttle-burst", Integer),
            ("audit-webhook-truncate-enabled", Switch),
            ("audit-webhook-truncate-max-batch-size", Integer),
            ("audit-webhook-truncate-max-event-size", Integer),
        ],
    ),
];

/// All names, without dashes in front.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES
        .iter()
        .flat_map(|(_, flags)| flags.iter())
        .map(|(name, _)| *name)
}

/// The flags themselves. They do not stand in the list of flags but in [`help`].
pub(super) fn args() -> impl Iterator<Item = Arg> {
    FAMILIES
        .iter()
        .flat_map(|(_, flags)| flags.iter())
        .map(|(name, kind)| {
            let arg = Arg::new(*name)
                .long(*name)
                .hide(true)
                .action(ArgAction::Append);
            match kind {
                Switch => arg.action(ArgAction::SetTrue),
                Text => arg,
                Integer => arg.value_parser(clap::value_parser!(i64)),
                Number => arg.value_parser(clap::value_parser!(f64)),
                Duration => arg.value_parser(values::any_duration),
            }
        })
}

/// The paragraph of `--help`.
pub(super) fn help() -> String {
    let mut text = String::from("Accepted for compatibility, without effect:");
    for (why, flags) in FAMILIES {
        let mut names: Vec<&str> = flags.iter().map(|(name, _)| *name).collect();
        // The dashed twins of klog's names are the same flags.
        let twins = names.clone();
        names.retain(|name| !name.contains('-') || !twins.contains(&&*name.replace('-', "_")));
        let names: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
        text.push_str(&format!("\n  {why}\n    {}", names.join(" ")));
    }
    text
}
