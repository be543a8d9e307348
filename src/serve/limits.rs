//! Every limit of the server, by name.

use std::time::Duration;

use crate::telemetry::Reached;

/// Everything that is limited. Defaults are those of Go's API servers unless the field says
/// otherwise (`secure_serving.go`).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; the next waits in the kernel's queue. Ours: 4096.
    pub max_connections: usize,
    /// From accept to the end of the TLS handshake. The client's is 10 s.
    pub handshake_timeout: Duration,
    /// From the first moment a request may come on an HTTP/1.1 connection to the end of its
    /// headers; also for the whole of an unwanted body.
    pub read_timeout: Duration,
    /// How long an HTTP/2 connection may stay without a request. Of HTTP/1.1 [`read_timeout`] is
    /// over first: hyper's timer for headers runs from the end of an answer, and has no way to
    /// begin with the first byte of a request.
    ///
    /// [`read_timeout`]: Limits::read_timeout
    pub idle_timeout: Duration,
    /// All headers of a request, in bytes.
    pub max_header_bytes: u32,
    /// HTTP/1.1 headers of a request: one per group of the user. Ours: 1000.
    pub max_headers: usize,
    /// Bytes of an unwanted body that are read before the client's connection is given up.
    pub max_body_bytes: usize,
    /// Streams at a time on an HTTP/2 connection, and handlers that run for it. Ours: 250.
    pub http2_max_streams: u32,
    /// Requests that a connection may cancel at once before it is closed. Ours: 5000; an API server
    /// whose users all give up at one moment cancels as many as there are streams.
    pub max_cancels: u32,
    /// How many more it may cancel with each second. Ours: 500.
    pub cancels_per_second: u32,
    /// Silence on an HTTP/2 connection before a ping, which has half of it to be answered.
    pub http2_ping_interval: Duration,
    /// How long a shutdown waits for requests under way. Ours: 30 s, where
    /// `--shutdown-drain-timeout` does not say otherwise.
    pub drain_timeout: Duration,
    /// Counts those that are reached.
    pub reached: Reached,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(32),
            idle_timeout: Duration::from_secs(90),
            max_header_bytes: 1 << 20,
            max_headers: 1000,
            max_body_bytes: 3 << 20,
            http2_max_streams: 250,
            max_cancels: 5_000,
            cancels_per_second: 500,
            http2_ping_interval: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            reached: Reached::default(),
        }
    }
}
