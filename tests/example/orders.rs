//! Orders in a real PostgreSQL: what was acknowledged is there, whatever is killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};

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
    let signal = |signal: Signal| {
        for backend in backends.split(' ') {
            let backend = Pid::from_raw(backend.parse().unwrap()).unwrap();
            kill_process(backend, signal).unwrap();
        }
    };
    signal(Signal::STOP);
    service.until_ready_says(200, "degraded: postgres: ").await;
    let answers = join_all((0..20).map(|_| customer.order(Some("k")))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().code, 503);
    }
    assert_eq!(customer.get("/cart").await.unwrap().code, 200);
    // More than may wait for it: the others need not wait to hear so.
    let path = format!("/orders/{}", "0".repeat(32));
    let answers = join_all((0..200).map(|_| customer.get(&path))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().code, 503);
    }
    let metrics = service.admin("/metrics").await.unwrap().text;
    let at_once = metrics.lines().find_map(|line| {
        let of_find = line.contains(r#"operation="find""#) && line.contains(r#"le="0.5""#);
        of_find.then(|| line.rsplit(' ').next().unwrap().to_owned())
    });
    let at_once: u32 = at_once.unwrap().parse().unwrap();
    assert!(at_once >= 200 - 64, "{at_once}");
    signal(Signal::CONT);
    service.until_ready_says(200, "ok").await;
    customer
        .insist(201, async |c| c.order(Some("k")).await)
        .await;
    let count = postgres.sql("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(count, "1");
}

/// As when PostgreSQL commits and the answer is lost, or Redis is away when the order is placed.
#[tokio::test]
async fn what_was_ordered_leaves_the_cart_although_whoever_placed_it_could_not_take_it() {
    let (mut redis, postgres) =
        tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
    ];
    let service = Service::start(&settings).await;
    service.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.add("tea", 2).await.unwrap().code, 200);
    // The order waits for a lock while Redis goes away.
    let mut blocker = connect(&database).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let order = async { customer.order(Some("k")).await.unwrap() };
    let lose = async {
        poll::until("the order waits", SOON, async || {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            match postgres.sql(waits).await?.as_str() {
                "1" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await;
        redis.kill();
        lock.rollback().await.unwrap();
    };
    let (first, ()) = tokio::join!(order, lose);
    redis.again().await;
    service.until_ready_says(200, "ok").await;
    let cart = customer.insist(200, async |c| c.get("/cart").await).await;
    assert_eq!(cart.json(), serde_json::json!({"items": {"tea": 2}}));
    // By another key as well as by its own: what is in an order is not ordered again.
    let other = customer.order(Some("other")).await.unwrap();
    assert_eq!((first.code, other.code), (201, 409), "{other:?}");
    assert_eq!(customer.add("salt", 1).await.unwrap().code, 200);
    let again = customer.order(Some("k")).await.unwrap();
    assert_eq!((again.code, &again.text), (201, &first.text));
    let cart = customer.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {"salt": 1}}));
    assert_eq!(ordered(&postgres).await, "2");
}

#[tokio::test]
async fn a_double_click_is_one_order() {
    let (redis, postgres) = tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let there = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
    ];
    for settings in [&there[..], &[]] {
        let service = Service::start(settings).await;
        service.until_ready_says(200, "ok").await;
        let customer = Customer::new(&service.shop).await;
        for round in 1..=5 {
            assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);
            let keys = [format!("a{round}"), format!("b{round}")];
            let answers = match round {
                1..=3 => join_all((0..4).map(|_| customer.order(None))).await,
                _ => join_all(keys.iter().map(|key| customer.order(Some(key)))).await,
            };
            let answers = answers.into_iter().map(Result::unwrap);
            let placed: BTreeSet<String> = answers
                .filter(|answer| answer.code != 409)
                .map(|answer| answer.json()["order"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(placed.len(), 1, "round {round}: {placed:?}");
        }
    }
    assert_eq!(ordered(&postgres).await, "5");
}

/// Whatever writes has a lock on the table that making it again would wait for.
#[tokio::test]
async fn a_replica_that_starts_waits_for_nobody_who_writes() {
    let postgres = Server::start(Kind::Postgres).await;
    let database = postgres.url();
    let settings = [("DATABASE_URL", database.as_str())];
    let first = Service::start(&settings).await;
    first.until_ready_says(200, "ok").await;
    let mut writer = connect(&database).await;
    let writing = writer.transaction().await.unwrap();
    let write = "INSERT INTO orders (id, customer, items) VALUES ('x', 'x', '{}')";
    writing.batch_execute(write).await.unwrap();
    let second = Service::start(&settings).await;
    second.until_ready_says(200, "ok").await;
    writing.rollback().await.unwrap();
}

#[tokio::test]
async fn a_backlog_is_counted_as_far_as_it_matters_and_what_is_no_name_is_not_looked_up() {
    let postgres = Server::start(Kind::Postgres).await;
    let service = Service::start(&[("DATABASE_URL", &postgres.url())]).await;
    service.until_ready_says(200, "ok").await;
    let fill = "INSERT INTO orders (id, customer, items)                 SELECT n::text, 'c', '{}' FROM generate_series(1, 10050) AS n";
    postgres.sql(fill).await.unwrap();
    poll::until("they are counted", SOON, async || {
        match service.metric("shop_orders_waiting ").await {
            Some(10_000.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let customer = Customer::new(&service.shop).await;
    for name in ["%00", "1", &"A".repeat(32)] {
        let answer = customer.get(&format!("/orders/{name}")).await.unwrap();
        assert_eq!(answer.code, 404, "{name}: {answer:?}");
    }
}

/// A client that hangs up leaves an order that is being placed, and no connection to wait for.
#[tokio::test]
async fn an_order_whose_client_hung_up_is_done_before_the_end() {
    let (redis, postgres) = tokio::join!(Server::start(Kind::Redis), Server::start(Kind::Postgres));
    let (redis_url, database) = (redis.url(), postgres.url());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("DATABASE_URL", &database),
        ("SHUTDOWN_GRACE", "1500ms"),
    ];
    let mut service = Service::start(&settings).await;
    service.until_ready_says(200, "ok").await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);
    let mut blocker = connect(&database).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let hurry = Duration::from_millis(100);
    let hung_up = tokio::time::timeout(hurry, customer.order(Some("k"))).await;
    assert!(hung_up.is_err());
    service.signal("TERM");
    poll::until("it takes no more", SOON, async || {
        let log = service.log();
        match log.contains("no new requests") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    lock.rollback().await.unwrap();
    poll::until("it ends", SOON, async || {
        let running = || "it runs".to_owned();
        service.ended().ok_or_else(running)
    })
    .await;
    let log = service.log();
    assert!(log.contains("all that was begun is done"), "{log}");
    let other = Service::start(&settings).await;
    let there = customer.at(&other.shop);
    let cart = there.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {}}));
    assert_eq!(ordered(&postgres).await, "1");
}

/// A connection of the test's own, for a transaction that stays open.
async fn connect(database: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(database, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

/// How much all orders have, of whatever.
async fn ordered(postgres: &Server) -> String {
    let sum = "SELECT coalesce(sum(value::int), 0) FROM orders, jsonb_each_text(items)";
    postgres.sql(sum).await.unwrap()
}

/// One who orders again and again, each order by a key of its own, until it is acknowledged.
///
/// Gives how much was chosen as well. An add that was answered 503 may have been done, so the cart is
/// read; it may still have what was ordered before, so each order is of another SKU.
async fn order_until(done: &AtomicBool, shop: &str) -> (Customer, Vec<(String, String)>, u64) {
    let customer = Customer::new(shop).await;
    let (mut acknowledged, mut chosen) = (Vec::new(), 0);
    while !done.load(Ordering::Relaxed) {
        let key = format!("order-{}", acknowledged.len());
        customer.insist(200, async |c| c.add(&key, 1).await).await;
        let cart = customer.insist(200, async |c| c.get("/cart").await).await;
        chosen += cart.json()["items"][&key].as_u64().unwrap();
        let answer = customer.insist(201, async |c| c.order(Some(&key)).await);
        let id = answer.await.json()["order"].as_str().unwrap().to_owned();
        acknowledged.push((key, id));
    }
    (customer, acknowledged, chosen)
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
    let mut chosen = 0;
    for (customer, acknowledged, by_one) in customers {
        chosen += by_one;
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
    assert_eq!(
        ordered(&postgres).await,
        chosen.to_string(),
        "ordered twice"
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
