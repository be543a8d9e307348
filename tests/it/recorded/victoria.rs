//! The same over VictoriaMetrics: what it gives is what Prometheus gives, but for what is named here.

use serde_json::json;

use super::*;
use crate::support::victoria::Victoria;

/// Samples that are no number are not in its answers, so that nobody can say that there is one.
const WITHOUT_NAN: &str = "/pods/web-a/odd_gauge";

fn expected(exchange: &Exchange) -> Expected {
    let mut expected = exchange.expected();
    if exchange.path.ends_with(WITHOUT_NAN)
        && let Body::Json(body) = &mut expected.body
    {
        let message = body["message"].as_str().unwrap_or_default();
        let (without_sample, _) = message
            .split_once(": the sample is not a number")
            .expect("Prometheus' answer must name the sample");
        let nothing = "the query of rules[0] (line 2) gives no series for it";
        body["message"] = json!(format!("{without_sample}: {nothing}"));
    }
    expected
}

#[tokio::test]
async fn victoria_metrics_gives_what_prometheus_gives_but_for_what_is_no_number() {
    let exporter = Exporter::start(|elapsed| exporter::recorded(SERIES, elapsed)).await;
    let victoria = Victoria::start(&[exporter.address], TargetLabels::Dropped).await;
    victoria.api().wait_for(KNOWN).await;
    let url = victoria.url.clone();
    let world = World::over(exporter, victoria, &url, RULES).await;
    assert_as_expected(replay_all(&world, expected).await);
}

/// A counter that rises by one every three seconds.
fn steps(elapsed: std::time::Duration) -> String {
    format!("steps_total {}\n", 10 + elapsed.as_secs() / 3)
}

/// What a counter gained in seven seconds, once it did gain something.
async fn gained(api: Api<'_>) -> f64 {
    api.wait_for(&["increase(steps_total[7s]) > 0 and count_over_time(steps_total[7s]) > 6"])
        .await;
    let rows = api.query("increase(steps_total[7s])").await.unwrap();
    rows[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn by_design_an_increase_is_extrapolated_by_prometheus_and_counted_by_victoria_metrics() {
    let exporter = Exporter::start(steps).await;
    let targets = [exporter.address];
    let prometheus = Prometheus::start(&targets, TargetLabels::Dropped).await;
    let victoria = Victoria::start(&targets, TargetLabels::Dropped).await;
    let counted = gained(victoria.api()).await;
    assert!(counted.fract().abs() < 1e-9, "{counted}");
    // Seven or eight samples, which lie six to seven seconds apart, stand for seven seconds.
    poll::until(
        "an increase is extrapolated",
        compare::RECENT,
        async || match gained(prometheus.api()).await {
            gained if gained.fract() > 1e-3 => Ok(()),
            gained => Err(format!("{gained}")),
        },
    )
    .await;
}

#[tokio::test]
async fn a_series_that_its_target_has_no_more_is_gone_from_both() {
    let exporter = Exporter::start(|elapsed| match elapsed.as_secs() {
        0..8 => "here 1\nleaves 1\n".to_owned(),
        _ => "here 1\n".to_owned(),
    })
    .await;
    let targets = [exporter.address];
    let prometheus = Prometheus::start(&targets, TargetLabels::Dropped).await;
    let victoria = Victoria::start(&targets, TargetLabels::Dropped).await;
    for api in [prometheus.api(), victoria.api()] {
        api.wait_for(&["last_over_time(leaves[1m])", "here unless leaves"])
            .await;
        assert_eq!(
            api.query("leaves").await.unwrap(),
            Vec::<serde_json::Value>::new()
        );
    }
}
