//! The main job, once: what an autoscaler asks, the query that it became, and the answer.

use anyhow::Context;
use serde_json::Value;

use super::http::{Http, until};
use super::screen::Screen;
use super::servers::Adapter;

/// What is asked for in the opening, as a path below `/apis/`.
pub(super) const PODS: &str = "custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/\
    http_requests_per_second?labelSelector=app.kubernetes.io%2Fname%3Dshop";

/// What else can be asked for, and in which words.
const OTHERS: [(&str, &str); 3] = [
    (
        "latency of the service (99 of 100 requests take no longer)",
        "custom.metrics.k8s.io/v1beta2/namespaces/shop/services/shop/\
         http_request_duration_seconds_p99",
    ),
    (
        "CPU and memory, as of kubectl top",
        "metrics.k8s.io/v1beta1/namespaces/shop/pods",
    ),
    ("which metrics there are", "custom.metrics.k8s.io/v1beta2"),
];

/// Asks until each of the first replicas has its part of the load, and shows how.
pub(super) async fn show(
    screen: &mut Screen,
    http: &Http,
    adapter: &Adapter,
    load: f64,
) -> anyhow::Result<()> {
    let url = format!("{}/apis/{PODS}", adapter.url);
    let mut last = String::new();
    let answer = until("the adapter knows the rate of each replica", async || {
        let answer = match http.get(&url).await {
            Ok(answer) => answer,
            Err(error) => {
                last = format!("{error:#}");
                return Ok(None);
            }
        };
        last.clone_from(&answer);
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(whole(&answer, load).then_some(answer))
    });
    let answer = answer.await.with_context(|| last.clone())?;
    let query = adapter.last_query();
    let query = query.context("the adapter must have logged its query")?;
    screen.say("\nWhat an HPA on requests per second asks:\n")?;
    screen.say(&kubectl(&adapter.url, PODS))?;
    screen.say(&format!("\n  became    {query}"))?;
    screen.say(&format!("  answered  {}\n", in_words(&answer)))?;
    Ok(())
}

/// How one asks that by hand.
pub(super) fn kubectl(server: &str, path: &str) -> String {
    format!("  kubectl --server={server} get --raw \\\n    '/apis/{path}'")
}

/// Everything that can be asked for by hand, in words and as commands.
pub(super) fn to_copy(server: &str) -> Vec<String> {
    let pods = ("requests per second of each replica", PODS);
    let asks = std::iter::once(pods).chain(OTHERS);
    asks.map(|(words, path)| format!("# {words}\n{}", kubectl(server, path)))
        .collect()
}

/// Whether each of the first replicas is there and gets its part of the load.
fn whole(answer: &Value, load: f64) -> bool {
    let rates = answer["items"].as_array().into_iter().flatten().map(rate);
    let rates: Vec<f64> = rates.collect();
    rates.len() >= 2 && rates.iter().all(|rate| *rate >= 0.4 * load)
}

/// The value of an item, which here is written whole or in thousandths.
fn rate(item: &Value) -> f64 {
    let value = item["value"].as_str().unwrap_or_default();
    let milli = value
        .strip_suffix('m')
        .and_then(|it| it.parse::<f64>().ok());
    let whole = || value.parse().unwrap_or(0.0);
    milli.map_or_else(whole, |milli| milli / 1000.0)
}

/// One sentence for each item.
fn in_words(answer: &Value) -> String {
    let items = answer["items"].as_array().into_iter().flatten();
    let sentences = items.map(|item| {
        let value = item["value"].as_str().unwrap_or("?");
        let name = item["describedObject"]["name"].as_str().unwrap_or("?");
        match value.ends_with('m') {
            true => format!("{name}: {value}, that is {}.", rate(item)),
            false => format!("{name}: {value}."),
        }
    });
    sentences.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_whole_when_both_replicas_have_their_part() {
        let item =
            |name: &str, value: &str| json!({"describedObject": {"name": name}, "value": value});
        let one = json!({"items": [item("shop-1", "11800m")]});
        let two = json!({"items": [item("shop-1", "11800m"), item("shop-2", "12")]});
        let idle = json!({"items": [item("shop-1", "11800m"), item("shop-2", "900m")]});
        assert!(whole(&two, 24.0) && !whole(&one, 24.0) && !whole(&idle, 24.0));
        assert_eq!(in_words(&two), "shop-1: 11800m, that is 11.8. shop-2: 12.");
    }
}
