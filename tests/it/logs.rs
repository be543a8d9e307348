//! What the log says: no secret ever, the name of a request down to what Prometheus is asked for it, and
//! next to nothing as long as all is well.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{ApiServer, Conduct};
use crate::support::pki::Authority;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, history};
use crate::support::tap::{Behaviour, Tap};

const OBJECTS: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-a, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-b, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web}]}
";

/// Names are asked of Prometheus at each relist.
const RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^.+_depth$",namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: '{__name__=~"^lag$",namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
"#;

const GROUP: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";
const SELECTED: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_depth\
                        ?labelSelector=app%3Dweb";
const LAG: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";

async fn prometheus() -> Prometheus {
    let still = "queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\n\
                 queue_depth{namespace=\"shop\",pod=\"web-b\"} 2\nlag{namespace=\"shop\"} 3\n";
    Prometheus::holding(&history("", still, r#"job="shop""#)).await
}

/// The lines of a log in JSON that say this.
fn saying(log: &str, message: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

#[tokio::test]
async fn the_name_of_a_request_goes_with_it_to_prometheus_and_into_the_log() {
    let prometheus = prometheus().await;
    let tap = Tap::start(&prometheus.url).await;
    let flags = ["-v=6", "--log-format=json", "--query-ttl=60s"];
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, &flags)
        .await
        .unwrap();
    tap.take();
    let id = "5a1c4a67-2f1a-4b1f-9d0e-0c8a3f4f9f01";
    let named = |id: &'static str| [("Audit-Id", id)];
    let answer = adapter.request(Method::GET, SELECTED, &named(id)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["audit-id"], id);
    // What is answered from memory was asked for by another one.
    adapter
        .request(Method::GET, SELECTED, &named("from-memory"))
        .await;
    // What could not be a name is none, but for who gave it.
    let odd = "two words";
    let answer = adapter.request(Method::GET, LAG, &named("two words")).await;
    assert_eq!(answer.headers["audit-id"], odd);
    let seen: Vec<_> = tap
        .take()
        .into_iter()
        .filter(|it| it.path == "/api/v1/query")
        .collect();
    let ids: Vec<_> = seen
        .iter()
        .map(|it| it.headers.get("x-request-id"))
        .collect();
    assert_eq!(ids, [Some(&id.parse().unwrap()), None]);
    let log = poll::until("the log is written", Duration::from_secs(10), async || {
        let log = adapter.stderr();
        match saying(&log, "answered").iter().any(|it| it["path"] == LAG) {
            true => Ok(log),
            false => Err(log),
        }
    })
    .await;
    let queries = saying(&log, "query");
    assert_eq!(queries.len(), 2, "{log}");
    assert_eq!(queries[0]["audit_id"], id);
    assert!(
        queries[0]["promql"]
            .as_str()
            .unwrap()
            .starts_with("sum(queue_depth{")
    );
    assert_eq!(queries[1]["audit_id"], Value::Null);
    let answered: Vec<_> = saying(&log, "answered")
        .iter()
        .filter(|it| it["path"].as_str().unwrap().contains("metrics.k8s.io"))
        .map(|it| (it["code"].clone(), it["audit_id"].clone()))
        .collect();
    assert_eq!(
        answered,
        [
            (200.into(), id.into()),
            (200.into(), "from-memory".into()),
            (200.into(), Value::Null)
        ]
    );
}

/// Secrets of each way in which one can be given, each told from the others.
const SECRETS: [&str; 9] = [
    "s3cret-of-the-url",
    "s3cret-of-the-url-query",
    "s3cret-of-the-flag-header",
    "s3cret-of-the-token-file",
    "s3cret-of-the-file-header",
    "s3cret-of-the-password-file",
    "s3cret-of-the-backend-url",
    "s3cret-of-the-backend-query",
    "s3cret-of-a-callers-token",
];

fn rules_with_secrets(tap: &str, directory: &str) -> String {
    let backend = tap.replace("http://", "http://user:s3cret-of-the-backend-url@");
    format!(
        "{RULES}
backends:
  tenant:
    url: {backend}/
    headersFrom: {{X-Key: {{file: {directory}/header}}}}
    queryParams: {{key: s3cret-of-the-backend-query}}
  basic:
    url: {tap}
    auth: {{basic: {{username: user, passwordFile: {directory}/password}}}}
  token:
    url: {tap}
    auth: {{tokenFile: {directory}/token}}
",
    )
    .replace(
        "externalRules:\n",
        "externalRules:\n\
         - {backend: tenant, query: max(lag), name: {as: of_tenant}}\n\
         - {backend: basic, query: max(lag), name: {as: of_basic}}\n\
         - {backend: token, query: max(lag), name: {as: of_token}}\n",
    )
}

/// Whatever is asked, however it goes, in either format, at the most that is ever said.
#[tokio::test]
async fn no_secret_is_ever_written() {
    for format in ["text", "json"] {
        let (clients, proxies) = (
            Authority::new("kubernetes"),
            Authority::new("front-proxy-ca"),
        );
        let api = ApiServer::start(&clients, &proxies).await;
        let prometheus = prometheus().await;
        let tap = Tap::start(&prometheus.url).await;
        let directory = tempfile::TempDir::new().unwrap();
        for (name, secret) in [
            ("header", "s3cret-of-the-file-header"),
            ("password", "s3cret-of-the-password-file"),
            ("token", "s3cret-of-the-token-file"),
        ] {
            std::fs::write(directory.path().join(name), secret).unwrap();
        }
        let path = directory.path().to_str().unwrap();
        let url = tap.url.replace("http://", "http://user:s3cret-of-the-url@");
        let url = format!("{url}/?token=s3cret-of-the-url-query");
        let flags = [
            "-v=10",
            &format!("--log-format={format}"),
            "--metrics-address=127.0.0.1:0",
            "--prometheus-header=X-Secret=s3cret-of-the-flag-header",
            "--query-ttl=0s",
            "--stale-grace=0s",
            "--metrics-relist-interval=1s",
        ];
        let rules = rules_with_secrets(&tap.url, path);
        let mut adapter = Adapter::over(&api, &rules, &url, &flags)
            .await
            .unwrap_or_else(|it| {
                panic!("{}", it.stderr);
            });
        adapter.ready().await.unwrap();
        let admin = adapter.caller(Some(&clients.client("admin", &["system:masters"])), true);
        let anybody = adapter.caller(None, true);
        let external = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop";
        let mut written = String::new();
        for behaviour in [
            Behaviour::Forward,
            Behaviour::Answer {
                status: 401,
                content_type: "text/plain",
                body: "who are you".to_owned(),
            },
            Behaviour::Redirect("http://127.0.0.1:1/login".to_owned()),
            Behaviour::Close,
            Behaviour::Truncate,
        ] {
            tap.behave(behaviour);
            for path in [SELECTED, LAG, "/metrics", "/version"] {
                let get = |client, headers: &'static [(&str, &str)]| {
                    let url = format!("{}{path}", adapter.url);
                    async move {
                        adapter::send(client, Method::GET, &url, headers)
                            .await
                            .unwrap()
                    }
                };
                written += &get(&admin, &[("Authorization", "Bearer nobody")])
                    .await
                    .body;
                let refused = get(
                    &anybody,
                    &[("Authorization", "Bearer s3cret-of-a-callers-token")],
                );
                assert_eq!(refused.await.status, 401);
                let _ = get(
                    &anybody,
                    &[("Authorization", "Basic s3cret-of-a-callers-token")],
                )
                .await;
            }
            for metric in ["of_tenant", "of_basic", "of_token"] {
                let url = format!("{}{external}/{metric}", adapter.url);
                let answer = adapter::send(&admin, Method::GET, &url, &[]).await.unwrap();
                written += &answer.body;
            }
        }
        // Nobody listens there any more; and the API server does not review.
        drop(tap);
        api.conduct("/apis/authentication.k8s.io/", Conduct::Fail);
        let url = format!("{}{LAG}", adapter.url);
        written += &adapter::send(&admin, Method::GET, &url, &[])
            .await
            .unwrap()
            .body;
        let other = [("Authorization", "Bearer other s3cret-of-a-callers-token")];
        adapter::send(&anybody, Method::GET, &url, &other)
            .await
            .unwrap();
        adapter.signal("TERM");
        adapter.ended().await;
        written += &adapter.stderr();
        assert!(written.contains("query failed"), "it says much:\n{written}");
        for secret in SECRETS {
            assert!(
                !written.contains(secret),
                "{format}: {secret} in\n{written}"
            );
        }
        // Nor as a header carries it: `user:` and the password in base64.
        for encoded in ["dXNlcjpzM2NyZXQ", "dXNlcjp"] {
            assert!(
                !written.contains(encoded),
                "{format}: {encoded} in\n{written}"
            );
        }
    }
}

/// All lines of a log in JSON.
fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| match serde_json::from_str(line) {
        Ok(Value::Object(line)) => Value::Object(line),
        other => panic!("{line:?} is no object but {other:?}"),
    });
    lines.collect()
}

#[tokio::test]
async fn a_log_in_json_is_in_json_to_the_last_word_also_of_what_does_not_start() {
    let wrong_rules = RULES.replace("metricsQuery", "metricQuery");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--metrics-address={}", taken.local_addr().unwrap());
    for (rules, flag, said) in [
        (RULES, "--nonsense", "unknown flag: --nonsense"),
        (RULES, "--query-ttl=soon", "--query-ttl"),
        (
            RULES,
            taken.as_str(),
            "--metrics-address: failed to listen on",
        ),
        (wrong_rules.as_str(), "-v=0", "did you mean `metricsQuery`?"),
        ("rules: [", "-v=0", "rules.yaml"),
    ] {
        let flags = ["--log-format=json", flag];
        let started = Adapter::standalone(OBJECTS, rules, "http://127.0.0.1:1", &flags).await;
        let refusal = started.err().expect("it must not start");
        let lines = lines(&refusal.stderr);
        let last = lines.last().expect("it must say why");
        assert_eq!(last["level"], "ERROR", "{last}");
        assert!(last["message"].as_str().unwrap().contains(said), "{last}");
    }
    let flags = ["--log-format=json", "-v=10"];
    let mut adapter = Adapter::standalone(OBJECTS, RULES, "http://127.0.0.1:1", &flags)
        .await
        .unwrap();
    assert_eq!(adapter.get(LAG).await.status, 503);
    adapter.rewrite("rules.yaml", &wrong_rules);
    adapter.signal("HUP");
    poll::until("it is refused", Duration::from_secs(20), async || {
        let log = adapter.stderr();
        match log.contains("the rules in force stay") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    adapter.signal("TERM");
    adapter.ended().await;
    assert_eq!(
        lines(&adapter.stderr()).last().unwrap()["message"],
        "stopped"
    );
}

/// An hour of relists, at one a minute, and of autoscalers that ask every fifteen seconds, without its
/// pauses.
#[tokio::test]
async fn an_hour_of_normal_traffic_is_ten_lines_at_most() {
    let prometheus = prometheus().await;
    let (clients, proxies) = (
        Authority::new("kubernetes"),
        Authority::new("front-proxy-ca"),
    );
    let api = ApiServer::start(&clients, &proxies).await;
    let tap = Tap::start(&prometheus.url).await;
    let flags = [
        "--metrics-relist-interval=100ms",
        "--metrics-max-age=1h",
        "--query-ttl=200ms",
        "--authorization-webhook-cache-authorized-ttl=100ms",
    ];
    let started = Adapter::over(&api, RULES, &tap.url, &flags).await;
    let mut adapter = started.unwrap_or_else(|it| panic!("{}", it.stderr));
    adapter.ready().await.unwrap();
    let lines = |adapter: &Adapter| adapter.stderr().lines().count();
    let at_start = lines(&adapter);
    let admin = adapter.caller(Some(&clients.client("admin", &["system:masters"])), true);
    let proxy = adapter.caller(Some(&proxies.client("front-proxy-client", &[])), true);
    let user = [
        (
            "X-Remote-User",
            "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        ),
        ("X-Remote-Group", "system:authenticated"),
    ];
    tap.take();
    let (mut relists, mut asks) = (0, 0);
    while relists < 60 || asks < 60 * 4 * 5 {
        for path in [
            SELECTED.to_owned(),
            format!("{GROUP}/pods/web-a/queue_depth"),
            format!("{GROUP}/pods/web-c/queue_depth"),
            format!("{GROUP}/pods/web-a/no_such_metric"),
            LAG.to_owned(),
            "/apis".to_owned(),
            "/openapi/v2".to_owned(),
            "/readyz".to_owned(),
            "/metrics".to_owned(),
        ] {
            let url = format!("{}{path}", adapter.url);
            adapter::send(&admin, Method::GET, &url, &[]).await.unwrap();
            adapter::send(&proxy, Method::GET, &url, &user)
                .await
                .unwrap();
            asks += 1;
        }
        let names = |it: &crate::support::tap::Seen| it.path.ends_with("/__name__/values");
        relists += tap.take().iter().filter(|it| names(it)).count();
    }
    let said = lines(&adapter) - at_start;
    assert!(said <= 10, "{said} lines:\n{}", adapter.stderr());
    assert!(at_start <= 40, "{at_start} lines:\n{}", adapter.stderr());
}

/// Nobody may have run `tidegauge check`: rules that can never give a value are told by the server.
#[tokio::test]
async fn rules_that_cannot_do_what_they_seem_to_are_told_once_each() {
    let prometheus = prometheus().await;
    let lost = RULES.replacen("by (<<.GroupBy>>)", "by (job)", 1);
    let flags = ["--log-format=json"];
    let started = Adapter::standalone(OBJECTS, &lost, &prometheus.url, &flags).await;
    let adapter = started.unwrap();
    let told = |log: &str| {
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let about = |it: &Value| it["message"].as_str().unwrap().starts_with("rules: ");
        let about: Vec<Value> = lines.filter(about).collect();
        let of = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
        about
            .iter()
            .map(|it| (of(it, "place"), of(it, "field"), of(it, "code")))
            .collect::<Vec<_>>()
    };
    let warning = |place: &str, field: &str, code: &str| {
        (place.to_owned(), field.to_owned(), code.to_owned())
    };
    let code = "object-label-dropped";
    let first = warning("rules.yaml:5:17", "rules[0].metricsQuery", code);
    poll::until("it is told", Duration::from_secs(60), async || {
        let log = adapter.stderr();
        let is_told = told(&log) == std::slice::from_ref(&first);
        is_told.then_some(()).ok_or(log)
    })
    .await;
    // On another line, it is the same; what is new is told.
    let more = lost.replace(
        "externalRules:",
        "- seriesQuery: other\n  name: {matches: ^no_such}\n  resources: {template: \
         <<.Resource>>}\n  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by \
         (<<.GroupBy>>)\nexternalRules:",
    );
    adapter.replace("rules.yaml", &format!("# more\n{more}"));
    adapter.signal("HUP");
    let second = warning("rules.yaml:7:16", "rules[1].name", "name-unmatched");
    poll::until("the new one is told", Duration::from_secs(60), async || {
        let log = adapter.stderr();
        let is_over = log.contains("rules reloaded");
        match told(&log) {
            told if is_over && told == [first.clone(), second.clone()] => Ok(()),
            _ => Err(log),
        }
    })
    .await;
}

/// One line when it begins and one when it ends, whatever there is in between.
#[tokio::test]
async fn a_prometheus_that_fails_is_told_once_and_once_that_it_is_back() {
    let prometheus = prometheus().await;
    let tap = Tap::start(&prometheus.url).await;
    let flags = ["--query-ttl=0s", "--stale-grace=0s"];
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, &flags)
        .await
        .unwrap();
    tap.behave(Behaviour::Answer {
        status: 502,
        content_type: "text/html",
        body: "<html>bad gateway</html>".to_owned(),
    });
    for _ in 0..100 {
        assert_eq!(adapter.get(LAG).await.status, 503);
    }
    let log = adapter.stderr();
    assert_eq!(log.matches("Prometheus fails").count(), 1, "{log}");
    assert!(log.contains("502 Bad Gateway"), "{log}");
    // The end is told when it has lasted: what comes and goes is not told each time.
    tap.behave(Behaviour::Forward);
    poll::until("it is told", Duration::from_secs(60), async || {
        adapter.get(LAG).await;
        let log = adapter.stderr();
        match log.contains("Prometheus answers again") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    assert_eq!(
        adapter.stderr().matches("backend=\"default\"").count(),
        2,
        "{}",
        adapter.stderr()
    );
}

/// How many rules there are whose last listing went so.
async fn rules_that_are(up: bool, adapter: &Adapter) -> usize {
    let text = adapter.get("/metrics").await.body;
    let end = if up { " 1" } else { " 0" };
    let rules = text
        .lines()
        .filter(|line| line.starts_with("tidegauge_rule_up{"));
    rules.filter(|line| line.ends_with(end)).count()
}

/// Prometheus goes away, fails in another way, goes away, and is back.
#[tokio::test]
async fn rules_that_cannot_be_listed_are_a_line_for_each_cause_however_many_they_are() {
    const RULES: usize = 30;
    let prometheus = prometheus().await;
    let tap = Tap::start(&prometheus.url).await;
    let rule = |number: usize| {
        format!(
            "- seriesQuery: '{{__name__=~\"^.+_depth{number}$\",namespace!=\"\",pod!=\"\"}}'\n  \
             resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}\n  \
             metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)\n"
        )
    };
    let rules: String = (0..RULES).map(rule).collect();
    let rules = format!("rules:\n{rules}");
    let flags = ["--metrics-relist-interval=1s"];
    let adapter = Adapter::standalone(OBJECTS, &rules, &tap.url, &flags)
        .await
        .unwrap();
    let all_are = async |up: bool| {
        let patience = Duration::from_secs(60);
        poll::until(
            "all rules are so",
            patience,
            async || match rules_that_are(up, &adapter).await {
                RULES => Ok(()),
                other => Err(format!("{other}\n{}", adapter.stderr())),
            },
        )
        .await;
    };
    all_are(true).await;
    let before = adapter.stderr().lines().count();
    let bad_gateway = Behaviour::Answer {
        status: 502,
        content_type: "text/html",
        body: "<html>bad gateway</html>".to_owned(),
    };
    for behaviour in [Behaviour::Close, bad_gateway, Behaviour::Close] {
        tap.behave(behaviour);
        all_are(false).await;
        tap.take();
        // Each has been asked about once more.
        let all = Mutex::new(BTreeSet::new());
        poll::until("all are asked about", Duration::from_secs(60), async || {
            let seen = tap.take();
            let asked = seen.iter().filter_map(|it| it.parameter("match[]"));
            let mut all = all.lock().unwrap();
            all.extend(asked.map(str::to_owned));
            (all.len() >= RULES)
                .then_some(())
                .ok_or_else(|| all.len().to_string())
        })
        .await;
    }
    tap.behave(Behaviour::Forward);
    all_are(true).await;
    let log = adapter.stderr();
    let told: Vec<&str> = log.lines().skip(before).collect();
    assert!(told.len() <= 12, "{} lines:\n{log}", told.len());
    let all = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert!(all("rules[0] (line 2), rules[1] (line 5), ") >= 2, "{log}");
    assert!(all(" and 20 more") >= 2, "{log}");
    assert_eq!(all("502 Bad Gateway"), 2, "{log}");
    assert!(all("listed again") >= 1, "{log}");
}
