//! What is chosen for which header, at each kind of endpoint.

use hyper::header::HeaderValue;
use proptest::prelude::*;

use super::clause::{CLAUSES_MAX, sorted};
use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn json(conversion: Option<Conversion>) -> Result<Form, NotAcceptable> {
    Ok(Form {
        conversion,
        ..Form::default()
    })
}

#[test]
fn json_is_chosen_where_the_client_leaves_it_open() {
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/json, */*",
        "application/json;charset=utf-8;unknown=1",
        "application/json;stream=watch",
    ] {
        for offer in [Offer::Document, Offer::Groups, Offer::Metrics, Offer::Usage] {
            assert_eq!(negotiate(accept, offer), json(None), "{accept:?}");
        }
    }
}

/// go-restful compares whole media types before anything is negotiated.
#[test]
fn what_no_route_produces_is_refused_with_the_list_of_what_it_does() {
    for accept in [
        "application/xml",
        "text/html",
        "application/cbor",
        "application/*",
        "*",
        ";",
        "Application/JSON",
    ] {
        for (offer, streams) in [
            (Offer::Document, false),
            (Offer::Groups, false),
            (Offer::Usage, false),
            (Offer::UsageList, true),
            (Offer::Metrics, true),
        ] {
            let refused = Err(NotAcceptable::Route { streams });
            assert_eq!(negotiate(accept, offer), refused, "{accept:?}");
        }
    }
}

#[test]
fn a_clause_that_the_endpoint_cannot_serve_is_passed_over() {
    for accept in [
        format!("{TABLE},application/json"),
        format!("{AGGREGATED},application/json"),
        "application/json;sv=v2,application/json".to_owned(),
        "application/json;stream=other,application/json".to_owned(),
    ] {
        assert_eq!(negotiate(&accept, Offer::Metrics), json(None), "{accept}");
        let error = negotiate_error(&accept);
        assert_eq!(Ok(error), json(None), "{accept}");
    }
    for accept in [TABLE, AGGREGATED, "application/json;v=v1"] {
        let refused = Err(NotAcceptable::Object);
        assert_eq!(negotiate(accept, Offer::Metrics), refused, "{accept}");
        assert!(negotiate_error(accept).pretty, "{accept}");
    }
}

#[test]
fn usage_is_also_served_as_a_table_or_as_metadata() {
    let table = |version| Conversion::Table(version, Include::Metadata);
    for (accept, expected) in [
        (TABLE, table(MetaVersion::V1)),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,\
             application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            table(MetaVersion::V1),
        ),
        (
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io;sv=v1",
            table(MetaVersion::V1Beta1),
        ),
        (
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            Conversion::Metadata(MetaVersion::V1),
        ),
        (
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            Conversion::MetadataList(MetaVersion::V1),
        ),
    ] {
        for offer in [Offer::Usage, Offer::UsageList] {
            assert_eq!(negotiate(accept, offer), json(Some(expected)), "{accept}");
        }
    }
    for accept in [
        "application/json;as=Table",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Pod;v=v1;g=meta.k8s.io",
        AGGREGATED,
    ] {
        let refused = Err(NotAcceptable::Object);
        assert_eq!(negotiate(accept, Offer::UsageList), refused, "{accept}");
    }
}

/// `aggregated/wrapper.go` looks for it before anything else is considered.
#[test]
fn aggregated_discovery_goes_before_the_legacy_document_wherever_it_stands() {
    let v2 = json(Some(Conversion::Discovery(DiscoveryVersion::V2)));
    let v2beta1 = json(Some(Conversion::Discovery(DiscoveryVersion::V2Beta1)));
    let old = AGGREGATED.replace("v=v2", "v=v2beta1");
    let unknown = AGGREGATED.replace("v=v2", "v=v9");
    for (accept, expected) in [
        (AGGREGATED.to_owned(), v2),
        (format!("{AGGREGATED};profile=nopeer"), v2),
        (format!("{AGGREGATED},{old}"), v2),
        (format!("{old},{AGGREGATED}"), v2beta1),
        (format!("{AGGREGATED};q=0.5,{old}"), v2beta1),
        (format!("application/json,{AGGREGATED};q=0.1"), v2),
        (format!("{unknown},{old}"), v2beta1),
        (format!("{unknown},application/json"), json(None)),
        (unknown, Err(NotAcceptable::Object)),
    ] {
        assert_eq!(negotiate(&accept, Offer::Groups), expected, "{accept}");
    }
}

#[test]
fn each_encoding_is_chosen_by_quality_then_by_the_order_of_the_client_then_of_the_server() {
    for (accept, encoding) in [
        ("application/yaml", Encoding::Yaml),
        ("application/vnd.kubernetes.protobuf", Encoding::Protobuf),
        (
            "application/vnd.kubernetes.protobuf, */*",
            Encoding::Protobuf,
        ),
        (
            "application/vnd.kubernetes.protobuf,application/json",
            Encoding::Protobuf,
        ),
        (
            "application/json,application/vnd.kubernetes.protobuf",
            Encoding::Json,
        ),
        ("application/json;q=0.1,application/yaml", Encoding::Yaml),
        ("application/*,application/yaml", Encoding::Yaml),
        ("application/*,application/yaml;q=0.9", Encoding::Yaml),
        ("text/html,*/*", Encoding::Json),
        (
            "application/yaml;stream=watch,application/json;q=0.1",
            Encoding::Json,
        ),
    ] {
        let form = negotiate(accept, Offer::Metrics).map(|form| form.encoding);
        assert_eq!(form, Ok(encoding), "{accept}");
        assert_eq!(negotiate_error(accept).encoding, encoding, "{accept}");
    }
}

/// `RequestScope.AllowsMediaTypeTransform`: JSON and YAML only.
#[test]
fn no_table_is_written_in_protocol_buffers() {
    let protobuf = TABLE.replace("json", "vnd.kubernetes.protobuf");
    let refused = Err(NotAcceptable::Object);
    assert_eq!(negotiate(&protobuf, Offer::UsageList), refused);
    let both = format!("{protobuf},{TABLE}");
    let form = negotiate(&both, Offer::UsageList).unwrap();
    assert_eq!(form.encoding, Encoding::Json);
    let yaml = TABLE.replace("json", "yaml");
    let form = negotiate(&yaml, Offer::UsageList).unwrap();
    let table = Conversion::Table(MetaVersion::V1, Include::Metadata);
    assert_eq!(
        (form.encoding, form.conversion),
        (Encoding::Yaml, Some(table))
    );
}

fn asked(path: &str, query: &str, content_type: Option<&'static str>) -> Result<Form, u16> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert("content-type", HeaderValue::from_static(content_type));
    }
    let request = Parsed::new("GET", path, Some(query));
    form(&request, &headers, TABLE).map_err(|failure| failure.code())
}

/// go-restful's `Consumes`: `*/*` for metrics, the three encodings for discovery.
#[test]
fn discovery_refuses_bodies_that_nobody_reads_and_metrics_take_any() {
    let accepted = |path: &str, content_type| {
        let request = Parsed::new("GET", path, None);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        form(&request, &headers, "*/*").map_err(|failure| failure.code())
    };
    for path in [
        "/apis",
        "/apis/custom.metrics.k8s.io",
        "/apis/metrics.k8s.io/v1beta1",
    ] {
        assert_eq!(accepted(path, "text/plain"), Err(415), "{path}");
        assert_eq!(
            accepted(path, "application/octet-stream"),
            Err(415),
            "{path}"
        );
        assert!(
            accepted(path, "application/json; charset=utf-8").is_ok(),
            "{path}"
        );
        assert!(accepted(path, "").is_ok(), "{path}");
    }
    for path in [
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag",
    ] {
        assert!(accepted(path, "text/plain").is_ok(), "{path}");
    }
}

#[test]
fn a_table_comes_with_what_include_object_names() {
    let nodes = "/apis/metrics.k8s.io/v1beta1/nodes";
    let include = |query| asked(nodes, query, None).map(|form| form.conversion);
    let table = |include| Ok(Some(Conversion::Table(MetaVersion::V1, include)));
    assert_eq!(include(""), table(Include::Metadata));
    assert_eq!(include("includeObject=Metadata"), table(Include::Metadata));
    assert_eq!(include("includeObject=None"), table(Include::None));
    assert_eq!(include("includeObject=Object"), table(Include::Object));
    assert_eq!(include("includeObject=All"), Err(400));
}

#[test]
fn a_clause_can_ask_for_indentation() {
    let pretty = |accept| negotiate(accept, Offer::Metrics).map(|form| form.pretty);
    assert_eq!(pretty("application/json;pretty=1"), Ok(true));
    assert_eq!(pretty("application/json;pretty=0"), Ok(false));
}

/// By goautoneg's `Less`, which contradicts itself, and the insertion that `sort.Sort` does for
/// few.
#[test]
fn clauses_are_sorted_as_in_go() {
    let order = |header| {
        let names = sorted(header).into_iter();
        names
            .map(|clause| {
                let known = ["a/b", "a/c", "x/y"];
                known
                    .into_iter()
                    .find(|name| clause.takes(name))
                    .unwrap_or("")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(order("a/c;q=0.1, a/b"), ["a/b", "a/c"]);
    assert_eq!(order("a/c, a/b"), ["a/c", "a/b"]);
    assert_eq!(order("a/*, a/c"), ["a/c", "a/b"]);
    // Each of the two is before the other: the last one written wins.
    assert_eq!(order("x/y;q=0.1, */*;q=0.9"), ["a/b", "x/y"]);
    assert_eq!(order("*/*;q=0.9, x/y;q=0.1"), ["x/y", "a/b"]);
    // What is no media range is left out; a quality that is no number is 0.
    assert_eq!(order("a/c;q=much, a, a/b/c, a/b;q=0.01"), ["a/b", "a/c"]);
}

#[test]
fn several_headers_are_one_list() {
    let mut headers = HeaderMap::new();
    assert_eq!(header(&headers), "");
    headers.append(ACCEPT, HeaderValue::from_static("text/html"));
    headers.append(ACCEPT, HeaderValue::from_static("*/*"));
    assert_eq!(header(&headers), "text/html,*/*");
}

proptest! {
    #[test]
    fn any_header_is_negotiated(accept in "([a-z*/;=,. ]|json|application|q=)*") {
        for offer in [Offer::Groups, Offer::Metrics, Offer::UsageList] {
            let _ = negotiate(&accept, offer);
        }
        negotiate_error(&accept);
        prop_assert!(sorted(&accept).len() <= CLAUSES_MAX);
    }
}
