//! Lists of metadata, page by page.
//!
//! Always without `resourceVersion`, so that the answer is as new as the question: a name that is
//! missing from an old list would scale a workload down.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::wire::{Metadata, Page};
use crate::kinds::Kind;
use crate::kubernetes::client::{Client, Error};
use crate::kubernetes::discovery;
use crate::selector::Selector;

/// Objects in one answer of the API server.
const PAGE: usize = 500;

/// Names without the rest of the objects. A server that cannot leave the rest out answers with it.
const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What may stand in a query as it is (RFC 3986, "unreserved").
const ESCAPED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The list of objects of `kind`; `fields` is a field selector.
pub(super) fn path<'a>(
    kind: &Kind,
    namespace: Option<&str>,
    selector: &Selector,
    fields: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut path = objects(kind, namespace) + &format!("?limit={PAGE}");
    if !selector.is_empty() {
        path += &format!("&labelSelector={}", escaped(&selector.to_string()));
    }
    path + &field_selector(fields)
}

/// The watch of all objects of `kind` from `version` on. It ends after so many seconds.
pub(super) fn watch_path(kind: &Kind, fields: Option<&str>, version: &str, seconds: u64) -> String {
    format!(
        "{}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}{}",
        objects(kind, None),
        escaped(version),
        field_selector(fields)
    )
}

/// What objects are called in logs and metrics.
pub(super) fn title(kind: &Kind, fields: Option<&str>) -> String {
    let kind = kind.group_resource();
    match fields {
        None => kind.to_string(),
        Some(fields) => format!("{kind} with {fields}"),
    }
}

/// Where the objects of `kind` are: `/apis/apps/v1/deployments`.
fn objects(kind: &Kind, namespace: Option<&str>) -> String {
    let mut path = discovery::root(&kind.group, &kind.version);
    if let Some(namespace) = namespace {
        path += &format!("/namespaces/{namespace}");
    }
    path + "/" + &kind.plural
}

fn field_selector<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<&str> = fields.into_iter().collect();
    match fields.is_empty() {
        true => String::new(),
        false => format!("&fieldSelector={}", escaped(&fields.join(","))),
    }
}

/// A text as it stands in a query.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Hands each object at `path`, which has a query, to `each`; gives the list's `resourceVersion`.
///
/// # Errors
/// One page failed: what came before it is no list.
pub(super) async fn pages(
    client: &Client,
    path: &str,
    mut each: impl FnMut(&[Metadata<'_>]),
) -> Result<String, Error> {
    let mut from = path.to_owned();
    loop {
        let read = client.read(&from, METADATA, |bytes| {
            let page = Page::read(bytes)?;
            let items = page.items.into_iter().map(|item| item.metadata);
            each(&items.collect::<Vec<_>>());
            Ok((
                page.metadata.next.into_owned(),
                page.metadata.version.into_owned(),
            ))
        });
        let (next, version) = read.await?;
        if next.is_empty() {
            return Ok(version);
        }
        from = format!("{path}&continue={}", escaped(&next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, version: &str, plural: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: String::new(),
            plural: plural.to_owned(),
            singular: String::new(),
            namespaced: true,
        }
    }

    #[test]
    fn objects_are_where_their_group_and_version_are() {
        let (pods, any) = (kind("", "v1", "pods"), Selector::default());
        let selector = Selector::parse("app=web,tier in (a,b)").unwrap();
        assert_eq!(
            path(&pods, Some("shop"), &selector, []),
            "/api/v1/namespaces/shop/pods?limit=500\
             &labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
        );
        let deployments = kind("apps", "v1", "deployments");
        assert_eq!(
            path(&deployments, None, &any, None),
            "/apis/apps/v1/deployments?limit=500"
        );
        assert_eq!(
            path(
                &pods,
                None,
                &any,
                ["metadata.name=a", "status.phase=Running"]
            ),
            "/api/v1/pods?limit=500&fieldSelector=metadata.name%3Da%2Cstatus.phase%3DRunning"
        );
    }

    #[test]
    fn a_watch_goes_on_from_a_version_and_asks_for_bookmarks() {
        assert_eq!(
            watch_path(
                &kind("", "v1", "pods"),
                Some("status.phase=Running"),
                "6574",
                400
            ),
            "/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=6574\
             &timeoutSeconds=400&fieldSelector=status.phase%3DRunning"
        );
    }
}
