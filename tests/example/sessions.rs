//! Sessions in a real Redis: shared by all replicas, and there again when it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use crate::customer::Customer;
use crate::poll;
use crate::servers::{Kind, Server};
use crate::service::{Answer, SOON, Service, client};

#[tokio::test]
async fn a_session_is_known_to_every_replica_and_survives_that_of_its_begin() {
    let redis = Server::start(Kind::Redis).await;
    let settings = [("REDIS_URL", redis.url())];
    let settings = settings.each_ref().map(|(name, url)| (*name, url.as_str()));
    let (mut first, second) = tokio::join!(Service::start(&settings), Service::start(&settings));
    let customer = Customer::new(&first.shop).await;
    assert_eq!(customer.add("tea", 2).await.unwrap().code, 200);
    let there = customer.at(&second.shop);
    assert_eq!(there.add("tea", 1).await.unwrap().code, 200);
    first.kill();
    let cart = there.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {"tea": 3}}));
    assert_eq!(there.order(Some("k")).await.unwrap().code, 201);
    let cart = there.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {}}));
    // Each use begins the time to live anew.
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("shop:session:{}", customer.session);
    let of_key = |command: &str| {
        let mut command = redis::cmd(command);
        command.arg(&key);
        command
    };
    let mut expire = of_key("EXPIRE");
    expire.arg(5).exec_async(&mut connection).await.unwrap();
    assert_eq!(there.get("/cart").await.unwrap().code, 200);
    let ttl: i64 = of_key("TTL").query_async(&mut connection).await.unwrap();
    assert!(ttl > 1700, "{ttl}");
    of_key("DEL").exec_async(&mut connection).await.unwrap();
    assert_eq!(there.get("/cart").await.unwrap().code, 401);
    assert_eq!(there.add("tea", 1).await.unwrap().code, 401);
}

#[tokio::test]
async fn a_full_cart_is_full_in_redis_as_well_and_an_order_takes_only_its_own() {
    let redis = Server::start(Kind::Redis).await;
    let service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    let customer = Customer::new(&service.shop).await;
    for n in 0..50 {
        assert_eq!(customer.add(&format!("s{n}"), 999).await.unwrap().code, 200);
    }
    assert_eq!(customer.add("s50", 1).await.unwrap().code, 409);
    assert_eq!(customer.add("s0", 1).await.unwrap().code, 409);
    let cart = customer.get("/cart").await.unwrap().json();
    assert_eq!(cart["items"].as_object().unwrap().len(), 50);
    let order = customer.order(None).await.unwrap().json();
    let id = order["order"].as_str().unwrap();
    let order = customer.get(&format!("/orders/{id}")).await.unwrap().json();
    assert_eq!(order["items"], cart["items"]);
    assert_eq!(customer.add("s50", 1).await.unwrap().code, 200);
}

/// Of two steps the second may fail, and what was done is told as if it was not.
#[tokio::test]
async fn to_put_into_a_cart_and_to_see_it_is_one_step() {
    let redis = Server::start(Kind::Redis).await;
    let service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    let customer = Customer::new(&service.shop).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut reset = redis::cmd("CONFIG");
    reset.arg("RESETSTAT");
    reset.exec_async(&mut connection).await.unwrap();
    let cart = customer.add("tea", 2).await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {"tea": 2}}));
    let mut info = redis::cmd("INFO");
    info.arg("commandstats");
    let info: String = info.query_async(&mut connection).await.unwrap();
    assert!(info.contains("cmdstat_eval:calls=1,"), "{info}");
}

/// What works without Redis goes on; what does not says so, and is there again with it.
#[tokio::test]
async fn redis_away_is_degraded_and_no_more_and_its_return_ends_it() {
    let mut redis = Server::start(Kind::Redis).await;
    let service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    service.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.add("tea", 2).await.unwrap().code, 200);
    let placed = customer.order(Some("before")).await.unwrap();
    assert_eq!(customer.add("salt", 1).await.unwrap().code, 200);

    redis.kill();
    service.until_ready_says(200, "degraded: redis: ").await;
    let health = service.admin("/healthz").await.unwrap();
    assert_eq!(health.code, 200);
    assert_eq!(health.json()["status"], "degraded", "{health:?}");
    let finding = &health.json()["dependencies"]["redis"];
    assert_eq!(finding["status"], "failed", "{health:?}");
    assert!(finding["error"].is_string() && finding["latency_ms"].is_number());
    let cart = customer.get("/cart").await.unwrap();
    assert_eq!((cart.code, cart.header("retry-after")), (503, "1"));
    assert_eq!(cart.json()["error"], "redis is not available");
    let begin = client().post(format!("{}/session", service.shop));
    assert_eq!(Answer::of(begin).await.unwrap().code, 503);
    let order = placed.json()["order"].as_str().unwrap().to_owned();
    for path in ["/", "/burn?cpu=1ms", &format!("/orders/{order}")] {
        assert_eq!(customer.get(path).await.unwrap().code, 200, "{path}");
    }
    let again = customer.order(Some("before")).await.unwrap();
    assert_eq!((again.code, &again.text), (201, &placed.text));
    let errors = service
        .metric("dependency_errors_total{dependency=\"redis\"")
        .await;
    assert!(errors.unwrap() >= 2.0, "{errors:?}");

    redis.again().await;
    service.until_ready_says(200, "ok").await;
    let cart = customer.insist(200, async |c| c.get("/cart").await).await;
    assert_eq!(cart.json(), serde_json::json!({"items": {"salt": 1}}));
}

/// Passwords change, and a replica may come before Redis has the new one.
#[tokio::test]
async fn a_password_that_was_wrong_is_tried_again() {
    let redis = Server::start(Kind::Redis).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut require = async |password: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("requirepass").arg(password);
        set.exec_async(&mut connection).await.unwrap();
    };
    require("old").await;
    let url = redis.url().replace("redis://", "redis://:new@");
    let service = Service::start(&[("REDIS_URL", &url)]).await;
    let is = async |status: &str| {
        let health = service.admin("/healthz").await?.json();
        match health["dependencies"]["redis"]["status"] == status {
            true => Ok(()),
            false => Err(health.to_string()),
        }
    };
    poll::until("the password is refused", SOON, async || is("failed").await).await;
    require("new").await;
    poll::until("it is tried again", SOON, async || is("ok").await).await;
    Customer::new(&service.shop).await;
    let told = service.log().matches("health: ").count();
    assert!(told >= 2, "the first state and its end: {}", service.log());
}

/// A dependency that hangs must not hang those who use it, and the health check least of all.
#[tokio::test]
async fn a_redis_that_stands_still_is_told_from_one_that_answers_in_little_time() {
    let redis = Server::start(Kind::Redis).await;
    let service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    service.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    redis.freeze().await;
    let text = service.until_ready_says(200, "degraded: redis: ").await;
    assert!(text.contains("no answer to ping within 300ms"), "{text}");
    // Their client gives up after a while: that all are answered is that there is a deadline.
    let answers = join_all((0..20).map(|_| customer.get("/cart"))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().code, 503);
    }
    for _ in 0..20 {
        assert_eq!(service.admin("/readyz").await.unwrap().code, 200);
    }
    redis.thaw();
    service.until_ready_says(200, "ok").await;
    customer.insist(200, async |c| c.get("/cart").await).await;
}

/// What a customer was told is in the cart is there, although Redis was killed twice meanwhile.
#[tokio::test]
async fn no_session_and_nothing_acknowledged_in_a_cart_is_lost_when_redis_is_killed_under_load() {
    let mut redis = Server::start(Kind::Redis).await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str())];
    let (first, second) = tokio::join!(Service::start(&settings), Service::start(&settings));
    let done = Arc::new(AtomicBool::new(false));
    let shoppers = (0..8).map(|n| {
        let shop = if n % 2 == 0 {
            &first.shop
        } else {
            &second.shop
        };
        let (shop, done) = (shop.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let customer = Customer::new(&shop).await;
            let (mut sure, mut unsure) = (0, 0);
            while !done.load(Ordering::Relaxed) && sure < 900 {
                match customer.add("tea", 1).await.unwrap() {
                    answer if answer.code == 200 => sure += 1,
                    // It may have been done: the connection broke before the answer.
                    answer if answer.code == 503 => unsure += 1,
                    answer => panic!("{answer:?}"),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            (customer, sure, unsure)
        })
    });
    let shoppers: Vec<_> = shoppers.collect();
    for _ in 0..2 {
        served(&first, 40.0).await;
        redis.kill();
        first.until_ready_says(200, "degraded: redis: ").await;
        redis.again().await;
        first.until_ready_says(200, "ok").await;
    }
    served(&first, 40.0).await;
    done.store(true, Ordering::Relaxed);
    let mut refused = 0;
    for shopper in shoppers {
        let (customer, sure, unsure) = shopper.await.unwrap();
        let cart = customer.insist(200, async |c| c.get("/cart").await).await;
        let there = cart.json()["items"]["tea"].as_u64().unwrap();
        assert!(
            (sure..=sure + unsure).contains(&there),
            "{sure} {unsure} {there}"
        );
        refused += unsure;
    }
    assert!(refused > 0, "nobody noticed that Redis was away");
}

/// Waits until so many more were put into carts at `service`.
async fn served(service: &Service, more: f64) {
    let series = r#"http_requests_total{method="POST",route="/cart/items",code="200"}"#;
    let before = service.metric(series).await.unwrap_or(0.0);
    poll::until("customers are served", SOON, async || {
        match service.metric(series).await.unwrap_or(0.0) - before {
            served if served >= more => Ok(()),
            served => Err(format!("{served}")),
        }
    })
    .await;
}
