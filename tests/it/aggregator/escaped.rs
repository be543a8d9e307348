//! The aggregator of these tests writes paths, queries and headers as Go does.

use crate::support::aggregator::escape::{header_key, path, query};

#[test]
fn a_path_is_written_as_go_writes_it() {
    let pods = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";
    for (decoded, written) in [
        ("/*/m", "/%2A/m"),
        ("/a b/(c)!'", "/a%20b/%28c%29%21%27"),
        ("/a:b@c;d,e=f&g+h$i", "/a:b@c;d,e=f&g+h$i"),
        ("/a?b#c%d", "/a%3Fb%23c%25d"),
        ("/é/", "/%C3%A9/"),
    ] {
        let all = format!("{pods}{decoded}");
        assert_eq!(path(all.as_bytes()), format!("{pods}{written}"));
    }
}

#[test]
fn a_query_is_written_sorted_and_without_what_go_cannot_parse() {
    for (raw, written) in [
        ("", ""),
        ("b=2&a=1&b=1", "a=1&b=2&b=1"),
        (
            "labelSelector=app%20in%20(a,b)",
            "labelSelector=app+in+%28a%2Cb%29",
        ),
        ("labelSelector=a%3Db&x;y=1&z=%zz", "labelSelector=a%3Db"),
        ("watch", "watch="),
        ("a=*~-_.", "a=%2A~-_."),
    ] {
        assert_eq!(query(raw), written, "{raw}");
    }
}

#[test]
fn a_header_key_keeps_what_a_token_may_hold() {
    let key = "authentication.kubernetes.io/credential-id";
    let written = "authentication.kubernetes.io%2Fcredential-id";
    assert_eq!(header_key(key), written);
    assert_eq!(header_key("a%b é"), "a%25b%20%C3%A9");
}
