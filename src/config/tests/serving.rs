//! The flags of the HTTPS server: certificates, suites, names, the way down.

use super::{good, wrong};
use crate::config::{Config, SniFlag, Stop};
use std::time::Duration;

/// `tls.CipherSuites` and `tls.InsecureCipherSuites` of Go 1.26, and the two old names.
const GO_SUITES: &str = "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,\
    TLS_CHACHA20_POLY1305_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,\
    TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,\
    TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,\
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,\
    TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,\
    TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,\
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,\
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,\
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_RC4_128_SHA,\
    TLS_RSA_WITH_3DES_EDE_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA256,\
    TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_256_CBC_SHA,TLS_RSA_WITH_AES_256_GCM_SHA384,\
    TLS_RSA_WITH_RC4_128_SHA";

#[test]
fn every_cipher_suite_of_go_is_accepted_and_another_is_refused_with_the_list() {
    let config = good(&[&format!("--tls-cipher-suites={GO_SUITES}")]);
    assert_eq!(config.serving.cipher_suites.len(), 27);
    let text = wrong(&["--tls-cipher-suites=TLS_AES_128_GCM_SHA256,NULL"]);
    assert!(text.contains("Cipher suite NULL not supported"), "{text}");
    for name in GO_SUITES.split(',') {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn key_exchanges_have_the_numbers_of_go() {
    let config = good(&["--tls-curve-preferences=4588,29,23,24,25"]);
    assert_eq!(config.serving.curves, [4588, 29, 23, 24, 25]);
    assert!(good(&[]).serving.curves.is_empty());
    let text = wrong(&["--tls-curve-preferences=29,5"]);
    assert!(
        text.contains("5 is no key exchange of Go's; those are 23, 24"),
        "{text}"
    );
    let text = wrong(&["--tls-curve-preferences=25"]);
    assert!(
        text.contains("none of these is served; give one of "),
        "{text}"
    );
    wrong(&["--tls-curve-preferences=P256"]);
}

#[test]
fn certificates_for_names_are_written_as_in_go() {
    let config = good(&[
        "--tls-sni-cert-key=a.crt,a.key",
        "--tls-sni-cert-key",
        "/b.crt, /b.key: *.Foo.com, foo.com",
    ]);
    let flag = |certificate: &str, key: &str, names: &[&str]| SniFlag {
        certificate: certificate.into(),
        key: key.into(),
        names: names.iter().map(|&it| it.to_owned()).collect(),
    };
    let wanted = [
        flag("a.crt", "a.key", &[]),
        flag("/b.crt", "/b.key", &["*.foo.com", "foo.com"]),
    ];
    assert_eq!(config.serving.sni, wanted);
    for (value, why) in [
        (
            "a.crt",
            "expected comma separated certificate and key file paths",
        ),
        (
            "a.crt,",
            "expected comma separated certificate and key file paths",
        ),
        (
            "a,b,c",
            "expected comma separated certificate and key file paths",
        ),
        ("a,b:", "empty names list is not allowed"),
        ("a,b:foo.com,", "\"\" is no DNS name"),
        ("a,b:a.*.com", "\"a.*.com\" is no DNS name"),
    ] {
        let text = wrong(&[&format!("--tls-sni-cert-key={value}")]);
        assert!(
            text.contains(why) && text.contains("--tls-sni-cert-key"),
            "{text}"
        );
    }
}

#[test]
fn the_service_is_named_by_flags_and_its_namespace_by_the_pod_too() {
    let serving = good(&[]).serving;
    assert_eq!(
        (serving.service.as_str(), serving.service_namespace),
        ("tidegauge", None)
    );
    let parse = |args: &[&str]| {
        let args = [&["tidegauge", "--config=x"], args].concat();
        let pod = |name: &str| (name == "POD_NAMESPACE").then(|| "monitoring".to_owned());
        let serving = Config::parse(&args, pod)?.serving;
        Ok::<_, Stop>(serving.service_namespace)
    };
    assert_eq!(parse(&[]).unwrap().as_deref(), Some("monitoring"));
    let given = parse(&["--service-namespace=other"]).unwrap();
    assert_eq!(given.as_deref(), Some("other"));
    for name in ["", "a.b", "A", "-a", "a-", &"a".repeat(64)] {
        let text = wrong(&[&format!("--service-name={name}")]);
        assert!(text.starts_with("--service-name \""), "{text}");
    }
}

#[test]
fn api_services_are_managed_only_when_asked_and_only_for_a_certificate_of_our_own() {
    assert!(!good(&[]).serving.manage_apiservice);
    assert!(good(&["--manage-apiservice"]).serving.manage_apiservice);
    let files = [
        "--manage-apiservice",
        "--tls-cert-file=c",
        "--tls-private-key-file=k",
    ];
    let text = wrong(&files);
    assert!(
        text.contains("--tls-cert-file") && text.contains("caBundle"),
        "{text}"
    );
    wrong(&["--manage-apiservice", "--standalone=objects.yaml"]);
}

#[test]
fn a_pod_has_time_to_stop_and_a_laptop_does_not_wait() {
    let seconds = Duration::from_secs;
    let serving = good(&[]).serving;
    assert_eq!(serving.shutdown_delay, seconds(5));
    // terminationGracePeriodSeconds is 30 where nobody says otherwise.
    assert!(serving.shutdown_delay + serving.drain_timeout < seconds(30));
    assert_eq!(good(&["--standalone=o"]).serving.shutdown_delay, seconds(0));
    let own = good(&["--standalone=o", "--shutdown-delay-duration=1m"]).serving;
    assert_eq!(own.shutdown_delay, seconds(60));
}

#[test]
fn every_complaint_about_tls_is_told_at_once() {
    let text = wrong(&[
        "--tls-min-version=VersionTLS9",
        "--tls-cipher-suites=NULL",
        "--tls-curve-preferences=5",
        "--secure-port=-1",
    ]);
    for flag in ["min-version", "cipher-suites", "curve-preferences"] {
        assert!(text.contains(&format!("--tls-{flag}: ")), "{flag}: {text}");
    }
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn an_address_as_the_name_of_a_certificate_is_taken_and_said_to_be_without_effect() {
    let config = good(&["--tls-sni-cert-key=a.crt,a.key:a.example.com,10.0.0.7"]);
    assert_eq!(config.ignored, ["IP addresses in --tls-sni-cert-key"]);
    let config = good(&["--tls-sni-cert-key=a.crt,a.key:a.example.com"]);
    assert!(config.ignored.is_empty(), "{:?}", config.ignored);
}

#[test]
fn limits_may_be_as_large_as_a_number_can_be() {
    let most = usize::MAX;
    let serving = good(&[
        &format!("--max-requests-inflight={most}"),
        &format!("--max-connections={most}"),
    ])
    .serving;
    // Semaphores panic above it.
    let most = tokio::sync::Semaphore::MAX_PERMITS;
    assert_eq!(serving.max_requests_inflight, most);
    assert_eq!(serving.max_connections, most);
}
