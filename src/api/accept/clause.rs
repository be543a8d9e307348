//! `Accept` headers as `github.com/munnerz/goautoneg` takes them apart and sorts them.

/// Further clauses are not read. Clients that send several send three; sorting is quadratic.
pub(super) const CLAUSES_MAX: usize = 100;

/// One media range with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    /// Without `q`; of equal names the last one counts.
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    /// Whether this media type is in the range.
    pub(super) fn takes(&self, media_type: &str) -> bool {
        let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
        match (self.kind, self.subtype) {
            ("*", "*") => true,
            (of, "*") => of == kind,
            (of, sub) => of == kind && sub == subtype,
        }
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut named = self.parameters.iter().rev();
        named.find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// Which object is asked for instead of the endpoint's own: group, version and kind, of which
    /// some may be empty.
    pub(super) fn target(&self) -> Option<(&'a str, &'a str, &'a str)> {
        let parts = ["g", "v", "as"].map(|name| self.parameter(name));
        let [group, version, kind] = parts.map(Option::unwrap_or_default);
        parts
            .iter()
            .any(Option::is_some)
            .then_some((group, version, kind))
    }

    /// `None` for what is no media range.
    fn parse(text: &'a str) -> Option<Clause<'a>> {
        let mut parts = text.trim_matches(' ').split(';');
        let range = parts.next().unwrap_or_default();
        let (kind, subtype) = match range.split_once('/') {
            Some((kind, subtype)) if !subtype.is_empty() => (kind, subtype),
            _ if range.split('/').next()?.trim_matches(' ') == "*" => ("*", "*"),
            _ => return None,
        };
        // Go takes one slash at the end for none, and one `=` too.
        let subtype = subtype.strip_suffix('/').unwrap_or(subtype);
        if subtype.contains('/') {
            return None;
        }
        let mut clause = Clause {
            kind: kind.trim_matches(' '),
            subtype: subtype.trim_matches(' '),
            quality: 1.0,
            parameters: Vec::new(),
        };
        for part in parts {
            let given = part.split_once('=').filter(|(_, value)| !value.is_empty());
            let Some((name, value)) = given else {
                continue;
            };
            let value = value.strip_suffix('=').unwrap_or(value);
            if value.contains('=') {
                continue;
            }
            match name.trim_matches(' ') {
                "q" => clause.quality = value.parse().unwrap_or(0.0),
                name => clause.parameters.push((name, value.trim_matches(' '))),
            }
        }
        Some(clause)
    }

    /// Go's order, which is none: of `*/*` with a high quality and a type with a low one each is
    /// before the other.
    fn is_before(&self, other: &Clause<'_>) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.subtype != "*" && other.subtype == "*")
    }
}

/// The clauses of a header, the client's favourite first.
///
/// By insertion, as Go sorts up to twelve: where [`Clause::is_before`] contradicts itself, the way
/// of sorting decides.
pub(super) fn sorted(header: &str) -> Vec<Clause<'_>> {
    let clauses = header.split(',').take(CLAUSES_MAX);
    let mut clauses: Vec<_> = clauses.filter_map(Clause::parse).collect();
    for end in 1..clauses.len() {
        for at in (1..=end).rev() {
            if !clauses[at].is_before(&clauses[at - 1]) {
                break;
            }
            clauses.swap(at, at - 1);
        }
    }
    clauses
}
