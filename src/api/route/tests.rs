//! Recorded answers of the Go adapter, the documented special cases, and properties.

mod properties;
mod usage;

use serde::Deserialize;

use super::*;

fn get(target: &str) -> Parsed {
    request("GET", target)
}

fn request(method: &str, target: &str) -> Parsed {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(p, q)| (p, Some(q)));
    Parsed::new(method, path, query)
}

fn custom(rest: &str) -> CustomAsk {
    match get(&format!("/apis/custom.metrics.k8s.io/v1beta2/{rest}")).route {
        Route::Custom(ask) => ask,
        other => panic!("{rest}: {other:?}"),
    }
}

/// What the request is refused with, its label selectors aside.
fn refusal(parsed: &Parsed) -> Option<Refusal> {
    parsed
        .timeout
        .as_ref()
        .err()
        .cloned()
        .or_else(|| match &parsed.route {
            Route::Refused { refusal, .. } => Some(refusal.clone()),
            Route::Custom(CustomAsk { list, .. }) | Route::External(ExternalAsk { list, .. }) => {
                list.check().err()
            }
            Route::Resource(ResourceAsk { objects, .. }) => match objects {
                UsageOf::Nodes(list) | UsageOf::Pods { list, .. } => list.check().err(),
                UsageOf::Node { .. } | UsageOf::Pod { .. } => None,
            },
            _ => None,
        })
}

fn code(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::BadRequest(_) => 400,
        Refusal::NotFound => 404,
        Refusal::MethodNotAllowed | Refusal::WatchNotSupported(_) => 405,
    }
}

#[derive(Deserialize)]
struct Exchange {
    method: String,
    path: String,
    status: u16,
    kind: Option<String>,
    message: Option<String>,
}

#[test]
fn every_recorded_request_is_routed_as_the_go_adapter_did() {
    let text = include_str!("../../../tests/data/route/exchanges.jsonl");
    let mut seen = 0;
    for line in text.lines() {
        let exchange: Exchange = serde_json::from_str(line).unwrap();
        judge(&exchange);
        seen += 1;
    }
    assert!(seen > 150, "{seen} recorded requests");
}

fn judge(exchange: &Exchange) {
    let at = format!("{} {}", exchange.method, exchange.path);
    let parsed = request(&exchange.method, &exchange.path);
    let refused = refusal(&parsed);
    // Texts that other modules answer: selectors that do not parse, metrics and objects unknown.
    let elsewhere = |text: &str| {
        text.contains("the metric ")
            || text.starts_with("unable to parse requirement")
            || text.starts_with("found '")
            || text.starts_with("Internal error")
            || text.contains("valid label selector operator")
            || text.contains("media types")
            || text.ends_with("not found")
    };
    match (&exchange.message, exchange.status) {
        (Some(text), _) if elsewhere(text) => assert_eq!(refused, None, "{at}"),
        (Some(text), status) => {
            let refused = refused.unwrap_or_else(|| panic!("{at}: not refused: {parsed:?}"));
            assert_eq!(
                (refused.to_string(), code(&refused)),
                (text.clone(), status),
                "{at}"
            );
        }
        (None, 405) => assert_eq!(refused, Some(Refusal::MethodNotAllowed), "{at}"),
        (None, 404) => {
            assert_eq!(exchange.kind.as_deref(), Some("paths"), "{at}");
            let unknown_check =
                matches!(&parsed.route, Route::Health(Health { check: Some(_), .. }));
            assert!(
                parsed.route == Route::Unknown || unknown_check,
                "{at}: {parsed:?}"
            );
        }
        (None, status) => {
            assert_eq!((status, refused), (200, None), "{at}");
            let kind = served_kind(&parsed.route);
            assert!(
                kind.is_none() || kind == exchange.kind.as_deref(),
                "{at}: {kind:?}"
            );
        }
    }
}

/// The kind of body a route answers with; `None` where it has none, or the client chose.
fn served_kind(route: &Route) -> Option<&'static str> {
    match route {
        Route::External(_) => Some("ExternalMetricValueList"),
        Route::Resource(ask) => Some(match ask.objects {
            UsageOf::Nodes(_) => "NodeMetricsList",
            UsageOf::Node { .. } => "NodeMetrics",
            UsageOf::Pods { .. } => "PodMetricsList",
            UsageOf::Pod { .. } => "PodMetrics",
        }),
        Route::Custom(_) => Some("MetricValueList"),
        Route::Discovery(Discovery::Groups) => Some("APIGroupList"),
        Route::Discovery(Discovery::Group(_)) => Some("APIGroup"),
        Route::Discovery(Discovery::Resources(_)) => Some("APIResourceList"),
        Route::Index => Some("paths"),
        Route::Unknown | Route::Refused { .. } => Some("an error"),
        _ => None,
    }
}

#[test]
fn an_object_metric_keeps_what_the_client_wrote() {
    let ask = custom("namespaces/shop/Deployments.apps/web/backlog?labelSelector=a%3Db");
    assert_eq!(ask.namespace.as_deref(), Some("shop"));
    assert_eq!(ask.resource, "Deployments.apps");
    assert_eq!(ask.objects, Objects::Named("web".to_owned()));
    assert_eq!(ask.metric, "backlog");
    assert_eq!(ask.list.label_selector, "a=b");
    let ask = custom("nodes/%2A/temp/?metricLabelSelector=zone+in+(a,b)");
    assert_eq!((ask.namespace, ask.objects), (None, Objects::Selected));
    assert_eq!(ask.metric_label_selector, "zone in (a,b)");
}

#[test]
fn segments_are_decoded_after_they_are_split() {
    let ask = custom("namespaces/shop/pods/web%2Fa/m%20n");
    assert_eq!(ask.objects, Objects::Named("web/a".to_owned()));
    assert_eq!(ask.metric, "m n");
}

#[test]
fn a_metric_of_a_namespace_has_no_namespace() {
    let ask = custom("namespaces/shop/metrics/budget");
    assert_eq!(
        (ask.namespace, ask.resource),
        (None, "namespaces".to_owned())
    );
    assert_eq!(ask.objects, Objects::Named("shop".to_owned()));
    assert_eq!(ask.metric, "budget");
    assert_eq!(
        custom("namespaces/*/metrics/budget").objects,
        Objects::Selected
    );
}

/// A role on `*/x` may read the metric x of everything, and no other metric.
#[test]
fn nothing_is_answered_as_another_metric_than_it_is_reviewed_as() {
    let base = "/apis/custom.metrics.k8s.io/v1beta2";
    let parsed = get(&format!("{base}/namespaces/shop/metrics/budget/x"));
    assert_eq!(refusal(&parsed), Some(Refusal::NotFound));
    let reviewed = parsed.attributes.resource.unwrap();
    assert_eq!(
        (reviewed.resource.as_str(), reviewed.subresource.as_str()),
        ("metrics", "x")
    );
}

/// `watch/` and `proxy/` are verbs of old paths; a metric is not read by them.
#[test]
fn a_path_that_begins_with_a_verb_is_reviewed_as_that_verb_and_leads_nowhere() {
    let base = "/apis/custom.metrics.k8s.io/v1beta2";
    for verb in ["watch", "proxy"] {
        let parsed = get(&format!("{base}/{verb}/namespaces/shop/pods/web-a/depth"));
        assert_eq!(parsed.attributes.verb, verb);
        assert_eq!(
            parsed.attributes.resource.as_ref().unwrap().resource,
            "pods"
        );
        assert_eq!(refusal(&parsed), Some(Refusal::NotFound), "{verb}");
        let parsed = get(&format!("{base}/{verb}/nodes/n"));
        assert_eq!(parsed.attributes.verb, verb);
        assert_eq!(code(&refusal(&parsed).unwrap()), 400, "{verb}");
    }
    let head = request("HEAD", &format!("{base}/nodes/n/load"));
    assert_eq!(head.attributes.verb, "get");
    let head = request("HEAD", "/apis/metrics.k8s.io/v1beta1/pods");
    assert_eq!(head.attributes.verb, "list");
}

#[test]
fn status_and_finalize_are_metrics_of_the_namespace_in_the_namespace() {
    for metric in ["status", "finalize"] {
        let ask = custom(&format!("namespaces/shop/{metric}"));
        assert_eq!(ask.namespace.as_deref(), Some("shop"));
        assert_eq!(
            (ask.resource.as_str(), ask.metric.as_str()),
            ("namespaces", metric)
        );
        assert_eq!(ask.objects, Objects::Named("shop".to_owned()));
    }
}

#[test]
fn empty_segments_are_not_found_and_leading_slashes_are_nobodys() {
    let refused = |path: &str| refusal(&get(path));
    let base = "/apis/custom.metrics.k8s.io/v1beta2";
    assert_eq!(
        refused(&format!("{base}//nodes/n/m")),
        Some(Refusal::NotFound)
    );
    assert_eq!(
        refused(&format!("{base}/nodes//m")),
        Some(Refusal::NotFound)
    );
    assert_eq!(refused(&format!("{base}/nodes/n/m//")), None);
    assert_eq!(get("//apis").route, Route::Unknown);
    assert_eq!(get("/apis//").route, Route::Unknown);
    assert_eq!(get("/healthz/").route, Route::Unknown);
    assert_eq!(get("").route, Route::Unknown);
    assert_eq!(get("*").route, Route::Unknown);
}

#[test]
fn a_method_is_refused_only_where_the_path_exists() {
    assert_eq!(
        refusal(&request("POST", "/apis")),
        Some(Refusal::MethodNotAllowed)
    );
    assert_eq!(
        refusal(&request("HEAD", "/version")),
        Some(Refusal::MethodNotAllowed)
    );
    let path = "/apis/metrics.k8s.io/v1beta1/nodes/a/b";
    assert_eq!(refusal(&request("DELETE", path)), Some(Refusal::NotFound));
    let path = "/apis/metrics.k8s.io/v1beta1/pods?limit=x";
    assert_eq!(
        refusal(&request("PUT", path)),
        Some(Refusal::MethodNotAllowed)
    );
    assert!(matches!(request("HEAD", "/livez").route, Route::Health(_)));
}

#[test]
fn a_field_selector_may_only_repeat_the_name() {
    let check = |rest: &str| custom(rest).list.check().map_err(|e| e.to_string());
    assert_eq!(
        check("namespaces/s/pods/a/m?fieldSelector=metadata.name%3Da"),
        Ok(())
    );
    assert_eq!(check("namespaces/s/pods/a/m?fieldSelector="), Ok(()));
    let mismatch = Err("fieldSelector metadata.name doesn't match requested name".to_owned());
    for selector in [
        "metadata.name%3Db",
        "metadata.name!%3Da",
        "metadata.namespace%3Ds",
    ] {
        assert_eq!(
            check(&format!("namespaces/s/pods/a/m?fieldSelector={selector}")),
            mismatch
        );
    }
    let unknown = check("nodes/a/m?fieldSelector=spec.x%3D1,metadata.name%3Db");
    let text = "\"spec.x\" is not a known field selector: only \"metadata.name\", \
                \"metadata.namespace\"";
    assert_eq!(unknown, Err(text.to_owned()));
    let text = "invalid selector: 'foo'; can't understand 'foo'";
    assert_eq!(check("nodes/a/m?fieldSelector=foo"), Err(text.to_owned()));
    let text = "invalid field selector: invalid escape sequence: \\x";
    assert_eq!(
        check(r"nodes/a/m?fieldSelector=metadata.name%3D\x"),
        Err(text.to_owned())
    );
}

#[test]
fn a_watch_is_refused_where_the_go_adapter_refuses_it() {
    let external = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag?watch=1";
    let text = "watch is not supported on resources of kind \"*.external.metrics.k8s.io\"";
    let parsed = get(external);
    assert_eq!(refusal(&parsed).unwrap().to_string(), text);
    assert_eq!(parsed.attributes.verb, "watch");
    let unknown = format!("{external}&fieldSelector=a%3Db");
    assert_eq!(code(&refusal(&get(&unknown)).unwrap()), 400);
    let off = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag?watch=False";
    assert_eq!(refusal(&get(off)), None);
}

#[test]
fn a_timeout_is_a_go_duration() {
    let timeout = |query: &str| get(&format!("/apis?timeout={query}")).timeout;
    let text = "invalid timeout specified in the request URL - time: invalid duration \"abc\"";
    assert_eq!(timeout("abc"), Err(Refusal::BadRequest(text.to_owned())));
    assert_eq!(timeout("1.5s"), Ok(Some(Duration::from_millis(1500))));
    for none in ["", "0s", "-3s"] {
        assert_eq!(timeout(none), Ok(None), "{none}");
    }
}

#[test]
fn numbers_are_judged_before_selectors() {
    let parsed = get("/apis/metrics.k8s.io/v1beta1/pods?limit=many&fieldSelector=a%3Db");
    let text = "strconv.ParseInt: parsing \"many\": invalid syntax";
    assert_eq!(refusal(&parsed), Some(Refusal::BadRequest(text.to_owned())));
}

#[test]
fn unreadable_query_pieces_vanish() {
    let query = "a;b=1&labelSelector=%zz&labelSelector=x+y&pretty=perhaps";
    let parsed = Parsed::new("GET", "/apis/metrics.k8s.io/v1beta1/nodes", Some(query));
    let Route::Resource(ResourceAsk {
        objects: UsageOf::Nodes(list),
        ..
    }) = parsed.route
    else {
        panic!("not nodes")
    };
    assert_eq!(list.label_selector, "x y");
    assert_eq!(parsed.pretty, Some(false));
    assert_eq!(get("/apis?pretty=1").pretty, Some(true));
    assert_eq!(get("/apis?pretty=").pretty, None);
}

#[test]
fn health_knows_checks_and_options() {
    let Route::Health(health) = get("/readyz/poststarthook/x?verbose&exclude=a&exclude=b").route
    else {
        panic!("not health");
    };
    assert_eq!(health.probe, Probe::Readyz);
    assert_eq!(health.check.as_deref(), Some("poststarthook/x"));
    assert!(health.verbose);
    assert_eq!(health.exclude, ["a", "b"]);
}

#[test]
fn a_broken_escape_is_refused_and_still_has_attributes() {
    let parsed = get("/apis/custom.metrics.k8s.io/v1beta2/nodes/%zz/m");
    assert_eq!(code(&refusal(&parsed).unwrap()), 400);
    assert_eq!(parsed.attributes.resource, None);
    assert_eq!(parsed.attributes.verb, "get");
}

fn asked(method: &str, path: &str) -> (String, String) {
    let attributes = request(method, path).attributes;
    let r = attributes.resource.unwrap();
    let text = [r.group, r.namespace, r.resource, r.subresource, r.name].join(" ");
    (attributes.verb, text)
}

#[test]
fn attributes_are_those_of_the_recorded_access_reviews() {
    let base = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";
    let group = "custom.metrics.k8s.io shop";
    let of = |method: &str, rest: &str| asked(method, &format!("{base}/{rest}"));
    let want = |verb: &str, rest: &str| (verb.to_owned(), format!("{group} {rest}"));
    assert_eq!(
        of("GET", "pods/web-a/queue"),
        want("get", "pods queue web-a")
    );
    assert_eq!(of("GET", "pods/*/queue"), want("get", "pods queue *"));
    assert_eq!(
        of("POST", "pods/web-a/queue"),
        want("create", "pods queue web-a")
    );
    assert_eq!(
        of("OPTIONS", "pods/web-a/queue"),
        want("", "pods queue web-a")
    );
    assert_eq!(
        of("GET", "metrics/ns_budget"),
        want("get", "metrics  ns_budget")
    );
    for sub in ["status", "finalize"] {
        let own = format!("namespaces {sub} shop");
        assert_eq!(of("GET", sub), want("get", &own));
        // An external metric of that name, too.
        let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/{sub}");
        let text = format!("external.metrics.k8s.io shop {own}");
        assert_eq!(asked("GET", &path), ("get".to_owned(), text));
    }
    assert_eq!(of("PUT", "pods/a/m"), want("update", "pods m a"));
    assert_eq!(of("PATCH", "pods/a/m"), want("patch", "pods m a"));
    assert_eq!(of("DELETE", "pods/a/m"), want("delete", "pods m a"));
    assert_eq!(of("GET", "pods"), want("list", "pods  "));
    assert_eq!(of("DELETE", "pods"), want("deletecollection", "pods  "));
    let external = asked(
        "GET",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag",
    );
    assert_eq!(
        external,
        (
            "list".to_owned(),
            "external.metrics.k8s.io shop lag  ".to_owned()
        )
    );
    let watched = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag?watch=true";
    assert_eq!(asked("GET", watched).0, "watch");
    let pod = "/apis/metrics.k8s.io/v1beta1/pods?fieldSelector=metadata.name%3Dweb-a";
    assert_eq!(
        asked("GET", pod),
        ("list".to_owned(), "metrics.k8s.io  pods  web-a".to_owned())
    );
    for path in [
        "/metrics",
        "/apis",
        "/apis/custom.metrics.k8s.io/v1beta2",
        "/nope/a/b/c/d",
    ] {
        assert_eq!(get(path).attributes.resource, None, "{path}");
    }
}
