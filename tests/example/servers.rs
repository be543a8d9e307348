//! The real Redis, PostgreSQL and etcd, each on a free port with data of its own, to be killed,
//! frozen and returned.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::poll;
use crate::process::Process;
use crate::service::{Answer, client};

const START: Duration = Duration::from_secs(60);

/// How many free ports are tried.
const TRIES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Redis,
    Postgres,
    Etcd,
}

/// A running server. Dropping it ends it and removes its data.
pub struct Server {
    kind: Kind,
    port: u16,
    process: Option<Process>,
    directory: TempDir,
}

impl Server {
    /// Starts one with empty data, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed: a test without it proves nothing.
    pub async fn start(kind: Kind) -> Server {
        let directory = TempDir::new().unwrap();
        let mut server = Server {
            kind,
            port: 0,
            process: None,
            directory,
        };
        if kind == Kind::Postgres {
            server.make_cluster();
        }
        let mut last = String::new();
        for _ in 0..TRIES {
            server.port = free_port();
            match server.launch().await {
                Ok(()) => return server,
                Err(reason) => last = reason,
            }
        }
        panic!("{kind:?}: {last}");
    }

    /// As a setting has it.
    pub fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::Redis => format!("redis://127.0.0.1:{port}/0"),
            Kind::Postgres => format!("postgres://shop@127.0.0.1:{port}/postgres"),
            Kind::Etcd => format!("http://127.0.0.1:{port}"),
        }
    }

    /// Ends it as a lost machine does.
    pub fn kill(&mut self) {
        self.process.take().expect("it must run").kill();
    }

    /// Starts it again with its data, where it was.
    pub async fn again(&mut self) {
        let what = format!("{:?} is back", self.kind);
        // What was killed may hold its port, and PostgreSQL its memory, for a moment.
        poll::until(&what, START, async || self.launch().await).await;
    }

    /// Lets it stand still: connections stay, and nothing answers.
    pub async fn freeze(&self) {
        self.process.as_ref().expect("it must run").freeze().await;
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("it must run").signal("CONT");
    }

    async fn launch(&mut self) -> Result<(), String> {
        let log = self.directory.path().join("stderr");
        let name = format!("{:?}", self.kind).to_lowercase();
        let started = Process::start(self.command(), &log);
        let mut process = started.map_err(|error| {
            format!("{name} cannot be started: {error}. `make test` installs it")
        })?;
        let answers = poll::try_until(&name, START, async || {
            if let Some(status) = process.ended() {
                return Ok(Err(format!("ended, {status}: {}", process.stderr())));
            }
            self.answers().await.map(Ok)
        });
        answers.await??;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Command {
        let port = self.port.to_string();
        let data = self.data();
        match self.kind {
            Kind::Redis => {
                let mut command = Command::new("redis-server");
                // What was acknowledged is on the disk, as far as Redis can have it.
                command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
                command.arg(self.directory.path());
                command
            }
            Kind::Postgres => {
                let mut command = postgres("postgres");
                command.arg("-D").arg(&data).arg("-k").arg(&data);
                command.args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
                command.args(["-c", "max_connections=20", "-c", "shared_buffers=16MB"]);
                command
            }
            Kind::Etcd => {
                let (client, peer) = (self.url(), format!("http://127.0.0.1:{}", free_port()));
                let mut command = Command::new("etcd");
                command.arg("--data-dir").arg(&data);
                command.args(["--listen-client-urls", &client]);
                command.args(["--advertise-client-urls", &client]);
                command.args(["--listen-peer-urls", &peer]);
                command.args(["--initial-advertise-peer-urls", &peer]);
                command.args(["--initial-cluster", &format!("default={peer}")]);
                // It says no elsewhere than on amd64 unless it is told so.
                if cfg!(target_arch = "aarch64") {
                    command.env("ETCD_UNSUPPORTED_ARCH", "arm64");
                }
                command
            }
        }
    }

    async fn answers(&self) -> Result<(), String> {
        match self.kind {
            Kind::Redis => {
                let client = redis::Client::open(self.url()).unwrap();
                let connection = client.get_multiplexed_async_connection().await;
                let mut connection = connection.map_err(|error| error.to_string())?;
                let ping = redis::cmd("PING").exec_async(&mut connection).await;
                ping.map_err(|error| error.to_string())
            }
            Kind::Postgres => self.sql("SELECT 1").await.map(drop),
            Kind::Etcd => {
                let answer = Answer::of(client().get(format!("{}/health", self.url()))).await?;
                match answer.code {
                    200 => Ok(()),
                    _ => Err(answer.text),
                }
            }
        }
    }

    /// The first column of the first row, as text.
    ///
    /// # Errors
    /// PostgreSQL's.
    pub async fn sql(&self, statement: &str) -> Result<String, String> {
        let connected = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.map_err(|error| format!("{error:?}"))?;
        tokio::spawn(connection);
        let rows = client.simple_query(statement).await;
        let rows = rows.map_err(|error| format!("{error:?}"))?;
        let first = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(first.unwrap_or_default().to_owned())
    }

    /// Puts a key into etcd; `None` removes it.
    pub async fn put(&self, key: &str, value: Option<&str>) {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let (path, body) = match value {
            Some(value) => (
                "put",
                serde_json::json!({"key": encode(key), "value": encode(value)}),
            ),
            None => ("deleterange", serde_json::json!({"key": encode(key)})),
        };
        let request = client().post(format!("{}/v3/kv/{path}", self.url()));
        let answer = Answer::of(request.body(body.to_string())).await.unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn make_cluster(&self) {
        let data = self.data();
        std::fs::create_dir(&data).unwrap();
        if let Some((user, group)) = other_user() {
            chown(&data, Some(user), Some(group)).unwrap();
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.directory.path(), open).unwrap();
        }
        let mut initdb = postgres("initdb");
        initdb.args(["--username=shop", "--auth=trust", "--no-sync"]);
        initdb
            .args(["--no-locale", "--encoding=UTF8", "--pgdata"])
            .arg(data);
        let made = initdb.output().expect("`make test` installs PostgreSQL");
        assert!(made.status.success(), "{made:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.kind == Kind::Postgres && self.process.is_some() {
            // Its children as well, before their files go. It fails when they are gone already.
            let mut stop = postgres("pg_ctl");
            let stop = stop.args(["stop", "-m", "immediate", "-s", "-D"]);
            let _ = stop.arg(self.data()).output();
        }
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// PostgreSQL refuses to run as root: then it runs as the user that Debian makes for it.
fn other_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let id = |what: &str| {
        let output = Command::new("id")
            .args([what, "postgres"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim()
            .parse::<u32>()
            .expect("there must be a user postgres")
    };
    Some((id("-u"), id("-g")))
}

/// One of its programs. Debian has them beside PATH, one directory for each version.
fn postgres(program: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let newest = versions
        .filter(|bin| bin.join(program).exists())
        .max_by_key(|bin| version(bin));
    let program = newest.map_or(PathBuf::from(program), |bin| bin.join(program));
    match other_user() {
        None => Command::new(program),
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups").arg(program).current_dir("/");
            command
        }
    }
}

fn version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}
