//! Flags of `tidegauge check` and `tidegauge test`.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Args as _, Command, FromArgMatches};

use super::{Prometheus, Relist, as_pflag};
use crate::config::ask;
use crate::config::rules::{CheckOutput, TestOutput};

const ABOUT_CHECK: &str = "\
Checks rules without a cluster: all that can be known from the file, each finding with its place \
and what to write instead.

A FILE is a rules file, a Kubernetes manifest with a ConfigMap that holds one, the values of \
prometheus-adapter's Helm chart, or a folder in which all of them are looked for, also in the \
folders in it; - is standard input. What a server reads as one is one set: its names must not \
collide, and its backends are there for all its rules. Each FILE is a set by itself, as is each \
ConfigMap with all its keys; the rules files of a folder that is named are a set, as --config \
takes a folder, and those of folders in it are each by itself. With --together, all that is named \
is one.

Errors keep a file from being loaded. Warnings are what is certain to disappoint: metrics that \
nobody can make or find, queries that are no PromQL once they are filled, matchers that have no \
effect. --verbose adds notes, such as for how many objects one query is asked and what forbids \
more.

With --prometheus-url, it also asks Prometheus: which names each rule finds now and which metrics \
they make, which rules find nothing, whose metrics collide, and whether the queries are accepted.

Exit codes: 0 no error (with --strict: no warning either), 1 errors, 2 the flags are wrong or a \
file cannot be read.";

const EXAMPLES_CHECK: &str = "\
Examples:
  tidegauge check rules.yaml
  tidegauge check --strict -o github manifests/
  tidegauge check --together /etc/tidegauge/rules team-a.yaml team-b.yaml
  kubectl get configmap -n monitoring adapter-config -o yaml | tidegauge check -
  tidegauge check --prometheus-url=http://localhost:9090 --verbose rules.yaml";

const ABOUT_TEST: &str = "\
Tests rules: series go in, an ask is made as an autoscaler makes it, and values must come out.

Tests stand in YAML files beside the rules, in the format of `promtool test rules` as far as it \
goes. Each test has a Prometheus of its own, which is started for it on this machine and holds its \
series; the ask goes the whole way that it goes in a server that runs. Time is eval_time, counted \
from the first values of the series, and nothing depends on the clock.

Exit codes: 0 all is as expected, 1 something is not, 2 the flags, the files or Prometheus are not \
usable.";

const EXAMPLES_TEST: &str = "\
A whole example, rules.test.yaml:

  rule_files: [rules.yaml]          # files and folders, read as one; relative to this file
  tests:
  - name: requests a second
    interval: 15s                   # between two values; 1m if it is left out
    input_series:
    # 0, 150, 300 … 3000: 10 a second. `_` is a missing scrape, `stale` the end of the series.
    - series: http_requests_total{namespace=\"shop\",pod=\"web-1\"}
      values: 0+150x20
    - series: http_requests_total{namespace=\"shop\",pod=\"web-2\"}
      values: 0+300x20
    objects:                        # what the cluster has, as --standalone takes it
    - {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}}
    - {apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}}
    - {apiVersion: v1, kind: Pod, metadata: {name: web-3, namespace: shop, labels: {app: web}}}
    metric_test:
    - ask: pods/http_requests_per_second -n shop -l app=web
      eval_time: 5m
      exp_values: {web-1: 10, web-2: \"20\"}        # these, and no other
    - ask: pods/web-1/http_requests_per_second -n shop
      eval_time: 5m
      exp_value: 10                                # one item, of whatever it is
    - ask: external/queue_length -n shop -l queue=a
      eval_time: 5m
      exp_error: queue_length                      # a part of the message
      exp_code: 404

What is expected, one of:
  exp_values   of objects, by name; of CPU and memory NAME/cpu and NAME/memory. {} is an empty list
  exp_value    the only item
  exp_samples  of an external metric, [{labels: '{queue=\"a\"}', value: 3}], as promtool writes them
  exp_error, exp_code
               the message of the error, or a part of it; its status
Values are quantities: 20, 0.5, 250m, 64Mi. They are told in thousandths, or more finely below 1.

How to ask:
";

#[derive(Debug, clap::Args)]
pub(in crate::config) struct Check {
    /// Rules files, manifests, folders; - is standard input.
    #[arg(value_name = "FILE")]
    pub(in crate::config) files: Vec<String>,
    /// text: code frames and a summary. json: one object. sarif: SARIF 2.1.0, for code scanning.
    /// github: annotations of a workflow.
    #[arg(
        short = 'o',
        long,
        value_name = "text|json|sarif|github",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(in crate::config) output: CheckOutput,
    /// All that is named is one set of rules, as a server reads what several --config name: of a
    /// folder all its *.yaml and *.yml, and none in folders in it.
    #[arg(long)]
    pub(in crate::config) together: bool,
    /// Fail for warnings as for errors.
    #[arg(long)]
    pub(in crate::config) strict: bool,
    /// Show notes as well, and each rule in a line.
    #[arg(long)]
    pub(in crate::config) verbose: bool,
    /// Say which findings there are, by their codes, and check nothing.
    #[arg(long)]
    pub(in crate::config) list: bool,
    #[command(flatten)]
    pub(in crate::config) prometheus: Prometheus,
    #[command(flatten)]
    pub(in crate::config) relist: Relist,
}

#[derive(Debug, clap::Args)]
pub(in crate::config) struct Test {
    /// Files of tests.
    #[arg(value_name = "FILE")]
    pub(in crate::config) files: Vec<String>,
    /// text: a line for each test, and what differs. json: one object. junit: XML for a CI server.
    #[arg(
        short = 'o',
        long,
        value_name = "text|json|junit",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(in crate::config) output: TestOutput,
    /// The Prometheus to start, 2.33 or newer: a program on the PATH, or its path.
    #[arg(long, value_name = "FILE", default_value = "prometheus")]
    pub(in crate::config) prometheus: PathBuf,
    /// Run only tests whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::config) run: Option<String>,
}

/// Parses the arguments, the command's name first. Second: the flags about Prometheus that are
/// given, that of its URL first.
pub(in crate::config) fn parse_check(
    args: &[&str],
) -> Result<(Check, Vec<&'static str>), clap::Error> {
    const OF_PROMETHEUS: &[(&str, &str)] = &[
        ("prometheus_url", "--prometheus-url"),
        ("prometheus_auth_incluster", "--prometheus-auth-incluster"),
        ("prometheus_auth_config", "--prometheus-auth-config"),
        ("prometheus_ca_file", "--prometheus-ca-file"),
        (
            "prometheus_client_tls_cert_file",
            "--prometheus-client-tls-cert-file",
        ),
        (
            "prometheus_client_tls_key_file",
            "--prometheus-client-tls-key-file",
        ),
        ("prometheus_token_file", "--prometheus-token-file"),
        ("prometheus_header", "--prometheus-header"),
        ("prometheus_verb", "--prometheus-verb"),
        ("prometheus_timeout", "--prometheus-timeout"),
        ("metrics_max_age", "--metrics-max-age"),
    ];
    // The texts come last: flattening brings the structs' own.
    let command = Check::augment_args(Command::new("tidegauge check"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT_CHECK.lines().next().unwrap_or_default())
        .long_about(ABOUT_CHECK)
        .after_help(EXAMPLES_CHECK)
        .override_usage("tidegauge check [FLAGS] FILE…")
        .args_override_self(true)
        .mut_args(as_pflag);
    let matches = command.try_get_matches_from(args)?;
    let is_given = Some(ValueSource::CommandLine);
    let given = |(id, _): &&(&str, &str)| matches.value_source(id) == is_given;
    let given = OF_PROMETHEUS.iter().filter(given).map(|(_, flag)| *flag);
    let given = given.collect();
    Ok((Check::from_arg_matches(&matches)?, given))
}

/// Parses the arguments, the command's name first.
pub(in crate::config) fn parse_test(args: &[&str]) -> Result<Test, clap::Error> {
    let command = Test::augment_args(Command::new("tidegauge test"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT_TEST.lines().next().unwrap_or_default())
        .long_about(ABOUT_TEST)
        .after_help(format!("{EXAMPLES_TEST}{}", indented(ask::SYNTAX)))
        .override_usage("tidegauge test [FLAGS] FILE…")
        .args_override_self(true)
        .mut_args(as_pflag);
    let matches = command.try_get_matches_from(args)?;
    Test::from_arg_matches(&matches)
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
