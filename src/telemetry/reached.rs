//! How often each limit was reached: an operator sees which one is too low before users do.

use super::words::Words;

/// A limit that was reached: something was refused, given up, left out or made to wait for it. Most
/// are flags and have their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `--max-requests-inflight`: a request was answered 429.
    MaxRequestsInflight,
    /// `--max-connections`: a connection waits.
    MaxConnections,
    /// `--request-timeout`: a request was answered 504.
    RequestTimeout,
    /// `--prometheus-timeout`, or a rule's or a backend's own: a query was given up.
    PrometheusTimeout,
    /// `--prometheus-concurrency`, or a backend's own: a request found no place in time.
    PrometheusConcurrency,
    /// `--http2-max-streams-per-connection`: a connection's requests took all of them, so that
    /// further ones wait at the client.
    Http2MaxStreams,
    /// `--prometheus-max-response-bytes`, `--relist-max-response-bytes` or a backend's own: an
    /// answer was not read to its end.
    MaxResponseBytes,
    /// `--max-rows`: an answer had more rows.
    MaxRows,
    /// `--max-query-bytes`: a query was not asked.
    MaxQueryBytes,
    /// `--query-cache-entries` or `--query-cache-bytes`: rows were forgotten before their time.
    QueryCache,
    /// `--relist-timeout`: rules were not listed.
    RelistTimeout,
    /// `--discovery-max-metrics`: documents leave metrics out.
    DiscoveryMaxMetrics,
    /// Names in one answer of a listing: rules were not listed.
    ListedNames,
    /// `--max-object-watches`: an ask was a list.
    MaxObjectWatches,
    /// Queries whose widening is remembered: one was forgotten and begins anew.
    WideningSteps,
    /// Answers of reviews that are remembered: one was forgotten before its time.
    ReviewMemory,
    /// Reviews under way, or requests that wait for one: a request was answered 429.
    Reviews,
    /// From accept to the end of a TLS handshake: a connection was closed.
    HandshakeTimeout,
    /// The headers of a request, of HTTP/1.1: it was answered 431. (The library does not tell of
    /// those of HTTP/2.)
    HeaderBytes,
    /// Requests that a client may cancel: its connection was cut.
    Cancels,
    /// Explanations at one time, of the page and of `/explain`: one was answered 429.
    Explanations,
}

impl Limit {
    /// Each of them.
    const ALL: [Limit; 21] = [
        Limit::MaxRequestsInflight,
        Limit::MaxConnections,
        Limit::RequestTimeout,
        Limit::PrometheusTimeout,
        Limit::PrometheusConcurrency,
        Limit::Http2MaxStreams,
        Limit::MaxResponseBytes,
        Limit::MaxRows,
        Limit::MaxQueryBytes,
        Limit::QueryCache,
        Limit::RelistTimeout,
        Limit::DiscoveryMaxMetrics,
        Limit::ListedNames,
        Limit::MaxObjectWatches,
        Limit::WideningSteps,
        Limit::ReviewMemory,
        Limit::Reviews,
        Limit::HandshakeTimeout,
        Limit::HeaderBytes,
        Limit::Cancels,
        Limit::Explanations,
    ];

    /// The value of the label.
    pub fn word(self) -> &'static str {
        match self {
            Limit::MaxRequestsInflight => "max-requests-inflight",
            Limit::MaxConnections => "max-connections",
            Limit::RequestTimeout => "request-timeout",
            Limit::PrometheusTimeout => "prometheus-timeout",
            Limit::PrometheusConcurrency => "prometheus-concurrency",
            Limit::Http2MaxStreams => "http2-max-streams-per-connection",
            Limit::MaxResponseBytes => "max-response-bytes",
            Limit::MaxRows => "max-rows",
            Limit::MaxQueryBytes => "max-query-bytes",
            Limit::QueryCache => "query-cache",
            Limit::RelistTimeout => "relist-timeout",
            Limit::DiscoveryMaxMetrics => "discovery-max-metrics",
            Limit::ListedNames => "listed-names",
            Limit::MaxObjectWatches => "max-object-watches",
            Limit::WideningSteps => "widening-steps",
            Limit::ReviewMemory => "review-memory",
            Limit::Reviews => "reviews",
            Limit::HandshakeTimeout => "handshake-timeout",
            Limit::HeaderBytes => "header-bytes",
            Limit::Cancels => "cancels",
            Limit::Explanations => "explanations",
        }
    }
}

/// Counts them. Clones count in the same.
#[derive(Clone, Debug)]
pub struct Reached(Words);

impl Default for Reached {
    fn default() -> Reached {
        Reached(Words::new("limit", Limit::ALL.map(Limit::word)))
    }
}

impl Reached {
    /// It was.
    pub fn count(&self, limit: Limit) {
        self.0.count(limit.word());
    }

    /// How often it was.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0.get(limit.word())
    }

    pub(super) fn words(&self) -> Words {
        self.0.clone()
    }
}
