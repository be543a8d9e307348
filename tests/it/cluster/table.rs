//! Who gets what: every way to be known or not, and every kind of permission, a row a line.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hyper::Method;
use rcgen::{DistinguishedName, DnType, ExtendedKeyUsagePurpose};

use super::{AUTOSCALER, World, status};
use crate::support::adapter;
use crate::support::apiserver::{Grant, VALID_TOKEN};
use crate::support::pki::{Authority, Pair};

const CUSTOM: &str = "custom.metrics.k8s.io";

/// Permissions, each of a user that has no other.
#[rustfmt::skip]
const GRANTS: [Grant; 5] = [
    role("depth-of-pods", CUSTOM, &["get"], &["pods/queue_depth"], Some("shop")),
    role("depth-of-all", CUSTOM, &["get"], &["*/queue_depth"], Some("shop")),
    role("all-custom", CUSTOM, &["get"], &["*"], None),
    role("writer", CUSTOM, &["create"], &["*"], None),
    role("lister", "external.metrics.k8s.io", &["list"], &["lag"], Some("shop")),
];

const fn role(
    user: &'static str,
    group: &'static str,
    verbs: &'static [&'static str],
    resources: &'static [&'static str],
    namespace: Option<&'static str>,
) -> Grant {
    Grant {
        user,
        group,
        verbs,
        resources,
        namespace,
    }
}

/// A certificate, if any, and headers.
type Caller = (Option<Pair>, Vec<(&'static str, String)>);

fn callers(world: &World) -> BTreeMap<&'static str, Caller> {
    let (clients, proxies) = (&world.clients, &world.proxies);
    let stranger = Authority::new("kubernetes").client("admin", &["system:masters"]);
    let false_proxy = Authority::new("front-proxy-ca").client("front-proxy-client", &[]);
    let masters = ["system:masters"];
    let hour = Duration::from_secs(3_600);
    let expired = |by: &Authority, name| {
        let until = SystemTime::now() - Duration::from_secs(60);
        by.odd_client(name, &masters, |it| it.not_after = until.into())
    };
    let early = clients.odd_client("admin", &masters, |it| {
        it.not_before = (SystemTime::now() + hour / 2).into();
    });
    let server_only = |by: &Authority, name| {
        let usage = vec![ExtendedKeyUsagePurpose::ServerAuth];
        by.odd_client(name, &masters, |it| it.extended_key_usages = usage)
    };
    let nameless = clients.odd_client("", &[], |it| {
        it.distinguished_name = DistinguishedName::new();
        it.distinguished_name
            .push(DnType::OrganizationName, "system:masters");
    });
    let of = |pair: &Pair, headers: &[(&'static str, &str)]| -> Caller {
        (Some(pair.clone()), owned(headers))
    };
    let none = |headers: &[(&'static str, &str)]| -> Caller { (None, owned(headers)) };
    let (admin, bob, proxy) = (
        world.admin(),
        clients.client("bob", &["dev"]),
        world.proxy(),
    );
    let claim = [
        ("X-Remote-User", "admin"),
        ("X-Remote-Group", "system:masters"),
    ];
    let (good, bad) = (format!("Bearer {VALID_TOKEN}"), "Bearer nonsense");
    let lower = format!("bearer {VALID_TOKEN}");
    let user = |name| {
        [
            ("X-Remote-User", name),
            ("X-Remote-Group", "system:authenticated"),
        ]
    };
    let mut callers = BTreeMap::from([
        ("nobody", none(&[])),
        ("nobody, as admin", none(&claim)),
        ("nobody, for admin", none(&[("Impersonate-User", "admin")])),
        (
            "basic",
            none(&[("Authorization", "Basic YWRtaW46YWRtaW4=")]),
        ),
        ("token", none(&[("Authorization", &good)])),
        ("token, lower", none(&[("Authorization", &lower)])),
        ("token, bad", none(&[("Authorization", bad)])),
        (
            "token, as admin",
            none(&[claim[0], claim[1], ("Authorization", &good)]),
        ),
        ("admin", of(&admin, &[])),
        ("admin, for bob", of(&admin, &[("Impersonate-User", "bob")])),
        ("admin, bad token", of(&admin, &[("Authorization", bad)])),
        ("bob", of(&bob, &[])),
        ("bob, as admin", of(&bob, &claim)),
        ("bob, for admin", of(&bob, &[("Impersonate-User", "admin")])),
        (
            "bob, for a group",
            of(&bob, &[("Impersonate-Group", "system:masters")]),
        ),
        ("stranger", of(&stranger, &[])),
        ("stranger, as admin", of(&stranger, &claim)),
        (
            "stranger, token",
            of(&stranger, &[("Authorization", &good)]),
        ),
        ("expired", of(&expired(clients, "admin"), &[])),
        ("not yet", of(&early, &[])),
        ("server only", of(&server_only(clients, "admin"), &[])),
        ("nameless", of(&nameless, &[])),
        ("proxy", of(&proxy, &[])),
        ("proxy: admin", of(&proxy, &claim)),
        ("proxy: eve", of(&proxy, &user("eve"))),
        ("proxy: autoscaler", of(&proxy, &user(AUTOSCALER))),
        (
            "proxy: aggregator",
            of(&proxy, &[("X-Remote-User", "system:aggregator")]),
        ),
        (
            "proxy: anonymous",
            of(
                &proxy,
                &[
                    ("X-Remote-User", "system:anonymous"),
                    ("X-Remote-Group", "system:unauthenticated"),
                ],
            ),
        ),
        (
            "proxy, other name",
            of(&proxies.client("somebody-else", &[]), &claim),
        ),
        ("proxy, false", of(&false_proxy, &claim)),
        (
            "proxy, expired",
            of(&expired(proxies, "front-proxy-client"), &claim),
        ),
        (
            "proxy, server only",
            of(&server_only(proxies, "front-proxy-client"), &claim),
        ),
        (
            "client of a proxy's name",
            of(&clients.client("front-proxy-client", &[]), &claim),
        ),
    ]);
    for grant in GRANTS {
        callers.insert(grant.user, of(&clients.client(grant.user, &[]), &[]));
    }
    callers
}

fn owned(headers: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

const PODS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";
const DEPTH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_depth";
const ONE: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_depth";
const OLD: &str = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/web-a/queue_depth";
const BANK: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/bank/pods/*/queue_depth";
const LEVEL: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/level";
const OF_SHOP: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/queue_depth";
const TWISTED: &str =
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/level/queue_depth";
const STATUS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/status";
const WATCHED: &str =
    "/apis/custom.metrics.k8s.io/v1beta2/watch/namespaces/shop/pods/a/queue_depth";
const LAG: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";
const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";
const GROUP: &str = "/apis/custom.metrics.k8s.io/v1beta2";

/// Who asks, how, for what; the answer's code and what its message holds.
type Row = (&'static str, &'static str, &'static str, u16, &'static str);

#[rustfmt::skip]
const KNOWN: &[Row] = &[
    // Always allowed, to whoever shows nothing that is wrong.
    ("nobody", "GET", "/livez", 200, ""),
    ("nobody", "HEAD", "/readyz", 200, ""),
    ("nobody, as admin", "GET", "/healthz", 200, ""),
    ("bob", "GET", "/readyz", 200, ""),
    ("proxy", "GET", "/livez", 401, "Unauthorized"),
    ("token, bad", "GET", "/readyz", 401, "Unauthorized"),
    ("stranger", "GET", "/healthz", 401, "Unauthorized"),
    ("expired", "GET", "/healthz", 401, "Unauthorized"),
    // Nobody in particular: headers without a front proxy's certificate say nothing.
    ("nobody", "GET", ONE, 403, "User \"system:anonymous\" cannot get resource"),
    ("nobody, as admin", "GET", ONE, 403, "User \"system:anonymous\" cannot get resource"),
    ("basic", "GET", ONE, 403, "User \"system:anonymous\" cannot get resource"),
    ("nobody, for admin", "GET", ONE, 403, "User \"system:anonymous\" cannot impersonate resource"),
    // Tokens.
    ("token", "GET", ONE, 200, ""),
    ("token, lower", "GET", ONE, 200, ""),
    ("token, bad", "GET", ONE, 401, "Unauthorized"),
    ("token, as admin", "GET", "/metrics", 403, "User \"system:serviceaccount:shop:default\" cannot get path"),
    // Client certificates.
    ("admin", "GET", ONE, 200, ""),
    ("admin, bad token", "GET", ONE, 200, ""),
    ("bob", "GET", ONE, 403, "User \"bob\" cannot get resource \"pods/queue_depth\""),
    ("bob, as admin", "GET", ONE, 403, "User \"bob\" cannot get resource"),
    ("stranger", "GET", ONE, 401, "Unauthorized"),
    ("stranger, as admin", "GET", ONE, 401, "Unauthorized"),
    ("stranger, token", "GET", ONE, 200, ""),
    ("expired", "GET", ONE, 401, "Unauthorized"),
    ("not yet", "GET", ONE, 401, "Unauthorized"),
    ("server only", "GET", ONE, 401, "Unauthorized"),
    ("nameless", "GET", ONE, 401, "Unauthorized"),
    // Front proxies.
    ("proxy", "GET", ONE, 401, "Unauthorized"),
    ("proxy: admin", "GET", ONE, 200, ""),
    ("proxy: autoscaler", "GET", ONE, 200, ""),
    ("proxy: eve", "GET", ONE, 403, "User \"eve\" cannot get resource"),
    ("proxy: aggregator", "GET", "/apis", 200, ""),
    ("proxy: anonymous", "GET", "/apis", 403, "User \"system:anonymous\" cannot get path"),
    ("proxy, other name", "GET", ONE, 401, "Unauthorized"),
    ("proxy, false", "GET", ONE, 401, "Unauthorized"),
    ("proxy, expired", "GET", ONE, 401, "Unauthorized"),
    ("proxy, server only", "GET", ONE, 401, "Unauthorized"),
    ("client of a proxy's name", "GET", ONE, 403, "User \"front-proxy-client\" cannot get"),
    // Acting as another.
    ("admin, for bob", "GET", ONE, 403, "User \"bob\" cannot get resource"),
    ("bob, for admin", "GET", ONE, 403, "User \"bob\" cannot impersonate resource \"users\""),
    ("bob, for a group", "GET", ONE, 500, "requested groups without impersonating a user"),
];

#[rustfmt::skip]
const ALLOWED: &[Row] = &[
    // Nobody without a role.
    ("bob", "GET", "/apis", 200, ""),
    ("bob", "GET", GROUP, 200, ""),
    ("bob", "GET", "/version", 200, ""),
    ("bob", "GET", "/openapi/v2", 200, ""),
    ("bob", "GET", "/metrics", 403, "User \"bob\" cannot get path \"/metrics\""),
    ("bob", "GET", "/readyz/ping", 403, "User \"bob\" cannot get path \"/readyz/ping\""),
    ("bob", "GET", "/nope", 403, "User \"bob\" cannot get path \"/nope\""),
    ("bob", "POST", "/metrics", 403, "User \"bob\" cannot post path \"/metrics\""),
    ("bob", "HEAD", DEPTH, 403, ""),
    ("bob", "DELETE", PODS, 403, "cannot deletecollection resource \"pods\""),
    ("bob", "PUT", ONE, 403, "cannot update resource \"pods/queue_depth\""),
    ("bob", "PATCH", ONE, 403, "cannot patch resource \"pods/queue_depth\""),
    ("bob", "GET", STATUS, 403, "namespaces.custom.metrics.k8s.io \"shop\" is forbidden"),
    ("bob", "GET", WATCHED, 403, "cannot watch resource \"pods/queue_depth\""),
    ("bob", "GET", LAG, 403, "cannot list resource \"lag\""),
    ("bob", "GET", NODES, 403, "\"nodes\" in API group \"metrics.k8s.io\" at the cluster scope"),
    // One metric of pods, in one namespace.
    ("depth-of-pods", "GET", DEPTH, 200, ""),
    ("depth-of-pods", "GET", ONE, 200, ""),
    ("depth-of-pods", "GET", OLD, 200, ""),
    ("depth-of-pods", "GET", BANK, 403, "in the namespace \"bank\""),
    ("depth-of-pods", "GET", LEVEL, 403, "\"pods/level\""),
    ("depth-of-pods", "GET", OF_SHOP, 403, "resource \"metrics\""),
    ("depth-of-pods", "POST", ONE, 403, "cannot create resource"),
    // One metric of everything: nothing else by another path.
    ("depth-of-all", "GET", DEPTH, 200, ""),
    ("depth-of-all", "GET", TWISTED, 404, "could not find the requested resource"),
    ("depth-of-all", "GET", LEVEL, 403, "\"pods/level\""),
    // Everything in the group, to read or to write.
    ("all-custom", "GET", DEPTH, 200, ""),
    ("all-custom", "GET", BANK, 200, ""),
    ("all-custom", "GET", WATCHED, 403, "cannot watch resource"),
    ("all-custom", "GET", LAG, 403, "\"lag\""),
    ("all-custom", "POST", ONE, 403, "cannot create resource"),
    ("writer", "GET", ONE, 403, "cannot get resource"),
    ("writer", "POST", ONE, 405, "does not allow this method"),
    // External metrics are listed.
    ("lister", "GET", LAG, 200, ""),
    ("lister", "GET", ONE, 403, "cannot get resource"),
    // The group that may do everything is asked about nothing.
    ("admin", "GET", "/metrics", 200, ""),
    ("admin", "HEAD", DEPTH, 405, ""),
    ("admin", "DELETE", ONE, 405, "does not allow this method"),
    ("admin", "GET", "/nope", 404, ""),
];

async fn wrong(rows: &[Row], flags: &[&str]) -> Vec<String> {
    let world = World::new().await;
    for grant in GRANTS {
        world.api.grant(grant);
    }
    let adapter = world.ready(flags).await;
    let callers = callers(&world);
    let mut wrong = Vec::new();
    for (who, method, path, code, says) in rows {
        let (identity, headers) = &callers[who];
        for http2 in [true, false] {
            let client = adapter.caller(identity.as_ref(), http2);
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, it)| (*name, it.as_str()))
                .collect();
            let method: Method = method.parse().unwrap();
            let url = format!("{}{path}", adapter.url);
            let answer = adapter::send(&client, method.clone(), &url, &headers)
                .await
                .unwrap();
            let (got, message) = status(&answer);
            if got != *code || !message.contains(says) {
                wrong.push(format!(
                    "{who} {method} {path}: {got} {message}, not {code} {says}"
                ));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn everybody_is_who_the_cluster_says() {
    let wrong = wrong(KNOWN, &[]).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn everybody_may_do_what_the_cluster_allows() {
    let wrong = wrong(ALLOWED, &[]).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A permission is the same however it is asked for.
#[tokio::test]
async fn broad_checks_allow_nothing_more_and_nothing_less() {
    let wrong = wrong(ALLOWED, &["--authorization-broad-checks"]).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
