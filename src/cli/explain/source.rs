//! Who explains: this process, or a tidegauge that runs.

use std::time::Duration;

use anyhow::{Context, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::thought;
use crate::api::explain::Explanation;
use crate::app::local::Local;
use crate::config::explain::{Server, Thought, Whom};
use crate::kubernetes::client::{self, Client};
use crate::kubernetes::kubeconfig::{Connection, Credentials, Roots, Source as Text};
use crate::telemetry::with_causes;

/// How long a server may take: it asks Prometheus several times.
const WITHIN: Duration = Duration::from_secs(60);

/// Who explains.
pub(super) enum Source {
    Here(Box<Local>),
    Server(Client, String),
}

impl Source {
    /// With objects that are thought of, where the flags say so: those of the path, or these pods
    /// of manifests, each with the names of the flag.
    pub(super) async fn new(whom: &Whom, pods: &[Thought]) -> anyhow::Result<Source> {
        let (config, thought) = match whom {
            Whom::Server(server) => {
                let client = client(server)?;
                return Ok(Source::Server(client, server.url.clone()));
            }
            Whom::Here { config, thought } => (config, thought),
        };
        let objects = match thought {
            None => None,
            Some(thought) => {
                let of_pods = pods.iter().map(|it| Thought {
                    names: thought.names.clone(),
                    ..it.clone()
                });
                let mut thoughts: Vec<Thought> = of_pods.collect();
                if thoughts.is_empty() {
                    thoughts.push(thought.clone());
                }
                Some(thought::objects(&thoughts)?)
            }
        };
        let local = Local::following(config, objects).await?;
        Ok(Source::Here(Box::new(local)))
    }

    /// Why the answer to a path is what it is.
    pub(super) async fn explain(&self, path: &str) -> anyhow::Result<Explanation> {
        let (client, url) = match self {
            Source::Here(local) => return Ok(local.explain(path).await?),
            Source::Server(client, url) => (client, url),
        };
        let asked = utf8_percent_encode(path, NON_ALPHANUMERIC);
        let answer = client
            .bytes_within(&format!("/explain?path={asked}"), WITHIN)
            .await;
        match answer {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{url} answers no explanation: is it a tidegauge?")),
            Err(client::Error::Refused { status, message }) if matches!(status, 401 | 403) => {
                Ok(Explanation::refused(path, status, &message))
            }
            Err(client::Error::Refused {
                status: 429,
                message,
            }) => Err(anyhow!("{url}: {message}")),
            Err(error) if error.is_not_found() => Err(anyhow!(
                "{url} does not explain (404): it is older than this program, or no tidegauge"
            )),
            Err(error) => Err(anyhow!("{url}: {}", with_causes(&error))),
        }
    }
}

fn client(server: &Server) -> anyhow::Result<Client> {
    let roots = match &server.certificate_authority {
        Some(path) => Roots::Pem(Text::file("--certificate-authority", path.clone())),
        None => Roots::System,
    };
    let credentials = match &server.token_file {
        Some(path) => Credentials::Token(Text::file("--token-file", path.clone())),
        None => Credentials::None,
    };
    let connection = Connection {
        server: server.url.clone(),
        roots,
        server_name: server.tls_server_name.clone(),
        certificate: None,
        credentials,
        headers: Vec::new(),
    };
    Client::new(connection).context("--server: its files cannot be used")
}
