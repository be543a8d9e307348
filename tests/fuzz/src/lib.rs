//! What is fed to each parser, and what must hold whatever it is fed.
//!
//! One function per target. A panic is a finding. `fuzz_targets/` gives these to libFuzzer,
//! `src/soak.rs` feeds them without it.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use tidegauge::api::route::{Parsed, Route};
use tidegauge::kinds::Kinds;
use tidegauge::prometheus::Error;
use tidegauge::prometheus::decode::{self, Body};
use tidegauge::promql::{Enforcer, SeriesSelector};
use tidegauge::quantity::Quantity;
use tidegauge::registry::{Listings, Snapshot};
use tidegauge::rules::{self, Finding, Severity};
use tidegauge::selector::Selector;

/// Every target by its name, which is also its directory in `corpus-seeds`.
pub const TARGETS: [(&str, fn(&[u8])); 6] = [
    ("rules", rules),
    ("selector", selector),
    ("route", route),
    ("prometheus", prometheus),
    ("quantity", quantity),
    ("promql", promql),
];

static KINDS: LazyLock<Arc<Kinds>> = LazyLock::new(|| Arc::new(Kinds::builtin()));

/// A rules file: compiled and ready to serve, or refused with a reason that can be shown.
pub fn rules(data: &[u8]) {
    let show = |findings: &[Finding], text: &str| {
        let shown = rules::render_findings(findings, text, "rules.yaml", false);
        assert_eq!(shown.is_empty(), findings.is_empty());
    };
    let text = match rules::decode(data) {
        Ok(text) => text,
        Err(findings) => return show(&findings, &String::from_utf8_lossy(data)),
    };
    match rules::parse(text) {
        Ok((rules, warnings)) => {
            show(&warnings, text);
            for rule in rules.custom.iter().chain(&rules.external) {
                rule.naming.api_name("container_cpu_usage_seconds_total");
                if let Some(template) = &rule.association.template {
                    template.resource_of("kube_apps_deployment");
                }
            }
            Snapshot::build(Arc::new(rules), Arc::clone(&KINDS), &Listings::default());
        }
        Err(findings) => {
            let is_error = |finding: &Finding| finding.severity == Severity::Error;
            assert!(findings.iter().any(is_error), "refused without a reason");
            show(&findings, text);
        }
    }
}

/// A label selector: its text reads back as itself.
pub fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(selector) = Selector::parse(text) else {
        return;
    };
    assert_eq!(
        Selector::parse(&selector.to_string()).as_ref(),
        Ok(&selector)
    );
    let matches = selector.matches(&[("app".to_owned(), "web".to_owned())].into());
    assert!(matches || !selector.is_empty());
}

/// A request: method, path and query, one a line.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let (method, path) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let parsed = Parsed::new(method, path, lines.next());
    let list = match &parsed.route {
        Route::Custom(ask) => &ask.list,
        Route::External(ask) => &ask.list,
        Route::Refused { refusal, .. } => return assert!(!refusal.to_string().is_empty()),
        _ => return,
    };
    let checked = list.check();
    assert!(
        checked
            .err()
            .is_none_or(|refusal| !refusal.to_string().is_empty())
    );
    let _ = Selector::parse(&list.label_selector);
}

/// An answer of Prometheus: the same whether it comes whole or in pieces.
pub fn prometheus(data: &[u8]) {
    same(data, |body| {
        let mut samples = Vec::new();
        let summary = decode::query(body, &mut |sample| {
            samples.push((sample.labels, sample.timestamp, sample.value.to_bits()));
            Ok(())
        })?;
        Ok((summary, samples))
    });
    same(data, |body| {
        let mut series = Vec::new();
        let notes = decode::series(body, &mut |labels| {
            series.push(labels);
            Ok(())
        })?;
        Ok((notes, series))
    });
    same(data, decode::names);
}

/// Compares what becomes of an answer in one piece and in pieces of seven bytes.
fn same<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    mut decode: impl FnMut(Body) -> Result<T, Error>,
) {
    let whole = decode(Body::Whole(bytes::Bytes::copy_from_slice(data)));
    let streamed = decode(Body::Streamed(Box::new(Pieces(data.to_vec().into()))));
    match (whole, streamed) {
        (Ok(whole), Ok(streamed)) => assert_eq!(whole, streamed),
        (Err(whole), Err(streamed)) => assert_eq!(whole.class(), streamed.class()),
        (whole, streamed) => panic!("whole {whole:?}, streamed {streamed:?}"),
    }
}

struct Pieces(std::collections::VecDeque<u8>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(7);
        self.0.read(&mut buffer[..length])
    }
}

/// A quantity's text reads back as itself; a sample's quantity is the sample within 0.1 %.
pub fn quantity(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(quantity) = text.parse::<Quantity>()
    {
        let canonical = quantity.to_string();
        let again: Quantity = canonical.parse().expect("canonical text must parse");
        assert_eq!(again.to_string(), canonical, "{text}");
    }
    let Some(bytes) = data.first_chunk() else {
        return;
    };
    let sample = f64::from_le_bytes(*bytes);
    let quantity = Quantity::from_sample(sample);
    assert_eq!(quantity.is_some(), sample.is_finite(), "{sample}");
    if let Some(quantity) = quantity {
        let told = value(&quantity.to_string());
        // Below a billionth it is rounded up to that.
        let tolerance = (sample.abs() * 0.00101).max(1.01e-9);
        assert!(
            (told - sample).abs() <= tolerance,
            "{sample:e} became {quantity}"
        );
        assert_eq!(told == 0.0, sample == 0.0, "{sample:e} became {quantity}");
    }
}

/// The number that a canonical decimal quantity says.
fn value(text: &str) -> f64 {
    let suffixes = ["n", "u", "m", "k", "M", "G", "T", "P", "E"];
    let exponents = [-9, -6, -3, 3, 6, 9, 12, 15, 18];
    let found = suffixes
        .iter()
        .zip(exponents)
        .find(|(suffix, _)| text.ends_with(**suffix));
    let (digits, exponent) = match found {
        Some((suffix, exponent)) => (text.trim_end_matches(suffix), exponent),
        None => (text, 0),
    };
    format!("{digits}e{exponent}")
        .parse()
        .expect("a canonical quantity must be a number")
}

/// A query that is held to matchers: what is sent is held, and stays as it is when it is held again.
/// A series selector: with a label added it is one still, of the same series and that label.
pub fn promql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let enforcer = Enforcer::new(vec![("team".to_owned(), "a".to_owned())]);
    if let Ok(held) = enforcer.apply(text) {
        assert_eq!(enforcer.apply(&held), Ok(held.clone()), "{text}");
    }
    let Some(selector) = SeriesSelector::parse(text) else {
        return;
    };
    let extended = selector.with_label("pod");
    let again = SeriesSelector::parse(&extended);
    let again = again.unwrap_or_else(|| panic!("{text} became {extended}"));
    assert!(again.guarantees("pod"), "{text} became {extended}");
    assert_eq!(
        again.literal_name(),
        selector.literal_name(),
        "{text} became {extended}"
    );
    let mut before: Vec<_> = selector
        .guaranteed()
        .filter(|label| *label != "pod")
        .collect();
    let mut after: Vec<_> = again.guaranteed().filter(|label| *label != "pod").collect();
    (before.sort_unstable(), after.sort_unstable());
    assert_eq!(after, before, "{text} became {extended}");
}
