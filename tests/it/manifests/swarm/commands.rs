//! The commands of the examples: each script is run as it stands, with the real `tidegauge autoscale`
//! and with stubs for the tools of its place, which write down what they were asked.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::super::command::run;
use super::{Server, folder};

/// Puts an executable into a directory.
pub(super) fn tool(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A place where the shop runs.
struct Place(TempDir);

impl Place {
    /// With a `tool` that answers by these lines of shell, which see what it was asked.
    fn new(name: &str, answers: &str) -> Place {
        let place = Place(TempDir::new().unwrap());
        let path = place.0.path();
        let calls = path.join("calls");
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >> {}\ncase \"$*\" in\n{answers}\nesac\n",
            calls.display()
        );
        tool(path, name, &text);
        let link = path.join("tidegauge");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegauge"), link).unwrap();
        std::fs::create_dir(path.join("state")).unwrap();
        place
    }

    /// Runs a script for one round. How it went and what it said, and what the tool was asked.
    fn round(&self, script: &str, flags: &[&str]) -> (Output, Vec<String>) {
        let path = self.0.path();
        let text = std::fs::read_to_string(folder().join(script)).unwrap();
        let here = text.replace("/etc/tidegauge/", &format!("{}/", folder().display()));
        std::fs::write(path.join("script"), here).unwrap();
        let line = format!(
            "PATH={0}:$PATH STATE_DIRECTORY={0}/state exec sh script --once {1}",
            path.display(),
            flags.join(" ")
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &line]).current_dir(path).output();
        let calls = std::fs::read_to_string(path.join("calls")).unwrap_or_default();
        let mut calls: Vec<String> = calls.lines().map(str::to_owned).collect();
        calls.sort();
        (output.unwrap(), calls)
    }
}

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// A script, the tool it runs with its answers, and what that is asked: to read, and to set.
struct Case {
    script: &'static str,
    tool: &'static str,
    answers: &'static str,
    reads: &'static [&'static str],
    sets: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case {
        script: "swarm.sh",
        tool: "docker",
        answers: "*inspect*) echo 2 ;;",
        reads: &[
            "docker service inspect --format {{.Spec.Mode.Replicated.Replicas}} shop_shop",
            "docker service inspect --format {{.Spec.Mode.Replicated.Replicas}} shop_shop-worker",
        ],
        sets: &[
            "docker service scale --detach shop_shop-worker=3",
            "docker service scale --detach shop_shop=4",
        ],
    },
    Case {
        script: "ecs.sh",
        tool: "aws",
        answers: "*describe-services*|*update-service*) echo 2 ;;",
        reads: &[
            "aws ecs describe-services --cluster shop --services shop --query \
                 services[0].desiredCount --output text",
            "aws ecs describe-services --cluster shop --services shop-worker --query \
                 services[0].desiredCount --output text",
        ],
        sets: &[
            "aws ecs update-service --cluster shop --service shop --desired-count 4 --query \
                 service.desiredCount --output text",
            "aws ecs update-service --cluster shop --service shop-worker --desired-count 3 \
                 --query service.desiredCount --output text",
        ],
    },
    Case {
        script: "alibaba-ess.sh",
        tool: "aliyun",
        answers: "*Describe*) echo '{\"ScalingGroups\":{\"ScalingGroup\":[{\"ScalingGroupId\":\"asg-1\",\
             \"DesiredCapacity\":2}]}}' ;;",
        reads: &[
            "aliyun ess DescribeScalingGroups --RegionId cn-hangzhou --ScalingGroupName.1 shop",
            "aliyun ess DescribeScalingGroups --RegionId cn-hangzhou --ScalingGroupName.1 \
                 shop-worker",
        ],
        sets: &[
            "aliyun ess DescribeScalingGroups --RegionId cn-hangzhou --ScalingGroupName.1 shop",
            "aliyun ess DescribeScalingGroups --RegionId cn-hangzhou --ScalingGroupName.1 \
                 shop-worker",
            "aliyun ess ModifyScalingGroup --RegionId cn-hangzhou --ScalingGroupId asg-1 \
                 --DesiredCapacity 3",
            "aliyun ess ModifyScalingGroup --RegionId cn-hangzhou --ScalingGroupId asg-1 \
                 --DesiredCapacity 4",
        ],
    },
    Case {
        script: "systemd/autoscale.sh",
        tool: "systemctl",
        answers: "*activating\\ shop@*) printf '%s\\n' 'shop@1.service active' 'shop@2.service active' ;;\n\
             *activating\\ shop-w*) printf '%s\\n' 'shop-worker@1.service active' 'shop-worker@2.service active' ;;\n\
             *failed\\ shop@*) printf '%s\\n' 'shop@1.service loaded active' \
             'shop@11.service loaded failed' ;;",
        reads: &[
            "systemctl list-units --plain --no-legend --state=active,activating \
                 shop-worker@*.service",
            "systemctl list-units --plain --no-legend --state=active,activating shop@*.service",
        ],
        sets: &[
            "systemctl list-units --plain --no-legend --state=active,activating,failed \
                 shop-worker@*.service",
            "systemctl list-units --plain --no-legend --state=active,activating,failed \
                 shop@*.service",
            "systemctl start shop-worker@1.service shop-worker@2.service \
                 shop-worker@3.service",
            "systemctl start shop@1.service shop@2.service shop@3.service shop@4.service",
            "systemctl stop shop@11.service",
        ],
    },
];

/// For 60 requests a second there should be 3 replicas, at 20 for each; for 0.4 cores 5, at 0.08, of
/// which two more than the 2 that there are may come in a minute. 25 orders are work for 3 workers.
#[tokio::test]
async fn each_script_reads_and_sets_replicas_as_its_place_is_asked_to() {
    let server = Server::start().await;
    let url = format!("--server={}", server.adapter.url);
    for case in CASES {
        let place = Place::new(case.tool, case.answers);
        let (output, calls) = place.round(case.script, &[&url, "--dry-run"]);
        let told = said(&output);
        assert!(output.status.success(), "{}: {told}", case.script);
        assert_eq!(calls, case.reads, "{told}");
        for line in ["shop/shop 2 → 4", "shop/shop-worker 2 → 3"] {
            assert!(told.contains(line), "{}: {told}", case.script);
        }
        let place = Place::new(case.tool, case.answers);
        let (output, calls) = place.round(case.script, &[&url]);
        let mut expected = [case.reads, case.sets].concat();
        expected.sort_unstable();
        assert_eq!(calls, expected, "{}", said(&output));
    }
}

/// A place that is away changes nothing. No units, for systemctl alone, are an answer: there are none.
#[tokio::test]
async fn a_tool_that_fails_or_answers_something_else_sets_nothing() {
    let server = Server::start().await;
    let url = format!("--server={}", server.adapter.url);
    for case in CASES {
        for answers in ["*) exit 1 ;;", "*) echo None ;;", "*) ;;"] {
            if case.tool == "systemctl" && !answers.contains("exit") {
                continue;
            }
            let place = Place::new(case.tool, answers);
            let (output, calls) = place.round(case.script, &[&url]);
            let told = said(&output);
            assert_eq!(output.status.code(), Some(1), "{}: {told}", case.script);
            assert_eq!(calls, case.reads, "{}: {told}", case.script);
        }
    }
}

/// Where a script reads once more to set, that may fail too: of the units that there are, and of the
/// group's name. Each is asked for the first time by `--current`.
#[tokio::test]
async fn a_tool_that_fails_half_way_sets_nothing() {
    let server = Server::start().await;
    let url = format!("--server={}", server.adapter.url);
    let first = r#"[ "$(grep -cFx "aliyun $*" calls)" = 1 ]"#;
    let group = "{\"ScalingGroups\":{\"ScalingGroup\":[{\"DesiredCapacity\":2}]}}";
    for (script, tool, answers) in [
        (
            "systemd/autoscale.sh",
            "systemctl",
            "*failed*) exit 1 ;; *list-units*) echo 1; echo 2 ;;".to_owned(),
        ),
        (
            "alibaba-ess.sh",
            "aliyun",
            format!("*Describe*) {first} && echo '{group}' ;;"),
        ),
    ] {
        let place = Place::new(tool, &answers);
        let (output, calls) = place.round(script, &[&url]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{script}: {told}");
        let is_read = |call: &String| call.contains("list-units") || call.contains("Describe");
        assert!(calls.iter().all(is_read), "{script}: {calls:?}");
        assert_eq!(calls.len(), 4, "{script}: {calls:?}");
    }
}

#[test]
fn the_script_for_a_cluster_gets_its_credentials_and_leaves_the_rest_to_the_cluster() {
    let place = Place::new("aliyun", "*) echo '{\"config\": \"apiVersion: v1\"}' ;;");
    let path = place.0.path();
    let asked = "#!/bin/sh\nfor it in \"$@\"; do echo \"$it\"; done\n";
    std::fs::remove_file(path.join("tidegauge")).unwrap();
    tool(path, "tidegauge", asked);
    let line = format!(
        "PATH={0}:$PATH STATE_DIRECTORY={0}/state ALIBABA_CLUSTER=c01 {1} -f hpa.yaml",
        path.display(),
        folder().join("alibaba-ask.sh").display()
    );
    let printed = run(path, "sh", &["-c", &line]);
    let state = path.join("state");
    let expected = format!(
        "autoscale\n--kubeconfig={0}/kubeconfig\n--memory={0}/memory.json\n-f\nhpa.yaml\n",
        state.display()
    );
    assert_eq!(printed, expected);
    let calls = std::fs::read_to_string(path.join("calls")).unwrap();
    assert_eq!(calls, "aliyun cs GET /k8s/c01/user_config\n");
    let kubeconfig = state.join("kubeconfig");
    assert_eq!(
        std::fs::read_to_string(&kubeconfig).unwrap(),
        "apiVersion: v1\n"
    );
    let mode = std::fs::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it lets its holder into the cluster");
}
