//! Connections of the real process: the way down, certificates that change under load, and what an
//! aggregator does that other clients do not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::time::interval;

use super::{AUTOSCALER, DEPTH, PODS, RULES, World, ask, status};
use crate::support::adapter::{Adapter, send};
use crate::support::pki::{Authority, Pair};
use crate::support::tap::Behaviour;
use crate::support::{https_client, poll};

const RESOURCES: &str = "/apis/custom.metrics.k8s.io/v1beta2";
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stop_turns_readiness_red_serves_on_and_fails_no_request() {
    let world = World::new().await;
    let mut adapter = world.ready(&["--shutdown-delay-duration=2s"]).await;
    let client = adapter.caller(Some(&world.admin()), true);
    let url = adapter.url.clone();
    let one = client.get(format!("{url}{RESOURCES}")).send().await;
    assert_eq!(one.unwrap().status(), StatusCode::OK);
    // Under way when everything ends, on the same connection.
    world.tap.behave(Behaviour::Hang);
    let slow = format!("{url}{DEPTH}&timeout=5s");
    let slow = tokio::spawn(client.get(slow).send());
    poll::until("the query hangs", LONG, async || {
        let asked = !world.tap.take_queries().is_empty();
        asked.then_some(()).ok_or_else(|| "not yet".to_owned())
    })
    .await;

    adapter.signal("TERM");
    poll::until("it is not ready", LONG, async || {
        let answer = adapter.request(Method::GET, "/readyz", &[]).await;
        let red = answer.status == StatusCode::INTERNAL_SERVER_ERROR
            && answer.body.contains("[-]shutdown failed: reason withheld");
        red.then_some(()).ok_or(answer.body)
    })
    .await;
    // Whoever has not heard of it is served, also if it connects only now.
    let late = adapter.caller(Some(&world.admin()), true);
    let answer = late.get(format!("{url}{RESOURCES}")).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    let mut answered = 0;
    let refused = loop {
        match client.get(format!("{url}{RESOURCES}")).send().await {
            Ok(answer) => assert_eq!(answer.status(), StatusCode::OK),
            Err(error) => break error,
        }
        answered += 1;
    };
    assert!(answered > 0);
    // Nothing that was sent is lost: only a new connection is refused.
    assert!(refused.is_connect(), "{refused:?}");
    let answer = slow.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(adapter.ended().await.success(), "{}", adapter.stderr());
    assert!(adapter.stderr().contains("stopped"), "{}", adapter.stderr());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let world = World::new().await;
    let mut adapter = world.ready(&["--shutdown-delay-duration=10m"]).await;
    for signal in ["TERM", "INT"] {
        adapter.signal(signal);
        poll::until("it has heard", LONG, async || {
            let heard = adapter.stderr().contains("serving on for a while");
            heard.then_some(()).ok_or_else(|| adapter.stderr())
        })
        .await;
    }
    assert_eq!(adapter.ended().await.code(), Some(1));
}

/// Requests without a pause on one connection, and on a new one each time.
struct Load {
    on: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(url: String, client: impl Fn() -> reqwest::Client + Clone + Send + 'static) -> Load {
        let on = Arc::new(AtomicBool::new(true));
        let answered = Arc::new(AtomicUsize::new(0));
        let every = |milliseconds, kept: bool| {
            let (on, answered, url) = (Arc::clone(&on), Arc::clone(&answered), url.clone());
            let client = client.clone();
            tokio::spawn(async move {
                let mut tick = interval(Duration::from_millis(milliseconds));
                let (mut failures, one) = (Vec::new(), client());
                while on.load(Ordering::Relaxed) {
                    tick.tick().await;
                    let client = if kept { one.clone() } else { client() };
                    match send(&client, Method::GET, &url, &[]).await {
                        Ok(answer) if answer.status == StatusCode::OK => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => failures.push(answer.body),
                        Err(error) => failures.push(error),
                    }
                }
                failures
            })
        };
        let tasks = vec![
            every(10, true),
            every(10, true),
            every(40, false),
            every(40, false),
        ];
        Load {
            on,
            answered,
            tasks,
        }
    }

    /// Waits for so many more answers.
    async fn more(&self, count: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        poll::until("more answers have come", LONG, async || {
            let answered = self.answered.load(Ordering::Relaxed);
            (answered >= goal)
                .then_some(())
                .ok_or(format!("{answered}"))
        })
        .await;
    }

    async fn end(self) -> Vec<String> {
        self.on.store(false, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap());
        }
        failures
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let world = World::new().await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let directory = tempfile::TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let Pair { certificate, key } = old.server("tidegauge");
    write(&at("tls.crt"), &certificate);
    write(&at("tls.key"), &key);
    let flags = ["crt", "key"].map(|end| at("tls").with_extension(end).display().to_string());
    let flags = [
        format!("--tls-cert-file={}", flags[0]),
        format!("--tls-private-key-file={}", flags[1]),
    ];
    let (api, flags) = (&world.api, [flags[0].as_str(), &flags[1]]);
    let both = old.pem() + &new.pem();
    let started = Adapter::over_with_certificate(api, RULES, &world.tap.url, &flags, &both);
    let mut adapter = started.await.unwrap();
    adapter.ready().await.unwrap();
    let admin = world.admin();
    let load = Load::start(format!("{}{RESOURCES}", adapter.url), move || {
        https_client(&both, Some(&admin), true)
    });
    load.more(100).await;
    let Pair { certificate, key } = new.server("tidegauge");
    // For a while the two do not belong together.
    write(&at("tls.key"), &key);
    load.more(100).await;
    write(&at("tls.crt"), &certificate);
    poll::until("the new one is shown", LONG, async || {
        let client = https_client(&new.pem(), None, true);
        send(&client, Method::GET, &format!("{}/livez", adapter.url), &[]).await
    })
    .await;
    load.more(100).await;
    let failures = load.end().await;
    assert!(failures.is_empty(), "{}: {}", failures.len(), failures[0]);
}

#[tokio::test]
async fn one_request_too_many_is_429_except_for_masters_and_for_documents() {
    let world = World::new().await;
    let adapter = world.ready(&["--max-requests-inflight=1"]).await;
    world.tap.take();
    world.tap.behave(Behaviour::Hang);
    let autoscaler = [("X-Remote-User", AUTOSCALER)];
    let proxy = adapter.caller(Some(&world.proxy()), true);
    let url = format!("{}{DEPTH}", adapter.url);
    let slow = proxy.get(&url).header("X-Remote-User", AUTOSCALER).send();
    let slow = tokio::spawn(slow);
    poll::until("the query hangs", LONG, async || {
        let asked = !world.tap.take_queries().is_empty();
        asked.then_some(()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    let refused = send(&proxy, Method::GET, &url, &autoscaler).await.unwrap();
    let text = "Too many requests, please try again later.";
    assert_eq!(status(&refused), (429, text.to_owned()));
    assert_eq!(refused.headers["retry-after"], "1");
    let admin = adapter.caller(Some(&world.admin()), true);
    let master = format!("{url}&timeout=300ms");
    let served = send(&admin, Method::GET, &master, &[]).await.unwrap();
    assert_eq!(
        served.status,
        StatusCode::GATEWAY_TIMEOUT,
        "{}",
        served.body
    );
    for path in [RESOURCES, "/openapi/v2", "/readyz"] {
        let url = format!("{}{path}", adapter.url);
        let served = send(&proxy, Method::GET, &url, &autoscaler).await.unwrap();
        assert_eq!(served.status, StatusCode::OK, "{path}: {}", served.body);
    }
    // A client that goes away makes room.
    slow.abort();
    world.tap.behave(Behaviour::Close);
    poll::until("there is room", LONG, async || {
        let answer = send(&proxy, Method::GET, &url, &autoscaler).await?;
        (answer.status != StatusCode::TOO_MANY_REQUESTS)
            .then_some(())
            .ok_or(answer.body)
    })
    .await;
}

/// A header `Location` makes a 502 of any answer, behind the aggregator.
#[tokio::test]
async fn nothing_redirects_whatever_the_path_and_the_name_of_the_host() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    for path in [
        "/",
        "/apis",
        "/apis/",
        "//apis",
        "/apis/custom.metrics.k8s.io/",
        "/apis/custom.metrics.k8s.io/v1beta2/",
        "/apis/custom.metrics.k8s.io/../x",
        "/openapi/v2/",
        "/openapi/v3/apis/custom.metrics.k8s.io/v1beta2?hash=OLD",
        "/healthz/",
        "/metrics/",
        "/nowhere",
        &format!("{PODS}/*/queue_depth/"),
    ] {
        let answer = ask(&adapter, Some(&admin), path).await;
        assert!(!answer.status.is_redirection(), "{path}: {}", answer.status);
        assert!(!answer.headers.contains_key("location"), "{path}");
        assert_ne!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    // The aggregator names the address of the service, and another name in TLS.
    let host = [("Host", "10.96.0.17:443")];
    let client = adapter.caller(Some(&admin), false);
    let url = format!("{}{RESOURCES}", adapter.url);
    let answer = send(&client, Method::GET, &url, &host).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

/// The aggregator takes any answer below 400 to an upgrade for a broken one.
#[tokio::test]
async fn an_upgrade_is_refused_after_it_is_known_who_asks() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let url = format!("{}{RESOURCES}", adapter.url);
    let client = adapter.caller(Some(&world.admin()), false);
    let refused = send(&client, Method::GET, &url, &upgrade).await.unwrap();
    assert_eq!(status(&refused).0, 400, "{}", refused.body);
    let stranger = adapter.caller(None, false);
    let forbidden = send(&stranger, Method::GET, &url, &upgrade).await.unwrap();
    assert!(
        [401, 403].contains(&forbidden.status.as_u16()),
        "{}",
        forbidden.body
    );
    // A client that would rather speak HTTP/2 is answered as it is.
    let h2c = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
    ];
    let answer = send(&client, Method::GET, &url, &h2c).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}
