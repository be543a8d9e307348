//! `widen`: for how many objects one query may be asked.

use super::Code;
use super::located::Located;
use super::report::{Report, quoted};

/// How far a query may go beyond the objects that one ask is about. It goes only where its rows are
/// proven to stay the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Widen {
    /// As far as it is worth: to all objects of a namespace, and to those of all namespaces.
    #[default]
    Auto,
    /// To all objects of a namespace.
    Namespace,
    /// Nowhere: each ask is its own query, as in the Go adapter.
    Off,
}

impl Widen {
    /// Reads the words of the rules file and of the flag.
    pub fn parse(word: &str) -> Option<Widen> {
        match word {
            "auto" => Some(Widen::Auto),
            "namespace" => Some(Widen::Namespace),
            "off" => Some(Widen::Off),
            _ => None,
        }
    }

    /// `None` where `report` has an error about it; `Some(None)` where the rule does not say.
    pub(super) fn compile(
        raw: Option<&Located>,
        path: &str,
        report: &mut Report<'_>,
    ) -> Option<Option<Widen>> {
        let Some(text) = raw else {
            return Some(None);
        };
        let widen = Widen::parse(&text.text);
        if widen.is_none() {
            let found = quoted(&text.text);
            let message = format!("expected `auto`, `namespace` or `off`, found {found}");
            let help = "with `namespace`, one query never stands for objects of several \
                        namespaces; with `off`, each ask is its own query";
            let field = format!("{path}.widen");
            report.error(
                Code::InvalidValue,
                text.span.clone(),
                &field,
                message,
                help.to_owned(),
            );
        }
        widen.map(Some)
    }
}
