//! What the clients of the cluster see: who they are, and which request goes where.

use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::backend::Answer;
use super::{GroupVersion, State, User, proxy};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let Ok(stream) = state.tls.accept(stream).await else {
                return;
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = TokioIo::new(stream);
            let service = service_fn(move |request| handle(request, peer.ip(), Arc::clone(&state)));
            // The error is the client going away.
            if is_http2 {
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(stream, service).await;
            } else {
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(stream, service).await;
            }
        });
    }
}

async fn handle(
    request: Request<Incoming>,
    peer: IpAddr,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?;
    let answer = match user(&parts.headers) {
        Some(user) => answer(&state, user, peer, &parts, body.to_bytes()).await,
        None => document(401, &status(401, "Unauthorized", "Unauthorized")),
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

fn user(headers: &HeaderMap) -> Option<&'static User> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ")?;
    User::ALL.into_iter().find(|user| user.token() == token)
}

async fn answer(state: &State, user: &User, peer: IpAddr, parts: &Parts, body: Bytes) -> Answer {
    let path = parts.uri.path();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let Some(name) = state.concerned(&segments) {
        if !state.is_available(name) {
            return proxy::text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable");
        }
        return proxy::proxy(&state.backend, user, peer, parts, body).await;
    }
    let accept = parts.headers.get(ACCEPT).and_then(|it| it.to_str().ok());
    let accept = accept.unwrap_or_default();
    match segments[..] {
        ["apis", group] if state.groups().contains(&group) => {
            let mut document = legacy_group(state, group);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            return self::document(200, &document);
        }
        ["openapi", "v3"] => return openapi(state).await,
        ["openapi", "v2"] => return openapi_v2(state, accept).await,
        _ => {}
    }
    // Kubernetes 1.35 and later have the beta form of no document any more.
    let is_discovery = matches!(segments[..], ["api" | "apis"]);
    let accept = match is_discovery && !accept.contains(";v=v2;") {
        true => "application/json",
        false => accept,
    };
    let target = parts.uri.path_and_query().map_or(path, |it| it.as_str());
    let (code, mut found) = match state
        .core
        .ask(&parts.method, target, accept, body.to_vec())
        .await
    {
        Ok(found) => found,
        Err(reason) => (500, status(500, "InternalError", &reason)),
    };
    if let (404, ["apis", group, version]) = (code, &segments[..])
        && let Some(resources) = unaggregated(state, group, version).await
    {
        return document(200, &resources);
    }
    let aggregated = found["kind"] == "APIGroupDiscoveryList";
    if path == "/apis" && code == 200 {
        merge(state, &mut found, aggregated).await;
    }
    let mut answer = document(code, &found);
    if aggregated {
        let media_type = AGGREGATED
            .parse()
            .expect("a media type is a header's value");
        answer.headers.insert(CONTENT_TYPE, media_type);
    }
    answer
}

/// The document of one version of the cluster's own, where none was recorded: the same in the old
/// form.
async fn unaggregated(state: &State, group: &str, version: &str) -> Option<Value> {
    let asked = state
        .core
        .ask(&Method::GET, "/apis", AGGREGATED, Vec::new());
    let (_, all) = asked.await.ok()?;
    let element = |list: &Value, is_it: &dyn Fn(&Value) -> bool| {
        list.as_array()?.iter().find(|it| is_it(it)).cloned()
    };
    let found = element(&all["items"], &|it| it["metadata"]["name"] == group)?;
    let found = element(&found["versions"], &|it| it["version"] == version)?;
    let resources = found["resources"].as_array()?.iter().map(|it| {
        json!({
            "name": it["resource"], "singularName": it["singularResource"],
            "namespaced": it["scope"] == "Namespaced", "kind": it["responseKind"]["kind"],
            "verbs": it["verbs"],
        })
    });
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": format!("{group}/{version}"), "resources": resources.collect::<Vec<_>>(),
    }))
}

/// The server's groups stand beside the cluster's own.
async fn merge(state: &State, found: &mut Value, aggregated: bool) {
    let list = if aggregated { "items" } else { "groups" };
    let discovery = state.discovery.lock().await;
    let fresh = state.groups().into_iter().map(|group| {
        if aggregated {
            discovery.item(group, &state.registered)
        } else {
            legacy_group(state, group)
        }
    });
    if let Some(groups) = found[list].as_array_mut() {
        groups.extend(fresh);
    }
}

/// From the API services alone (`handler_apis.go`).
fn legacy_group(state: &State, group: &str) -> Value {
    let of_group = state.registered.iter().filter(|name| name.group == group);
    let versions: Vec<Value> = of_group
        .map(|name| {
            let GroupVersion { group, version } = name;
            json!({"groupVersion": format!("{group}/{version}"), "version": version})
        })
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
}

/// The index of documents: of the cluster's own there is none, the server's are asked for as
/// `openapiv3/controller.go` asks.
async fn openapi(state: &State) -> Answer {
    let authority = state.backend.authority();
    let headers = [
        ("x-remote-user", "system:aggregator"),
        ("x-forwarded-host", authority.as_str()),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/openapi/v3"),
        ("accept-encoding", "gzip"),
    ];
    let index = match state.backend.get("/openapi/v3", &headers).await {
        Ok(answer) => serde_json::from_slice(&answer.body).unwrap_or_default(),
        Err(_reason) => Value::Null,
    };
    let mut paths = json!({});
    for GroupVersion { group, version } in &state.registered {
        let path = format!("apis/{group}/{version}");
        if let Some(entry) = index["paths"].get(&path) {
            paths[path] = entry.clone();
        }
    }
    document(200, &json!({"paths": paths}))
}

/// The older document: of the cluster's own there is none, so the server's is the whole.
async fn openapi_v2(state: &State, accept: &str) -> Answer {
    let headers = [("accept", accept), ("x-remote-user", "system:aggregator")];
    match state.backend.get("/openapi/v2", &headers).await {
        Ok(answer) => answer,
        Err(reason) => document(503, &status(503, "ServiceUnavailable", &reason)),
    }
}

fn document(code: u16, body: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    let media_type = "application/json".parse();
    headers.insert(
        CONTENT_TYPE,
        media_type.expect("a media type is a header's value"),
    );
    Answer {
        status: StatusCode::from_u16(code).expect("an own status must be one"),
        headers,
        body: Bytes::from(body.to_string()),
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}
