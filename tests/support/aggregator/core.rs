//! The API server's own part: whole objects for `kubectl`, and everything else as the fake that
//! answers the adapter has it.

use hyper::Method;
use serde_json::{Value, json};

use super::super::apiserver::ApiServer;
use super::super::https_client;

/// What a `PartialObjectMetadataList` is asked for with.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The way to the fake that answers the adapter.
pub(super) struct Core {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Core {
    pub(super) fn of(api: &ApiServer) -> Core {
        let config: Value =
            serde_json::from_str(&api.kubeconfig()).expect("the fake's kubeconfig must be JSON");
        let text = |value: &Value| {
            let text = value.as_str().expect("the fake's kubeconfig must be whole");
            text.to_owned()
        };
        Core {
            client: https_client(&api.authority.pem(), None, false),
            url: text(&config["clusters"][0]["cluster"]["server"]),
            token: api.token(),
        }
    }

    /// Status and body of a call, as an administrator gets them.
    pub(super) async fn ask(
        &self,
        method: &Method,
        target: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Value), String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if *method == Method::GET
            && let Some(place) = Place::of(path)
        {
            return self.objects(&place, query).await;
        }
        self.call(method, target, accept, body).await
    }

    /// A list, or one object of it.
    async fn objects(&self, place: &Place<'_>, query: &str) -> Result<(u16, Value), String> {
        let list = format!("{}?{query}", place.list);
        let asked = self.call(&Method::GET, &list, METADATA, Vec::new()).await?;
        let (200, mut list) = asked else {
            return Ok(asked);
        };
        let items = list["items"].as_array_mut().ok_or("no list")?;
        items.iter_mut().for_each(|item| complete(item, place.kind));
        let Some(name) = place.name else {
            let kind = format!("{}List", place.kind);
            return Ok((
                200,
                json!({"kind": kind, "apiVersion": "v1", "metadata": {}, "items": items}),
            ));
        };
        match items.iter().find(|item| item["metadata"]["name"] == name) {
            Some(item) => Ok((200, item.clone())),
            None => Ok((404, missing(place.plural, name))),
        }
    }

    async fn call(
        &self,
        method: &Method,
        target: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Value), String> {
        let request = self
            .client
            .request(method.clone(), format!("{}{target}", self.url))
            .header("accept", accept)
            .bearer_auth(&self.token)
            .body(body);
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        let body = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok((status, body))
    }
}

/// A list, or an object in it, that is asked for whole.
struct Place<'a> {
    list: &'a str,
    plural: &'a str,
    kind: &'static str,
    name: Option<&'a str>,
}

impl Place<'_> {
    fn of(path: &str) -> Option<Place<'_>> {
        let below = path.strip_prefix("/api/v1/")?;
        let segments: Vec<&str> = below.split('/').collect();
        let (plural, name) = match segments[..] {
            ["namespaces", _, plural] | [plural] => (plural, None),
            ["namespaces", _, plural, name] => (plural, Some(name)),
            [plural, name] => (plural, Some(name)),
            _ => return None,
        };
        let kind = match plural {
            "pods" => "Pod",
            "nodes" => "Node",
            "namespaces" => "Namespace",
            _ => return None,
        };
        let list = match name {
            Some(name) => &path[..path.len() - name.len() - 1],
            None => path,
        };
        Some(Place {
            list,
            plural,
            kind,
            name,
        })
    }
}

/// Makes a whole object of its metadata, healthy and of one size.
fn complete(item: &mut Value, kind: &str) {
    item["apiVersion"] = json!("v1");
    item["kind"] = json!(kind);
    item["metadata"]["creationTimestamp"] = json!("2026-11-22T12:35:47Z");
    let resources = json!({"cpu": "2", "memory": "4Gi"});
    let ready = json!([{"type": "Ready", "status": "True"}]);
    item["status"] = match kind {
        "Node" => json!({"capacity": resources, "allocatable": resources, "conditions": ready}),
        "Pod" => json!({"phase": "Running", "conditions": ready}),
        _ => json!({"phase": "Active"}),
    };
}

/// A `metav1.Status` of 404, as the recorded one.
pub(super) fn missing(plural: &str, name: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{plural} \"{name}\" not found"), "reason": "NotFound",
        "details": {"name": name, "kind": plural}, "code": 404,
    })
}
