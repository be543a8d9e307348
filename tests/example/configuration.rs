//! Configuration from a real etcd: followed live, and kept when it is wrong or away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::poll;
use crate::servers::{Kind, Server};
use crate::service::{Answer, SOON, Service, client};

/// Waits until `GET /` shows `value` at `field`.
async fn until_shown(service: &Service, field: &str, value: &str) {
    let what = format!("{field} is {value:?}");
    poll::until(&what, SOON, async || {
        let answer = Answer::of(client().get(&service.shop)).await?.json();
        match answer[field] == value {
            true => Ok(()),
            false => Err(answer[field].to_string()),
        }
    })
    .await;
}

async fn burn(service: &Service, cpu: &str) -> u16 {
    let url = format!("{}/burn?cpu={cpu}", service.shop);
    Answer::of(client().get(url)).await.unwrap().code
}

#[tokio::test]
async fn a_change_in_etcd_is_taken_over_while_everything_runs() {
    let etcd = Server::start(Kind::Etcd).await;
    etcd.put("/shop/banner", Some("Sale")).await;
    // The next key after the prefix, and one of somebody else.
    etcd.put("/shop0", Some("1")).await;
    etcd.put("/other/banner", Some("Theirs")).await;
    let service = Service::start(&[("CONFIG_ETCD_URL", &etcd.url())]).await;
    until_shown(&service, "banner", "Sale").await;
    assert_eq!(burn(&service, "150ms").await, 200);
    etcd.put("/shop/burn-limit", Some("100ms")).await;
    until_shown(&service, "burn_limit", "100ms").await;
    assert_eq!(burn(&service, "150ms").await, 400);
    etcd.put("/shop/banner", None).await;
    until_shown(&service, "banner", "").await;
    let log = service.log();
    assert_eq!(
        log.matches("the configuration has changed").count(),
        3,
        "{log}"
    );
    let changes = |key: &str| format!("shop_configuration_changes_total{{key=\"{key}\"}}");
    assert_eq!(service.metric(&changes("banner")).await, Some(2.0));
    assert_eq!(service.metric(&changes("burn-limit")).await, Some(1.0));
    let revision = service.metric("shop_configuration_revision ").await;
    assert_eq!(revision, Some(6.0));
}

#[tokio::test]
async fn a_wrong_value_is_refused_and_the_last_good_one_stays() {
    let etcd = Server::start(Kind::Etcd).await;
    etcd.put("/app/burn-limit", Some("100ms")).await;
    let settings = [
        ("CONFIG_ETCD_URL", etcd.url()),
        ("CONFIG_ETCD_PREFIX", "/app/".to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let service = Service::start(&settings).await;
    until_shown(&service, "burn_limit", "100ms").await;
    etcd.put("/app/burn-limit", Some("1 hour")).await;
    etcd.put("/app/colour", Some("red")).await;
    etcd.put("/app/banner", Some("Last")).await;
    until_shown(&service, "banner", "Last").await;
    until_shown(&service, "burn_limit", "100ms").await;
    // What is read again and is as wrong as before is no news.
    etcd.put("/app/banner", Some("Very last")).await;
    until_shown(&service, "banner", "Very last").await;
    let rejected = |key: &str| format!("shop_configuration_rejected_total{{key=\"{key}\"}}");
    assert_eq!(service.metric(&rejected("burn-limit")).await, Some(1.0));
    assert_eq!(service.metric(&rejected("other")).await, Some(1.0));
    let log = service.log();
    assert_eq!(log.matches("no duration up to 2s").count(), 1, "{log}");
}

#[tokio::test]
async fn what_etcd_said_stays_while_it_is_away_and_its_return_is_noticed_under_load() {
    let mut etcd = Server::start(Kind::Etcd).await;
    etcd.put("/shop/burn-limit", Some("100ms")).await;
    let service = Service::start(&[("CONFIG_ETCD_URL", &etcd.url())]).await;
    until_shown(&service, "burn_limit", "100ms").await;
    service.until_ready_says(200, "ok").await;
    let done = Arc::new(AtomicBool::new(false));
    let (url, stop) = (format!("{}/burn?cpu=1ms", service.shop), Arc::clone(&done));
    let load = tokio::spawn(async move {
        let client = client();
        let mut served = 0;
        while !stop.load(Ordering::Relaxed) {
            let answer = Answer::of(client.get(&url)).await.unwrap();
            assert_eq!(answer.code, 200, "{answer:?}");
            served += 1;
        }
        served
    });
    etcd.kill();
    service.until_ready_says(200, "degraded: etcd: ").await;
    assert_eq!(burn(&service, "150ms").await, 400);
    etcd.again().await;
    service.until_ready_says(200, "ok").await;
    etcd.put("/shop/burn-limit", Some("200ms")).await;
    until_shown(&service, "burn_limit", "200ms").await;
    assert_eq!(burn(&service, "150ms").await, 200);
    done.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0);
}
