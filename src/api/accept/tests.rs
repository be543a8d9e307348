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
    let table = Conversion::Table;
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
