//! APIServices, as far as their `caBundle` matters: read, and changed by merge patches that name
//! the version they were made of.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use super::Call;
use super::answers::refusal;

/// Where they are.
pub(super) const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices/";

/// Those that there are, by name.
#[derive(Default)]
pub(super) struct ApiServices {
    objects: BTreeMap<String, Value>,
    /// How many of the next changes find that somebody was faster.
    pub(super) conflicts: usize,
}

impl ApiServices {
    /// Registers `v1beta1.custom.metrics.k8s.io`; `spec` has what matters of it.
    pub(super) fn add(&mut self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": name, "resourceVersion": "1"}, "spec": spec,
        });
        self.objects.insert(name.to_owned(), object);
    }

    pub(super) fn annotate(&mut self, name: &str, annotation: &str, value: &str) {
        let object = self.objects.get_mut(name);
        let object = object.expect("an APIService must be there to be annotated");
        object["metadata"]["annotations"][annotation] = json!(value);
    }

    pub(super) fn spec(&self, name: &str) -> Value {
        self.objects[name]["spec"].clone()
    }

    /// Status and body.
    pub(super) fn answer(&mut self, call: &Call) -> (u16, Value) {
        let name = call.path.strip_prefix(PATH).unwrap_or_default();
        let Some(object) = self.objects.get_mut(name) else {
            let text = format!("apiservices.apiregistration.k8s.io \"{name}\" not found");
            return refusal(404, &text);
        };
        match call.method {
            Method::GET => return (200, object.clone()),
            Method::PATCH => {}
            _ => return refusal(405, "the server does not allow this method"),
        }
        let version = object["metadata"]["resourceVersion"].clone();
        if self.conflicts > 0 || call.body["metadata"]["resourceVersion"] != version {
            self.conflicts = self.conflicts.saturating_sub(1);
            return refusal(
                409,
                "the object has been modified; please apply your changes",
            );
        }
        let mut changed = object.clone();
        merge(&mut changed, &call.body);
        let bundle = changed["spec"]["caBundle"].as_str().unwrap_or_default();
        if changed["spec"]["insecureSkipTLSVerify"] == true && !bundle.is_empty() {
            return refusal(
                422,
                "spec.insecureSkipTLSVerify: may not be true if caBundle is set",
            );
        }
        let next: u64 = version
            .as_str()
            .and_then(|it| it.parse().ok())
            .unwrap_or_default();
        changed["metadata"]["resourceVersion"] = json!((next + 1).to_string());
        *object = changed;
        (200, object.clone())
    }
}

/// JSON Merge Patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.as_object_mut().and_then(|it| it.remove(key));
            }
            value => merge(&mut target[key], value),
        }
    }
}
