//! The flags of `tidegauge autoscale`, and what is said of wrong ones.

use jiff::SignedDuration;

use super::*;

const SERVER: [&str; 4] = [
    "-f",
    "a.yaml",
    "--server=http://127.0.0.1:1",
    "--current=cat n",
];

fn parse(args: &[&str]) -> Result<Autoscale, Stop> {
    parse_in(args, &[])
}

fn parse_in(args: &[&str], env: &[(&str, &str)]) -> Result<Autoscale, Stop> {
    let args = [&["tidegauge", "autoscale"], args].concat();
    Autoscale::parse(&args, |name| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn refused(args: &[&str]) -> String {
    let stop = parse(args).unwrap_err();
    assert_eq!(stop.code(), 2);
    stop.to_string()
}

#[test]
fn a_server_without_a_cluster_takes_commands() {
    let exec = ["--exec=scale {replicas}", "--filename=b.yaml", "-o", "json"];
    let flags = parse(&[&SERVER[..], &exec].concat()).unwrap();
    assert_eq!(flags.files, [PathBuf::from("a.yaml"), "b.yaml".into()]);
    assert_eq!(flags.from, From::Server("http://127.0.0.1:1".to_owned()));
    assert_eq!(flags.acting, Acting::Exec("scale {replicas}".to_owned()));
    assert_eq!(flags.current.as_deref(), Some("cat n"));
    assert_eq!(flags.interval, Duration::from_secs(15));
    assert_eq!(flags.command_timeout, Duration::from_secs(30));
    assert_eq!(flags.output, LogFormat::Json);
    let expected = Settings {
        scale_to_zero: true,
        ..Settings::default()
    };
    assert_eq!(flags.settings, expected);
}

#[test]
fn a_cluster_is_found_by_a_kubeconfig_or_by_the_pods_environment() {
    let flags = parse(&["-fa.yaml", "--kubeconfig=k"]).unwrap();
    assert_eq!(flags.from, From::Kubeconfig("k".into()));
    assert_eq!((flags.acting, flags.current), (Acting::Scale, None));
    let env = [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
    ];
    let flags = parse_in(&["-fa.yaml", "--dry-run"], &env).unwrap();
    let expected = From::Pod {
        service: ("10.0.0.1".to_owned(), 443),
        account: "/var/run/secrets/kubernetes.io/serviceaccount".into(),
    };
    assert_eq!((flags.from, flags.acting), (expected, Acting::DryRun));
}

#[test]
fn the_controllers_flags_have_their_names() {
    let args = [
        "-fa.yaml",
        "--kubeconfig=k",
        "--horizontal-pod-autoscaler-tolerance=0.05",
        "--horizontal-pod-autoscaler-downscale-stabilization=1m",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
    ];
    let expected = Settings {
        tolerance: 0.05,
        downscale_stabilization: SignedDuration::from_mins(1),
        initial_readiness_delay: SignedDuration::from_secs(5),
        cpu_initialization_period: SignedDuration::ZERO,
        scale_to_zero: true,
        configurable_tolerance: true,
    };
    assert_eq!(parse(&args).unwrap().settings, expected);
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let told = refused(&[]);
    assert!(
        told.contains("-f: give") && told.contains("--kubeconfig=FILE"),
        "{told}"
    );
    let told = refused(&["-fa", "--server=http://a", "--kubeconfig=k"]);
    assert!(told.contains("--server, --kubeconfig: give one"), "{told}");
    let told = refused(&["-fa", "--server=localhost:6443", "--dry-run", "--current=a"]);
    assert!(
        told.contains("write it like http://127.0.0.1:6443"),
        "{told}"
    );
    let told = refused(&["-fa", "--server=http://a", "--exec=a {replicas}"]);
    assert!(told.contains("--server without --current"), "{told}");
    let told = refused(&["-fa", "--kubeconfig=k", "--exec=a {replicas}"]);
    assert!(told.contains("--exec without --current"), "{told}");
    let told = refused(&["-fa", "--kubeconfig=k", "--current=a"]);
    assert!(told.contains("nothing would act"), "{told}");
    let told = refused(&SERVER);
    assert!(
        told.contains("nothing would act") && told.contains("--dry-run"),
        "{told}"
    );
    let told = refused(&[&SERVER[..], &["--exec=scale web"]].concat());
    assert!(told.contains("does not mention {replicas}"), "{told}");
    for untold in [
        "--exec=scale ${replicas}",
        "--exec=scale {{replicas}}",
        "--exec=scale $CURRENT_REPLICAS",
        "--exec=scale $REPLICAS_OLD",
    ] {
        let told = refused(&[&SERVER[..], &[untold]].concat());
        assert!(
            told.contains("does not mention {replicas}"),
            "{untold}: {told}"
        );
    }
    for told in ["{replicas}x", "${REPLICAS}", "env[\"REPLICAS\"]"] {
        let exec = format!("--exec=scale {told}");
        parse(&[&SERVER[..], &[&exec]].concat()).unwrap();
    }
    let exec = "--exec=scale $REPLICAS";
    for (flag, expected) in [
        ("--horizontal-pod-autoscaler-tolerance=-1", "a part of one"),
        ("--horizontal-pod-autoscaler-tolerance=NaN", "a part of one"),
        ("--interval=0s", "above zero"),
        ("--interval=99ms", "--interval 99ms: must be at least 100ms"),
        (
            "--current=show {replicas}",
            "--current: it is to tell how many replicas there are",
        ),
        ("--command-timeout=soon", "--command-timeout"),
        ("--current= ", "--current: the command is empty"),
        ("--output=yaml", "must be text or json"),
        ("--metrics-address=9100", "--metrics-address"),
        (
            "--tolerance=1",
            "unknown flag: --tolerance\nRun 'tidegauge autoscale --help'",
        ),
    ] {
        let told = refused(&[&SERVER[..], &[exec, flag]].concat());
        assert!(told.contains(expected), "{flag}: {told}");
    }
    let once = ["--once", "--metrics-address=127.0.0.1:0", exec];
    let told = refused(&[&SERVER[..], &once].concat());
    assert!(told.contains("--once, --metrics-address"), "{told}");
}

#[test]
fn the_help_has_an_example_that_parses() {
    let help = parse(&["--help"]).unwrap_err();
    assert_eq!(help.code(), 0);
    let help = help.to_string();
    assert!(
        help.contains("1 a part of it has ended by a fault"),
        "{help}"
    );
    let (_, example) = help
        .split_once("tidegauge autoscale -f web-hpa.yaml")
        .unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    assert!(
        example.contains("'{{.Spec.Mode.Replicated.Replicas}}'"),
        "{example}"
    );
    let flags: Vec<&str> = example
        .split_whitespace()
        .filter(|it| it.starts_with("--"))
        .collect();
    assert_eq!(flags[..2], ["--server=http://127.0.0.1:6443", "--dry-run"]);
}
