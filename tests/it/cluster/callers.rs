//! Who is believed, and what the others read.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{AUTOSCALER, DEPTH, World, ask, ask_with, status};
use crate::support::adapter;
use crate::support::apiserver::VALID_TOKEN;
use crate::support::pki::Authority;
use crate::support::poll;

const EXCHANGES: &str = include_str!("../../data/recorded/auth.jsonl");

#[derive(Deserialize)]
struct Exchange {
    method: String,
    path: String,
    cert: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    status: u16,
    resp_headers: BTreeMap<String, String>,
    #[serde(default)]
    resp: String,
}

/// All recordings about callers. OpenAPI documents are left out of them: they are ours, and their
/// form is another test's business.
fn recorded() -> Vec<Exchange> {
    EXCHANGES
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn callers_are_judged_as_the_go_adapter_was_recorded_to_judge_them() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let certificates = BTreeMap::from([
        ("admin", world.admin()),
        ("bob", world.clients.client("bob", &["dev"])),
        ("front-proxy-client", world.proxy()),
    ]);
    let exchanges = recorded();
    assert_eq!(exchanges.len(), 44);
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        let identity = exchange.cert.as_deref().map(|name| &certificates[name]);
        let client = adapter.caller(identity, true);
        let method: Method = exchange.method.parse().unwrap();
        let headers: Vec<(&str, &str)> = exchange
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let url = format!("{}{}", adapter.url, exchange.path);
        let answer = adapter::send(&client, method, &url, &headers)
            .await
            .unwrap();
        let mut same = answer.status.as_u16() == exchange.status;
        if exchange.status != 200 {
            // The order of an object's fields means nothing.
            let json = |text: &str| serde_json::from_str::<Value>(text).ok();
            same &= json(&answer.body).is_some() && json(&answer.body) == json(&exchange.resp);
            let sniffed = |value: Option<&str>| value == Some("nosniff");
            let header = answer.headers.get("x-content-type-options");
            let ours = sniffed(header.and_then(|value| value.to_str().ok()));
            let theirs = exchange.resp_headers.get("X-Content-Type-Options");
            same &= ours == sniffed(theirs.map(String::as_str));
        }
        if !same {
            let (path, cert, headers) = (&exchange.path, &exchange.cert, &exchange.headers);
            let (there, here) = (&exchange.resp, &answer.body);
            wrong.push(format!(
                "{path} {cert:?} {headers:?}\n  there: {there}\n  here: {here}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        exchanges.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn nothing_but_the_always_allowed_paths_is_served_to_the_anonymous() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(ask(&adapter, None, path).await.body, "ok", "{path}");
    }
    assert!(world.api.take().is_empty(), "they need no review");
    let group = "/apis/custom.metrics.k8s.io";
    let paths = [
        "/".to_owned(),
        "/apis".to_owned(),
        "/apis/".to_owned(),
        "/metrics".to_owned(),
        "/healthz/ping".to_owned(),
        "/readyz/informer-sync".to_owned(),
        "/%68ealthz".to_owned(),
        "/healthz/../metrics".to_owned(),
        "//healthz".to_owned(),
        "/nope".to_owned(),
        "/openapi/v2".to_owned(),
        group.to_owned(),
        format!("{group}/v1beta2"),
        format!("{group}/v1beta1"),
        format!("{group}/v1beta2/namespaces/shop/pods/web-a/queue_depth"),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag".to_owned(),
        "/apis/external.metrics.k8s.io/v1beta1".to_owned(),
        "/apis/metrics.k8s.io/v1beta1/nodes".to_owned(),
        DEPTH.to_owned(),
    ];
    for path in &paths {
        let as_admin = [
            ("X-Remote-User", "admin"),
            ("X-Remote-Group", "system:masters"),
        ];
        for headers in [&as_admin[..], &[]] {
            let (code, message) = status(&ask_with(&adapter, None, path, headers).await);
            assert_eq!(code, 403, "{path}: {message}");
            assert!(
                message.contains("User \"system:anonymous\" cannot"),
                "{path}: {message}"
            );
        }
    }
    assert!(world.tap.take_queries().is_empty());
}

#[tokio::test]
async fn a_token_is_reviewed_and_a_bad_one_is_never_anonymous() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let good = bearer(VALID_TOKEN);
    let served = ask_with(&adapter, None, DEPTH, &[("Authorization", &good)]).await;
    assert_eq!(served.status, StatusCode::OK, "{}", served.body);
    let calls = world.api.take();
    let review = calls
        .iter()
        .find(|call| call.path.ends_with("/tokenreviews"))
        .unwrap();
    assert_eq!(review.body["kind"], "TokenReview");
    assert_eq!(review.body["apiVersion"], "authentication.k8s.io/v1");
    assert_eq!(
        review.body["spec"],
        serde_json::json!({"token": VALID_TOKEN})
    );

    for path in [DEPTH, "/livez", "/apis"] {
        let bad = [("Authorization", "Bearer nonsense")];
        let answer = ask_with(&adapter, None, path, &bad).await;
        assert_eq!(status(&answer), (401, "Unauthorized".to_owned()), "{path}");
    }
    // A certificate that proves nothing does not spoil a token that does.
    let stranger = Authority::new("kubernetes").client("admin", &["system:masters"]);
    let served = ask_with(
        &adapter,
        Some(&stranger),
        DEPTH,
        &[("Authorization", &good)],
    )
    .await;
    assert_eq!(served.status, StatusCode::OK, "{}", served.body);
    assert_eq!(
        ask(&adapter, Some(&stranger), DEPTH).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_front_proxy_is_believed_by_its_authority_and_its_name() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let headers = [
        ("X-Remote-User", AUTOSCALER),
        ("X-Remote-Group", "system:authenticated"),
    ];
    let code = async |pair| {
        ask_with(&adapter, Some(&pair), DEPTH, &headers)
            .await
            .status
            .as_u16()
    };
    assert_eq!(code(world.proxy()).await, 200);
    assert_eq!(code(world.proxies.client("somebody-else", &[])).await, 401);
    // A user's certificate of the right name is that user, whatever the headers say.
    assert_eq!(
        code(world.clients.client("front-proxy-client", &[])).await,
        403
    );
    let stranger = Authority::new("front-proxy-ca");
    assert_eq!(code(stranger.client("front-proxy-client", &[])).await, 401);
}

#[tokio::test]
async fn a_new_authority_is_believed_without_a_restart_and_an_old_one_while_it_is_listed() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let next = Authority::new("kubernetes");
    let (old_admin, new_admin) = (world.admin(), next.client("admin", &["system:masters"]));
    // Connections that are open are judged anew, too.
    let (old, new) = (
        adapter.caller(Some(&old_admin), true),
        adapter.caller(Some(&new_admin), true),
    );
    let url = format!("{}/apis", adapter.url);
    let code = async |client| {
        adapter::send(client, Method::GET, &url, &[])
            .await
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!((code(&old).await, code(&new).await), (200, 401));

    world.api.trust(&[&world.clients, &next], &[&world.proxies]);
    let becomes = async |what: &str, client, wanted| {
        poll::until(what, Duration::from_secs(45), async || {
            match code(client).await {
                code if code == wanted => Ok(()),
                code => Err(format!("{code}\n{}", adapter.stderr())),
            }
        })
        .await;
    };
    becomes("the new authority is believed", &new, 200).await;
    assert_eq!(code(&old).await, 200);
    world.api.trust(&[&next], &[&world.proxies]);
    // A refused certificate makes it look: the old one's end need not wait for the next round.
    let stranger = Authority::new("x").client("x", &[]);
    let stranger = adapter.caller(Some(&stranger), true);
    assert_eq!(code(&stranger).await, 401);
    becomes("the old authority is not believed any more", &old, 401).await;
    assert_eq!(code(&new).await, 200);
}

#[tokio::test]
async fn authorities_from_flags_need_no_config_map() {
    let world = World::new().await;
    let own = Authority::new("own");
    let directory = tempfile::TempDir::new().unwrap();
    let (clients, proxies) = (
        directory.path().join("clients"),
        directory.path().join("proxies"),
    );
    std::fs::write(&clients, own.pem()).unwrap();
    std::fs::write(&proxies, world.proxies.pem()).unwrap();
    let mut adapter = world
        .listening(&[
            &format!("--client-ca-file={}", clients.display()),
            &format!("--requestheader-client-ca-file={}", proxies.display()),
            "--requestheader-username-headers=x-user",
            "--requestheader-group-headers=x-group",
        ])
        .await;
    adapter.ready().await.unwrap();
    let calls = world.api.take();
    assert!(
        calls.iter().all(|call| !call.path.contains("/configmaps/")),
        "{calls:?}"
    );
    let admin = own.client("admin", &["system:masters"]);
    assert_eq!(
        ask(&adapter, Some(&admin), "/apis").await.status,
        StatusCode::OK
    );
    assert_eq!(
        ask(&adapter, Some(&world.admin()), "/apis")
            .await
            .status
            .as_u16(),
        401
    );
    let headers = [("X-User", "eve"), ("X-Group", "system:masters")];
    let proxied = ask_with(&adapter, Some(&world.proxy()), "/apis", &headers).await;
    assert_eq!(proxied.status, StatusCode::OK);
    let index: Value = serde_json::from_str(&proxied.body).unwrap();
    assert_eq!(index["kind"], "APIGroupList");

    // The files are followed, and a bad one leaves the last good one in use.
    let next = Authority::new("own");
    let new_admin = next.client("admin", &["system:masters"]);
    let code = async |pair| ask(&adapter, Some(pair), "/apis").await.status.as_u16();
    for (text, says) in [
        (
            "half a certificate".to_owned(),
            "no certificate in it can be used",
        ),
        (next.pem(), "file changed, new content in use"),
    ] {
        std::fs::write(&clients, text).unwrap();
        poll::until(
            "the file is looked at",
            Duration::from_secs(30),
            async || {
                let said = adapter.stderr();
                if said.contains(says) {
                    Ok(())
                } else {
                    Err(said)
                }
            },
        )
        .await;
        let changed = says.contains("changed");
        let expected = if changed { (401, 200) } else { (200, 401) };
        assert_eq!(
            (code(&admin).await, code(&new_admin).await),
            expected,
            "{says}"
        );
    }
}
