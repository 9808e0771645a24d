//! Fields that get other names or places: `rename_field` and `move_fields`.

use dunlin_core::Part;
use dunlin_core::node::{Node, Value};

use super::decode::Change;
use super::life::Fields;
use super::pair::Pair;
use crate::op::decode::{Result, not};

/// `rename_field = { collection, from, to, filter?, schema_version? }`.
pub(super) fn rename(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let (from, to) = (change.field("from"), change.field("to"));
    renamed(change, collection, &[(from, to)], &["from", "to"])
}

/// `move_fields = { collection, fields = { "a.b" = "c", … }, filter?, schema_version? }`.
pub(super) fn moved(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let mut fields = Vec::new();
    match change.reader.table.require("fields").map(|node| (node, &node.value)) {
        Ok((_, Value::Table(entries))) if !entries.is_empty() => {
            for (key, value) in entries {
                match value.text() {
                    Ok(to) => fields.push((key.name.clone(), to.to_owned())),
                    Err(wrong) => change.reader.wrong.push(wrong),
                }
            }
        }
        Ok((node, _)) => change.reader.wrong.push(not("a table of old and new fields", node.span)),
        Err(wrong) => change.reader.wrong.push(wrong),
    }
    for field in fields.iter().flat_map(|(from, to)| [from, to]) {
        change.check_field(field);
    }
    renamed(change, collection, &fields, &["fields"])
}

fn renamed(
    mut change: Change<'_>,
    collection: String,
    fields: &[(String, String)],
    keys: &[&str],
) -> Result<Vec<Part>> {
    let all: Vec<String> = fields.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
    change.keep_apart(&all);
    let frame = change.frame(collection, &all, keys)?;
    let pairs = fields.iter().map(|(from, to)| Pair::renamed(from, to)).collect();
    Ok(Fields { frame, pairs, is_kept: false, obstacle: None }.parts())
}
