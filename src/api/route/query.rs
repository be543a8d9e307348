//! The query string as Go's `url.ParseQuery` reads it, and the list options in it as
//! `k8s.io/apimachinery` converts them.

use percent_encoding::percent_decode_str;

use super::{ApiGroup, ListQuery, Refusal, WatchRefused};
use crate::auth::ResourceAttributes;

/// Decoded parameters, in order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Pieces that Go cannot read (a `;`, a broken escape) vanish, as there.
    pub(super) fn parse(text: &str) -> Query {
        let pieces = text
            .split('&')
            .filter(|piece| !piece.is_empty() && !piece.contains(';'));
        Query(pieces.filter_map(pair).collect())
    }

    /// The first value of a parameter.
    pub(super) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `Convert_Slice_string_To_bool`: anything but `false` and `0` is true.
    pub(super) fn watch(&self) -> bool {
        let off = |value: &str| value.eq_ignore_ascii_case("false") || value == "0";
        self.get("watch").is_some_and(|value| !off(value))
    }
}

impl ListQuery {
    /// Reads `ListOptions`. Numbers are refused here, as Go reads them before any selector.
    pub(super) fn new(query: &Query, asked: &ResourceAttributes) -> Result<ListQuery, Refusal> {
        for name in ["timeoutSeconds", "limit"] {
            if let Some(text) = query.get(name) {
                check_integer(text)?;
            }
        }
        let text = |name| query.get(name).unwrap_or_default().to_owned();
        Ok(ListQuery {
            label_selector: text("labelSelector"),
            field_selector: text("fieldSelector"),
            name: Some(asked.name.clone()).filter(|name| !name.is_empty()),
            watch: query.watch().then(|| watch_refused(asked)),
        })
    }
}

fn watch_refused(asked: &ResourceAttributes) -> WatchRefused {
    match (asked.group.as_str(), asked.resource.as_str()) {
        ("metrics.k8s.io", "nodes") => WatchRefused {
            group: ApiGroup::Resource,
            resource: "nodes",
        },
        ("metrics.k8s.io", _) => WatchRefused {
            group: ApiGroup::Resource,
            resource: "pods",
        },
        _ => WatchRefused {
            group: ApiGroup::External,
            resource: "*",
        },
    }
}

/// `strconv.ParseInt(text, 10, 64)`, with its error.
fn check_integer(text: &str) -> Result<(), Refusal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let cause = match text.parse::<i64>() {
        Ok(_) => return Ok(()),
        Err(_) if numeric => "value out of range",
        Err(_) => "invalid syntax",
    };
    Err(Refusal::BadRequest(format!(
        "strconv.ParseInt: parsing {text:?}: {cause}"
    )))
}

/// Is every `%` followed by two hexadecimal digits?
pub(super) fn escapes_are_whole(text: &str) -> bool {
    let whole = |rest: &str| match rest.as_bytes() {
        [a, b, ..] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
        _ => false,
    };
    text.split('%').skip(1).all(whole)
}

fn pair(piece: &str) -> Option<(String, String)> {
    let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
    Some((unescape(key)?, unescape(value)?))
}

/// `url.QueryUnescape`. Bytes that are not UTF-8 become U+FFFD, which no selector accepts.
fn unescape(text: &str) -> Option<String> {
    escapes_are_whole(text).then(|| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    })
}
