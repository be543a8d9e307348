//! An HTTP client that keeps its certificates and tokens current.
//!
//! Files are read again when `RECHECK` has passed since the last look, by the request that finds
//! it so, off the runtime's threads. A new token is used at once; new certificates make a new
//! client, while requests under way finish on the old one. What cannot be read or used is logged
//! and the last good one kept, so a half-written Secret never stops the service. A plugin's
//! credential is asked for again when it expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use tokio::sync::Mutex;

use super::exec;
use super::kubeconfig::{Connection, Credentials, Roots, Source};
use super::tls::{self, Trust};
use look::{Credential, Found, Material, look};

mod look;

/// How often files are looked at. Kubelet itself needs up to a minute to update a mounted Secret.
pub const RECHECK: Duration = Duration::from_secs(10);

/// A refused credential makes us look at once, but not more often than this.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// Asked for again this long before it expires, for the time a request is on its way.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// Connections idle for longer are closed: as Go's http.DefaultTransport.
const IDLE: Duration = Duration::from_secs(90);

/// How often a peer with a stream open is asked whether it is still there, and how long its answer
/// may take. client-go waits for 30 and 15 seconds.
const PING: Duration = Duration::from_secs(5);
const PONG: Duration = Duration::from_secs(10);

/// What one stream, and all streams of a connection, may send before it was read.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Why no client can be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("failed to read {}", described(.0))]
    Read(Source, #[source] std::io::Error),
    /// The trusted certificates cannot be used.
    #[error("{} in {}", .1, described(.0))]
    Roots(Source, tls::Error),
    /// The TLS policy cannot be built.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A header's value holds what no header can.
    #[error("{} does not hold the value of a header", described(.0))]
    Header(Source),
    /// A password is not text.
    #[error("{} does not hold a password", described(.0))]
    Password(Source),
    /// A token holds what no header can, for example a line break in the middle.
    #[error("{} does not hold a token", described(.0))]
    Token(Source),
    /// The plugin gave nothing.
    #[error(transparent)]
    Exec(#[from] exec::Error),
    /// The HTTP library refuses the settings.
    #[error("cannot build an HTTP client")]
    Http(#[source] reqwest::Error),
}

fn described(source: &Source) -> String {
    match source.path() {
        Some(path) => format!("{}: {}", source.name(), path.display()),
        None => source.name().to_owned(),
    }
}

/// A connection's client, kept current.
pub struct Transport {
    connection: Arc<Connection>,
    recheck: Duration,
    style: Style,
    live: ArcSwap<Live>,
    /// Held by the one request that looks; the others go on with what there is.
    turn: Mutex<()>,
}

/// How connections are made.
#[derive(Clone, Copy)]
struct Style {
    /// Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured.
    proxied: bool,
    /// HTTP/2 where the server has it, so that many streams share a connection that is pinged.
    streams: bool,
    /// The longest that connecting may take; `None`: as long as the request.
    connect_timeout: Option<Duration>,
}

/// What a request needs: the client to send it with and the credentials to put on it.
pub struct Live {
    /// The client. Cheap to clone; its connections are pooled.
    pub client: Client,
    material: Material,
    credential: Option<Credential>,
    headers: HeaderMap,
    expires: Option<Timestamp>,
    checked: Instant,
    /// The last failure to refresh, so that it is logged once.
    failure: Option<String>,
}

impl Live {
    /// Puts the credentials on a request, and the headers that stand in files.
    pub fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.headers(self.headers.clone());
        match &self.credential {
            None => request,
            Some(Credential::Bearer(token)) => request.bearer_auth(&token.0),
            Some(Credential::Basic(name, password)) => request.basic_auth(name, Some(&password.0)),
        }
    }

    fn expired(&self) -> bool {
        self.expires
            .is_some_and(|at| at.duration_since(Timestamp::now()) <= EXPIRY_MARGIN)
    }
}

impl Transport {
    /// Reads every file once and builds the first client. A plugin is not run before the first
    /// request. `proxied`: whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured.
    pub fn new(connection: Connection, recheck: Duration, proxied: bool) -> Result<Self, Error> {
        let style = Style {
            proxied,
            streams: false,
            connect_timeout: None,
        };
        Transport::styled(connection, recheck, style)
    }

    /// The same, and connecting takes at most so long: for servers that have others beside them.
    pub fn with_connect_timeout(
        connection: Connection,
        recheck: Duration,
        proxied: bool,
        connect_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let style = Style {
            proxied,
            streams: false,
            connect_timeout,
        };
        Transport::styled(connection, recheck, style)
    }

    /// The same for answers that do not end: a peer that is gone is noticed while they are silent.
    pub fn for_streams(
        connection: Connection,
        recheck: Duration,
        proxied: bool,
    ) -> Result<Self, Error> {
        let style = Style {
            proxied,
            streams: true,
            connect_timeout: None,
        };
        Transport::styled(connection, recheck, style)
    }

    fn styled(connection: Connection, recheck: Duration, style: Style) -> Result<Self, Error> {
        let found = look(&connection)?;
        let live = Live {
            client: build(&connection, &found.material, style)?,
            material: found.material,
            credential: found.credential,
            headers: found.headers,
            expires: None,
            checked: Instant::now(),
            failure: None,
        };
        Ok(Self {
            connection: Arc::new(connection),
            recheck,
            style,
            live: ArcSwap::from_pointee(live),
            turn: Mutex::new(()),
        })
    }

    /// The client and credentials to use now.
    pub async fn current(&self) -> Result<Arc<Live>, Error> {
        let live = self.live.load_full();
        if self.must_ask(&live) {
            // No request can be sent without: all wait for the one that asks.
            let _turn = self.turn.lock().await;
            let live = self.live.load_full();
            if self.must_ask(&live) {
                self.refresh(&live, true).await?;
            }
        } else if live.checked.elapsed() >= self.recheck
            && let Ok(_turn) = self.turn.try_lock()
        {
            self.refresh(&live, false).await?;
        }
        Ok(self.live.load_full())
    }

    /// Looks again because the server refused `refused`'s credentials, unless somebody has since.
    /// True when there are others now, so that trying again makes sense. A look that comes too soon
    /// after the last one is waited for: a token may be replaced right after it was read.
    pub async fn renew(&self, refused: &Live) -> Result<bool, Error> {
        let _turn = self.turn.lock().await;
        let live = self.live.load_full();
        if live.checked <= refused.checked {
            let pause = RENEWAL_PAUSE.min(self.recheck);
            tokio::time::sleep(pause.saturating_sub(live.checked.elapsed())).await;
            self.refresh(&live, true).await?;
        }
        let live = self.live.load_full();
        Ok(live.credential != refused.credential
            || live.material != refused.material
            || live.headers != refused.headers)
    }

    /// A plugin's credential is missing or about to expire.
    fn must_ask(&self, live: &Live) -> bool {
        let asked = live.credential.is_some() || live.material.identity.is_some();
        matches!(self.connection.credentials, Credentials::Exec(_)) && (!asked || live.expired())
    }

    async fn refresh(&self, live: &Live, ask: bool) -> Result<(), Error> {
        let connection = self.connection.clone();
        let looked = tokio::task::spawn_blocking(move || look(&connection)).await;
        let looked = looked.unwrap_or_else(|panic| match panic.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(_) => Ok(Found {
                material: live.material.clone(),
                credential: None,
                headers: live.headers.clone(),
            }),
        });
        let mut expires = live.expires;
        let next = match (looked, &self.connection.credentials) {
            (Ok(mut found), Credentials::Exec(plugin)) => {
                if ask {
                    let given = plugin.run().await?;
                    expires = given.expires;
                    found.credential = given.token.map(Credential::Bearer);
                    found.material.identity = given.identity.or(found.material.identity);
                } else {
                    found.credential.clone_from(&live.credential);
                    found.material.identity.clone_from(&live.material.identity);
                }
                self.follow(live, found)
            }
            (Ok(found), _) => self.follow(live, found),
            (Err(error), _) => Err(error),
        };
        let failure = next
            .as_ref()
            .err()
            .map(|error| format!("{:#}", Chain(error)));
        if let Some(text) = &failure
            && live.failure != failure
        {
            tracing::warn!(error = %text, "keeping the last good certificates and token");
        }
        if failure.is_none() && live.failure.is_some() {
            tracing::info!("certificates and token are good again");
        }
        let (client, found) = next.unwrap_or_else(|_| {
            let found = Found {
                material: live.material.clone(),
                credential: live.credential.clone(),
                headers: live.headers.clone(),
            };
            (live.client.clone(), found)
        });
        self.live.store(Arc::new(Live {
            client,
            material: found.material,
            credential: found.credential,
            headers: found.headers,
            expires,
            checked: Instant::now(),
            failure,
        }));
        Ok(())
    }

    fn follow(&self, live: &Live, found: Found) -> Result<(Client, Found), Error> {
        if found.material == live.material {
            return Ok((live.client.clone(), found));
        }
        let client = build(&self.connection, &found.material, self.style)?;
        tracing::info!(server = %self.connection.server, "certificates changed: new connections");
        Ok((client, found))
    }
}

/// Shows an error with its causes on one line.
struct Chain<'a>(&'a Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

fn build(connection: &Connection, material: &Material, style: Style) -> Result<Client, Error> {
    let trust = match (&connection.roots, &material.roots) {
        (Roots::Anybody, _) => Trust::Anybody,
        (Roots::Pem(_), Some(pem)) => Trust::Pem(pem),
        (Roots::Pem(_) | Roots::System, _) => Trust::System,
    };
    let mut config = tls::client_config(
        trust,
        material.identity.as_ref(),
        connection.server_name.as_deref(),
    )
    .map_err(|error| match (&connection.roots, error) {
        (Roots::Pem(source), tls::Error::NoRoots) => {
            Error::Roots(source.clone(), tls::Error::NoRoots)
        }
        (_, error) => Error::Tls(error),
    })?;
    let builder = match style.streams {
        // One request per connection at a time: a connection that hangs is dropped with its
        // request, where HTTP/2 would keep sending the next ones into it.
        false => Client::builder().http1_only(),
        true => {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Client::builder()
                .http2_keep_alive_interval(PING)
                .http2_keep_alive_timeout(PONG)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                // Where there is no HTTP/2, the kernel asks.
                .tcp_keepalive(PING)
                .tcp_keepalive_interval(PING)
                .tcp_keepalive_retries(2)
        }
    };
    let builder = builder
        .tls_backend_preconfigured(config)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tidegauge/", env!("CARGO_PKG_VERSION")));
    let builder = match style.connect_timeout {
        Some(limit) => builder.connect_timeout(limit),
        None => builder,
    };
    let builder = if style.proxied {
        builder
    } else {
        builder.no_proxy()
    };
    builder.build().map_err(Error::Http)
}
