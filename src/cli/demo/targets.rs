//! What the demo's Prometheus scrapes: three pods of a web shop, and a queue.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// One target.
pub(super) struct Target {
    port: u16,
    /// The labels that the scrape configuration gives its series.
    labels: &'static str,
}

/// `(labels, queue depth, requests a second)`
const PODS: [(&str, f64, f64); 3] = [
    ("{namespace: shop, pod: web-a, service: web}", 10.0, 12.0),
    ("{namespace: shop, pod: web-b, service: web}", 20.5, 20.0),
    ("{namespace: shop, pod: web-c, service: web}", 0.0, 0.5),
];

/// Starts them on free ports of loopback; they run until the process ends.
pub(super) async fn start() -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (labels, depth, rate) in PODS {
        let port = serve(move |seconds| {
            format!(
                "# TYPE queue_depth gauge\nqueue_depth {depth}\n\
                 # TYPE http_requests_total counter\nhttp_requests_total {}\n",
                rate * seconds
            )
        });
        targets.push(Target {
            port: port.await?,
            labels,
        });
    }
    let queue = serve(|_| {
        "# TYPE orders_waiting gauge\norders_waiting{queue=\"orders\"} 137\n\
         orders_waiting{queue=\"refunds\"} 2\n"
            .to_owned()
    });
    targets.push(Target {
        port: queue.await?,
        labels: "{job: queue}",
    });
    Ok(targets)
}

/// The Prometheus configuration that scrapes them.
pub(super) fn scrape_config(targets: &[Target]) -> String {
    let mut config = "global: {scrape_interval: 1s}\n\
                      scrape_configs:\n- job_name: shop\n  static_configs:\n"
        .to_owned();
    for Target { port, labels } in targets {
        config += &format!("  - {{targets: ['127.0.0.1:{port}'], labels: {labels}}}\n");
    }
    config
}

/// Serves `exposition` of the seconds since the start.
async fn serve(
    exposition: impl Fn(f64) -> String + Clone + Send + Sync + 'static,
) -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let started = Instant::now();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let exposition = exposition.clone();
            let service = service_fn(move |_| {
                let text = exposition(started.elapsed().as_secs_f64());
                async move { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text))) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(port)
}
