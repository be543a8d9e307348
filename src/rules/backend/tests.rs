//! What `backends` compiles to. The errors are in `tests/data/rules/bad/backends*`.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::rules::{Rules, parse, render_findings};

fn data(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn good() -> Rules {
    parse(&data("good/backends.yaml")).unwrap().0
}

#[test]
fn every_field_of_a_backend_is_read() {
    let rules = good();
    let backend = &rules.backends[0];
    assert_eq!((backend.name.as_str(), backend.line), ("team-a", 2));
    let [url] = backend.urls.as_slice() else {
        panic!("{:?}", backend.urls)
    };
    assert_eq!(
        url.0,
        "https://user:hunter2@mimir.example:8443/prometheus?dedup=true"
    );
    let texts = |pairs: &[(String, Secret)]| -> Vec<String> {
        let text = |(name, value): &(String, Secret)| format!("{name}={}", value.0);
        pairs.iter().map(text).collect()
    };
    assert_eq!(
        texts(&backend.headers),
        ["X-Trace=1", "X-Scope-OrgID=team-a"]
    );
    assert_eq!(
        backend.headers_from,
        [("X-Api-Key".to_owned(), PathBuf::from("/etc/keys/mimir"))]
    );
    assert_eq!(
        texts(&backend.query_params),
        [
            "partial_response=false",
            "storeMatch[]={zone=\"a\"}",
            "storeMatch[]={zone=\"b\"}"
        ]
    );
    assert_eq!(
        backend.tls.ca_file.as_deref(),
        Some(Path::new("/etc/tls/ca.pem"))
    );
    assert!(backend.tls.certificate.is_some());
    assert_eq!(backend.tls.server_name.as_deref(), Some("mimir.internal"));
    assert_eq!(backend.auth, AuthSpec::None);
    assert_eq!(backend.verb, Some(Verb::Post));
    assert_eq!(backend.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(backend.concurrency, Some(7));
    assert_eq!(backend.response_bytes_max, Some(8 << 20));
    assert_eq!(
        backend.enforced,
        [("cluster".to_owned(), "prod-1".to_owned())]
    );
}

#[test]
fn each_way_to_authenticate_is_read_and_what_is_absent_is_left_to_the_flags() {
    let rules = good();
    let auth: Vec<&AuthSpec> = rules.backends.iter().map(|it| &it.auth).collect();
    let basic = AuthSpec::Basic {
        username: "us".to_owned(),
        password_file: "/etc/pw".into(),
    };
    let expected = [
        &AuthSpec::None,
        &basic,
        &AuthSpec::TokenFile("/etc/token".into()),
        &AuthSpec::InCluster,
        &AuthSpec::Kubeconfig("/etc/kubeconfig".into()),
        &AuthSpec::None,
    ];
    assert_eq!(auth, expected);
    let pair = &rules.backends[1];
    assert_eq!(pair.urls.len(), 2);
    assert_eq!(
        (pair.verb, pair.timeout, pair.concurrency),
        (None, None, None)
    );
}

#[test]
fn rules_know_their_backend_by_its_place_and_0_is_that_of_the_flags() {
    let rules = good();
    let of = |rules: &[Arc<crate::rules::Rule>]| -> Vec<(usize, Partial)> {
        rules
            .iter()
            .map(|rule| (rule.backend, rule.partial))
            .collect()
    };
    let (accept, refuse) = (Partial::Accept, Partial::Refuse);
    assert_eq!(of(&rules.custom), [(1, refuse), (0, accept), (0, accept)]);
    assert_eq!(of(&rules.external), [(2, accept)]);
    let resource = rules.resource.as_ref().unwrap();
    assert_eq!((resource.cpu.backend, resource.cpu.partial), (3, refuse));
    assert_eq!(
        (resource.memory.backend, resource.memory.partial),
        (4, accept)
    );
    assert_eq!(rules.asked(), [0, 1, 2, 3, 4]);
    assert_eq!(rules.backend_name(0), "default");
    assert_eq!(rules.backend_name(2), "pair");
}

#[test]
fn no_report_and_no_debug_text_shows_a_secret() {
    assert!(!format!("{:?}", good()).contains("hunter2"));
    for file in [
        "good/backends.yaml",
        "bad/backends.yaml",
        "bad/backends-broken.yaml",
        "bad/backends-is-a-list.yaml",
        "bad/backends-mistaken.yaml",
        "bad/backends-broken-json.yaml",
        "bad/backends-misplaced.yaml",
    ] {
        let text = data(file);
        assert!(text.contains("hunter2"));
        let findings = match parse(&text) {
            Ok((_, findings)) | Err(findings) => findings,
        };
        assert!(!findings.is_empty());
        let report = render_findings(&findings, &text, file, true);
        assert!(!report.contains("hunter2"), "{report}");
        assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
    }
}
