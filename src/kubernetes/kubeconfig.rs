//! Where a server is and what proves our identity there.
//!
//! A `Connection` is a description: nothing is dialled, and files named in it are read (and read
//! again) by `transport`. It comes from a kubeconfig file, with client-go's rules of precedence
//! (`k8s.io/client-go/tools/clientcmd`), or from the pod's service account
//! (`rest.InClusterConfig`). What we cannot honour is refused here with its name, never ignored.
//! No `Debug` or `Display` of these types shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderName;
use serde::Deserialize;

use super::exec::Exec;

mod file;

/// Where Kubernetes mounts a pod's service account.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// One server, whom we trust there and as whom we come.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `https://host:port`, with a path if the file has one.
    pub server: String,
    /// Whose certificates we accept.
    pub roots: Roots,
    /// The name the server's certificate must be valid for, when it is not the host dialled.
    pub server_name: Option<String>,
    /// The client certificate and its key.
    pub certificate: Option<(Source, Source)>,
    /// What goes into `Authorization`.
    pub credentials: Credentials,
    /// Further headers that prove who we are, each with where its value stands.
    pub headers: Vec<(HeaderName, Source)>,
}

/// Whose certificates we accept.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The operating system's.
    System,
    /// Only those in this PEM bundle.
    Pem(Source),
    /// Anybody's (`insecure-skip-tls-verify`).
    Anybody,
}

/// What goes into `Authorization`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing.
    None,
    /// `Bearer`, from the text or file, white space trimmed.
    Token(Source),
    /// `Basic`.
    Basic {
        /// The user's name.
        username: String,
        /// The password; of a file, white space around it trimmed.
        password: Source,
    },
    /// A plugin gives a token or a client certificate.
    Exec(Box<Exec>),
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Some bytes, or the file they stand in, with the name by which the user knows them.
#[derive(Clone)]
pub struct Source {
    name: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Here(Vec<u8>),
    File(PathBuf),
}

impl Source {
    /// Bytes given directly.
    pub fn data(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            place: Place::Here(bytes),
        }
    }

    /// A file, read again when it is due. `name` is the flag or field that named it.
    pub fn file(name: impl Into<String>, path: PathBuf) -> Self {
        Self {
            name: name.into(),
            place: Place::File(path),
        }
    }

    /// The flag or field, for error texts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Here(_) => None,
            Place::File(path) => Some(path),
        }
    }

    /// Reads it. Blocks for as long as the file system does.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        match &self.place {
            Place::Here(bytes) => Ok(bytes.clone()),
            Place::File(path) => std::fs::read(path),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Here(_) => write!(f, "{} [hidden]", self.name),
            Place::File(path) => write!(f, "{} {}", self.name, path.display()),
        }
    }
}

/// Why a kubeconfig or the service account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not YAML of the expected shape. The parser's text is left out, since it may
    /// quote the line, and the line may be a token; its place in the file is told.
    #[error("{} is not a kubeconfig: {}", .0.display(), .1)]
    Parse(PathBuf, String),
    /// The file selects no context.
    #[error("{} has no current-context: set one with `kubectl config use-context`", .0.display())]
    NoContext(PathBuf),
    /// A name leads nowhere.
    #[error("{kind} {name:?} is not defined in {}", .path.display())]
    Missing {
        /// `context`, `cluster` or `user`.
        kind: &'static str,
        /// The name looked for.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Something we know and do not do, or two things that exclude each other.
    #[error("{what} in {}: {advice}", .path.display())]
    Unsupported {
        /// The field, with the cluster or user that has it.
        what: String,
        /// What to do instead.
        advice: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Not inside a cluster. The text is client-go's `rest.ErrNotInCluster`.
    #[error(
        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and \
         KUBERNETES_SERVICE_PORT must be defined"
    )]
    NotInCluster,
}

impl Connection {
    /// The pod's own service account. `host` and `port` are the values of
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`; `account` is [`SERVICE_ACCOUNT`].
    pub fn in_cluster(
        host: Option<&str>,
        port: Option<&str>,
        account: &Path,
    ) -> Result<Self, Error> {
        let (Some(host), Some(port)) = (filled(host), filled(port)) else {
            return Err(Error::NotInCluster);
        };
        // An IPv6 address stands in brackets in a URL (Go's net.JoinHostPort).
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        Ok(Self {
            server: format!("https://{host}:{port}"),
            roots: Roots::Pem(Source::file("service account CA", account.join("ca.crt"))),
            server_name: None,
            certificate: None,
            credentials: Credentials::Token(Source::file(
                "service account token",
                account.join("token"),
            )),
            headers: Vec::new(),
        })
    }

    /// The current context of a kubeconfig file. Relative paths in it are relative to its folder.
    pub fn from_kubeconfig(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        Self::parse(&text, path)
    }

    /// As [`Connection::from_kubeconfig`], of a text already read. `path` gives the folder and
    /// stands in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        file::parse(text, path)
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests;
