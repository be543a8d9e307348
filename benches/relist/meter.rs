//! A proxy on the socket that counts what passes, and says from when to when.
//!
//! It knows nothing of HTTP but two things: how a request begins, to count them, and how the header
//! is spelt that asks for compression, to spoil it: the server then answers in plain.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::support::poll;

/// As `reqwest` writes it, and a coding of the same length that no server knows.
const COMPRESSED: &[u8] = b"accept-encoding: gzip\r\n";
const SPOILT: &[u8] = b"accept-encoding: none\r\n";

/// A running proxy. Dropping it ends it.
pub struct Meter {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    state: Arc<Mutex<State>>,
    _server: AbortOnDropHandle<()>,
}

/// What passed since the last look.
#[derive(Clone, Copy, Default)]
pub struct Flow {
    /// How many requests went out.
    pub requests: usize,
    /// Bytes that came back, headers included.
    pub received: usize,
    /// From the first byte out to the last byte back.
    pub wall: Duration,
}

#[derive(Default)]
struct State {
    plain: bool,
    flow: Flow,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Meter {
    /// Starts one in front of `upstream` (`http://host:port`).
    pub async fn start(upstream: &str) -> Meter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let server = tokio::spawn(accept(listener, upstream, Arc::clone(&state)));
        Meter {
            url: format!("http://{address}"),
            state,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// Whether the server learns that the client takes compressed answers.
    pub fn compression(&self, wanted: bool) {
        self.state.lock().unwrap().plain = !wanted;
    }

    /// What passed since the last call.
    pub fn take(&self) -> Flow {
        let mut state = self.state.lock().unwrap();
        let flow = state.flow;
        let plain = state.plain;
        *state = State {
            plain,
            ..State::default()
        };
        flow
    }

    /// Waits until something has come back and then nothing passed for `silence`.
    pub async fn silence(&self, silence: Duration, within: Duration) {
        poll::until("the wire falls silent", within, async || {
            let state = self.state.lock().unwrap();
            match (state.flow.received, state.last) {
                (1.., Some(last)) if last.elapsed() >= silence => Ok(()),
                (received, _) => Err(format!("{received} bytes so far")),
            }
        })
        .await;
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<Mutex<State>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(&upstream).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(out(from_client, to_server, Arc::clone(&state)));
        tokio::spawn(back(from_server, to_client, Arc::clone(&state)));
    }
}

/// Requests. Each is small and arrives in one piece.
async fn out(from: OwnedReadHalf, to: OwnedWriteHalf, state: Arc<Mutex<State>>) {
    copy(from, to, |piece| {
        let mut state = state.lock().unwrap();
        let begins = piece.starts_with(b"GET /") || piece.starts_with(b"POST /");
        state.flow.requests += usize::from(begins);
        let now = Instant::now();
        state.first.get_or_insert(now);
        state.last = Some(now);
        if state.plain {
            spoil(piece);
        }
    })
    .await;
}

/// Answers.
async fn back(from: OwnedReadHalf, to: OwnedWriteHalf, state: Arc<Mutex<State>>) {
    copy(from, to, |piece| {
        let mut state = state.lock().unwrap();
        let now = Instant::now();
        state.last = Some(now);
        state.flow.received += piece.len();
        state.flow.wall = state.first.map_or(Duration::ZERO, |first| now - first);
    })
    .await;
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut see: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("reading: {error}"),
        };
        see(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

fn spoil(piece: &mut [u8]) {
    let found = piece
        .windows(COMPRESSED.len())
        .position(|window| window.eq_ignore_ascii_case(COMPRESSED));
    let at = found.expect("a request must ask for compression, or this measures nothing");
    piece[at..at + SPOILT.len()].copy_from_slice(SPOILT);
}
