//! How a client wants what we write: in which encoding, as which object, and for whose eyes.
//!
//! Promises: the choice is that of Go's servers, which ask twice. First go-restful decides whether
//! a route has anything to offer (`Route.matchesAccept`: whole media types or `*/*`, so that
//! `application/*` is refused). Then apiserver chooses
//! (`k8s.io/apiserver/pkg/endpoints/handlers/negotiation`): the client's clauses in goautoneg's
//! order, and for each the first encoding in the server's own order. A clause that the endpoint
//! cannot serve is passed over; parameters that nobody knows are ignored.

use hyper::header::{ACCEPT, CONNECTION, HeaderMap, UPGRADE, USER_AGENT};

use super::route::Parsed;
use super::status::Failure;
use super::wire::Form;
use clause::Clause;
pub(super) use exposition::exposition;
pub(super) use offer::Offer;

/// `Accept` headers, taken apart.
mod clause;
/// The formats of our own metrics.
mod exposition;
/// What each endpoint can be asked for.
mod offer;
#[cfg(test)]
mod tests;

/// Whether the client wants to go on in another protocol, such as a WebSocket. HTTP/2 does not
/// count: who prefers it is content with what it speaks already.
pub(super) fn asks_to_upgrade(headers: &HeaderMap) -> bool {
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    has(CONNECTION, "upgrade") && headers.contains_key(UPGRADE) && !has(UPGRADE, "h2c")
}

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/json`
    #[default]
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

impl Encoding {
    /// In the server's order of preference.
    const ALL: [Encoding; 3] = [Encoding::Json, Encoding::Yaml, Encoding::Protobuf];

    /// As `Accept` and `Content-Type` name it.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// Whether Go has a form of it for watches.
    fn streams(self) -> bool {
        match self {
            Encoding::Json | Encoding::Protobuf => true,
            Encoding::Yaml => false,
        }
    }
}

/// Another object than the endpoint's own, which a client asks for by `as`, `g` and `v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// `as=Table;g=meta.k8s.io`: rows and columns, as `kubectl get` prints them.
    Table(MetaVersion, Include),
    /// `as=PartialObjectMetadata;g=meta.k8s.io`: nothing but an object's metadata.
    Metadata(MetaVersion),
    /// `as=PartialObjectMetadataList;g=meta.k8s.io`: nothing but the metadata of a list's objects.
    MetadataList(MetaVersion),
    /// `as=APIGroupDiscoveryList;g=apidiscovery.k8s.io`: all groups in one document.
    Discovery(DiscoveryVersion),
}

/// What comes with each row of a table (`?includeObject=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Include {
    /// `None`
    None,
    /// `Metadata`
    #[default]
    Metadata,
    /// `Object`
    Object,
}

/// A version of `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetaVersion {
    /// `v1beta1`
    V1Beta1,
    /// `v1`
    V1,
}

impl Include {
    /// `ValidateTableOptions`.
    fn parse(text: &str) -> Result<Include, Failure> {
        match text {
            "None" => Ok(Include::None),
            "Metadata" | "" => Ok(Include::Metadata),
            "Object" => Ok(Include::Object),
            _ => Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: \
                 {text:?}: must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

impl MetaVersion {
    /// As objects name it.
    pub(super) fn api_version(self) -> &'static str {
        match self {
            MetaVersion::V1Beta1 => "meta.k8s.io/v1beta1",
            MetaVersion::V1 => "meta.k8s.io/v1",
        }
    }
}

/// A version of `apidiscovery.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiscoveryVersion {
    /// `v2beta1`, which aggregators of Kubernetes 1.27 to 1.29 ask for.
    V2Beta1,
    /// `v2`
    V2,
}

/// Nothing that the client takes can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAcceptable {
    /// No clause names an encoding of the route; it has these, and for some endpoints these for
    /// watches too.
    Route {
        /// Whether the forms for watches are named.
        streams: bool,
    },
    /// Clauses do, but want another object than the endpoint has.
    Object,
    /// None is among these, which are all that there is of a document.
    Document(&'static [&'static str]),
}

impl std::fmt::Display for NotAcceptable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = Encoding::ALL.map(|encoding| encoding.media_type().to_owned());
        let (text, mut types) = match self {
            NotAcceptable::Route { .. } => {
                let text = "406: Not Acceptable\n\nAvailable representations";
                (text, Vec::from(plain))
            }
            NotAcceptable::Object => {
                let text = "only the following media types are accepted";
                (text, Vec::from(plain))
            }
            NotAcceptable::Document(types) => {
                let text = "only the following media types are accepted";
                (text, types.iter().map(|it| (*it).to_owned()).collect())
            }
        };
        if let NotAcceptable::Route { streams: true } = self {
            let streams = Encoding::ALL.into_iter().filter(|it| it.streams());
            types.extend(streams.map(|it| format!("{};stream=watch", it.media_type())));
        }
        write!(f, "{text}: {}", types.join(", "))
    }
}

/// What to write for a request with these `Accept` headers, joined by [`header`]; or, in Go's
/// order, 415 for a body that nobody reads, 406, and 400 for a table with unknown options.
pub(super) fn form(request: &Parsed, headers: &HeaderMap, accept: &str) -> Result<Form, Failure> {
    let Some(offer) = Offer::of(&request.route) else {
        return Ok(Form::default());
    };
    if !offer.reads(headers) {
        return Err(Failure::unsupported_media_type());
    }
    let mut form = negotiate(accept, offer).map_err(Failure::not_acceptable)?;
    if let Some(Conversion::Table(_, include)) = &mut form.conversion {
        *include = Include::parse(&request.include_object)?;
    }
    Ok(form)
}

/// What to write for these `Accept` headers at an endpoint with this offer.
pub(super) fn negotiate(accept: &str, offer: Offer) -> Result<Form, NotAcceptable> {
    if accept.is_empty() {
        return Ok(Form::default());
    }
    if !accept.split(',').any(is_produced) {
        let streams = matches!(offer, Offer::Metrics | Offer::UsageList);
        return Err(NotAcceptable::Route { streams });
    }
    let clauses = clause::sorted(accept);
    let aggregated = (offer == Offer::Groups)
        .then(|| choose(&clauses, discovery))
        .flatten();
    aggregated
        .or_else(|| match offer {
            Offer::Usage | Offer::UsageList => choose(&clauses, meta),
            Offer::Document | Offer::Groups | Offer::Metrics => choose(&clauses, itself),
        })
        .ok_or(NotAcceptable::Object)
}

/// Of media types in the server's order, the one that the client likes best
/// (`k8s.io/kube-openapi/pkg/handler`).
pub(super) fn media_type(accept: &str, offered: &[&'static str]) -> Option<&'static str> {
    let taken = |clause: &Clause<'_>| offered.iter().copied().find(|it| clause.takes(it));
    match accept.is_empty() {
        true => offered.first().copied(),
        false => clause::sorted(accept).iter().find_map(taken),
    }
}

/// What to write an error in. It is written in any case: indented JSON is what Go falls back to.
pub(super) fn negotiate_error(accept: &str) -> Form {
    let fallback = Form {
        pretty: true,
        ..Form::default()
    };
    if accept.is_empty() {
        return Form::default();
    }
    choose(&clause::sorted(accept), itself).unwrap_or(fallback)
}

/// The `Accept` headers of a request as one list (RFC 9110, section 5.3).
pub(super) fn header(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers
        .get_all(ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    values.join(",")
}

/// Go's servers indent for these (`negotiation.isPrettyPrint`).
pub(super) fn is_person(headers: &HeaderMap) -> bool {
    let agent = headers
        .get(USER_AGENT)
        .map(hyper::header::HeaderValue::as_bytes)
        .unwrap_or_default();
    [&b"curl"[..], b"Wget", b"Mozilla/5.0"]
        .iter()
        .any(|person| agent.starts_with(person))
}

/// go-restful's `matchesAccept`.
fn is_produced(range: &str) -> bool {
    let media_type = without_parameters(range);
    media_type == "*/*" || Encoding::ALL.iter().any(|it| it.media_type() == media_type)
}

fn without_parameters(media_type: &str) -> &str {
    let media_type = media_type.split(';').next().unwrap_or_default();
    media_type.trim_matches(' ')
}

/// Judges the object that a clause asks for: `None` where the endpoint has no such object.
type Judge = fn(Encoding, &Clause<'_>) -> Option<Option<Conversion>>;

/// `NegotiateMediaTypeOptions`.
fn choose(clauses: &[Clause<'_>], judge: Judge) -> Option<Form> {
    let pairs = clauses
        .iter()
        .flat_map(|clause| Encoding::ALL.map(|encoding| (clause, encoding)));
    pairs
        .filter(|(clause, encoding)| clause.takes(encoding.media_type()))
        .filter(|(clause, encoding)| match clause.parameter("stream") {
            None | Some("") => true,
            Some(stream) => stream == "watch" && encoding.streams(),
        })
        .find_map(|(clause, encoding)| {
            Some(Form {
                encoding,
                pretty: clause.parameter("pretty") == Some("1"),
                conversion: judge(encoding, clause)?,
            })
        })
}

/// `DefaultEndpointRestrictions`: nothing but the endpoint's own object.
fn itself(_: Encoding, clause: &Clause<'_>) -> Option<Option<Conversion>> {
    let plain = clause.target().is_none() && takes_version(clause, None);
    plain.then_some(None)
}

/// `DiscoveryEndpointRestrictions`: nothing but aggregated discovery, of which we have JSON.
fn discovery(encoding: Encoding, clause: &Clause<'_>) -> Option<Option<Conversion>> {
    if encoding != Encoding::Json || !takes_version(clause, None) {
        return None;
    }
    let version = match clause.target()? {
        ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList") => DiscoveryVersion::V2,
        ("apidiscovery.k8s.io", "v2beta1", "APIGroupDiscoveryList") => DiscoveryVersion::V2Beta1,
        _ => return None,
    };
    Some(Some(Conversion::Discovery(version)))
}

/// `RequestScope`: the object, its metadata, or its table, which has no form in protocol buffers.
fn meta(encoding: Encoding, clause: &Clause<'_>) -> Option<Option<Conversion>> {
    if !takes_version(clause, Some("v1")) {
        return None;
    }
    let Some((group, version, kind)) = clause.target() else {
        return Some(None);
    };
    let version = match (group, version) {
        ("meta.k8s.io", "v1") => MetaVersion::V1,
        ("meta.k8s.io", "v1beta1") => MetaVersion::V1Beta1,
        _ => return None,
    };
    match kind {
        "Table" if encoding == Encoding::Protobuf => None,
        "Table" => Some(Some(Conversion::Table(version, Include::default()))),
        "PartialObjectMetadata" => Some(Some(Conversion::Metadata(version))),
        "PartialObjectMetadataList" => Some(Some(Conversion::MetadataList(version))),
        _ => None,
    }
}

/// `AllowsServerVersion`: whether a clause leaves open in which version generic objects are, or
/// says the one there is.
fn takes_version(clause: &Clause<'_>, version: Option<&str>) -> bool {
    let asked = clause.parameter("sv").filter(|asked| !asked.is_empty());
    asked.is_none() || asked == version
}
