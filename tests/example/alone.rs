//! A replica by itself, on a laptop: settings, routes, limits, metrics.

use std::time::Duration;

use futures_util::future::join_all;

use crate::customer::Customer;
use crate::poll;
use crate::service::{Answer, SOON, Service, client, command};

#[test]
fn wrong_settings_are_refused_by_name_before_anything_is_served() {
    let settings = [
        ("ROLE", "worker"),
        ("REDIS_URL", "cache:6379"),
        ("SHUTDOWN_GRACE", "soon"),
    ];
    let output = command(&settings).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    for name in ["ROLE: ", "REDIS_URL: ", "SHUTDOWN_GRACE: "] {
        assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
    }
    assert!(!text.contains("listening"), "{text}");
}

#[test]
fn an_address_that_is_taken_is_told_with_the_setting_that_chooses_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["ADMIN_ADDRESS", "LISTEN_ADDRESS"] {
        let output = command(&[(setting, &address)]).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let told = format!("{setting}: cannot listen on {address}");
        assert!(text.contains(&told), "{told} in {text}");
    }
}

#[test]
fn help_lists_the_settings_and_an_argument_is_refused() {
    let help = command(&[]).arg("--help").output().unwrap();
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for name in ["LISTEN_ADDRESS", "REDIS_URL", "CONFIG_ETCD_PREFIX"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    let refused = command(&[]).arg("--port=80").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[tokio::test]
async fn a_replica_with_everything_in_its_memory_says_that_it_must_not_be_scaled() {
    let service = Service::start(&[("LOG_FORMAT", "json")]).await;
    assert_eq!(service.until_ready_says(200, "ok").await, "ok");
    let health = service.admin("/healthz").await.unwrap();
    assert_eq!(health.code, 200);
    assert_eq!(health.json()["scalable"], false, "{health:?}");
    let log = service.log();
    assert!(log.contains("must not be scaled"), "{log}");
    let one = log.lines().next().unwrap();
    let line: serde_json::Value = serde_json::from_str(one).unwrap();
    assert!(line["message"].is_string(), "{line}");
}

#[tokio::test]
async fn a_cart_becomes_one_order_however_often_it_is_sent() {
    let service = Service::start(&[("SHIP_DURATION", "1s")]).await;
    let customer = Customer::new(&service.shop).await;
    assert_eq!(customer.order(None).await.unwrap().code, 409);
    assert_eq!(customer.add("tea", 2).await.unwrap().code, 200);
    let cart = customer.add("tea", 3).await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {"tea": 5}}));
    let first = customer.order(Some("k1")).await.unwrap();
    let again = customer.order(Some("k1")).await.unwrap();
    assert_eq!((first.code, &first.text), (201, &again.text));
    let id = first.json()["order"].as_str().unwrap().to_owned();
    let order = customer.get(&format!("/orders/{id}")).await.unwrap().json();
    assert_eq!(order["items"], serde_json::json!({"tea": 5}));
    let cart = customer.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {}}));
    assert_eq!(customer.order(Some("k2")).await.unwrap().code, 409);
    // Sent again, it takes nothing that came later.
    assert_eq!(customer.add("tea", 1).await.unwrap().code, 200);
    let again = customer.order(Some("k1")).await.unwrap();
    assert_eq!((again.code, &again.text), (201, &first.text));
    let cart = customer.get("/cart").await.unwrap().json();
    assert_eq!(cart, serde_json::json!({"items": {"tea": 1}}));
    assert_eq!(
        customer.order(Some(&"k".repeat(129))).await.unwrap().code,
        400
    );
}

/// The server lets a session live on with each use; a cookie with an age would not.
#[tokio::test]
async fn a_session_ends_by_the_server_alone() {
    let service = Service::start(&[]).await;
    let begin = client().post(format!("{}/session", service.shop));
    let answer = Answer::of(begin).await.unwrap();
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("session="), "{cookie}");
    assert!(cookie.contains("HttpOnly"), "{cookie}");
    for age in ["max-age", "expires"] {
        assert!(!cookie.to_lowercase().contains(age), "{cookie}");
    }
}

#[tokio::test]
async fn what_is_not_a_request_of_ours_is_refused_with_its_reason() {
    let service = Service::start(&[]).await;
    let customer = Customer::new(&service.shop).await;
    let stranger = Customer {
        session: "0".repeat(32),
        ..customer.clone()
    };
    assert_eq!(stranger.get("/cart").await.unwrap().code, 401);
    assert_eq!(stranger.add("tea", 1).await.unwrap().code, 401);
    for (json, code) in [
        ("{".to_owned(), 400),
        (r#"{"sku":"tea"}"#.to_owned(), 422),
        (r#"{"sku":"tea","quantity":-1}"#.to_owned(), 422),
        (r#"{"sku":"tea","quantity":0}"#.to_owned(), 400),
        (r#"{"sku":"tea","quantity":1000}"#.to_owned(), 400),
        (r#"{"sku":"a b","quantity":1}"#.to_owned(), 400),
        (
            format!(r#"{{"sku":"{}","quantity":1}}"#, "a".repeat(5000)),
            413,
        ),
    ] {
        let answer = customer.add_json(json.clone()).await.unwrap();
        assert_eq!(answer.code, code, "{json}: {answer:?}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
    }
    assert_eq!(customer.add("tea", 999).await.unwrap().code, 200);
    assert_eq!(customer.add("tea", 1).await.unwrap().code, 409);
    for (query, code) in [
        ("cpu=2001ms", 400),
        ("time=3s", 400),
        ("cpu=-1s", 400),
        ("cpu=much", 400),
        ("memory=1", 400),
        ("cpu=1ms&time=1ms", 200),
        ("", 200),
    ] {
        let answer = customer.get(&format!("/burn?{query}")).await.unwrap();
        assert_eq!(answer.code, code, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn a_session_ends_some_time_after_its_last_use() {
    let service = Service::start(&[("SESSION_TTL", "1s")]).await;
    let customer = Customer::new(&service.shop).await;
    poll::until("it ends", Duration::from_secs(20), async || {
        // Each look is a use, so they are further apart than it lives.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        match customer.get("/cart").await?.code {
            401 => Ok(()),
            code => Err(code.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn labels_have_few_values_whatever_clients_send() {
    let service = Service::start(&[]).await;
    let client = client();
    for n in 0..20 {
        let method = reqwest::Method::from_bytes(format!("WORD{n}").as_bytes()).unwrap();
        for path in [format!("/{n}"), format!("/orders/{n}"), "/cart".to_owned()] {
            let url = format!("{}{path}", service.shop);
            Answer::of(client.request(method.clone(), &url))
                .await
                .unwrap();
            Answer::of(client.get(&url)).await.unwrap();
        }
    }
    let text = service.admin("/metrics").await.unwrap().text;
    let requests = text
        .lines()
        .filter(|line| line.starts_with("http_requests_total{"));
    // The numbers are not looked at: a scraper of another test may have had this port before.
    let series = requests.filter_map(|line| line.rsplit_once(' '));
    let mut series: Vec<&str> = series.map(|(series, _)| series).collect();
    series.sort_unstable();
    assert_eq!(
        series,
        [
            r#"http_requests_total{method="GET",route="/cart",code="401"}"#,
            r#"http_requests_total{method="GET",route="/orders/{id}",code="404"}"#,
            r#"http_requests_total{method="GET",route="other",code="404"}"#,
            r#"http_requests_total{method="other",route="/cart",code="405"}"#,
            r#"http_requests_total{method="other",route="/orders/{id}",code="405"}"#,
            r#"http_requests_total{method="other",route="other",code="404"}"#,
        ],
        "{text}"
    );
    for name in [
        "http_request_duration_seconds_bucket{",
        "http_requests_in_flight 0",
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "shop_build_info{version=",
        "shop_orders_waiting 0",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn one_request_too_many_is_told_so_at_once_and_those_that_hang_up_are_counted() {
    let service = Service::start(&[("MAX_IN_FLIGHT", "2")]).await;
    let client = client();
    let url = format!("{}/burn?time=2s", service.shop);
    let answers = join_all((0..5).map(|_| Answer::of(client.get(&url)))).await;
    let answers: Vec<Answer> = answers.into_iter().map(Result::unwrap).collect();
    let served = answers.iter().filter(|answer| answer.code == 200).count();
    assert_eq!(served, 2, "{answers:?}");
    for shed in answers.iter().filter(|answer| answer.code != 200) {
        assert_eq!((shed.code, shed.header("retry-after")), (503, "1"));
    }
    let impatient = client.get(&url).timeout(Duration::from_millis(300));
    impatient.send().await.unwrap_err();
    poll::until("it is counted", Duration::from_secs(10), async || {
        let series = r#"http_requests_total{method="GET",route="/burn",code="499"}"#;
        match service.metric(series).await {
            Some(1.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(service.metric("http_requests_in_flight").await, Some(0.0));
}

#[tokio::test]
async fn a_probe_is_answered_while_all_cores_are_busy() {
    let service = Service::start(&[]).await;
    let client = client();
    let url = format!("{}/burn?cpu=1s", service.shop);
    let most = std::thread::available_parallelism().unwrap().get() + 2;
    let burns = (0..most).map(move |_| Answer::of(client.get(&url)));
    let burns = tokio::spawn(join_all(burns));
    // On the threads that answer, no more of them could be begun than there are cores.
    poll::until("all are begun", SOON, async || {
        let open = service.metric("http_requests_in_flight").await;
        assert!(!burns.is_finished(), "never were all of them open");
        match open == Some(most as f64) {
            true => Ok(()),
            false => Err(format!("{open:?}")),
        }
    })
    .await;
    assert_eq!(service.admin("/livez").await.unwrap().code, 200);
    // Where others keep the machine busy, some take longer than any answer may.
    let answers = burns.await.unwrap();
    let done = answers
        .iter()
        .filter(|a| a.as_ref().is_ok_and(|answer| answer.code == 200));
    let done = done.count();
    let cpu = service.metric("process_cpu_seconds_total").await.unwrap();
    assert!(done > 0 && cpu >= done as f64, "{cpu} for {answers:?}");
}
