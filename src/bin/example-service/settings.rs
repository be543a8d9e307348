//! Settings: from the environment alone, each listed by `--help`, all wrong ones named at once.
//!
//! A container is configured by what starts it. One list says what there is; help, defaults and
//! checks follow from it, and a service with a wrong setting does not start at all: better than to
//! find out at the first request that needs it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use redis::IntoConnectionInfo as _;
use redis::io::tcp::TcpSettings;

/// One setting: name, default (empty: none, the setting is optional), and what it does.
type Setting = (&'static str, &'static str, &'static str);

const SETTINGS: [Setting; 16] = [
    (
        "LISTEN_ADDRESS",
        "0.0.0.0:8080",
        "where the shop is served (port 0: any free one, see the log)",
    ),
    (
        "ADMIN_ADDRESS",
        "0.0.0.0:9090",
        "where /metrics, /livez, /readyz and /healthz are served",
    ),
    (
        "ROLE",
        "web",
        "web: serves the shop. worker: ships the orders that wait, and serves no shop",
    ),
    (
        "REDIS_URL",
        "",
        "sessions and carts, as redis://:PASSWORD@HOST:6379/0 (rediss:// for TLS)",
    ),
    (
        "DATABASE_URL",
        "",
        "orders, as postgres://USER:PASSWORD@HOST:5432/DATABASE (?sslmode=require for TLS)",
    ),
    (
        "CONFIG_ETCD_URL",
        "",
        "a configuration centre that is followed live, as http://HOST:2379",
    ),
    (
        "CONFIG_ETCD_PREFIX",
        "/shop/",
        "whose keys there are ours: PREFIXbanner, PREFIXburn-limit",
    ),
    (
        "SESSION_TTL",
        "30m",
        "how long a session lives after its last use",
    ),
    (
        "SHIP_DURATION",
        "200ms",
        "how long it takes to ship one order",
    ),
    (
        "MAX_IN_FLIGHT",
        "256",
        "requests served at one time; one more is answered 503 at once",
    ),
    (
        "MAX_CONNECTIONS",
        "1024",
        "connections open at one time; more wait to be accepted",
    ),
    (
        "CONNECTION_MAX_AGE",
        "60s",
        "after this a connection is closed, so that its client finds new replicas",
    ),
    (
        "SHUTDOWN_GRACE",
        "10s",
        "from SIGTERM to the end: a third of it not ready but serving, the rest to drain",
    ),
    (
        "COOKIE_SECURE",
        "false",
        "true: browsers send the session over TLS alone (where TLS ends before this service)",
    ),
    ("LOG_FORMAT", "text", "text, or json: one object a line"),
    ("LOG_LEVEL", "info", "error, warn, info, debug or trace"),
];

/// What one replica is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Serves the shop.
    Web,
    /// Ships orders.
    Worker,
}

/// All settings, checked.
pub(crate) struct Settings {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub role: Role,
    pub redis: Option<redis::Client>,
    pub database: Option<tokio_postgres::Config>,
    pub etcd: Option<reqwest::Url>,
    pub etcd_prefix: String,
    pub session_ttl: Duration,
    pub ship_duration: Duration,
    pub max_in_flight: usize,
    pub max_connections: usize,
    pub connection_max_age: Duration,
    pub shutdown_grace: Duration,
    pub cookie_secure: bool,
    pub json_logs: bool,
    pub log_level: tracing::Level,
}

impl Settings {
    /// Reads all of them by `lookup`, which is the environment.
    ///
    /// # Errors
    /// Every wrong setting by name, one a line.
    pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Settings, String> {
        let mut reader = Reader {
            lookup,
            wrong: Vec::new(),
        };
        let settings = Settings {
            listen: reader.read("LISTEN_ADDRESS", address),
            admin: reader.read("ADMIN_ADDRESS", address),
            role: reader.read("ROLE", role),
            redis: reader.read_optional("REDIS_URL", redis),
            database: reader.read_optional("DATABASE_URL", database),
            etcd: reader.read_optional("CONFIG_ETCD_URL", etcd),
            etcd_prefix: reader.read("CONFIG_ETCD_PREFIX", prefix),
            session_ttl: reader.read("SESSION_TTL", seconds_to_days),
            ship_duration: reader.read("SHIP_DURATION", up_to_a_minute),
            max_in_flight: reader.read("MAX_IN_FLIGHT", count),
            max_connections: reader.read("MAX_CONNECTIONS", count),
            connection_max_age: reader.read("CONNECTION_MAX_AGE", seconds_to_days),
            shutdown_grace: reader.read("SHUTDOWN_GRACE", up_to_ten_minutes),
            cookie_secure: reader.read("COOKIE_SECURE", boolean),
            json_logs: reader.read("LOG_FORMAT", log_format),
            log_level: reader.read("LOG_LEVEL", log_level),
        };
        if settings.role == Role::Worker && (reader.value("DATABASE_URL")).is_none() {
            let why = "ROLE: a worker ships orders of the database, and DATABASE_URL is not set";
            reader.wrong.push(why.to_owned());
        }
        match reader.wrong.is_empty() {
            true => Ok(settings),
            false => Err(reader.wrong.join("\n")),
        }
    }
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = "A small shop that scales. It takes no arguments: all settings are environment \
                    variables.\n\n"
        .to_owned();
    for (name, default, what) in SETTINGS {
        let default = match default {
            "" => "not set".to_owned(),
            default => format!("default {default}"),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name}\n      {what}\n      [{default}]");
    }
    text.push_str(
        "\nDurations are written as 250ms, 10s, 1m30s. Without REDIS_URL or DATABASE_URL, what \
         belongs there\nis kept in this process: then there must be one replica only. TLS trusts \
         the system's authorities,\nor those in the file SSL_CERT_FILE.\n",
    );
    text
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    /// An empty variable is one that is not set: templates of manifests leave such behind.
    fn value(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A setting with a default. A wrong value is noted; what is then returned is never used.
    fn read<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> T {
        if let Some(value) = self.read_optional(name, parse) {
            return value;
        }
        let listed = SETTINGS.iter().find(|setting| setting.0 == name);
        let default = listed.expect("a setting that is read must be listed").1;
        parse(default).expect("a default must be valid")
    }

    fn read_optional<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.value(name)?;
        // What is not shown may be a password.
        let text = (value.to_str()).ok_or_else(|| "is no UTF-8 (not shown)".to_owned());
        match text.and_then(parse) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong.push(format!("{name}: {why}"));
                None
            }
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let why = |_| format!("{text:?} is no IP:PORT, as 0.0.0.0:8080 or [::]:8080");
    SocketAddr::from_str(text).map_err(why)
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "web" => Ok(Role::Web),
        "worker" => Ok(Role::Worker),
        _ => Err(format!("{text:?} is neither web nor worker")),
    }
}

// A URL may hold a password, and this text goes to the log: neither it nor the library's word on it
// is shown.
fn redis(url: &str) -> Result<redis::Client, String> {
    let why = "is no URL as redis://:PASSWORD@HOST:6379/0 or rediss://… (not shown: it may \
               hold a password)";
    match url.starts_with("redis://") || url.starts_with("rediss://") {
        true => client(url).map_err(|_| why.to_owned()),
        false => Err(why.to_owned()),
    }
}

fn client(url: &str) -> redis::RedisResult<redis::Client> {
    // Half-dead connections, as after a lost node, end in seconds and not in hours.
    let tcp = TcpSettings::default().set_user_timeout(Duration::from_secs(5));
    redis::Client::open(url.into_connection_info()?.set_tcp_settings(tcp))
}

fn database(url: &str) -> Result<tokio_postgres::Config, String> {
    let why = "is no URL as postgres://USER:PASSWORD@HOST:5432/DATABASE (not shown: it may hold a \
               password)";
    match tokio_postgres::Config::from_str(url) {
        Ok(config) if !config.get_hosts().is_empty() => Ok(config),
        _ => Err(why.to_owned()),
    }
}

fn etcd(url: &str) -> Result<reqwest::Url, String> {
    match reqwest::Url::parse(url) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Err(
            "has a user or a password, and etcd takes none from a URL: leave them out (not shown)"
                .to_owned(),
        ),
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("is no URL as http://HOST:2379 (not shown: it may hold a password)".to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    match text.starts_with('/') && text.ends_with('/') && text.len() > 1 {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} must begin and end with a slash, as /shop/"
        )),
    }
}

/// A duration as people write it: `20ms`, `10s`, `1m30s`. Never negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let why = || format!("{text:?} is no duration, as 250ms, 10s or 1m30s");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| why())?;
    Duration::try_from(duration).map_err(|_| why())
}

fn within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration < least => Err(format!("{text:?} is less than {least:?}")),
        duration if duration > most => Err(format!("{text:?} is more than {most:?}")),
        duration => Ok(duration),
    }
}

fn seconds_to_days(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_secs(1),
        Duration::from_secs(30 * 24 * 3600),
    )
}

fn up_to_a_minute(text: &str) -> Result<Duration, String> {
    within(text, Duration::ZERO, Duration::from_secs(60))
}

fn up_to_ten_minutes(text: &str) -> Result<Duration, String> {
    within(text, Duration::ZERO, Duration::from_secs(600))
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=100_000).contains(&count) => Ok(count),
        _ => Err(format!("{text:?} is no number from 1 to 100000")),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    let why = |_| format!("{text:?} is neither true nor false");
    text.parse().map_err(why)
}

fn log_format(text: &str) -> Result<bool, String> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(format!("{text:?} is neither text nor json")),
    }
}

fn log_level(text: &str) -> Result<tracing::Level, String> {
    let why = |_| format!("{text:?} is none of error, warn, info, debug, trace");
    text.parse().map_err(why)
}

#[cfg(test)]
mod tests;
