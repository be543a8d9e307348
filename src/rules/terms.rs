//! How the queries of a rule are asked, and what becomes of their answers, where the rule says
//! something of its own.

use std::time::Duration;

use super::Code;
use super::file::RawTerms;
use super::located::Located;
use super::report::{Report, quoted};
use super::widen::Widen;
use crate::go;

/// A rule's own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// `ttl`: how old an answer may be; `None`: `--query-ttl`.
    pub ttl: Option<Duration>,
    /// `staleGrace`: for how much longer it is given while the backend fails; `None`:
    /// `--stale-grace`.
    pub stale_grace: Option<Duration>,
    /// `timeout`: how long a query may take; `None`: as the backend says.
    pub timeout: Option<Duration>,
    /// `offsetFromNow`: how long ago queries are evaluated for. Series that arrive late are whole
    /// by then.
    pub offset: Duration,
    /// `onEmpty`: what an answer without rows means.
    pub on_empty: OnEmpty,
    /// `nonFinite`: what NaN and infinities mean.
    pub non_finite: NonFinite,
    /// `widen`: for how many objects a query may be asked; `None`: `--widening`.
    pub widen: Option<Widen>,
}

/// What it means that a query succeeds and gives no row that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEmpty {
    /// That nothing is known: autoscalers hold.
    #[default]
    Error,
    /// Zero.
    Zero,
}

/// What it means that a sample is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// That nothing is known.
    #[default]
    Drop,
    /// Zero.
    Zero,
}

impl Terms {
    /// `None` where `report` has an error about it.
    pub(super) fn compile(raw: &RawTerms, path: &str, report: &mut Report<'_>) -> Option<Terms> {
        let mut of = Of { path, report };
        let ttl = of.duration(raw.ttl.as_ref(), "ttl", Least::Zero);
        let stale_grace = of.duration(raw.stale_grace.as_ref(), "staleGrace", Least::Zero);
        let timeout = of.duration(raw.timeout.as_ref(), "timeout", Least::Above);
        let offset = of.duration(raw.offset_from_now.as_ref(), "offsetFromNow", Least::Zero);
        let on_empty = of.word(
            raw.on_empty.as_ref(),
            "onEmpty",
            [("error", OnEmpty::Error), ("zero", OnEmpty::Zero)],
        );
        let non_finite = of.word(
            raw.non_finite.as_ref(),
            "nonFinite",
            [("drop", NonFinite::Drop), ("zero", NonFinite::Zero)],
        );
        let widen = Widen::compile(raw.widen.as_ref(), path, report);
        Some(Terms {
            ttl: ttl?,
            stale_grace: stale_grace?,
            timeout: timeout?,
            offset: offset?.unwrap_or_default(),
            on_empty: on_empty?,
            non_finite: non_finite?,
            widen: widen?,
        })
    }
}

/// The least that a duration may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Least {
    Zero,
    Above,
}

struct Of<'a, 'r, 't> {
    path: &'a str,
    report: &'r mut Report<'t>,
}

impl Of<'_, '_, '_> {
    /// `None` where it is no such duration.
    fn duration(
        &mut self,
        raw: Option<&Located>,
        field: &str,
        least: Least,
    ) -> Option<Option<Duration>> {
        let Some(raw) = raw else {
            return Some(None);
        };
        let help = "write numbers with their units, largest first, as `30s`, `1m` or `1h30m`";
        let (message, help) = match go::duration::parse_prometheus(&raw.text) {
            Ok(found) if found.is_zero() && least == Least::Above => (
                format!("`{field}` must be above zero"),
                "leave it out for the backend's own",
            ),
            Ok(found) => return Some(Some(found)),
            Err(error) => (error.to_string(), help),
        };
        let path = format!("{}.{field}", self.path);
        self.report.error(
            Code::InvalidValue,
            raw.span.clone(),
            &path,
            message,
            help.to_owned(),
        );
        None
    }

    /// `None` where it is neither word.
    fn word<T: Copy + Default>(
        &mut self,
        raw: Option<&Located>,
        field: &str,
        words: [(&str, T); 2],
    ) -> Option<T> {
        let Some(raw) = raw else {
            return Some(T::default());
        };
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == raw.text) {
            return Some(*found);
        }
        let [(first, _), (second, _)] = words;
        let found = quoted(&raw.text);
        let message = format!("expected `{first}` or `{second}`, found {found}");
        let help = format!("`{first}` is what happens without `{field}`");
        let path = format!("{}.{field}", self.path);
        let span = raw.span.clone();
        self.report
            .error(Code::InvalidValue, span, &path, message, help);
        None
    }
}
