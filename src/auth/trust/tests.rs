//! Certificates of several authorities, judged; and the recorded ConfigMap.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, UnixTime};

use super::material::ProxyMaterial;
use super::*;
use crate::auth::identity::HeaderNames;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3_600);

const RECORDED: &str = include_str!("../../../tests/data/recorded/apiserver.jsonl");

type Authority = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(
    issuer: &Authority,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    until: SystemTime,
) -> Chain {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "dev");
    params.extended_key_usages = vec![usage];
    params.not_after = until.into();
    vec![
        params
            .signed_by(&KeyPair::generate().unwrap(), issuer)
            .unwrap()
            .der()
            .clone(),
    ]
}

fn client(issuer: &Authority, name: &str) -> Chain {
    leaf(
        issuer,
        name,
        ExtendedKeyUsagePurpose::ClientAuth,
        SystemTime::now() + LONG,
    )
}

fn trusted(clients: &[&Authority], proxies: &[&Authority]) -> Authorities {
    let pem = |all: &[&Authority]| {
        let text: String = all.iter().map(|authority| authority.pem()).collect();
        (!text.is_empty()).then(|| text.into_bytes())
    };
    let one = |name: &str| vec![name.to_owned()];
    let headers = HeaderNames {
        user: one("X-Remote-User"),
        groups: one("X-Remote-Group"),
        ..HeaderNames::default()
    };
    let bundle = pem(clients).map(|pem| Bundle::new(material::CLIENT_CA, &pem).unwrap());
    let material = pem(proxies).map(|ca| ProxyMaterial {
        ca,
        allowed_names: one("front-proxy-client"),
        headers,
    });
    Authorities {
        clients: bundle.map(Arc::new),
        proxies: material.map(|it| Arc::new(Proxies::new(&it).unwrap())),
    }
}

/// The user's name; none: no opinion; `Err`: refused.
fn judged(
    authorities: &Authorities,
    chain: &Chain,
    user: Option<&str>,
) -> Result<Option<String>, ()> {
    let mut headers = HeaderMap::new();
    if let Some(user) = user {
        headers.insert("x-remote-user", user.parse().unwrap());
    }
    let found = authorities.identify(&headers, chain, UnixTime::now());
    found.map(|user| user.map(|user| user.name)).map_err(drop)
}

#[test]
fn headers_count_only_behind_a_verified_front_proxy_of_the_right_name() {
    let (clients, proxies, others) = (authority("clients"), authority("proxies"), authority("x"));
    let trusted = trusted(&[&clients], &[&proxies]);
    let named = |name: &str| Ok(Some(name.to_owned()));
    let proxy = client(&proxies, "front-proxy-client");
    assert_eq!(judged(&trusted, &proxy, Some("eve")), named("eve"));
    assert_eq!(
        judged(&trusted, &proxy, None),
        Err(()),
        "a front proxy is nobody by itself"
    );
    let bob = client(&clients, "bob");
    assert_eq!(judged(&trusted, &bob, Some("admin")), named("bob"));
    assert_eq!(
        judged(&trusted, &client(&proxies, "bob"), Some("admin")),
        Err(())
    );
    assert_eq!(
        judged(
            &trusted,
            &client(&clients, "front-proxy-client"),
            Some("admin")
        ),
        named("front-proxy-client")
    );
    let false_proxy = client(&others, "front-proxy-client");
    assert_eq!(judged(&trusted, &false_proxy, Some("admin")), Err(()));
    assert_eq!(judged(&trusted, &Vec::new(), Some("admin")), Ok(None));
}

#[test]
fn a_certificate_must_be_valid_now_and_meant_for_clients() {
    let clients = authority("clients");
    let trusted = trusted(&[&clients], &[]);
    let later = SystemTime::now() + LONG;
    let server = leaf(&clients, "bob", ExtendedKeyUsagePurpose::ServerAuth, later);
    assert_eq!(judged(&trusted, &server, None), Err(()));
    let past = SystemTime::now() - Duration::from_secs(30);
    let expired = leaf(&clients, "bob", ExtendedKeyUsagePurpose::ClientAuth, past);
    assert_eq!(judged(&trusted, &expired, None), Err(()));
    let same_name = authority("clients");
    assert_eq!(judged(&trusted, &client(&same_name, "bob"), None), Err(()));
}

#[test]
fn an_authority_that_is_not_known_makes_nobody_trusted() {
    let clients = authority("clients");
    let nobody = trusted(&[], &[]);
    assert_eq!(
        judged(&nobody, &client(&clients, "bob"), Some("admin")),
        Ok(None)
    );
}

#[test]
fn old_and_new_authorities_are_both_believed_while_both_are_listed() {
    let (old, new) = (authority("clients"), authority("clients"));
    let both = trusted(&[&old, &new], &[]);
    for issuer in [&old, &new] {
        assert_eq!(
            judged(&both, &client(issuer, "bob"), None),
            Ok(Some("bob".to_owned()))
        );
    }
    let after = trusted(&[&new], &[]);
    assert_eq!(judged(&after, &client(&old, "bob"), None), Err(()));
}

/// rustls does not look at an authority's own time; Go does.
#[test]
fn an_authority_whose_time_is_over_is_not_believed() {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "clients");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = (SystemTime::now() - LONG).into();
    params.not_after = (SystemTime::now() + LONG).into();
    let key = KeyPair::generate().unwrap();
    let short = CertifiedIssuer::self_signed(params, key).unwrap();
    let trusted = trusted(&[&short], &[]);
    let bob = client(&short, "bob");
    let at = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = UnixTime::since_unix_epoch(since);
        trusted.identify(&HeaderMap::new(), &bob, now).is_ok()
    };
    assert!(at(SystemTime::now()));
    assert!(!at(SystemTime::now() + LONG * 2));
    assert!(!trusted.clients.as_ref().unwrap().roots[0].is_valid(UnixTime::since_unix_epoch(LONG)));
}

/// Signatures are checked once. Whatever was asked before, and in whatever order, the answer is that
/// of somebody who remembers nothing.
#[test]
fn a_remembered_chain_is_judged_as_one_that_is_seen_for_the_first_time() {
    let start = SystemTime::now();
    let after = |seconds: u64| start + Duration::from_secs(seconds);
    let valid = |params: &mut CertificateParams, from: u64, until: u64| {
        params.not_before = after(from).into();
        params.not_after = after(until).into();
    };
    let signs = |from, until| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        valid(&mut params, from, until);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let client = |issuer: &Authority, from, until| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bob");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        valid(&mut params, from, until);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, issuer).unwrap().der().clone()
    };
    let (short, long, stranger) = (signs(0, 50), signs(0, 100), signs(0, 100));
    let chains: Vec<Chain> = vec![
        vec![client(&short, 0, 100)],
        vec![client(&long, 0, 30)],
        vec![client(&long, 20, 80)],
        // With one that is not needed, and whose time is over before.
        vec![client(&long, 0, 80), client(&short, 0, 10)],
        vec![client(&stranger, 0, 100)],
    ];
    let remembers = trusted(&[&short, &long], &[]);
    let is_believed = |by: &Authorities, chain: &Chain, seconds: u64| {
        let since = after(seconds).duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since.unwrap());
        by.identify(&HeaderMap::new(), chain, now).is_ok()
    };
    let mut believed = 0;
    // There and back, with many repetitions.
    for seconds in [5, 5, 25, 5, 45, 60, 25, 90, 60, 5, 110, 45, 25] {
        for chain in &chains {
            let fresh = trusted(&[&short, &long], &[]);
            let expected = is_believed(&fresh, chain, seconds);
            believed += usize::from(expected);
            let place = chains.iter().position(|it| it == chain);
            let found = is_believed(&remembers, chain, seconds);
            assert_eq!(found, expected, "chain {place:?} after {seconds} s");
        }
    }
    assert!(believed > 20, "{believed}");
}

#[test]
fn a_front_proxy_is_told_by_its_certificate_whomever_it_names() {
    let (clients, proxies) = (authority("clients"), authority("proxies"));
    let trusted = trusted(&[&clients], &[&proxies]);
    let is_proxy = |chain: &Chain| trusted.is_proxy(chain, UnixTime::now());
    assert!(is_proxy(&client(&proxies, "front-proxy-client")));
    assert!(!is_proxy(&client(&proxies, "bob")));
    assert!(!is_proxy(&client(&clients, "front-proxy-client")));
    assert!(!is_proxy(&Vec::new()));
    assert!(
        !Authorities::default().is_proxy(&client(&proxies, "front-proxy-client"), UnixTime::now())
    );
}

#[test]
fn one_authority_for_clients_and_nameless_proxies_is_noticed() {
    let (one, other) = (authority("one"), authority("other"));
    let nameless = |clients: &Authority, proxies: &Authority, names: &[&str]| {
        let material = ProxyMaterial {
            ca: proxies.pem().into_bytes(),
            allowed_names: names.iter().map(|name| (*name).to_owned()).collect(),
            headers: HeaderNames::default(),
        };
        let authorities = Authorities {
            proxies: Some(Arc::new(Proxies::new(&material).unwrap())),
            ..trusted(&[clients], &[])
        };
        authorities.every_client_is_a_proxy()
    };
    assert!(nameless(&one, &one, &[]));
    assert!(!nameless(&one, &one, &["front-proxy-client"]));
    assert!(!nameless(&one, &other, &[]));
}

#[test]
fn the_recorded_config_map_is_read() {
    let lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut maps = lines.filter(|it| it["path"].as_str().unwrap().contains("/configmaps/"));
    let map = maps.next().unwrap()["resp"].as_str().unwrap().to_owned();
    let mut map: ConfigMap = serde_json::from_str(&map).unwrap();
    assert!(Bundle::new("", &material::client_ca(&map).unwrap()).is_ok());
    let found = material::proxies(&map).unwrap().unwrap();
    assert_eq!(found.allowed_names, ["front-proxy-client"]);
    assert_eq!(found.headers.user, ["X-Remote-User"]);
    assert_eq!(found.headers.extra, ["X-Remote-Extra-"]);
    assert!(found.headers.uid.is_empty());
    assert!(Proxies::new(&found).is_ok());

    let data = map.data.as_mut().unwrap();
    let uid = "requestheader-uid-headers".to_owned();
    data.insert(uid, r#"["X-Remote-Uid"]"#.to_owned());
    let found = material::proxies(&map).unwrap().unwrap();
    assert_eq!(found.headers.uid, ["X-Remote-Uid"]);

    let data = map.data.as_mut().unwrap();
    data.insert(
        "requestheader-allowed-names".to_owned(),
        "front-proxy-client".to_owned(),
    );
    assert!(
        material::proxies(&map).is_err(),
        "a list that cannot be read is not an empty list"
    );
    assert!(
        material::client_ca(&map).is_some(),
        "the other part can be read"
    );
    map.data = None;
    assert!(material::client_ca(&map).is_none());
    assert_eq!(material::proxies(&map).unwrap(), None);
    assert!(Bundle::new("", b"no PEM").is_err());
}
