//! What each endpoint can be asked for.

use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::{Encoding, without_parameters};
use crate::api::route::{Discovery, Route, UsageOf};

/// What an endpoint can be asked for, in every [`Encoding`](super::Encoding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Offer {
    /// One document of legacy discovery.
    Document,
    /// The document at `/apis`: also as aggregated discovery, which is then preferred to it.
    Groups,
    /// A list of custom or external metrics.
    Metrics,
    /// Usage of one pod or node: also as a table, or nothing but its metadata.
    Usage,
    /// Usage of several.
    UsageList,
}

impl Offer {
    /// What a client may choose from; nothing where the answer has one form.
    pub(in crate::api) fn of(route: &Route) -> Option<Offer> {
        match route {
            Route::Custom(_) | Route::External(_) => Some(Offer::Metrics),
            Route::Resource(ask) => Some(match ask.objects {
                UsageOf::Node { .. } | UsageOf::Pod { .. } => Offer::Usage,
                UsageOf::Nodes(_) | UsageOf::Pods { .. } => Offer::UsageList,
            }),
            Route::Discovery(Discovery::Groups) => Some(Offer::Groups),
            Route::Discovery(Discovery::Group(_) | Discovery::Resources(_)) => {
                Some(Offer::Document)
            }
            // These have media types of their own.
            Route::OpenApiV2 | Route::OpenApiV3 { .. } => None,
            Route::Health(_)
            | Route::Version
            | Route::Metrics
            | Route::Explain(_)
            | Route::Index
            | Route::Unknown
            | Route::Refused { .. } => None,
        }
    }

    /// Whether the body that a request says to have is one that could be read here. Nothing reads
    /// it; but discovery refuses others (go-restful's `matchesContentType`), and metrics do not.
    pub(super) fn reads(self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(CONTENT_TYPE) else {
            return true;
        };
        let given = String::from_utf8_lossy(given.as_bytes());
        let is_read = |given: &str| {
            let media_type = without_parameters(given);
            Encoding::ALL.iter().any(|it| it.media_type() == media_type)
        };
        match self {
            Offer::Document | Offer::Groups => given.is_empty() || given.split(',').any(is_read),
            Offer::Metrics | Offer::Usage | Offer::UsageList => true,
        }
    }
}
