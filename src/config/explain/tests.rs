//! Paths, and who is asked.

use super::*;

fn parse(args: &[&str]) -> Result<Explain, Stop> {
    let own = ["tidegauge", "explain"];
    Explain::parse(&[&own, args].concat(), |_| None)
}

const HERE: [&str; 2] = ["--config=rules.yaml", "--prometheus-url=http://p:9090"];

fn here(args: &[&str]) -> Explain {
    parse(&[args, &HERE].concat()).unwrap_or_else(|stop| panic!("{args:?}: {stop}"))
}

fn complaint(args: &[&str]) -> String {
    match parse(args) {
        Err(Stop::Wrong(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn short_paths_are_those_of_the_api() {
    for (args, path) in [
        (
            &["pods/hits", "-n", "shop", "--name=a"][..],
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/hits",
        ),
        (
            &["pods/hits", "-l", "app=web,tier in (a,b)", "--name=a"],
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/hits?labelSelector=\
             app%3Dweb%2Ctier%20in%20%28a%2Cb%29",
        ),
        (
            &["services/front/hits", "--metric-selector=code=500"],
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/services/front/hits?\
             metricLabelSelector=code%3D500",
        ),
        (
            &["nodes/n-1/temperature"],
            "/apis/custom.metrics.k8s.io/v1beta2/nodes/n-1/temperature",
        ),
        (
            &["namespaces/budget", "-n=shop", "--name=x"],
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/budget",
        ),
        (
            &["namespaces/bank/budget"],
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/bank/metrics/budget",
        ),
        (
            &["external/lag", "-n", "shop", "-l", "topic=orders"],
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag?labelSelector=\
             topic%3Dorders",
        ),
        (
            &["/apis/metrics.k8s.io/v1beta1/nodes/a"],
            "/apis/metrics.k8s.io/v1beta1/nodes/a",
        ),
    ] {
        assert_eq!(here(args).what, What::Path(path.to_owned()), "{args:?}");
    }
}

#[test]
fn a_manifest_is_a_path_or_a_flag() {
    let two = &["hpa.yaml", "web.yaml"][..];
    for (args, files) in [
        (&["hpa.yaml"][..], &two[..1]),
        (&["-f", "hpa.yaml"], &two[..1]),
        (&["-f=hpa.yaml"], &two[..1]),
        (&["-f", "hpa.yaml", "-f=web.yaml"], two),
        (&["hpa.yaml", "web.yaml"], two),
        (&["web.yaml", "-f", "hpa.yaml"], two),
    ] {
        let named = Named {
            files: files.iter().map(PathBuf::from).collect(),
            namespace: None,
            selector: None,
        };
        assert_eq!(here(args).what, What::Manifests(named), "{args:?}");
    }
    for args in [&["-"][..], &["-f", "-"]] {
        let named = Named {
            files: vec![PathBuf::from("-")],
            namespace: Some("shop".to_owned()),
            selector: Some("app=web".to_owned()),
        };
        let args = [args, &["-n", "shop", "-l", "app=web"]].concat();
        assert_eq!(here(&args).what, What::Manifests(named));
    }
}

#[test]
fn objects_are_those_that_are_thought_of_or_of_a_file_or_of_a_cluster() {
    let thought = |args: &[&str]| match here(args).whom {
        Whom::Here { thought, .. } => thought,
        other => panic!("{other:?}"),
    };
    let of_names = thought(&["pods/hits", "-n", "shop", "-l", "app=web", "--name=a,b"]);
    assert_eq!(
        of_names,
        Some(Thought {
            resource: "pods".to_owned(),
            namespace: "shop".to_owned(),
            names: vec!["a".to_owned(), "b".to_owned()],
            selector: "app=web".to_owned(),
        })
    );
    assert_eq!(thought(&["pods/hits", "--standalone=o.yaml"]), None);
    assert_eq!(thought(&["pods/hits", "--lister-kubeconfig=k"]), None);
    // Nobody needs any.
    for args in [&["external/lag"][..], &["pods/web-1/hits"], &["hpa.yaml"]] {
        assert!(
            thought(args).is_some_and(|it| it.names.is_empty()),
            "{args:?}"
        );
    }
    let raw = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/bank/pods/*/hits";
    let of_raw = thought(&[raw, "--name=a"]).unwrap();
    assert_eq!(
        (of_raw.resource.as_str(), of_raw.namespace.as_str()),
        ("pods", "bank")
    );
}

#[test]
fn a_server_is_asked_with_a_token_over_tls() {
    let flags = [
        "pods/hits",
        "--server=https://127.0.0.1:6443",
        "--token-file=token",
        "--certificate-authority=ca.crt",
        "-o",
        "json",
    ];
    let told = parse(&flags).unwrap();
    assert_eq!(told.output, Output::Json);
    match told.whom {
        Whom::Server(server) => assert_eq!(
            server,
            Server {
                url: "https://127.0.0.1:6443".to_owned(),
                token_file: Some(PathBuf::from("token")),
                certificate_authority: Some(PathBuf::from("ca.crt")),
                tls_server_name: None,
            }
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (args, part) in [
        (&[][..], "nothing to explain"),
        (&["pods"], "is no path"),
        (&["pods//hits"], "empty part"),
        (&["a/b/c/d"], "is no path"),
        (&["pods/hits", "pods/more"], "one path"),
        (&["pods/hits", "-f", "hpa.yaml"], "one path"),
        (
            &["-f", "hpa.yaml", "--metric-selector=a"],
            "a manifest says",
        ),
        (&["/apis/x", "-n", "shop"], "leave -n"),
        (&["pods/hits", "-o", "xml"], "text, json or yaml"),
        (
            &["pods/hits", "--token-file=t"],
            "--token-file: is for --server",
        ),
        (&["pods/hits"], "no metrics discovery configuration file"),
        (
            &["pods/hits", "--config=r.yaml", "--prometheus-url=http://p"],
            "whose are the pods?",
        ),
        (&["pods/hits", "--server=here"], "is no URL"),
        (
            &["pods/hits", "--server=http://a", "--name=b"],
            "rules and objects of its own",
        ),
        (&["pods/hits", "--name=a", "--standalone=b"], "give one"),
        (&["external/lag", "--metric-selector=a=b"], "-l selects"),
    ] {
        let text = complaint(args);
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[test]
fn the_help_has_examples_and_the_flags_of_the_server_are_taken() {
    let Err(Stop::Asked(help)) = parse(&["--help"]) else {
        panic!("--help must be asked for");
    };
    for part in [
        "pods/METRIC",
        "--name",
        "--server",
        "--prometheus-url",
        "Exit codes",
    ] {
        assert!(help.contains(part), "{part}\n{help}");
    }
    assert!(!help.contains("--tls-cipher-suites"), "{help}");
    let told = here(&[
        "external/lag",
        "--prometheus-header=X-Scope-OrgID=1",
        "--query-ttl=0s",
    ]);
    match told.whom {
        Whom::Here { config, .. } => assert_eq!(config.prometheus.headers.len(), 1),
        other => panic!("{other:?}"),
    }
}
