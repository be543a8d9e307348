//! Identities from headers, certificates and recorded token reviews.

use k8s_openapi::api::authentication::v1::TokenReview;
use proptest::prelude::*;

use super::*;

const RECORDED: &str = include_str!("../../../tests/data/recorded/apiserver.jsonl");

fn headers(given: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(
            name,
            hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

fn names() -> HeaderNames {
    let one = |name: &str| vec![name.to_owned()];
    HeaderNames {
        user: one("X-Remote-User"),
        uid: one("X-Remote-Uid"),
        groups: one("X-Remote-Group"),
        extra: one("X-Remote-Extra-"),
    }
}

#[test]
fn a_front_proxy_names_user_groups_and_extra_attributes() {
    // As the aggregator of Kubernetes 1.36 sends them.
    let given = headers(&[
        (
            "X-Remote-User",
            "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        ),
        ("X-Remote-Uid", "caaa0796"),
        ("X-Remote-Group", "system:serviceaccounts"),
        ("X-Remote-Group", "system:authenticated"),
        (
            "X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id",
            "JTI=cde4",
        ),
    ]);
    let user = proxied(&given, &names()).unwrap().unwrap();
    assert_eq!(
        user.name,
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    );
    assert_eq!(user.uid, "caaa0796");
    assert_eq!(
        user.groups,
        ["system:serviceaccounts", "system:authenticated"]
    );
    let extra = [(CREDENTIAL_ID.to_owned(), vec!["JTI=cde4".to_owned()])];
    assert_eq!(user.extra, BTreeMap::from(extra));
}

#[test]
fn a_front_proxy_that_names_nobody_proves_nobody() {
    assert_eq!(
        proxied(&headers(&[("X-Remote-Group", "system:masters")]), &names()),
        Ok(None)
    );
    assert_eq!(
        proxied(&headers(&[("X-Remote-User", "")]), &names()),
        Ok(None)
    );
    let mut unreadable = HeaderMap::new();
    let value = hyper::header::HeaderValue::from_bytes(b"\xff").unwrap();
    unreadable.insert("x-remote-user", value);
    assert!(proxied(&unreadable, &names()).is_err());
}

#[test]
fn a_bearer_token_is_the_second_word() {
    let bearer = |text: &str| {
        let headers = headers(&[("Authorization", text)]);
        bearer(&headers).map(|token| String::from_utf8(token.to_vec()).unwrap())
    };
    assert_eq!(bearer("Bearer abc").as_deref(), Some("abc"));
    assert_eq!(bearer("bEARER abc def").as_deref(), Some("abc"));
    for none in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer  abc"] {
        assert_eq!(bearer(none), None, "{none:?}");
    }
}

#[test]
fn recorded_token_reviews_give_the_user_or_nobody() {
    let reviews: Vec<Option<User>> = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|it| it["path"].as_str().unwrap().ends_with("/tokenreviews"))
        .map(|it| serde_json::from_str::<TokenReview>(it["resp"].as_str().unwrap()).unwrap())
        .map(|review| reviewed(review.status.unwrap()))
        .collect();
    let [None, Some(user)] = reviews.as_slice() else {
        panic!("{reviews:?}")
    };
    assert_eq!(user.name, "system:serviceaccount:shop:default");
    assert_eq!(user.groups.len(), 3);
    assert_eq!(user.extra[CREDENTIAL_ID].len(), 1);
}

#[test]
fn a_certificate_is_its_last_common_name_and_all_organizations() {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    let name = DnValue::PrintableString("admin".try_into().unwrap());
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let of = |certificate| certified(certificate, &Subject::of(certificate).unwrap());
    let user = of(certificate.der()).unwrap();
    assert_eq!(
        (user.name.as_str(), user.groups),
        ("admin", vec!["system:masters".to_owned()])
    );
    let id = &user.extra[CREDENTIAL_ID][0];
    assert_eq!(id.len(), "X509SHA256=".len() + 64, "{id}");

    params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let nameless = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert_eq!(of(nameless.der()), None);
    assert!(Subject::of(&CertificateDer::from(vec![1, 2, 3])).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes: Vec<u8>, name in "[ -~]{0,20}") {
        let _subject = Subject::of(&CertificateDer::from(bytes.clone()));
        if let Ok(value) = hyper::header::HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.clone());
            let _token = bearer(&headers);
            headers.insert("x-remote-user", value);
            let _user = proxied(&headers, &HeaderNames { user: vec![name], ..names() });
        }
    }
}
