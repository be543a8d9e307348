//! Every flag of prometheus-adapter 0.12 parses, in pflag's forms; the checks name their flags.

mod access;
mod serving;
mod status;

use proptest::prelude::*;

use super::*;
use crate::api::route::ApiGroup;
use crate::prometheus::Verb;

/// Flags of prometheus-adapter 0.12 with a value each takes, and klog's old ones. A switch has
/// none.
const GO_FLAGS: &[(&str, &[&str])] = &[
    // The adapter's own (cmd/adapter/adapter.go).
    ("prometheus-url", &["http://p:9090/x?y=1"]),
    ("prometheus-auth-incluster", &[]),
    ("prometheus-auth-config", &["k"]),
    ("prometheus-ca-file", &["k", ""]),
    ("prometheus-client-tls-cert-file", &["k"]),
    ("prometheus-client-tls-key-file", &["k"]),
    ("prometheus-token-file", &["k"]),
    ("prometheus-header", &["A=b,c=d", "A"]),
    ("prometheus-verb", &["GET", "POST"]),
    ("config", &["k"]),
    ("metrics-relist-interval", &["1m", "1h30m"]),
    ("metrics-max-age", &["0s", "20m", "0"]),
    ("disable-http2", &[]),
    // custom-metrics-apiserver.
    ("lister-kubeconfig", &["k"]),
    ("service-account-directory", &["d"]),
    ("discovery-interval", &["0s", "-1m"]),
    ("client-qps", &["5", "-1", "0.5"]),
    ("client-burst", &["10"]),
    // Logging.
    ("v", &["4", "-1"]),
    ("vmodule", &["a=2"]),
    ("log-flush-frequency", &["5s"]),
    ("logtostderr", &[]),
    ("alsologtostderr", &[]),
    ("stderrthreshold", &["2"]),
    ("log_dir", &["/tmp"]),
    ("log_file", &["x"]),
    ("log_file_max_size", &["1800"]),
    ("log_backtrace_at", &[":0"]),
    ("add_dir_header", &[]),
    ("skip_headers", &[]),
    ("skip_log_headers", &[]),
    ("one_output", &[]),
    // Serving.
    ("bind-address", &["0.0.0.0", "::1"]),
    ("secure-port", &["6443", "0"]),
    ("cert-dir", &["/tmp/cert"]),
    (
        "tls-cipher-suites",
        &["TLS_RSA_WITH_AES_128_CBC_SHA,TLS_AES_128_GCM_SHA256"],
    ),
    ("tls-min-version", &["VersionTLS12", "VersionTLS10", ""]),
    ("tls-sni-cert-key", &["c,k:a.b"]),
    ("tls-curve-preferences", &["23,29", "4588"]),
    ("http2-max-streams-per-connection", &["0", "100"]),
    ("permit-port-sharing", &[]),
    ("permit-address-sharing", &[]),
    // Authentication and authorization.
    ("authentication-kubeconfig", &["k"]),
    ("authentication-skip-lookup", &[]),
    ("authentication-token-webhook-cache-ttl", &["10s"]),
    ("authentication-tolerate-lookup-failure", &[]),
    ("client-ca-file", &["k"]),
    ("requestheader-client-ca-file", &["k"]),
    ("requestheader-username-headers", &["a,b"]),
    ("requestheader-uid-headers", &["a,b"]),
    ("requestheader-group-headers", &["a,b"]),
    ("requestheader-extra-headers-prefix", &["a-"]),
    ("requestheader-allowed-names", &["a,b"]),
    ("authorization-kubeconfig", &["k"]),
    ("authorization-always-allow-paths", &["/healthz,/x*"]),
    ("authorization-webhook-cache-authorized-ttl", &["10s"]),
    ("authorization-webhook-cache-unauthorized-ttl", &["0s"]),
    ("authorization-broad-checks", &[]),
    // Features.
    ("profiling", &[]),
    ("contention-profiling", &[]),
    ("debug-socket-path", &["/s"]),
    ("enable-priority-and-fairness", &[]),
    // Audit.
    ("audit-policy-file", &["k"]),
    ("audit-log-path", &["-"]),
    ("audit-log-maxage", &["1"]),
    ("audit-log-maxbackup", &["1"]),
    ("audit-log-maxsize", &["1"]),
    ("audit-log-format", &["json"]),
    ("audit-log-version", &["audit.k8s.io/v1"]),
    ("audit-log-compress", &[]),
    ("audit-log-mode", &["blocking"]),
    ("audit-log-batch-buffer-size", &["10000"]),
    ("audit-log-batch-max-size", &["1"]),
    ("audit-log-batch-max-wait", &["0s"]),
    ("audit-log-batch-throttle-enable", &[]),
    ("audit-log-batch-throttle-qps", &["0"]),
    ("audit-log-batch-throttle-burst", &["0"]),
    ("audit-log-truncate-enabled", &[]),
    ("audit-log-truncate-max-batch-size", &["10485760"]),
    ("audit-log-truncate-max-event-size", &["102400"]),
    ("audit-webhook-config-file", &["k"]),
    ("audit-webhook-initial-backoff", &["10s"]),
    ("audit-webhook-batch-initial-backoff", &["10s"]),
    ("audit-webhook-version", &["audit.k8s.io/v1"]),
    ("audit-webhook-mode", &["batch"]),
    ("audit-webhook-batch-buffer-size", &["10000"]),
    ("audit-webhook-batch-max-size", &["400"]),
    ("audit-webhook-batch-max-wait", &["30s"]),
    ("audit-webhook-batch-throttle-enable", &[]),
    ("audit-webhook-batch-throttle-qps", &["10"]),
    ("audit-webhook-batch-throttle-burst", &["15"]),
    ("audit-webhook-truncate-enabled", &[]),
    ("audit-webhook-truncate-max-batch-size", &["1"]),
    ("audit-webhook-truncate-max-event-size", &["1"]),
];

fn parse(args: &[&str]) -> Result<Config, Stop> {
    let mut all = vec!["tidegauge"];
    all.extend(args);
    Config::parse(&all, |_| None)
}

/// With `--config` before the other arguments.
fn good(args: &[&str]) -> Config {
    parse(&[&["--config=rules.yaml"], args].concat()).unwrap_or_else(|stop| panic!("{stop}"))
}

fn wrong(args: &[&str]) -> String {
    match parse(&[&["--config=rules.yaml"], args].concat()) {
        Err(Stop::Wrong(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn help() -> String {
    match parse(&["--help"]) {
        Err(stop @ Stop::Asked(_)) => {
            assert_eq!(stop.code(), 0);
            stop.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flag_of_the_go_adapter_parses_in_every_form() {
    for (flag, values) in GO_FLAGS {
        let with: &[&str] = match *flag {
            "tls-min-version" | "config" => &[],
            _ => &["--metrics-max-age=2h"],
        };
        for value in *values {
            // Pairs that are only valid together are judged elsewhere.
            good(&[with, &[&format!("--{flag}={value}")]].concat());
            good(&[with, &[&format!("--{flag}"), value]].concat());
        }
        if values.is_empty() {
            for form in ["", "=true", "=false", "=1", "=F"] {
                good(&[&format!("--{flag}{form}")]);
            }
            let text = wrong(&[&format!("--{flag}=perhaps")]);
            let want = format!(
                "invalid argument \"perhaps\" for \"--{flag}\" flag: strconv.ParseBool: parsing \
                 \"perhaps\": invalid syntax"
            );
            assert!(text.starts_with(&want), "{text}");
        }
    }
    good(&["--tls-cert-file=c", "--tls-private-key-file", "k"]);
}

#[test]
fn help_mentions_every_flag_there_is_and_its_headings() {
    let help = help();
    for arg in flags::command().get_arguments() {
        let Some(long) = arg.get_long() else { continue };
        let twin = long.replace('-', "_");
        let is_twin = twin != long && GO_FLAGS.iter().any(|(name, _)| *name == twin);
        assert!(
            is_twin || help.contains(&format!("--{long}")),
            "--{long} is not in the help"
        );
        let explained = arg.is_hide_set() || arg.get_help().is_some();
        assert!(explained, "--{long} has no text");
    }
    assert!(
        help.starts_with("Custom, external and resource metrics"),
        "{help}"
    );
    let headings = [
        "Rules:",
        "API:",
        "Prometheus:",
        "Relist:",
        "Kubernetes:",
        "Serving:",
        "Authentication:",
        "Authorization:",
        "Standalone:",
        "Logging:",
        "Accepted for compatibility",
        "Examples:",
    ];
    for heading in headings {
        assert!(help.contains(heading), "{heading}");
    }
}

#[test]
fn defaults_are_those_of_the_go_adapter() {
    let config = good(&[]);
    assert_eq!(config.prometheus.url, "https://localhost");
    assert_eq!(config.prometheus.verb, Verb::Get);
    assert_eq!(config.relist.interval, Duration::from_secs(600));
    assert_eq!(config.relist.max_age, Duration::from_secs(600));
    assert_eq!(config.serving.secure_port, 443);
    assert_eq!(config.serving.bind_address.to_string(), "0.0.0.0");
    assert_eq!(
        config.serving.cert_dir,
        PathBuf::from("apiserver.local.config/certificates")
    );
    assert!(config.serving.http2 && config.serving.cipher_suites.is_empty());
    assert_eq!(config.authentication.username_headers, ["x-remote-user"]);
    assert!(config.authentication.uid_headers.is_empty());
    assert!(!config.authorization.broad_checks);
    assert_eq!(
        config.authorization.always_allow_paths,
        ["/healthz", "/readyz", "/livez"]
    );
    assert_eq!(config.prometheus.max_response_bytes, 64 << 20);
    assert_eq!(config.relist.max_response_bytes, 1 << 30);
    assert!(config.ignored.is_empty() && config.standalone.is_none());
    assert_eq!(config.api.groups, ApiGroup::ALL);
    assert_eq!(config.api.discovery_max_metrics, 2000);
}

#[test]
fn api_groups_are_served_by_name() {
    let config = good(&["--api-groups=metrics.k8s.io, custom.metrics.k8s.io"]);
    assert_eq!(config.api.groups, [ApiGroup::Resource, ApiGroup::Custom]);
    let text = wrong(&["--api-groups=custom.metrics.k8s.io,external"]);
    let want = "--api-groups: \"external\" is no API group of ours; there are \
                custom.metrics.k8s.io, external.metrics.k8s.io, metrics.k8s.io\n";
    assert_eq!(text, want);
    assert!(wrong(&["--api-groups="]).contains("--api-groups: \"\" is no API group of ours"));
    assert_eq!(
        good(&["--discovery-max-metrics=0"])
            .api
            .discovery_max_metrics,
        0
    );
}

#[test]
fn objects_are_watched_for_a_while_after_the_last_ask_unless_told_otherwise() {
    let watched = |flags: &[&str]| good(flags).kubernetes.watched;
    let (idle, kinds) = (Duration::from_secs(600), 64);
    assert_eq!(watched(&[]), WatchLimits { idle, kinds });
    assert!(watched(&["--object-watch-idle=0s"]).idle.is_zero());
    assert!(wrong(&["--object-watch-idle=-1s"]).contains("--object-watch-idle"));
    assert_eq!(watched(&["--max-object-watches=200"]).kinds, 200);
    for few in ["--max-object-watches=0", "--max-object-watches=-1"] {
        assert!(wrong(&[few]).contains("--max-object-watches"));
    }
}

#[test]
fn the_command_line_of_the_helm_chart_works() {
    let config = good(&[
        "/adapter",
        "--secure-port=6443",
        "--cert-dir=/tmp/cert",
        "--logtostderr=true",
        "--prometheus-url=http://prometheus.monitoring.svc:9090",
        "--metrics-relist-interval=1m",
        "--v=4",
    ]);
    assert_eq!(config.serving.secure_port, 6443);
    assert_eq!(config.relist.max_age, Duration::from_secs(60));
    assert_eq!(config.log.verbosity, 4);
    assert_eq!(config.ignored, ["--logtostderr"]);
}

#[test]
fn verbosity_is_written_in_four_ways() {
    for args in [
        &["-v", "4"][..],
        &["-v=4"],
        &["-v4"],
        &["--v=4"],
        &["--v", "4"],
    ] {
        assert_eq!(good(args).log.verbosity, 4, "{args:?}");
    }
    assert_eq!(good(&["-v=-3"]).log.verbosity, 0);
    assert_eq!(good(&["-v=10000"]).log.verbosity, 255);
}

#[test]
fn a_switch_never_takes_the_next_argument() {
    assert!(!good(&["--disable-http2", "false"]).serving.http2);
    assert!(good(&["--disable-http2=false"]).serving.http2);
    // The name that Go's API servers have for it.
    assert!(!good(&["--disable-http2-serving"]).serving.http2);
    assert!(
        good(&["--disable-http2", "--disable-http2=false"])
            .serving
            .http2
    );
}

#[test]
fn the_last_scalar_wins_and_lists_grow() {
    let config = good(&[
        "--secure-port=1",
        "--secure-port=2",
        "--requestheader-username-headers=a,b",
        "--requestheader-username-headers=c",
        "--prometheus-header=A=1,2",
        "--prometheus-header=B",
    ]);
    assert_eq!(config.serving.secure_port, 2);
    assert_eq!(config.authentication.username_headers, ["a", "b", "c"]);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        config.prometheus.headers,
        [header("A", "1,2"), header("B", "")]
    );
}

#[test]
fn a_value_may_look_like_a_flag() {
    assert_eq!(
        good(&["--cert-dir", "--strange"]).serving.cert_dir,
        PathBuf::from("--strange")
    );
}

#[test]
fn errors_have_the_words_of_pflag() {
    let begins = |args: &[&str], want: &str| {
        let text = wrong(args);
        assert!(text.starts_with(want), "{text}");
    };
    let text = "invalid argument \"10\" for \"--metrics-relist-interval\" flag: time: missing unit \
                in duration \"10\"\n";
    begins(&["--metrics-relist-interval=10"], text);
    begins(
        &["--confg=x"],
        "unknown flag: --confg\nDid you mean --config?\n",
    );
    begins(
        &["-c=x"],
        "unknown shorthand flag: -c\nDid you mean --config?\n",
    );
    let stop = parse(&["--config"]).unwrap_err();
    assert_eq!(stop.code(), 2);
    assert!(
        stop.to_string()
            .starts_with("flag needs an argument: --config\n"),
        "{stop}"
    );
    begins(
        &["--prometheus-timeout=0s"],
        "invalid argument \"0s\" for \"--prometheus-timeout\"",
    );
    begins(
        &["--prometheus-timeout=-1s"],
        "invalid argument \"-1s\" for \"--prometheus-timeout\"",
    );
    begins(
        &["--max-connections=0"],
        "invalid argument \"0\" for \"--max-connections\" flag: ",
    );
    begins(
        &["--log-format=xml"],
        "invalid argument \"xml\" for \"--log-format\" flag: must be ",
    );
}

#[test]
fn checks_across_flags_name_the_flags() {
    let contains = |args: &[&str], want: &str| {
        let text = wrong(args);
        assert!(text.contains(want), "{text}");
    };
    contains(&["--config="], "make sure to use --config");
    contains(
        &["--metrics-max-age=1m"],
        "max age must not be less than relist interval",
    );
    contains(
        &["--prometheus-verb=PUT"],
        "unsupported Prometheus HTTP verb \"PUT\"",
    );
    contains(&["--prometheus-url=prometheus:9090"], "--prometheus-url: ");
    let both = ["--prometheus-auth-incluster", "--prometheus-auth-config=k"];
    contains(
        &both,
        "may not use both in-cluster auth and an explicit kubeconfig at the same time",
    );
    let range = "--secure-port 99999 must be between 1 and 65535, inclusive. It cannot be turned \
                 off with 0";
    contains(&["--secure-port=99999"], range);
    let range = "--secure-port -1 must be between 0 and 65535, inclusive. 0 for turning off secure \
                 port";
    contains(&["--secure-port=-1"], range);
    contains(&["--tls-min-version=FOO"], "unknown tls version \"FOO\"");
    contains(
        &["--tls-cipher-suites=FOO"],
        "Cipher suite FOO not supported or doesn't exist",
    );
    contains(&["--tls-cert-file=c"], "--tls-private-key-file");
    contains(
        &["--requestheader-group-headers= "],
        "empty value in \"requestheader-group-headers\"",
    );
    contains(
        &["--requestheader-uid-headers=a,"],
        "empty value in \"requestheader-uid-headers\"",
    );
    contains(
        &["--authorization-always-allow-paths=/livez,/a*b"],
        "only trailing * allowed in \"/a*b\"",
    );
    contains(
        &["--standalone=o", "--bind-address=0.0.0.0"],
        "--bind-address 0.0.0.0: ",
    );
    // All complaints at once.
    let text = wrong(&["--config=", "--prometheus-verb=PUT"]);
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_header_that_cannot_be_sent_does_not_show_its_value() {
    for flag in [
        "--prometheus-header=Author ization=hunter2",
        "--prometheus-header=Authorization: Bearer hunter2==",
        "--prometheus-header=X-A=hunter2\n",
    ] {
        let text = wrong(&[flag]);
        assert!(
            text.contains("--prometheus-header") && !text.contains("hunter2"),
            "{text}"
        );
    }
    let config = good(&[
        "--prometheus-url=http://user:hunter2@p",
        "--prometheus-header=A=hunter2",
    ]);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_ca_file_makes_both_kinds_of_auth_harmless_as_in_go() {
    good(&[
        "--prometheus-auth-incluster",
        "--prometheus-auth-config=k",
        "--prometheus-ca-file=c",
    ]);
}

#[test]
fn standalone_serves_on_loopback_only() {
    let config = good(&["--standalone=objects.yaml"]);
    assert_eq!(config.serving.bind_address.to_string(), "127.0.0.1");
    good(&["--standalone=objects.yaml", "--bind-address=127.0.0.1"]);
}

#[test]
fn the_cipher_suites_of_the_published_manifests_are_accepted() {
    let names = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,\
                 TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_256_CBC_SHA";
    let config = good(&[
        &format!("--tls-cipher-suites={names}"),
        "--tls-min-version=VersionTLS13",
    ]);
    let suites = config.serving.cipher_suites;
    assert_eq!(suites[1], "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_eq!(suites.len(), 4);
    assert_eq!(config.serving.min_version, Version::Tls13);
}

#[test]
fn the_api_server_is_found_in_the_environment() {
    let parse = |port: &'static str| {
        Config::parse(&["tidegauge", "--config=x"], |name| match name {
            "KUBERNETES_SERVICE_HOST" => Some("10.0.0.1".to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some(port.to_owned()),
            _ => None,
        })
    };
    let service = parse("443").unwrap().kubernetes.service;
    assert_eq!(service, Some(("10.0.0.1".to_owned(), 443)));
    let text = parse("https").unwrap_err().to_string();
    assert!(text.contains("KUBERNETES_SERVICE_PORT"), "{text}");
}

#[test]
fn help_and_version_may_be_words() {
    assert_eq!(
        parse(&["help"]).unwrap_err(),
        parse(&["--help"]).unwrap_err()
    );
    let version = format!("tidegauge {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(parse(&["version"]).unwrap_err(), Stop::Asked(version));
}

#[test]
fn a_mistyped_command_is_told_and_no_flag_of_it_is_judged() {
    for (word, meant) in [
        ("chekc", "check"),
        ("tset", "test"),
        ("explian", "explain"),
        ("autoscaler", "autoscale"),
        ("auto", "autoscale"),
        ("dmeo", "demo"),
        ("check2", "check"),
        ("Check", "check"),
    ] {
        for rest in [&["-n", "shop"][..], &[], &["--config=rules.yaml"]] {
            let Err(stop @ Stop::Wrong(_)) = parse(&[&[word], rest].concat()) else {
                panic!("{word} {rest:?}");
            };
            let want = format!("unknown command: {word}\nDid you mean {meant}?\n");
            assert!(stop.to_string().starts_with(&want), "{stop}");
            assert_eq!(stop.code(), 2);
        }
    }
    let told = parse(&["serve"]).unwrap_err().to_string();
    assert!(
        told.starts_with("unknown command: serve (there are check, test,"),
        "{told}"
    );
    assert!(told.contains("--config"), "{told}");
    // The Go adapter takes no notice of such a word.
    good(&[]);
    parse(&["serve", "--config=rules.yaml"]).unwrap();
    parse(&["/adapter", "--config=rules.yaml"]).unwrap();
}

#[test]
fn arguments_that_are_no_flags_are_told_and_secrets_among_them_are_not() {
    let strays = |args: &[&str]| good(args).strays;
    assert_eq!(strays(&["/adapter", "--v=4"]), [""; 0]);
    assert_eq!(strays(&["serve", "foo", "--v", "4"]), ["serve", "foo"]);
    assert_eq!(strays(&["--prometheus-auth-incluster", "false"]), ["false"]);
    assert_eq!(strays(&["--v=4", "http://me:secret@prometheus"]), ["…"]);
}

proptest! {
    #[test]
    fn sizes_are_read_exactly(number in 1_u64..1 << 33) {
        prop_assert_eq!(values::bytes(&number.to_string()), Ok(number));
        prop_assert_eq!(values::bytes(&format!("{number}KiB")), Ok(number << 10));
        prop_assert_eq!(values::bytes(&format!("{number}GiB")), Ok(number << 30));
    }

    #[test]
    fn no_command_line_makes_it_panic(
        args in prop::collection::vec("\\PC{0,12}|--[a-z=]{0,9}", 0..5),
    ) {
        let mut all = vec!["tidegauge".to_owned()];
        all.extend(args);
        let _ = Config::parse(&all, |_| None);
    }
}

#[test]
fn rules_may_stand_in_several_places_each_read_once() {
    let config = good(&["--config=/etc/more", "--config", "rules.yaml"]);
    let expected = ["rules.yaml", "/etc/more"].map(PathBuf::from);
    assert_eq!(config.rules, expected);
}
