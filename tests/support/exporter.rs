//! What Prometheus scrapes: text made anew at each scrape, from the time the exporter has run.
//!
//! A counter must rise with real time or `rate()` has nothing to compute, so the text is a function
//! of the elapsed time: `v·(1 + t)` is a counter that rises by `v` each second.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// `http_requests_total` as the recording had it: labels, and how fast each one rises in a second.
const REQUESTS: [(&str, f64); 5] = [
    (
        r#"namespace="shop",pod="web-a",service="web",method="GET""#,
        10.0,
    ),
    (
        r#"namespace="shop",pod="web-a",service="web",method="POST""#,
        1.0,
    ),
    (
        r#"namespace="shop",pod="web-b",service="web",method="GET""#,
        20.0,
    ),
    (
        r#"namespace="shop",pod="web-c",service="web",method="GET""#,
        0.0,
    ),
    (
        r#"namespace="bank",pod="teller-a",service="teller",method="GET""#,
        5.0,
    ),
];

/// The ends of names whose series rise with time in the collection of public rule files.
const RISING: [&str; 6] = ["_total", "_sum", "_count", "_bucket", "_rq", "_by_pod"];

/// A small HTTP server on a free loopback port that answers every request with the text of now.
pub struct Exporter {
    /// Where it listens.
    pub address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Exporter {
    /// Starts one; `text` gets the time since the start.
    pub async fn start(text: impl Fn(Duration) -> String + Clone + Send + 'static) -> Exporter {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port must be free");
        let address = listener
            .local_addr()
            .expect("a bound socket must have an address");
        let started = Instant::now();
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let text = text.clone();
                let service = service_fn(move |_: Request<Incoming>| {
                    let body = text(started.elapsed());
                    async move { Ok::<_, Infallible>(exposition(body)) }
                });
                connections.spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Exporter {
            address,
            _server: AbortOnDropHandle::new(server),
        }
    }
}

fn exposition(body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")
        .body(Full::new(Bytes::from(body)))
        .expect("a response of constants must build")
}

/// The series of the recording: `fixed` as it stands, and the request counters at `elapsed`.
pub fn recorded(fixed: &str, elapsed: Duration) -> String {
    let mut text = format!("{}\n# TYPE http_requests_total counter\n", fixed.trim_end());
    for (labels, rate) in REQUESTS {
        let value = rate * (1.0 + elapsed.as_secs_f64());
        text.push_str(&format!("http_requests_total{{{labels}}} {value}\n"));
    }
    text
}

/// Each series of `fixed`, where one whose name ends as a counter's does rises by its own value a second.
///
/// Buckets stay cumulative, because all series of a histogram grow by the same factor.
pub fn rising(fixed: &str, elapsed: Duration) -> String {
    let factor = 1.0 + elapsed.as_secs_f64();
    let mut text = String::with_capacity(fixed.len() * 2);
    for line in fixed.lines() {
        match line.rsplit_once(' ') {
            Some((series, value)) if is_rising(series) => {
                let value: f64 = value.parse().expect("a sample's value must be a number");
                text.push_str(&format!("{series} {}\n", value * factor));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

fn is_rising(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or(series);
    !series.starts_with('#') && RISING.iter().any(|end| name.ends_with(end))
}
