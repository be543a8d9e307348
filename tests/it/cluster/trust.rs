//! Whom the cluster trusts: what its ConfigMap may be like, how that changes, and what must not
//! fail meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;

use super::{AUTOSCALER, PODS, TRUST, World, ask, ask_with, in_pod};
use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{Conduct, VALID_TOKEN};
use crate::support::pki::{Authority, Pair};
use crate::support::poll;

/// Less than the time after which the ConfigMap is read anyway.
const SOON: Duration = Duration::from_secs(20);

const PROXIED: [(&str, &str); 2] = [
    ("X-Remote-User", AUTOSCALER),
    ("X-Remote-Group", "system:authenticated"),
];

/// The codes for an administrator's certificate, for the front proxy, for a token and for nobody.
async fn codes(world: &World, adapter: &Adapter) -> [u16; 4] {
    let path = format!("{PODS}/web-a/queue_depth");
    let bearer = format!("Bearer {VALID_TOKEN}");
    let (admin, proxy) = (world.admin(), world.proxy());
    let code = async |identity, headers: &[(&str, &str)]| {
        ask_with(adapter, identity, &path, headers)
            .await
            .status
            .as_u16()
    };
    [
        code(Some(&admin), &[]).await,
        code(Some(&proxy), &PROXIED).await,
        code(None, &[("Authorization", &bearer)]).await,
        code(None, &[]).await,
    ]
}

async fn become_codes(world: &World, adapter: &Adapter, wanted: [u16; 4], within: Duration) {
    let what = format!("{wanted:?}");
    poll::until(&what, within, async || match codes(world, adapter).await {
        codes if codes == wanted => Ok(()),
        codes => Err(format!("{codes:?}\n{}", adapter.stderr())),
    })
    .await;
}

/// Waits until the ConfigMap was read since now, because a certificate is refused.
async fn read_again(world: &World, adapter: &Adapter) {
    let reads = || {
        let calls = world.api.seen();
        calls.iter().filter(|call| call.path == TRUST).count()
    };
    let before = reads();
    let stranger = Authority::new("x").client("x", &[]);
    poll::until("the ConfigMap is read again", SOON, async || {
        assert_eq!(
            ask(adapter, Some(&stranger), "/apis").await.status.as_u16(),
            401
        );
        // The one before may have begun too soon.
        (reads() > before + 1)
            .then_some(())
            .ok_or_else(|| adapter.stderr())
    })
    .await;
}

#[tokio::test]
async fn a_config_map_that_cannot_be_read_makes_nobody_trusted_and_the_flags_say_what_then() {
    let (tolerate, skip) = (
        "--authentication-tolerate-lookup-failure",
        "--authentication-skip-lookup",
    );
    // Absent is an answer, as in Go: a certificate is then no credential at all.
    let unjudged = [403, 403, 200, 403];
    // Nobody knows: a certificate that is shown is not believed, and not anonymous.
    let unknown = [401, 401, 200, 403];
    for (conduct, flags, ready, expected) in [
        (Conduct::Refuse(404), &[][..], true, unjudged),
        (Conduct::Refuse(403), &[], false, unknown),
        (Conduct::Refuse(403), &[tolerate], true, unjudged),
        (Conduct::Refuse(403), &[skip], true, unjudged),
        (Conduct::Fail, &[], false, unknown),
        (Conduct::Hang, &[], false, unknown),
    ] {
        let world = World::new().await;
        world.api.conduct(TRUST, conduct);
        let mut adapter = world.listening(flags).await;
        if ready {
            adapter.ready().await.unwrap();
        }
        become_codes(&world, &adapter, expected, SOON).await;
        let readyz = ask(&adapter, None, "/readyz").await;
        assert_eq!(
            readyz.status == 200,
            ready,
            "{conduct:?} {flags:?}: {}",
            readyz.body
        );
        if conduct == Conduct::Refuse(403) && flags != [skip] {
            let said = adapter.stderr();
            assert!(
                said.contains("extension-apiserver-authentication-reader"),
                "{said}"
            );
        }
        world.api.conduct(TRUST, Conduct::Well);
        if flags != [skip] {
            let within = Duration::from_secs(60);
            become_codes(&world, &adapter, [200, 200, 200, 403], within).await;
            adapter.ready().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_good_stays_when_the_config_map_goes_or_cannot_be_understood() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let good = [200, 200, 200, 403];
    for conduct in [Conduct::Refuse(404), Conduct::Refuse(403), Conduct::Close] {
        world.api.conduct(TRUST, conduct);
        read_again(&world, &adapter).await;
        assert_eq!(codes(&world, &adapter).await, good, "{conduct:?}");
    }
    world.api.conduct(TRUST, Conduct::Well);
    world.api.publish("client-ca-file", "no certificate");
    world
        .api
        .publish("requestheader-allowed-names", "not a list");
    read_again(&world, &adapter).await;
    assert_eq!(codes(&world, &adapter).await, good);
    // Each part is followed for itself: the other may be bad.
    let next = Authority::new("kubernetes");
    world.api.publish("client-ca-file", &next.pem());
    become_codes(&world, &adapter, [401, 200, 200, 403], SOON).await;
    let admin = next.client("admin", &["system:masters"]);
    assert_eq!(
        ask(&adapter, Some(&admin), "/metrics")
            .await
            .status
            .as_u16(),
        200
    );
    let said = adapter.stderr();
    assert!(
        said.contains("requestheader-allowed-names: not a list of names"),
        "{said}"
    );
}

/// As in Go, what is said of front proxies goes with the bundle that is given beside it.
#[tokio::test]
async fn names_of_proxies_without_a_bundle_restrict_nobody_and_the_log_says_so() {
    let world = World::new().await;
    let adapter = world
        .ready(&["--requestheader-allowed-names=somebody"])
        .await;
    assert_eq!(codes(&world, &adapter).await, [200, 200, 200, 403]);
    let said = adapter.stderr();
    let warned = said.lines().any(|line| {
        let parts = [
            "WARN",
            "--requestheader-allowed-names",
            "--requestheader-client-ca-file",
        ];
        parts.iter().all(|part| line.contains(part))
    });
    assert!(warned, "{said}");
}

/// Once nobody is refused any more, nothing but the watch tells of the change.
#[tokio::test]
async fn a_change_of_the_config_map_is_in_force_at_once() {
    let world = World::new().await;
    let mut adapter = world.listening(&[]).await;
    adapter.ready().await.unwrap();
    let watches = || {
        let calls = world.api.seen();
        let watches = calls
            .iter()
            .filter(|call| call.is_watch() && call.path.ends_with("/configmaps"));
        watches.count()
    };
    poll::until("the ConfigMap is watched", SOON, async || {
        let calls = world.api.seen();
        (watches() > 0)
            .then_some(())
            .ok_or_else(|| format!("{calls:?}"))
    })
    .await;
    read_again(&world, &adapter).await;
    assert_eq!(watches(), 1, "reads that find nothing new leave it open");
    assert_eq!(codes(&world, &adapter).await, [200, 200, 200, 403]);
    let next = Authority::new("front-proxy-ca");
    world.api.trust(&[&world.clients], &[&next]);
    become_codes(&world, &adapter, [200, 401, 200, 403], SOON).await;
}

#[tokio::test]
async fn the_api_server_may_be_away_for_a_while() {
    let mut world = World::new().await;
    let short = [
        "--authentication-token-webhook-cache-ttl=1s",
        "--authorization-webhook-cache-authorized-ttl=1s",
    ];
    let adapter = world.ready(&short).await;
    assert_eq!(codes(&world, &adapter).await, [200, 200, 200, 403]);
    world.api.stop();
    // Who needs no review is served; a token that cannot be reviewed is nobody's.
    become_codes(&world, &adapter, [200, 500, 401, 500], SOON).await;
    assert_eq!(ask(&adapter, None, "/readyz").await.status.as_u16(), 200);
    world.api.resume().await;
    become_codes(&world, &adapter, [200, 200, 200, 403], SOON).await;
}

/// Requests by the front proxy, one after the other, until it is dropped.
struct Load {
    client: Arc<Mutex<reqwest::Client>>,
    served: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str, client: reqwest::Client) -> Load {
        let mut load = Load {
            client: Arc::new(Mutex::new(client)),
            served: Arc::default(),
            failed: Arc::default(),
            stop: Arc::default(),
            tasks: Vec::new(),
        };
        for _ in 0..4 {
            let (client, url) = (Arc::clone(&load.client), url.to_owned());
            let (served, failed) = (Arc::clone(&load.served), Arc::clone(&load.failed));
            let stop = Arc::clone(&load.stop);
            load.tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let client = held(&client).clone();
                    match adapter::send(&client, Method::GET, &url, &PROXIED).await {
                        Ok(answer) if answer.status == 200 => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => {
                            held(&failed).push(format!("{}: {}", answer.status, answer.body))
                        }
                        Err(error) => held(&failed).push(error),
                    }
                }
            }));
        }
        load
    }

    /// From now on by this client.
    fn go_on_as(&self, client: reqwest::Client) {
        *held(&self.client) = client;
    }

    /// Waits for that many more answers.
    async fn serve(&self, more: usize) {
        let wanted = self.served.load(Ordering::Relaxed) + more;
        poll::until("requests are served", SOON, async || {
            assert!(held(&self.failed).is_empty(), "{:?}", held(&self.failed));
            let served = self.served.load(Ordering::Relaxed);
            (served >= wanted)
                .then_some(())
                .ok_or_else(|| format!("{served} of {wanted}"))
        })
        .await;
    }

    /// The failures.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *held(&self.failed))
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As a cluster rotates: publish both, change the proxy's certificate, publish the new one alone.
#[tokio::test]
async fn the_front_proxys_authority_rotates_under_load_and_no_request_fails() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let next = Authority::new("front-proxy-ca");
    let new_proxy = next.client("front-proxy-client", &[]);
    let client = |pair: &Pair| adapter.caller(Some(pair), true);
    let url = format!("{}{PODS}/web-a/queue_depth", adapter.url);
    let load = Load::start(&url, client(&world.proxy()));
    load.serve(20).await;

    world.api.trust(&[&world.clients], &[&world.proxies, &next]);
    let by = async |pair| {
        let answer = ask_with(&adapter, Some(pair), &url[adapter.url.len()..], &PROXIED).await;
        answer.status.as_u16()
    };
    poll::until("the new proxy is believed", SOON, async || {
        match by(&new_proxy).await {
            200 => Ok(()),
            code => Err(code.to_string()),
        }
    })
    .await;
    load.serve(20).await;
    load.go_on_as(client(&new_proxy));
    load.serve(20).await;

    world.api.trust(&[&world.clients], &[&next]);
    let old_proxy = world.proxy();
    poll::until("the old proxy is not believed", SOON, async || {
        match by(&old_proxy).await {
            401 => Ok(()),
            code => Err(code.to_string()),
        }
    })
    .await;
    load.serve(20).await;
    assert_eq!(load.end().await, [""; 0]);
}

/// In a pod: nothing but the environment and the mounted account says where the cluster is.
#[tokio::test]
async fn the_service_accounts_token_rotates_under_load_and_no_request_fails() {
    let world = World::new().await;
    // Each request needs a review, and each needs the token.
    let flags = ["--authorization-webhook-cache-authorized-ttl=0s"];
    let adapter = in_pod(&world, &flags).await;
    let url = format!("{}{PODS}/web-a/queue_depth", adapter.url);
    let load = Load::start(&url, adapter.caller(Some(&world.proxy()), true));
    for turn in 0..3 {
        load.serve(20).await;
        // The old token ends at once, which is worse than a kubelet does.
        let token = format!("token-{turn}");
        adapter.replace("account/token", &token);
        world.api.rotate(&token);
    }
    load.serve(20).await;
    assert_eq!(load.end().await, [""; 0]);
}
