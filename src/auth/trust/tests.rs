//! Certificates of several authorities, judged; and the recorded ConfigMap.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::ConfigMap;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::CertificateDer;

use super::*;

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
        SystemTime::now() + REFRESH * 100,
    )
}

fn material(clients: &[&Authority], proxies: &[&Authority]) -> Material {
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
    Material {
        client_ca: pem(clients),
        proxies: pem(proxies).map(|ca| material::ProxyMaterial {
            ca,
            allowed_names: one("front-proxy-client"),
            headers,
        }),
    }
}

/// The user's name; none: no opinion; `Err`: refused.
fn judged(trusted: &Material, chain: &Chain, user: Option<&str>) -> Result<Option<String>, ()> {
    let mut headers = HeaderMap::new();
    if let Some(user) = user {
        headers.insert("x-remote-user", user.parse().unwrap());
    }
    let authorities = Authorities::new(trusted).unwrap();
    let found = authorities.identify(&headers, chain, UnixTime::now());
    found.map(|user| user.map(|user| user.name)).map_err(drop)
}

#[test]
fn headers_count_only_behind_a_verified_front_proxy_of_the_right_name() {
    let (clients, proxies, others) = (authority("clients"), authority("proxies"), authority("x"));
    let trusted = material(&[&clients], &[&proxies]);
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
    let trusted = material(&[&clients], &[]);
    let later = SystemTime::now() + REFRESH * 100;
    let server = leaf(&clients, "bob", ExtendedKeyUsagePurpose::ServerAuth, later);
    assert_eq!(judged(&trusted, &server, None), Err(()));
    let past = SystemTime::now() - REFRESH;
    let expired = leaf(&clients, "bob", ExtendedKeyUsagePurpose::ClientAuth, past);
    assert_eq!(judged(&trusted, &expired, None), Err(()));
    let same_name = authority("clients");
    assert_eq!(judged(&trusted, &client(&same_name, "bob"), None), Err(()));
}

#[test]
fn an_authority_that_is_not_known_makes_nobody_trusted() {
    let clients = authority("clients");
    let nobody = material(&[], &[]);
    assert_eq!(
        judged(&nobody, &client(&clients, "bob"), Some("admin")),
        Ok(None)
    );
}

#[test]
fn old_and_new_authorities_are_both_believed_while_both_are_listed() {
    let (old, new) = (authority("clients"), authority("clients"));
    let both = material(&[&old, &new], &[]);
    for issuer in [&old, &new] {
        assert_eq!(
            judged(&both, &client(issuer, "bob"), None),
            Ok(Some("bob".to_owned()))
        );
    }
    let after = material(&[&new], &[]);
    assert_eq!(judged(&after, &client(&old, "bob"), None), Err(()));
}

#[test]
fn the_recorded_config_map_is_read() {
    let lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut maps = lines.filter(|it| it["path"].as_str().unwrap().contains("/configmaps/"));
    let map = maps.next().unwrap()["resp"].as_str().unwrap().to_owned();
    let mut map: ConfigMap = serde_json::from_str(&map).unwrap();
    let found = Material::of(map.clone()).unwrap();
    let proxies = found.proxies.as_ref().unwrap();
    assert_eq!(proxies.allowed_names, ["front-proxy-client"]);
    assert_eq!(proxies.headers.user, ["X-Remote-User"]);
    assert_eq!(proxies.headers.extra, ["X-Remote-Extra-"]);
    assert!(proxies.headers.uid.is_empty());
    assert!(Authorities::new(&found).is_ok());

    let data = map.data.as_mut().unwrap();
    data.insert(
        "requestheader-allowed-names".to_owned(),
        "front-proxy-client".to_owned(),
    );
    assert!(
        Material::of(map.clone()).is_err(),
        "a list that cannot be read is not an empty list"
    );
    map.data = None;
    assert_eq!(Material::of(map).unwrap(), Material::default());
    let bad = Material {
        client_ca: Some(b"no PEM".to_vec()),
        proxies: None,
    };
    assert!(Authorities::new(&bad).is_err());
}
