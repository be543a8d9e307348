//! Orders in a real PostgreSQL: what was acknowledged is there, whatever is killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use crate::customer::Customer;
use crate::poll;
use crate::servers::{Kind, Server};
use crate::service::{Answer, SOON, Service};

/// What was shipped, and when there is nothing left.
async fn until_nothing_waits(postgres: &Server) {
    poll::until("all orders are shipped", SOON * 2, async || {
        let count = "SELECT count(*) FROM orders WHERE shipped_at IS NULL";
        match postgres.sql(count).await?.as_str() {
            "0" => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        }
    })
    .await;
}

#[tokio::test]
async fn one_key_is_one_order_whoever_is_asked_at_the_same_time() {
    let (redis, postgres) = tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
    ];
    // Two that come to a database without tables at the same time.
    let (first, second) = tokio::join!(Service::start(&settings), Service::start(&settings));
    for service in [&first, &second] {
        service.until_ready_says(200, "ok").await;
        let health = service.admin("/healthz").await.unwrap().json();
        assert_eq!(health["scalable"], true, "{health}");
    }
    let customer = Customer::new(&first.shop).await;
    let there = customer.at(&second.shop);
    assert_eq!(customer.add("tea", 2).await.unwrap().code, 200);
    let at = |n: u32| {
        if n.is_multiple_of(2) {
            &customer
        } else {
            &there
        }
    };
    let answers = join_all((0..10).map(|n| at(n).order(Some("k")))).await;
    // Who comes when the order is placed and the cart is empty still gets the order.
    let texts: BTreeSet<(u16, String)> = answers
        .into_iter()
        .map(|answer| answer.map(|answer| (answer.code, answer.text)).unwrap())
        .filter(|(code, _)| *code != 409)
        .collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    let count = postgres.sql("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(count, "1");
    // A key is one customer's own.
    let other = Customer::new(&first.shop).await;
    assert_eq!(other.add("tea", 1).await.unwrap().code, 200);
    let answer = other.order(Some("k")).await.unwrap();
    assert_eq!(answer.code, 201);
    assert!(!texts.contains(&(201, answer.text)), "{texts:?}");
    // What a session is called is nobody's business in a database.
    let customers = postgres
        .sql("SELECT string_agg(customer, ' ') FROM orders")
        .await;
    assert!(!customers.unwrap().contains(&customer.session));
    for service in [&first, &second] {
        poll::until("both say the same number", SOON, async || {
            match service.metric("shop_orders_waiting ").await {
                Some(2.0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn postgres_away_is_degraded_and_everything_away_is_failed() {
    let (mut redis, mut postgres) =
        tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
    ];
    let worker = [("ROLE", "worker"), ("DATABASE_URL", database.as_str())];
    let (service, worker) = tokio::join!(Service::start(&settings), Service::start(&worker));
    service.until_ready_says(200, "ok").await;
    worker.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);

    postgres.kill();
    service.until_ready_says(200, "degraded: postgres: ").await;
    worker.until_ready_says(503, "failed: postgres: ").await;
    let order = customer.order(Some("k")).await.unwrap();
    assert_eq!((order.code, order.header("retry-after")), (503, "1"));
    assert_eq!(customer.get("/cart").await.unwrap().code, 200);
    redis.kill();
    let text = service.until_ready_says(503, "failed: ").await;
    assert!(
        text.contains("redis: ") && text.contains("postgres: "),
        "{text}"
    );
    let health = service.admin("/healthz").await.unwrap();
    assert_eq!(
        (health.code, &health.json()["status"]),
        (503, &"failed".into())
    );
    assert_eq!(customer.get("/").await.unwrap().code, 200);

    postgres.again().await;
    service.until_ready_says(200, "degraded: redis: ").await;
    redis.again().await;
    service.until_ready_says(200, "ok").await;
    worker.until_ready_says(200, "ok").await;
    customer
        .insist(201, async |c| c.order(Some("k")).await)
        .await;
    until_nothing_waits(&postgres).await;
}

#[tokio::test]
async fn a_database_that_stands_still_takes_no_places_with_it() {
    let postgres = Server::start(Kind::Postgres).await;
    let database = postgres.url();
    // Sessions are in memory here: what stands still is the database alone.
    let service = Service::start(&[("DATABASE_URL", &database)]).await;
    service.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);
    let pids = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity \
                WHERE application_name = 'example-service'";
    let backends = postgres.sql(pids).await.unwrap();
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill")
            .arg(format!("-{name}"))
            .args(backends.split(' '))
            .status();
        assert!(sent.unwrap().success());
    };
    signal("STOP");
    service.until_ready_says(200, "degraded: postgres: ").await;
    let answers = join_all((0..20).map(|_| customer.order(Some("k")))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().code, 503);
    }
    assert_eq!(customer.get("/cart").await.unwrap().code, 200);
    signal("CONT");
    service.until_ready_says(200, "ok").await;
    customer
        .insist(201, async |c| c.order(Some("k")).await)
        .await;
    let count = postgres.sql("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(count, "1");
}

/// One who orders again and again, each order by a key of its own, until it is acknowledged.
async fn order_until(done: &AtomicBool, shop: &str) -> (Customer, Vec<(String, String)>) {
    let customer = Customer::new(shop).await;
    let mut acknowledged = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let key = format!("order-{}", acknowledged.len());
        customer.insist(200, async |c| c.add("tea", 1).await).await;
        let answer = customer.insist(201, async |c| c.order(Some(&key)).await);
        let id = answer.await.json()["order"].as_str().unwrap().to_owned();
        acknowledged.push((key, id));
    }
    (customer, acknowledged)
}

/// The promise of the shop. PostgreSQL, Redis, and a worker in the middle of an order are killed
/// while customers order.
#[tokio::test]
async fn no_acknowledged_order_is_lost_and_none_is_placed_twice_whatever_is_killed_under_load() {
    let (mut redis, mut postgres) =
        tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
    ];
    let worker = [
        ("ROLE", "worker"),
        ("DATABASE_URL", database.as_str()),
        ("SHIP_DURATION", "5ms"),
    ];
    let (first, second, mut killed, _worker) = tokio::join!(
        Service::start(&settings),
        Service::start(&settings),
        Service::start(&worker),
        Service::start(&worker)
    );
    let done = AtomicBool::new(false);
    let shops = [&first.shop, &second.shop];
    let customers = join_all((0..8).map(|n| order_until(&done, shops[n % 2])));
    let killing = async {
        for round in 0..3 {
            placed(&postgres, 40).await;
            match round {
                0 | 2 => {
                    postgres.kill();
                    first.until_ready_says(200, "degraded: postgres: ").await;
                    postgres.again().await;
                }
                _ => {
                    killed.kill();
                    redis.kill();
                    first.until_ready_says(200, "degraded: redis: ").await;
                    redis.again().await;
                }
            }
            first.until_ready_says(200, "ok").await;
        }
        placed(&postgres, 40).await;
        done.store(true, Ordering::Relaxed);
    };
    let (customers, ()) = tokio::join!(customers, killing);
    let mut orders = BTreeSet::new();
    for (customer, acknowledged) in customers {
        for (key, id) in acknowledged {
            let order = customer.get(&format!("/orders/{id}")).await.unwrap();
            assert_eq!(order.code, 200, "{id} was acknowledged: {order:?}");
            let again: Answer = customer.order(Some(&key)).await.unwrap();
            assert_eq!(again.json()["order"], id, "{key}");
            assert!(orders.insert(id), "two keys have one order");
        }
    }
    let count = postgres.sql("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(
        count,
        orders.len().to_string(),
        "orders that nobody was told of"
    );
    until_nothing_waits(&postgres).await;
    let errors = first
        .metric("dependency_errors_total{dependency=\"postgres\"")
        .await;
    assert!(errors.unwrap() > 0.0);
}

/// Waits until so many more orders are stored.
async fn placed(postgres: &Server, more: u64) {
    let count = async || -> Result<u64, String> {
        let count = postgres.sql("SELECT count(*) FROM orders").await?;
        Ok(count.parse().unwrap())
    };
    let before = poll::until("orders can be counted", SOON, count).await;
    poll::until("orders are placed", SOON * 2, async || {
        match count().await? - before {
            placed if placed >= more => Ok(()),
            placed => Err(format!("{placed}")),
        }
    })
    .await;
}

/// A worker that is told to stop ends the order that it has, and takes no other.
#[tokio::test]
async fn a_worker_that_stops_leaves_nothing_half_done() {
    let postgres = Server::start(Kind::Postgres).await;
    let database = postgres.url();
    let web = Service::start(&[("DATABASE_URL", &database)]).await;
    let customer = Customer::new(&web.shop).await;
    for n in 0..3 {
        assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);
        customer
            .insist(201, async |c| c.order(Some(&n.to_string())).await)
            .await;
    }
    let settings = [
        ("ROLE", "worker"),
        ("DATABASE_URL", database.as_str()),
        ("SHIP_DURATION", "1s"),
        ("SHUTDOWN_GRACE", "20s"),
    ];
    let mut worker = Service::start(&settings).await;
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    poll::until("it has an order", SOON, async || {
        match postgres.sql(locked).await?.as_str() {
            "1" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    worker.signal("TERM");
    poll::until("it ends", SOON, async || {
        let ended = worker.ended();
        ended
            .map(|status| assert!(status.success()))
            .ok_or_else(|| "it runs".to_owned())
    })
    .await;
    let shipped = "SELECT count(*) FROM orders WHERE shipped_at IS NOT NULL";
    assert_eq!(postgres.sql(shipped).await.unwrap(), "1");
    let log = worker.log();
    assert!(log.contains("all that was begun is done"), "{log}");
    // Another one has the rest.
    let settings = [("ROLE", "worker"), ("DATABASE_URL", database.as_str())];
    let _worker = Service::start(&settings).await;
    until_nothing_waits(&postgres).await;
}
