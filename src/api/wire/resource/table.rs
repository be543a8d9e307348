//! Usage as rows and columns, as `kubectl get` prints it (`metav1.Table`; `pkg/api/table.go` of
//! metrics-server, which the Go adapter serves with).

use std::collections::BTreeMap;

use serde::Serialize;

use super::metadata::Partial;
use super::{Item, ItemUsage, Quantities};
use crate::api::accept::{Include, MetaVersion};
use crate::api::wire::Metadata;
use crate::quantity::Quantity;

/// What is printed where there is no sum, as kubectl does for what it does not know.
const UNKNOWN: &str = "<unknown>";

/// A table. Without rows it has no columns either, and both are `null`, as Go's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata,
    column_definitions: Option<Vec<Column>>,
    rows: Option<Vec<Row<'a>>>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    format: &'static str,
    description: &'static str,
    priority: i32,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    cells: Vec<String>,
    object: Option<Included<'a>>,
}

/// What comes with a row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Included<'a> {
    Metadata(Partial<'a>),
    Object(Item<'a>),
}

impl<'a> Table<'a> {
    /// The columns are the name, the resources of the first item by name, and the window.
    pub(super) fn new(version: MetaVersion, include: Include, items: &[Item<'a>]) -> Table<'a> {
        let names = items.first().map(|first| {
            let sums = sums(first);
            sums.into_keys().collect::<Vec<_>>()
        });
        let row = |item: &Item<'a>| {
            let sums = sums(item);
            let mut cells = vec![item.metadata.name.to_owned()];
            cells.extend(names.iter().flatten().map(|name| {
                let sum = sums.get(name).cloned().flatten();
                sum.map_or_else(|| UNKNOWN.to_owned(), |sum| sum.to_string())
            }));
            cells.push(crate::go::duration::format_go(item.window.0));
            let object = match include {
                Include::None => None,
                Include::Metadata => Some(Included::Metadata(Partial::new(version, item.metadata))),
                Include::Object => Some(Included::Object(item.clone())),
            };
            Row { cells, object }
        };
        Table {
            kind: "Table",
            api_version: version.api_version(),
            metadata: Metadata {},
            rows: (!items.is_empty()).then(|| items.iter().map(row).collect()),
            column_definitions: names.map(|names| {
                let first = Column::new("Name", "name", "Name of the resource");
                let resources = names.iter().map(|name| Column::new(name, "quantity", ""));
                let last = Column::new("Window", "duration", "");
                std::iter::once(first)
                    .chain(resources)
                    .chain([last])
                    .collect()
            }),
        }
    }
}

impl Column {
    fn new(name: &'static str, format: &'static str, description: &'static str) -> Column {
        Column {
            name,
            kind: "string",
            format,
            description,
            priority: 0,
        }
    }
}

/// Usage of all containers together, by resource; `None` for what has no sum.
fn sums(item: &Item<'_>) -> BTreeMap<&'static str, Option<Quantity>> {
    let usages: Vec<Quantities<'_>> = match &item.usage {
        ItemUsage::Containers(containers) => containers.iter().map(|c| c.usage).collect(),
        ItemUsage::Usage(usage) => vec![*usage],
    };
    let mut sums = BTreeMap::new();
    for (name, amount) in usages.iter().flat_map(|usage| usage.named()) {
        let sum = sums.entry(name).or_insert(Some(Quantity::default()));
        *sum = sum.as_ref().and_then(|sum| sum.plus(amount.0));
    }
    sums
}
