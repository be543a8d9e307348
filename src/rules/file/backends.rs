//! `backends` as it is written.
//!
//! Headers, parameters and URLs may hold secrets, and a password may stand where a file's name
//! should: what is not as expected here is shown in no message and no frame.

use std::ops::Range;

use super::Reader;
use crate::rules::Code;
use crate::rules::located::Located;
use crate::rules::reader::is_name;
use crate::rules::yaml::NodeId;

pub(super) const BACKEND: &[&str] = &[
    "url",
    "urls",
    "headers",
    "headersFrom",
    "queryParams",
    "tenant",
    "tls",
    "auth",
    "verb",
    "timeout",
    "concurrency",
    "maxResponseBytes",
    "enforceMatchers",
];
pub(super) const TLS: &[&str] = &["caFile", "certFile", "keyFile", "serverName"];
pub(super) const AUTH: &[&str] = &["basic", "tokenFile", "inCluster", "kubeconfig"];
const BASIC: &[&str] = &["username", "passwordFile"];
const HEADER_FROM: &[&str] = &["file"];

/// A name and its value, where it has one.
pub(in crate::rules) type Pair = (Located, Option<Located>);

/// The name for messages and paths, unless it may be a secret as well: that of `KEY:VALUE` without
/// a space is all of it.
pub(in crate::rules) fn shown((name, value): &Pair) -> &str {
    match value.is_some() && is_name(&name.text) {
        true => &name.text,
        false => HIDDEN,
    }
}

/// Stands for what is not shown.
const HIDDEN: &str = "*";

#[derive(Debug, Default)]
pub(in crate::rules) struct RawBackend {
    pub(in crate::rules) name: Located,
    /// Something in it could not be read.
    pub(in crate::rules) malformed: bool,
    pub(in crate::rules) url: Option<Located>,
    pub(in crate::rules) urls: Option<Vec<Located>>,
    pub(in crate::rules) headers: Vec<Pair>,
    /// The value is a file's name.
    pub(in crate::rules) headers_from: Vec<Pair>,
    pub(in crate::rules) query_params: Vec<Pair>,
    pub(in crate::rules) tenant: Option<Located>,
    pub(in crate::rules) tls: RawTls,
    pub(in crate::rules) auth: RawAuth,
    pub(in crate::rules) verb: Option<Located>,
    pub(in crate::rules) timeout: Option<Located>,
    pub(in crate::rules) concurrency: Option<Located>,
    pub(in crate::rules) max_response_bytes: Option<Located>,
    pub(in crate::rules) enforce_matchers: Vec<Pair>,
}

#[derive(Debug, Default)]
pub(in crate::rules) struct RawTls {
    pub(in crate::rules) span: Option<Range<usize>>,
    pub(in crate::rules) ca_file: Option<Located>,
    pub(in crate::rules) cert_file: Option<Located>,
    pub(in crate::rules) key_file: Option<Located>,
    pub(in crate::rules) server_name: Option<Located>,
}

#[derive(Debug, Default)]
pub(in crate::rules) struct RawAuth {
    pub(in crate::rules) span: Option<Range<usize>>,
    pub(in crate::rules) basic: Option<RawBasic>,
    pub(in crate::rules) token_file: Option<Located>,
    pub(in crate::rules) in_cluster: Option<bool>,
    pub(in crate::rules) kubeconfig: Option<Located>,
}

#[derive(Debug, Default)]
pub(in crate::rules) struct RawBasic {
    pub(in crate::rules) span: Range<usize>,
    pub(in crate::rules) username: Option<Located>,
    pub(in crate::rules) password_file: Option<Located>,
}

impl Reader<'_, '_> {
    pub(super) fn backends(&mut self, id: NodeId, path: &str, backends: &mut Vec<RawBackend>) {
        backends.clear();
        let what = "a mapping from name to backend, as `team-a: {url: 'https://mimir/prometheus'}`";
        self.guarded(|me| {
            me.table(id, path, what, &mut |me, key, value| {
                let (name, path) = me.key((key, value), path);
                if backends.iter().any(|other| other.name.text == name.text) {
                    let message = "this backend is given twice".to_owned();
                    me.hide(value);
                    let help = Some("keep one of them".to_owned());
                    me.error(Code::GivenTwice, key, &path, message, help);
                    return;
                }
                let mut backend = RawBackend {
                    name,
                    ..RawBackend::default()
                };
                let before = me.count();
                me.backend(value, &path, &mut backend);
                backend.malformed = me.count() > before;
                backends.push(backend);
            });
        });
    }

    fn backend(&mut self, id: NodeId, path: &str, backend: &mut RawBackend) {
        let what = "a backend: a mapping with `url` or `urls`";
        self.mapping(
            id,
            path,
            what,
            BACKEND,
            &mut |me, key, value, path| match key {
                "url" => me.url(value, path, &mut backend.url),
                "urls" => me.urls(value, path, &mut backend.urls),
                "headers" => me.secret_pairs(value, path, &mut backend.headers),
                "headersFrom" => me.headers_from(value, path, &mut backend.headers_from),
                "queryParams" => me.query_params(value, path, &mut backend.query_params),
                "tenant" => me.tenant(value, path, &mut backend.tenant),
                "tls" => me.tls(value, path, &mut backend.tls),
                "auth" => me.auth(value, path, &mut backend.auth),
                "verb" => me.text(value, path, &mut backend.verb),
                "timeout" => me.text(value, path, &mut backend.timeout),
                "concurrency" => me.text(value, path, &mut backend.concurrency),
                "maxResponseBytes" => me.text(value, path, &mut backend.max_response_bytes),
                _ => me.enforce_matchers(value, path, &mut backend.enforce_matchers),
            },
        );
    }

    /// Its user information and its query may be secrets, and where it is no URL any part of it.
    fn url(&mut self, id: NodeId, path: &str, into: &mut Option<Located>) {
        self.hide(id);
        self.text(id, path, into);
    }

    fn urls(&mut self, id: NodeId, path: &str, into: &mut Option<Vec<Located>>) {
        *into = None;
        if self.is_null(id) {
            return;
        }
        let urls = into.insert(Vec::new());
        let what = "a list of URLs; a single one is `url`";
        self.sequence(id, path, what, &mut |me, id, path| {
            let mut url = None;
            me.url(id, path, &mut url);
            urls.push(url.unwrap_or_else(|| me.nowhere(id)));
        });
    }

    /// A text key of a table and the path of its value; where it is none that has been said.
    fn key(&mut self, (key, value): (NodeId, NodeId), path: &str) -> (Located, String) {
        let mut name = None;
        self.text(key, path, &mut name);
        let name = name.unwrap_or_else(|| self.nowhere(key));
        if self.is_mistaken(key, value) {
            self.hide(key);
            return (name, format!("{path}.{HIDDEN}"));
        }
        let path = format!("{path}.{}", name.text);
        (name, path)
    }

    /// What was to keep tenants apart and says nothing would not.
    fn tenant(&mut self, id: NodeId, path: &str, tenant: &mut Option<Located>) {
        if self.is_null(id) {
            let help = "leave it out to send no tenant".to_owned();
            let message = "the tenant is empty".to_owned();
            self.error(Code::Backend, id, path, message, Some(help));
        }
        self.text(id, path, tenant);
    }

    /// The name of a file. A secret may stand in its place, and does not look like one.
    fn file_name(&mut self, id: NodeId, path: &str, into: &mut Option<Located>) {
        self.text(id, path, into);
        if into
            .as_ref()
            .is_some_and(|file| !file.text.starts_with('/'))
        {
            self.hide(id);
        }
    }

    fn nowhere(&self, id: NodeId) -> Located {
        Located {
            span: self.span(id),
            ..Located::default()
        }
    }

    fn secret_pairs(&mut self, id: NodeId, path: &str, pairs: &mut Vec<Pair>) {
        self.hide(id);
        self.pairs(id, path, "a mapping, as `{NAME: VALUE}`", pairs);
    }

    fn enforce_matchers(&mut self, id: NodeId, path: &str, pairs: &mut Vec<Pair>) {
        let what = "a mapping from label to value, as `{cluster: prod-1}`";
        let before = self.count();
        self.pairs(id, path, what, pairs);
        if pairs.is_empty() && self.count() == before {
            let message = "there is no matcher: this backend would be held to nothing".to_owned();
            let help = "add `LABEL: VALUE`, or leave `enforceMatchers` out".to_owned();
            self.error(Code::Backend, id, path, message, Some(help));
        }
    }

    fn pairs(&mut self, id: NodeId, path: &str, what: &str, pairs: &mut Vec<Pair>) {
        pairs.clear();
        self.table(id, path, what, &mut |me, key, value| {
            let (name, path) = me.key((key, value), path);
            let mut text = None;
            me.text(value, &path, &mut text);
            me.once(key, &path, pairs, name, text);
        });
    }

    fn once(
        &mut self,
        key: NodeId,
        path: &str,
        pairs: &mut Vec<Pair>,
        name: Located,
        value: Option<Located>,
    ) {
        if pairs.iter().any(|(other, _)| other.text == name.text) {
            let message = "this is given twice".to_owned();
            let help = Some("keep one of them".to_owned());
            self.error(Code::GivenTwice, key, path, message, help);
        } else {
            pairs.push((name, value));
        }
    }

    fn headers_from(&mut self, id: NodeId, path: &str, pairs: &mut Vec<Pair>) {
        pairs.clear();
        let what = "a mapping from header to file, as `Authorization: {file: /etc/auth/header}`";
        self.table(id, path, what, &mut |me, key, value| {
            let (name, path) = me.key((key, value), path);
            let what = "a mapping, as `{file: PATH}`";
            let mut file = None;
            me.mapping(
                value,
                &path,
                what,
                HEADER_FROM,
                &mut |me, _, value, path| {
                    me.file_name(value, path, &mut file);
                },
            );
            me.once(key, &path, pairs, name, file);
        });
    }

    /// A parameter may be given several times (Thanos' `storeMatch[]`): then its value is a list.
    fn query_params(&mut self, id: NodeId, path: &str, pairs: &mut Vec<Pair>) {
        self.hide(id);
        pairs.clear();
        let what = "a mapping, as `{NAME: VALUE}` or `{NAME: [VALUE, VALUE]}`";
        self.table(id, path, what, &mut |me, key, value| {
            let (name, path) = me.key((key, value), path);
            let mut values = Vec::new();
            if me.is_list(value) {
                me.sequence(value, &path, "text", &mut |me, id, path| {
                    let mut text = None;
                    me.text(id, path, &mut text);
                    values.push(text);
                });
            } else {
                let mut text = None;
                me.text(value, &path, &mut text);
                values.push(text);
            }
            let mut values = values.into_iter();
            if let Some(first) = values.next() {
                me.once(key, &path, pairs, name.clone(), first);
            }
            pairs.extend(values.map(|value| (name.clone(), value)));
        });
    }

    fn tls(&mut self, id: NodeId, path: &str, tls: &mut RawTls) {
        *tls = RawTls::default();
        tls.span = Some(self.span(id));
        let what = "a mapping with `caFile`, `certFile`, `keyFile` or `serverName`";
        self.mapping(id, path, what, TLS, &mut |me, key, value, path| match key {
            "caFile" => me.file_name(value, path, &mut tls.ca_file),
            "certFile" => me.file_name(value, path, &mut tls.cert_file),
            "keyFile" => me.file_name(value, path, &mut tls.key_file),
            _ => me.text(value, path, &mut tls.server_name),
        });
    }

    fn auth(&mut self, id: NodeId, path: &str, auth: &mut RawAuth) {
        *auth = RawAuth::default();
        auth.span = Some(self.span(id));
        let what = "a mapping with `basic`, `tokenFile`, `inCluster` or `kubeconfig`";
        self.mapping(
            id,
            path,
            what,
            AUTH,
            &mut |me, key, value, path| match key {
                "basic" => me.basic(value, path, &mut auth.basic),
                "tokenFile" => me.file_name(value, path, &mut auth.token_file),
                "inCluster" => me.boolean(value, path, &mut auth.in_cluster),
                _ => me.file_name(value, path, &mut auth.kubeconfig),
            },
        );
    }

    fn basic(&mut self, id: NodeId, path: &str, basic: &mut Option<RawBasic>) {
        let span = self.span(id);
        let basic = basic.insert(RawBasic {
            span,
            ..RawBasic::default()
        });
        let what = "a mapping with `username` and `passwordFile`";
        self.mapping(
            id,
            path,
            what,
            BASIC,
            &mut |me, key, value, path| match key {
                "username" => me.text(value, path, &mut basic.username),
                _ => me.file_name(value, path, &mut basic.password_file),
            },
        );
    }
}

/// The bytes of a line that cannot be read as YAML, where they may be a secret: what follows its
/// first colon, if `backends` stands on it or before it. What is below what cannot be told here.
pub(super) fn secret_in_broken(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text.get(..at)?;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(begin..)?;
    let line = rest.lines().next().unwrap_or_default();
    let end = begin + line.len();
    let colon = line.find(':').map_or(0, |at| at + 1);
    let told = text.get(..end)?.contains("backends");
    told.then_some(begin + colon..end)
}
