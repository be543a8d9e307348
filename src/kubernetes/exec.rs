//! Credential plugins: a command that prints an `ExecCredential`.
//!
//! Follows "client-go credential plugins" (`client.authentication.k8s.io/v1` and `v1beta1`):
//! `KUBERNETES_EXEC_INFO` describes the request, standard input is closed, standard error goes to
//! ours, and the answer on standard output holds a token, a client certificate, or both, with an
//! optional expiry. A plugin that hangs is killed; none of what it printed is ever in an error.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::kubeconfig::Secret;
use super::tls::Identity;

/// A plugin that has to ask somebody's permission over the network is slow, one that waits for a
/// person never ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token and a certificate chain take some kilobytes.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// How to run the plugin.
#[derive(Clone)]
pub struct Exec {
    /// A path, or a name to look up in `PATH`.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to our own environment.
    pub env: Vec<(String, String)>,
    /// The version asked for; the answer must have the same.
    pub api_version: String,
    /// `spec.cluster`, if the kubeconfig says `provideClusterInfo`.
    pub cluster: Option<serde_json::Value>,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments and environment may hold secrets.
        f.debug_struct("Exec")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// What a plugin gave.
#[derive(Clone)]
pub struct Credential {
    /// The bearer token.
    pub token: Option<Secret>,
    /// The client certificate.
    pub identity: Option<Identity>,
    /// When it must be asked again; `None`: when the server refuses it.
    pub expires: Option<Timestamp>,
}

/// Why a plugin gave nothing usable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be started.
    #[error("cannot run the credential plugin {}", .0.display())]
    Start(PathBuf, #[source] std::io::Error),
    /// It said by its exit code that it failed; its own words are on standard error.
    #[error("the credential plugin {} failed with {}", .0.display(), .1)]
    Failed(PathBuf, std::process::ExitStatus),
    /// It was killed.
    #[error("the credential plugin {} did not answer within {}s", .0.display(), PATIENCE.as_secs())]
    Hung(PathBuf),
    /// Its answer is not what the specification says.
    #[error("the credential plugin {} answered {}", .0.display(), .1)]
    Answer(PathBuf, &'static str),
}

impl Exec {
    /// Runs the plugin once.
    pub async fn run(&self) -> Result<Credential, Error> {
        let output = tokio::time::timeout(PATIENCE, self.output())
            .await
            .map_err(|_| Error::Hung(self.command.clone()))??;
        self.parse(&output)
    }

    async fn output(&self) -> Result<Vec<u8>, Error> {
        let start = |error| Error::Start(self.command.clone(), error);
        let mut child = Command::new(&self.command)
            .args(&self.args)
            .envs(
                self.env
                    .iter()
                    .map(|(name, value)| (OsString::from(name), value)),
            )
            .env("KUBERNETES_EXEC_INFO", self.request())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout
                .take(OUTPUT_BYTES_MAX + 1)
                .read_to_end(&mut output)
                .await
                .map_err(start)?;
        }
        if u64::try_from(output.len()).is_ok_and(|length| length > OUTPUT_BYTES_MAX) {
            return Err(Error::Answer(self.command.clone(), "more than 1 MiB"));
        }
        let status = child.wait().await.map_err(start)?;
        if status.success() {
            Ok(output)
        } else {
            Err(Error::Failed(self.command.clone(), status))
        }
    }

    fn request(&self) -> String {
        let mut spec = serde_json::json!({ "interactive": false });
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = cluster.clone();
        }
        serde_json::json!({
            "apiVersion": self.api_version,
            "kind": "ExecCredential",
            "spec": spec,
        })
        .to_string()
    }

    fn parse(&self, output: &[u8]) -> Result<Credential, Error> {
        let wrong = |what| Error::Answer(self.command.clone(), what);
        let answer: Answer = serde_json::from_slice(output)
            .map_err(|_| wrong("something that is not an ExecCredential"))?;
        if answer.kind != "ExecCredential" || answer.api_version != self.api_version {
            return Err(wrong(
                "with another kind or apiVersion than the kubeconfig asks for",
            ));
        }
        let status = answer.status.ok_or_else(|| wrong("without a status"))?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token = filled(status.token).map(Secret);
        let certificate = filled(status.client_certificate_data);
        let key = filled(status.client_key_data);
        let identity = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: certificate.into_bytes(),
                key: key.into_bytes(),
            }),
            _ => return Err(wrong("with half of a client certificate and its key")),
        };
        if token.is_none() && identity.is_none() {
            return Err(wrong("with neither a token nor a client certificate"));
        }
        let expires = match filled(status.expiration_timestamp) {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| wrong("with an expirationTimestamp that is no time"))?,
            ),
        };
        Ok(Credential {
            token,
            identity,
            expires,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}
