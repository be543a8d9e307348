//! Requests to the API server: JSON in, JSON out, each with a deadline and a limit.
//!
//! Every request here may be sent twice without harm: reads, reviews that create nothing, and
//! changes that name the version they were made of. So
//! one that finds its connection closed is sent once more, and so is one whose credentials are
//! refused while there are newer ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::kubeconfig::Connection;
use super::transport::{self, Live, RECHECK, Transport};

/// From the moment a request is wanted to the last byte of its answer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Requests of one client at a time; the next waits, within its deadline.
const IN_FLIGHT: usize = 64;

/// The largest answer: discovery documents of a cluster with thousands of kinds fit many times.
const ANSWER_BYTES: usize = 64 << 20;

/// JSON Merge Patch (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Plain JSON.
pub(super) const JSON: &str = "application/json";

/// Why the API server gave no answer that can be used. The texts stand in answers to clients and in
/// events: they are the same each time and hold no address, and no secret.
#[derive(Debug, Error)]
pub enum Error {
    /// What the request needs cannot be read or had.
    #[error("the credentials for the API server cannot be used")]
    Credentials(#[source] Box<transport::Error>),
    /// No connection, or one that broke.
    #[error("the API server cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// No answer in time.
    #[error("the API server did not answer within {}s", DEADLINE.as_secs())]
    Timeout,
    /// It answered that it will not.
    #[error("the API server answered {status}{}{message}", separator(.message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says, where it says something.
        message: String,
    },
    /// Its answer is not what was asked for.
    #[error("the API server's answer cannot be understood")]
    Unreadable(#[source] serde_json::Error),
    /// Whoever waited for the answer went away.
    #[error("the request to the API server was interrupted")]
    Interrupted,
    /// What somebody who asked the same at the same time was told, too.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// Its answer is larger than any that makes sense.
    #[error("the API server's answer is larger than {} MiB", ANSWER_BYTES >> 20)]
    TooLarge,
}

fn separator(message: &str) -> &'static str {
    if message.is_empty() { "" } else { ": " }
}

impl Error {
    /// Whether time ran out, so that another try may go better.
    pub fn is_timeout(&self) -> bool {
        match self {
            Error::Shared(error) => error.is_timeout(),
            error => matches!(error, Error::Timeout),
        }
    }

    /// Whether the thing asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Refused { status, .. } => Some(*status),
            Error::Shared(error) => error.status(),
            _ => None,
        }
    }
}

/// A client of one API server.
pub struct Client {
    transport: Transport,
    server: String,
    slots: Semaphore,
}

struct Call<'a> {
    method: Method,
    /// With its query.
    path: &'a str,
    accept: &'a str,
    body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    fn get(path: &'a str, accept: &'a str) -> Call<'a> {
        Call {
            method: Method::GET,
            path,
            accept,
            body: None,
        }
    }
}

impl Client {
    /// Reads the files that the connection names. Nothing is dialled.
    pub fn new(connection: Connection) -> Result<Client, transport::Error> {
        Client::over(connection, Transport::new)
    }

    /// The same for answers that do not end, too: [`Client::stream`].
    pub fn for_streams(connection: Connection) -> Result<Client, transport::Error> {
        Client::over(connection, Transport::for_streams)
    }

    fn over(
        connection: Connection,
        transport: impl Fn(Connection, Duration, bool) -> Result<Transport, transport::Error>,
    ) -> Result<Client, transport::Error> {
        let server = connection.server.trim_end_matches('/').to_owned();
        // As Go: no proxy stands between us and this very host.
        let proxied = !is_loopback(&server);
        let transport = transport(connection, RECHECK, proxied)?;
        Ok(Client {
            transport,
            server,
            slots: Semaphore::new(IN_FLIGHT),
        })
    }

    /// Reads `path`, which may have a query.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<T, Error> {
        self.read(path, accept, |bytes| serde_json::from_slice(bytes))
            .await
    }

    /// Reads `path` and makes of the answer what `decode` makes of it; it may borrow from it.
    pub(super) async fn read<T>(
        &self,
        path: &str,
        accept: &str,
        decode: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, Error> {
        let bytes = self.exchange(&Call::get(path, accept)).await?;
        decode(&bytes).map_err(Error::Unreadable)
    }

    /// Opens an answer that has no end, such as a watch. Its head has the usual deadline; it takes
    /// none of the places of other requests, and uses the credentials of this moment.
    pub(super) async fn stream(&self, path: &str, accept: &str) -> Result<Stream, Error> {
        let call = Call::get(path, accept);
        let open = async {
            let response = self.send(&call).await?;
            match response.status().is_success() {
                true => Ok(Stream(response)),
                false => Err(refused(response).await?),
            }
        };
        timeout(DEADLINE, open).await.unwrap_or(Err(Error::Timeout))
    }

    /// The answer to a `GET` of `path` as it came.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.exchange(&Call::get(path, JSON)).await
    }

    /// The same of one who may take longer than an API server, or less long.
    pub async fn bytes_within(&self, path: &str, within: Duration) -> Result<Vec<u8>, Error> {
        self.exchange_within(&Call::get(path, JSON), within).await
    }

    /// Posts `object` to `path` and reads what the server made of it.
    pub(super) async fn create<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        object: &T,
    ) -> Result<T, Error> {
        self.write(Method::POST, path, object).await
    }

    /// Puts `object` in the place of the one at `path`; it must name its `resourceVersion`.
    pub(super) async fn replace<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        object: &T,
    ) -> Result<T, Error> {
        self.write(Method::PUT, path, object).await
    }

    /// Merges `change` into the object at `path`; it must name the object's `resourceVersion`.
    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        change: &impl Serialize,
    ) -> Result<T, Error> {
        self.write(Method::PATCH, path, change).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(Error::Unreadable)?;
        let call = Call {
            method,
            path,
            accept: JSON,
            body: Some(body),
        };
        let bytes = self.exchange(&call).await?;
        serde_json::from_slice(&bytes).map_err(Error::Unreadable)
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Vec<u8>, Error> {
        self.exchange_within(call, DEADLINE).await
    }

    async fn exchange_within(&self, call: &Call<'_>, within: Duration) -> Result<Vec<u8>, Error> {
        let attempt = async {
            // The semaphore is never closed: a permit always comes.
            let _slot = self.slots.acquire().await.ok();
            let response = self.send(call).await?;
            match response.status().is_success() {
                true => whole(response).await,
                false => Err(refused(response).await?),
            }
        };
        timeout(within, attempt)
            .await
            .unwrap_or(Err(Error::Timeout))
    }

    async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        let credentials = |error| Error::Credentials(Box::new(error));
        let live = self.transport.current().await.map_err(credentials)?;
        let response = match self.send_once(call, &live).await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                self.send_once(call, &live).await
            }
            other => other,
        };
        let response = response.map_err(Error::Unreachable)?;
        if response.status() == StatusCode::UNAUTHORIZED
            && self.transport.renew(&live).await.map_err(credentials)?
        {
            let live = self.transport.current().await.map_err(credentials)?;
            return self
                .send_once(call, &live)
                .await
                .map_err(Error::Unreachable);
        }
        Ok(response)
    }

    async fn send_once(&self, call: &Call<'_>, live: &Live) -> reqwest::Result<Response> {
        let url = format!("{}{}", self.server, call.path);
        let mut request = live
            .client
            .request(call.method.clone(), url)
            .header(ACCEPT, call.accept);
        if let Some(body) = &call.body {
            let form = match call.method {
                Method::PATCH => MERGE_PATCH,
                _ => JSON,
            };
            request = request.header(CONTENT_TYPE, form).body(body.clone());
        }
        live.authorize(request).send().await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// An answer that comes in pieces and has no end of its own.
pub(super) struct Stream(Response);

impl Stream {
    /// What a server would say, without one.
    #[cfg(test)]
    pub(super) fn of(response: Response) -> Stream {
        Stream(response)
    }

    /// The next piece; `None` when the server has ended it properly.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.chunk().await.map_err(Error::Unreachable)
    }
}

async fn refused(response: Response) -> Result<Error, Error> {
    let status = response.status().as_u16();
    let bytes = whole(response).await?;
    Ok(Error::Refused {
        status,
        message: message(&bytes),
    })
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::Unreachable)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES {
            return Err(Error::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The text of a `metav1.Status`; anything else is not repeated, for nobody knows what it is.
fn message(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        message: String,
    }
    serde_json::from_slice::<Status>(bytes)
        .map(|status| status.message)
        .unwrap_or_default()
}

fn is_loopback(server: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(server) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
