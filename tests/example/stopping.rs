//! The way out, at which scale-in loses requests or does not.

use crate::poll;
use crate::service::{Answer, SOON, Service, client};

async fn end(service: &mut Service) -> Option<i32> {
    let ended = poll::until("it ends", SOON, async || {
        let running = || "it runs".to_owned();
        service.ended().ok_or_else(running)
    });
    ended.await.code()
}

#[tokio::test]
async fn it_is_not_ready_at_once_and_serves_on_until_nobody_comes() {
    let mut service = Service::start(&[("SHUTDOWN_GRACE", "5s")]).await;
    service.until_ready_says(200, "ok").await;
    let client = client();
    let get = |path: &str| Answer::of(client.get(format!("{}{path}", service.shop)));
    assert_eq!(get("/").await.unwrap().header("connection"), "");
    service.signal("TERM");
    service.until_ready_says(503, "failed: stopping").await;
    let health = service.admin("/healthz").await.unwrap();
    assert_eq!(
        (health.code, &health.json()["status"]),
        (503, &"failed".into())
    );
    assert_eq!(service.admin("/livez").await.unwrap().code, 200);
    // Nodes that do not know it yet send requests here. They are told to look for another.
    let late = get("/").await.unwrap();
    assert_eq!((late.code, late.header("connection")), (200, "close"));
    // A request that is open at the end of that time is answered. It takes longer than that time.
    let open = async {
        let answer = get("/burn?time=2s").await;
        (answer, service.log())
    };
    let nobody = poll::until("nobody listens", SOON, async || match get("/").await {
        Err(_) => Ok(()),
        Ok(answer) if answer.code == 200 => Err("it answers".to_owned()),
        Ok(answer) => panic!("{answer:?}"),
    });
    let ((answer, log), ()) = tokio::join!(open, nobody);
    assert_eq!(answer.unwrap().code, 200);
    assert!(log.contains("no new requests"), "it was not drained: {log}");
    assert_eq!(end(&mut service).await, Some(0));
    let log = service.log();
    assert!(log.contains("all that was begun is done"), "{log}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_keep_it_longer_than_the_grace() {
    let mut service = Service::start(&[("SHUTDOWN_GRACE", "600ms")]).await;
    let url = format!("{}/burn?cpu=2s&time=2s", service.shop);
    let open = tokio::spawn(Answer::of(client().get(url)));
    poll::until("it is open", SOON, async || {
        match service.metric("http_requests_in_flight").await {
            Some(1.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    service.signal("TERM");
    assert_eq!(end(&mut service).await, Some(0));
    open.await.unwrap().unwrap_err();
    let log = service.log();
    assert!(log.contains("not all that was begun is done"), "{log}");
}

#[tokio::test]
async fn who_asks_twice_does_not_wait() {
    let mut service = Service::start(&[("SHUTDOWN_GRACE", "10m")]).await;
    service.signal("INT");
    service.until_ready_says(503, "failed: stopping").await;
    service.signal("INT");
    assert_eq!(end(&mut service).await, Some(0));
}

#[tokio::test]
async fn an_old_connection_is_ended_by_an_answer_and_loses_no_request() {
    let service = Service::start(&[("CONNECTION_MAX_AGE", "1s")]).await;
    let client = client();
    let (mut kept, mut closed) = (0, 0);
    while closed < 3 {
        let answer = Answer::of(client.get(&service.shop)).await.unwrap();
        assert_eq!(answer.code, 200);
        match answer.header("connection") {
            "close" => closed += 1,
            _ => kept += 1,
        }
    }
    assert!(kept > closed, "{kept} answers on connections that stay");
}
