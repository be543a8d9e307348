//! The built `tidegauge`, started as a user starts it.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use hyper::{HeaderMap, Method, StatusCode};
use tempfile::TempDir;

use super::apiserver::ApiServer;
use super::pki::Pair;
use super::poll;
use super::process::Process;

/// Reading the files, the first list of names, and a debug build on a loaded machine.
const START: Duration = Duration::from_secs(30);
/// How the line begins that says which port it took.
const LISTENING: &str = "listening on ";

/// With these each ask is a query to Prometheus, for tests of which queries are sent.
pub const EACH_ASK: &[&str] = &["--query-ttl=0s", "--stale-grace=0s"];

/// A running adapter that serves on loopback. Dropping it ends it.
pub struct Adapter {
    /// `http://127.0.0.1:PORT`, and `https://` over a cluster.
    pub url: String,
    process: Process,
    client: reqwest::Client,
    directory: TempDir,
}

/// An adapter that ended instead of serving.
#[derive(Debug)]
pub struct Refusal {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it said.
    pub stderr: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
    /// The body as it came, decompressed.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The value of `Content-Type`, or nothing.
    pub fn media_type(&self) -> &str {
        self.headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Adapter {
    /// Starts one without a cluster, over the objects and rules given as text.
    ///
    /// # Errors
    /// [`Refusal`] when it ends by itself.
    ///
    /// # Panics
    /// When it neither ends nor becomes ready in time.
    pub async fn standalone(
        objects: &str,
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
    ) -> Result<Adapter, Refusal> {
        let objects = [("objects.yaml", objects), ("rules.yaml", rules)];
        let prometheus = format!("--prometheus-url={prometheus_url}");
        let own = ["--standalone=objects.yaml", &prometheus];
        let mut adapter = Adapter::start(&objects, &[flags, &own].concat());
        match adapter.ready().await {
            Ok(()) => Ok(adapter),
            Err(status) => Err(Refusal {
                status,
                stderr: adapter.stderr(),
            }),
        }
    }

    /// Starts one over a cluster, with a self-signed certificate; returns when it listens, which is
    /// before it is ready.
    ///
    /// # Errors
    /// [`Refusal`] when it ends by itself.
    ///
    /// # Panics
    /// When it neither ends nor listens in time.
    pub async fn over(
        cluster: &ApiServer,
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
    ) -> Result<Adapter, Refusal> {
        let mut adapter = Adapter::start_over(cluster, rules, prometheus_url, flags);
        match adapter.listens().await {
            Ok(()) => {
                adapter.client = adapter.caller(None, true);
                Ok(adapter)
            }
            Err(status) => Err(Refusal {
                status,
                stderr: adapter.stderr(),
            }),
        }
    }

    /// As [`over`](Self::over), with a certificate that `roots` (PEM) signed, as the flags say.
    ///
    /// # Errors
    /// [`Refusal`] when it ends by itself.
    pub async fn over_with_certificate(
        cluster: &ApiServer,
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
        roots: &str,
    ) -> Result<Adapter, Refusal> {
        let mut adapter = Adapter::start_over(cluster, rules, prometheus_url, flags);
        adapter.client = super::https_client(roots, None, true);
        match adapter.listens().await {
            Ok(()) => Ok(adapter),
            Err(status) => Err(Refusal {
                status,
                stderr: adapter.stderr(),
            }),
        }
    }

    /// As [`over`](Self::over), as a pod finds its cluster: by its environment, and by the service
    /// account that is mounted at `account`.
    ///
    /// # Errors
    /// [`Refusal`] when it ends by itself.
    pub async fn in_pod(
        cluster: &ApiServer,
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
    ) -> Result<Adapter, Refusal> {
        let (token, authority) = (cluster.token(), cluster.authority.pem());
        let files = [
            ("rules.yaml", rules),
            ("account/token", token.as_str()),
            ("account/ca.crt", authority.as_str()),
            ("account/namespace", "monitoring"),
        ];
        let prometheus = format!("--prometheus-url={prometheus_url}");
        let own = [
            "--service-account-directory=account",
            "--bind-address=127.0.0.1",
            &prometheus,
        ];
        let address = cluster.address();
        let environment = [
            ("KUBERNETES_SERVICE_HOST", address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", address.port().to_string()),
        ];
        let mut adapter = Adapter::start_in(&environment, &files, &[flags, &own].concat());
        match adapter.listens().await {
            Ok(()) => {
                adapter.client = adapter.caller(None, true);
                Ok(adapter)
            }
            Err(status) => Err(Refusal {
                status,
                stderr: adapter.stderr(),
            }),
        }
    }

    /// How it ends with neither a cluster nor objects.
    pub async fn nowhere(rules: &str) -> Refusal {
        let flags = ["--prometheus-url=http://127.0.0.1:1"];
        let mut adapter = Adapter::start(&[("rules.yaml", rules)], &flags);
        let status = adapter.ended().await;
        Refusal {
            status,
            stderr: adapter.stderr(),
        }
    }

    fn start_over(
        cluster: &ApiServer,
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
    ) -> Adapter {
        let (kubeconfig, authority) = (cluster.kubeconfig(), cluster.authority.pem());
        let token = cluster.token();
        let files = [
            ("rules.yaml", rules),
            ("kubeconfig", kubeconfig.as_str()),
            ("ca.crt", authority.as_str()),
            ("token", token.as_str()),
        ];
        let prometheus = format!("--prometheus-url={prometheus_url}");
        let own = [
            "--lister-kubeconfig=kubeconfig",
            "--bind-address=127.0.0.1",
            &prometheus,
        ];
        Adapter::start(&files, &[flags, &own].concat())
    }

    /// Starts the process among these files. Whatever this machine is, it is in no cluster.
    fn start(files: &[(&str, &str)], flags: &[&str]) -> Adapter {
        Adapter::start_in(&[], files, flags)
    }

    fn start_in(environment: &[(&str, String)], files: &[(&str, &str)], flags: &[&str]) -> Adapter {
        let directory = TempDir::new().expect("a temporary directory must be possible");
        for (name, text) in files {
            let path = directory.path().join(name);
            let parent = path.parent().expect("a file must be in a directory");
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, text))
                .expect("the own temporary directory must be writable");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command.current_dir(directory.path()).args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--config=")) {
            command.arg("--config=rules.yaml");
        }
        command.args(["--secure-port=0", "--cert-dir=certs"]);
        command
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("KUBERNETES_SERVICE_PORT")
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, &directory.path().join("stderr"))
            .expect("the binary that cargo built must start");
        let client = super::http_client();
        Adapter {
            url: String::new(),
            process,
            client,
            directory,
        }
    }

    /// Where a file of the adapter is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the adapter anew, as an editor does: emptied first.
    pub fn rewrite(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        for text in ["", text] {
            std::fs::write(&path, text).expect("the own temporary directory must be writable");
        }
    }

    /// Puts another file in the place of one of the adapter's, as a kubelet does: whole, at once.
    pub fn replace(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        let next = path.with_extension("next");
        std::fs::write(&next, text)
            .and_then(|()| std::fs::rename(&next, &path))
            .expect("the own temporary directory must be writable");
    }

    /// A client that trusts the self-signed certificate and shows its own.
    pub fn caller(&self, identity: Option<&Pair>, http2: bool) -> reqwest::Client {
        super::https_client(&self.certificate(), identity, http2)
    }

    /// The self-signed certificate, PEM.
    pub fn certificate(&self) -> String {
        let certificate =
            std::fs::read_to_string(self.directory.path().join("certs/apiserver.crt"));
        certificate.expect("the certificate must be kept")
    }

    /// Waits until it says where it listens, or gives how the process ended.
    async fn listens(&mut self) -> Result<(), ExitStatus> {
        let listens = poll::try_until("tidegauge listens", START, async || {
            if let Some(status) = self.process.ended() {
                return Ok(Err(status));
            }
            self.url = listening(&self.stderr()).ok_or("it has not said where it listens")?;
            Ok(Ok(()))
        });
        match listens.await {
            Ok(ended_or_listens) => ended_or_listens,
            Err(reason) => panic!("{reason}\nit said:\n{}", self.stderr()),
        }
    }

    /// Waits until `/readyz` answers 200, or gives how the process ended.
    ///
    /// # Panics
    /// When it neither ends nor becomes ready in time.
    pub async fn ready(&mut self) -> Result<(), ExitStatus> {
        self.listens().await?;
        let ready = poll::try_until("tidegauge is ready", START, async || {
            if let Some(status) = self.process.ended() {
                return Ok(Err(status));
            }
            let answer = self.try_request(Method::GET, "/readyz", &[]).await?;
            match answer.status {
                StatusCode::OK => Ok(Ok(())),
                status => Err(format!("/readyz answers {status}: {}", answer.body)),
            }
        });
        match ready.await {
            Ok(ended_or_ready) => ended_or_ready,
            Err(reason) => panic!("{reason}\nit said:\n{}", self.stderr()),
        }
    }

    /// GET of a path (with its query string), as JSON.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[("Accept", "application/json")])
            .await
    }

    /// Any request.
    ///
    /// # Panics
    /// When the adapter does not answer at all.
    pub async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        match self.try_request(method.clone(), path, headers).await {
            Ok(answer) => answer,
            Err(reason) => panic!("{method} {path}: {reason}\nit said:\n{}", self.stderr()),
        }
    }

    async fn try_request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        send(
            &self.client,
            method,
            &format!("{}{path}", self.url),
            headers,
        )
        .await
    }

    /// All that it logged so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        poll::until("tidegauge ends", START, async || {
            self.process
                .ended()
                .ok_or_else(|| "it still runs".to_owned())
        })
        .await
    }
}

/// Sends one request and reads the answer whole.
///
/// # Errors
/// No answer, or half of one.
pub async fn send(
    client: &reqwest::Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    let mut request = client.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answer {
        status,
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        bytes: bytes.into(),
    })
}

/// The URL in the line that says where it listens.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once(LISTENING)?;
    let (scheme, rest) = rest.split_once("://")?;
    // The line may be half written: the port counts once something follows it.
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))?;
    Some(format!("{scheme}://{}", &rest[..end]))
}
