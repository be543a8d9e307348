//! How single values are written: Go's forms, and sizes.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::SignedDuration;

use crate::go::boolean::parse_bool;
use crate::go::duration;
use crate::prometheus::backend::CONCURRENCY_MAX;
use crate::quantity;
use crate::rules::Widen;

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// What these arguments ask for, whatever else is wrong with them: that is said in it, too.
    pub fn asked_for<S: AsRef<OsStr>>(arguments: &[S]) -> LogFormat {
        const FLAG: &str = "--log-format";
        let mut format = LogFormat::Text;
        let arguments = arguments.iter().map(<S as AsRef<OsStr>>::as_ref);
        let mut arguments = arguments.map(|it| it.to_str().unwrap_or_default());
        while let Some(argument) = arguments.next() {
            let value = match argument.split_once('=') {
                Some((FLAG, value)) => Some(value),
                None if argument == FLAG => arguments.next(),
                _ => None,
            };
            if let Some(Ok(asked)) = value.map(log_format) {
                format = asked;
            }
        }
        format
    }
}

/// A Go boolean.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    parse_bool(text).ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))
}

/// A Go duration of any sign, for flags that are only accepted.
pub(super) fn any_duration(text: &str) -> Result<SignedDuration, duration::Error> {
    duration::parse_go(text)
}

/// A Go duration that is not negative.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let signed = duration::parse_go(text).map_err(|e| e.to_string())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

/// A Go duration above zero.
pub(super) fn above_zero(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("must be above zero".to_owned());
    }
    Ok(duration)
}

/// A number of bytes above zero: `1048576`, `512KiB`, `64MiB`, `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    quantity::parse_bytes(text).map_err(str::to_owned)
}

/// A number of requests, above zero.
pub(super) fn concurrency(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=CONCURRENCY_MAX).contains(number));
    number.ok_or_else(|| format!("must be a number from 1 to {CONCURRENCY_MAX}"))
}

/// `auto`, `namespace` or `off`.
pub(super) fn widen(text: &str) -> Result<Widen, String> {
    Widen::parse(text).ok_or_else(|| "must be auto, namespace or off".to_owned())
}

/// Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or `:8080` for all addresses.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse().ok().or_else(|| {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        Some(SocketAddr::new(host, port.parse().ok()?))
    });
    parsed.ok_or_else(|| "must be an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

/// `text` or `json`.
pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_the_log_is_known_of_a_command_line_that_is_wrong() {
        let json: &[&[&str]] = &[
            &["tidegauge", "--nonsense", "--log-format=json"],
            &["tidegauge", "--log-format", "json", "--secure-port=x"],
            &["tidegauge", "--log-format=text", "--log-format=json"],
        ];
        for arguments in json {
            assert_eq!(LogFormat::asked_for(arguments), LogFormat::Json);
        }
        let text: &[&[&str]] = &[
            &[],
            &["tidegauge", "json"],
            &["tidegauge", "--log-format=xml"],
            &["tidegauge", "--log-format"],
            &["tidegauge", "--log-format=json", "--log-format=text"],
        ];
        for arguments in text {
            assert_eq!(LogFormat::asked_for(arguments), LogFormat::Text);
        }
    }
}
