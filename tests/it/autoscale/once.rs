//! One round alone, nothing but looking, and what is refused at the start.

use serde_json::Value;

use super::{DEPLOYMENT, EXTERNAL, PODS, World, hpa};
use crate::support::autoscaler::{folder, run};

const WRITE: &str = "--exec=echo {replicas} > n";

fn flags<'a>(server: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let own = ["-f=hpa.yaml", server, "--current=cat n", WRITE];
    [&own, more].concat()
}

#[tokio::test]
async fn once_decides_once_and_its_exit_code_says_how_that_went() {
    let world = World::start(40).await;
    let server = format!("--server={}", world.adapter.url);
    let hpa = hpa(EXTERNAL);
    let folder = folder(&[("hpa.yaml", &hpa), ("n", "2")]);
    let read = || std::fs::read_to_string(folder.path().join("n")).unwrap();
    let once = ["--once", "--memory=memory.json"];

    let (code, out, err) = run(
        folder.path(),
        &flags(&server, &[&once[..], &["--dry-run"]].concat()),
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.ends_with(
            "shop/web 2 → 4 (dry run): external metric orders_waiting(nil) above target\n"
        ),
        "{out}"
    );
    assert_eq!(read(), "2");
    assert!(!folder.path().join("memory.json").exists());

    let (code, out, err) = run(folder.path(), &flags(&server, &once));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("shop/web 2 → 4: "), "{out}");
    assert_eq!(read(), "4\n");

    let (code, out, _) = run(folder.path(), &flags("--server=http://127.0.0.1:1", &once));
    assert_eq!(code, Some(1));
    let why = "http://127.0.0.1:1 (--server) cannot be reached: Connection refused";
    assert!(out.contains("shop/web 4: ") && out.contains(why), "{out}");
    assert_eq!(read(), "4\n");
}

#[tokio::test]
async fn what_is_kept_in_a_file_lets_single_rounds_scale_in() {
    scales_in_after_a_second(&[]).await;
}

#[tokio::test]
async fn what_a_clock_that_was_set_back_has_left_grows_old_too() {
    let to_come = r#"{"version": 1, "autoscalers": {"shop/web": {"memory": {
        "recommendations": [{"replicas": 2, "at": "2999-01-01T00:00:00Z"}],
        "scale_up": [], "scale_down": []}, "status": null}}}"#;
    let logged = scales_in_after_a_second(&[("memory.json", to_come)]).await;
    assert!(logged.contains("was a clock set back?"), "{logged}");
}

/// Makes single rounds until one scales in, and not the first; what they have logged.
async fn scales_in_after_a_second(files: &[(&str, &str)]) -> String {
    let world = World::start(10).await;
    let server = format!("--server={}", world.adapter.url);
    let text = hpa(EXTERNAL).replace(
        "stabilizationWindowSeconds: 3",
        "stabilizationWindowSeconds: 1",
    );
    let own = [("hpa.yaml", text.as_str()), ("n", "2")];
    let folder = folder(&[&own, files].concat());
    let flags = flags(&server, &["--once", "--memory=memory.json", "-o=json"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let (mut reasons, mut logged) = (Vec::new(), String::new());
    while std::time::Instant::now() < deadline {
        let (code, out, err) = run(folder.path(), &flags);
        assert_eq!(code, Some(0), "{out}{err}");
        logged.push_str(&err);
        let told: Value = serde_json::from_str(&out).unwrap();
        reasons.push(told["reason"].as_str().unwrap().to_owned());
        if told["acted"] == true {
            break;
        }
    }
    assert_eq!(
        reasons.first().map(String::as_str),
        Some("ScaleDownStabilized")
    );
    assert_eq!(
        reasons.last().map(String::as_str),
        Some("SuccessfulRescale")
    );
    let text = std::fs::read_to_string(folder.path().join("n")).unwrap();
    assert_eq!(text, "1\n");
    logged
}

#[tokio::test]
async fn from_zero_and_back_it_needs_and_has_a_memory() {
    let world = World::start(0).await;
    let server = format!("--server={}", world.adapter.url);
    let text = hpa(EXTERNAL)
        .replace("minReplicas: 1", "minReplicas: 0")
        .replace(
            "stabilizationWindowSeconds: 3",
            "stabilizationWindowSeconds: 0",
        );
    let folder = folder(&[("hpa.yaml", &text), ("n", "1")]);
    let once = |more: &[&str]| {
        run(
            folder.path(),
            &flags(&server, &[&["--once"], more].concat()),
        )
    };
    let (code, _, err) = once(&[]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("shop/web has minReplicas 0: give --memory"),
        "{err}"
    );

    let (code, out, err) = once(&["--memory=m"]);
    assert!(
        code == Some(0) && out.contains("shop/web 1 → 0: "),
        "{out}{err}"
    );
    world.wait(30);
    world.prometheus.wait_for(&["orders_waiting == 30"]).await;
    let (code, out, err) = once(&["--memory=m"]);
    assert!(
        code == Some(0) && out.contains("shop/web 0 → "),
        "{out}{err}"
    );
    // Whom nobody saw scale to zero, somebody switched off.
    std::fs::write(folder.path().join("n"), "0").unwrap();
    let (code, out, _) = once(&["--memory=other"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("shop/web 0: scaling is disabled"), "{out}");
}

#[tokio::test]
async fn autoscalers_of_nothing_but_outside_metrics_need_no_manifest_of_their_targets() {
    let world = World::start(40).await;
    let server = format!("--server={}", world.adapter.url);
    let both = format!(
        "{}\n---\n{}",
        hpa(EXTERNAL),
        hpa(EXTERNAL).replace("name: web", "name: api")
    );
    let folder = folder(&[("hpa.yaml", &both)]);
    let flags = [
        "-f=hpa.yaml",
        &server,
        "--current=cat {name} || echo 2",
        "--exec=echo {replicas} > {name}",
        "--once",
        "--memory=m",
    ];
    let (code, out, err) = run(folder.path(), &flags);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for name in ["web", "api"] {
        assert!(out.contains(&format!("shop/{name} 2 → 4: ")), "{out}");
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text, "4\n");
    }
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start_with_what_to_do() {
    let (of_pods, of_orders) = (hpa(PODS), hpa(EXTERNAL));
    let evil = of_orders.replace("name: web", "name: 'web; reboot'");
    let typo = of_orders.replace("behavior:", "behaviour:");
    let files = [
        ("pods.yaml", of_pods.as_str()),
        ("orders.yaml", &of_orders),
        ("evil.yaml", &evil),
        ("typo.yaml", &typo),
        ("deployment.yaml", DEPLOYMENT),
        ("memory", "{}"),
        ("token.yaml", "a: [\n"),
    ];
    let folder = folder(&files);
    let url = "--server=http://127.0.0.1:1";
    let refused = |flags: &[&str], expected: &[&str]| {
        let (code, out, err) = run(folder.path(), flags);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{flags:?} {err}");
        for expected in expected {
            assert!(
                err.contains(expected),
                "{flags:?}: {expected:?} is not in {err}"
            );
        }
    };
    let with = |file: &'static str, more: &[&'static str]| {
        [&[file, url, "--current=cat n", WRITE], more].concat()
    };
    refused(&[], &["-f: give the file", "--server=URL"]);
    refused(
        &with("-f=pods.yaml", &[]),
        &[
            "shop/web has a metric of type Pods: give the manifest of its target with -f",
            "Deployment web",
        ],
    );
    refused(
        &with("-f=deployment.yaml", &[]),
        &["no HorizontalPodAutoscaler"],
    );
    refused(&with("-f=nowhere.yaml", &[]), &["cannot read nowhere.yaml"]);
    refused(&with("-f=token.yaml", &[]), &["token.yaml: ", "line"]);
    refused(
        &with("-f=evil.yaml", &[]),
        &[
            "metadata.name: \"web; reboot\" is no name",
            "spec.scaleTargetRef.name: \"web; reboot\"",
        ],
    );
    refused(
        &with("-f=typo.yaml", &[]),
        &[
            "typo.yaml: document 1: HorizontalPodAutoscaler web: spec.behaviour: unknown field, behavior is meant?",
        ],
    );
    refused(
        &with("-f=orders.yaml", &["-f=orders.yaml"]),
        &["HorizontalPodAutoscaler shop/web is defined twice"],
    );
    refused(
        &with("-f=orders.yaml", &["--memory=memory"]),
        &["--memory: memory is not what"],
    );
    refused(
        &with("-f=orders.yaml", &["--metrics-address=192.0.2.1:1"]),
        &["--metrics-address: cannot listen"],
    );
}
