//! Reads Kubernetes' protocol buffers, with no code of those that write them: fields are looked up
//! in tables, and a message becomes the JSON that the same object is written as.
//!
//! What is empty in a message (`""`, `0`, no elements) is left out, because whether JSON writes it
//! differs from field to field; [`pruned`] leaves it out of JSON too.

use std::time::Duration;

use serde_json::{Map, Value};

/// How a field's value is read.
#[derive(Clone, Copy)]
pub enum Shape {
    Text,
    Integer,
    Boolean,
    /// A message of these fields.
    Message(Schema),
    /// A `metav1.Time`.
    Time,
    /// A message whose one field, the first, is the value: a `Quantity`, a `Verbs`.
    Wrapped(&'static Shape),
    /// A `metav1.Duration`.
    Duration,
    /// A map from texts.
    Map(&'static Shape),
    /// Any number of these.
    Many(&'static Shape),
}

/// The number, JSON name and shape of each field.
pub type Schema = &'static [(u64, &'static str, Shape)];

use Shape::{Boolean, Integer, Many, Map as MapOf, Message, Text, Time, Wrapped};

const QUANTITY: Shape = Wrapped(&Text);
const TEXTS: Shape = Many(&Text);
const LABELS: Shape = MapOf(&Text);
const LIST_META: Schema = &[
    (1, "selfLink", Text),
    (2, "resourceVersion", Text),
    (3, "continue", Text),
];
const OBJECT_META: Schema = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Integer),
    (8, "creationTimestamp", Time),
    (11, "labels", LABELS),
];
const REFERENCE: Schema = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const REQUIREMENT: Schema = &[
    (1, "key", Text),
    (2, "operator", Text),
    (3, "values", TEXTS),
];
const SELECTOR: Schema = &[
    (1, "matchLabels", LABELS),
    (2, "matchExpressions", Many(&Message(REQUIREMENT))),
];
const METRIC: Schema = &[(1, "name", Text), (2, "selector", Message(SELECTOR))];
const CUSTOM_V1BETA1: Schema = &[
    (1, "describedObject", Message(REFERENCE)),
    (2, "metricName", Text),
    (3, "timestamp", Time),
    (5, "value", QUANTITY),
    (6, "selector", Message(SELECTOR)),
];
const CUSTOM_V1BETA2: Schema = &[
    (1, "describedObject", Message(REFERENCE)),
    (2, "metric", Message(METRIC)),
    (3, "timestamp", Time),
    (4, "windowSeconds", Integer),
    (5, "value", QUANTITY),
];
const EXTERNAL: Schema = &[
    (1, "metricName", Text),
    (2, "metricLabels", LABELS),
    (3, "timestamp", Time),
    (5, "value", QUANTITY),
];
const CONTAINER: Schema = &[(1, "name", Text), (2, "usage", MapOf(&QUANTITY))];
const POD: Schema = &[
    (1, "metadata", Message(OBJECT_META)),
    (2, "timestamp", Time),
    (3, "window", Shape::Duration),
    (4, "containers", Many(&Message(CONTAINER))),
];
const NODE: Schema = &[
    (1, "metadata", Message(OBJECT_META)),
    (2, "timestamp", Time),
    (3, "window", Shape::Duration),
    (4, "usage", MapOf(&QUANTITY)),
];
const PARTIAL: Schema = &[(1, "metadata", Message(OBJECT_META))];
const CAUSE: Schema = &[
    (1, "reason", Text),
    (2, "message", Text),
    (3, "field", Text),
];
const DETAILS: Schema = &[
    (1, "name", Text),
    (2, "group", Text),
    (3, "kind", Text),
    (4, "causes", Many(&Message(CAUSE))),
    (5, "retryAfterSeconds", Integer),
    (6, "uid", Text),
];
const STATUS: Schema = &[
    (1, "metadata", Message(LIST_META)),
    (2, "status", Text),
    (3, "message", Text),
    (4, "reason", Text),
    (5, "details", Message(DETAILS)),
    (6, "code", Integer),
];
const VERSION: Schema = &[(1, "groupVersion", Text), (2, "version", Text)];
const ADDRESS: Schema = &[(1, "clientCIDR", Text), (2, "serverAddress", Text)];
const GROUP: Schema = &[
    (1, "name", Text),
    (2, "versions", Many(&Message(VERSION))),
    (3, "preferredVersion", Message(VERSION)),
    (4, "serverAddressByClientCIDRs", Many(&Message(ADDRESS))),
];
const RESOURCE: Schema = &[
    (1, "name", Text),
    (2, "namespaced", Boolean),
    (3, "kind", Text),
    (4, "verbs", Wrapped(&TEXTS)),
    (5, "shortNames", TEXTS),
    (6, "singularName", Text),
    (7, "categories", TEXTS),
    (8, "group", Text),
    (9, "version", Text),
    (10, "storageVersionHash", Text),
];
const RESOURCES: Schema = &[
    (1, "groupVersion", Text),
    (2, "resources", Many(&Message(RESOURCE))),
];

/// The fields of the message that `kind` of `api_version` is.
fn schema(api_version: &str, kind: &str) -> Result<Vec<(u64, &'static str, Shape)>, String> {
    let list = |items: &'static Shape| {
        vec![
            (1, "metadata", Message(LIST_META)),
            (2, "items", Many(items)),
        ]
    };
    Ok(match (kind, api_version) {
        ("MetricValueList", "custom.metrics.k8s.io/v1beta1") => list(&Message(CUSTOM_V1BETA1)),
        ("MetricValueList", _) => list(&Message(CUSTOM_V1BETA2)),
        ("ExternalMetricValueList", _) => list(&Message(EXTERNAL)),
        ("PodMetricsList", _) => list(&Message(POD)),
        ("NodeMetricsList", _) => list(&Message(NODE)),
        ("PartialObjectMetadataList", "meta.k8s.io/v1beta1") => vec![
            (2, "metadata", Message(LIST_META)),
            (1, "items", Many(&Message(PARTIAL))),
        ],
        ("PartialObjectMetadataList", _) => list(&Message(PARTIAL)),
        ("PodMetrics", _) => POD.to_vec(),
        ("NodeMetrics", _) => NODE.to_vec(),
        ("PartialObjectMetadata", _) => PARTIAL.to_vec(),
        ("Status", "v1") => STATUS.to_vec(),
        ("APIGroup", "v1") => GROUP.to_vec(),
        ("APIGroupList", "") => vec![(1, "groups", Many(&Message(GROUP)))],
        ("APIResourceList", "v1") => RESOURCES.to_vec(),
        _ => return Err(format!("no such kind: {kind} of {api_version:?}")),
    })
}

/// An answer in its envelope, as JSON without what is empty.
///
/// # Errors
/// What is not understood: every byte must have a meaning.
pub fn decode(answer: &[u8]) -> Result<Value, String> {
    let unknown = answer.strip_prefix(b"k8s\0").ok_or("no k8s\\0")?;
    let fields = fields(unknown)?;
    let [
        (1, meta),
        (2, object),
        (3, Raw::Bytes([])),
        (4, Raw::Bytes([])),
    ] = fields.as_slice()
    else {
        return Err(format!("not an envelope: {fields:?}"));
    };
    let meta = message(&[(1, "apiVersion", Text), (2, "kind", Text)], meta.bytes()?)?;
    let text = |name: &str| meta[name].as_str().unwrap_or_default();
    let schema = schema(text("apiVersion"), text("kind"))?;
    let mut object = message(&schema, object.bytes()?)?;
    if let (Value::Object(object), Value::Object(meta)) = (&mut object, meta) {
        // Elements of lists have a kind in JSON alone.
        if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut)
            && text_of(&meta, "kind") == "PartialObjectMetadataList"
        {
            for item in items {
                item["kind"] = "PartialObjectMetadata".into();
                item["apiVersion"] = text_of(&meta, "apiVersion").into();
            }
        }
        object.extend(meta);
    }
    Ok(pruned(&object))
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// JSON without what is empty.
pub fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name, pruned(value)));
            let fields = fields.filter(|(_, value)| !is_empty(value));
            Value::Object(fields.map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(pruned).collect()),
        value => value.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A value before anybody knows what it means.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Raw::Bytes(bytes) => Ok(bytes),
            Raw::Varint(number) => Err(format!("bytes expected, got {number}")),
        }
    }
}

/// Numbers and values of the fields of a message.
///
/// # Errors
/// No message.
pub fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Raw<'_>)>, String> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Raw::Varint(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                let (value, rest) = bytes.split_at_checked(length).ok_or("cut off")?;
                bytes = rest;
                Raw::Bytes(value)
            }
            wire_type => return Err(format!("wire type {wire_type}")),
        };
        fields.push((tag >> 3, value));
    }
    Ok(fields)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("cut off")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a varint that is too long".to_owned())
}

fn message(schema: &[(u64, &'static str, Shape)], bytes: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    for (number, raw) in fields(bytes)? {
        let known = schema.iter().find(|(known, _, _)| *known == number);
        let (_, name, shape) = known.ok_or_else(|| format!("field {number}: {raw:?}"))?;
        let value = shape.read(raw).map_err(|e| format!("{name}: {e}"))?;
        match (object.get_mut(*name), value) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Object(all)), Value::Object(more)) => all.extend(more),
            (Some(twice), _) => return Err(format!("{name}: twice, first {twice}")),
            (None, value) => drop(object.insert((*name).to_owned(), value)),
        }
    }
    Ok(Value::Object(object))
}

impl Shape {
    fn read(self, raw: Raw<'_>) -> Result<Value, String> {
        if let (Integer | Boolean, Raw::Varint(number)) = (self, raw) {
            return Ok(match self {
                Boolean => (number == 1).into(),
                _ => number.cast_signed().into(),
            });
        }
        let bytes = raw.bytes()?;
        let number = |fields: &[(u64, Raw<'_>)], wanted| {
            let found = fields.iter().find(|(number, _)| *number == wanted);
            match found {
                Some((_, Raw::Varint(value))) => Ok(value.cast_signed()),
                _ => Err(format!("no number {wanted}: {fields:?}")),
            }
        };
        match self {
            Text => {
                let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
                Ok(text.into())
            }
            Message(schema) => message(schema, bytes),
            Time => {
                let fields = fields(bytes)?;
                if number(&fields, 2)? != 0 {
                    return Err("a time with nanoseconds".to_owned());
                }
                let time = jiff::Timestamp::from_second(number(&fields, 1)?);
                Ok(time.map_err(|e| e.to_string())?.to_string().into())
            }
            Wrapped(shape) => {
                let mut all = fields(bytes)?.into_iter().map(|(_, raw)| shape.read(raw));
                let first = all.next().unwrap_or(Ok(Value::Null))?;
                all.try_fold(first, |mut all, more| {
                    match (&mut all, more?) {
                        (Value::Array(all), Value::Array(more)) => all.extend(more),
                        (first, more) => return Err(format!("{first} and {more}")),
                    }
                    Ok(all)
                })
            }
            Shape::Duration => {
                let nanoseconds = number(&fields(bytes)?, 1)?;
                let nanoseconds = u64::try_from(nanoseconds).map_err(|e| e.to_string())?;
                Ok(whole_seconds(Duration::from_nanos(nanoseconds)).into())
            }
            MapOf(shape) => {
                let [(1, key), (2, value)] = fields(bytes)?[..] else {
                    return Err(format!("no entry: {bytes:?}"));
                };
                let key = std::str::from_utf8(key.bytes()?).map_err(|e| e.to_string())?;
                let entry = (key.to_owned(), shape.read(value)?);
                Ok(Value::Object(Map::from_iter([entry])))
            }
            Many(shape) => Ok(Value::Array(vec![shape.read(raw)?])),
            Integer | Boolean => Err(format!("a number expected, got {bytes:?}")),
        }
    }
}

/// Go's text for a duration that has no fractions of a second.
fn whole_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Bytes from hexadecimal digits.
pub fn from_hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap_or_default();
    digits.chunks_exact(2).map(byte).collect()
}
