//! Fields that are made of others: `transform`.

use bson::Bson;
use dunlin_core::Part;
use dunlin_core::node::{Node, Value};

use super::decode::{Change, paths};
use super::life::Fields;
use super::pair::Pair;
use super::path;
use crate::check::decode::expression;
use crate::op::decode::{Result, not};

/// `transform = { collection, up = { new = expression, … }, down = { old = expression, … } | from = ["old", …], archive?,
/// filter?, schema_version?, differing? }`.
pub(super) fn transform(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let up = expressions(&mut change, "up", true);
    let down = expressions(&mut change, "down", false);
    let named = fields(&mut change);
    let is_kept = flag(&mut change, "archive", true);
    let old = match (down.is_empty(), named) {
        (true, Some(named)) => named,
        (false, None) => down.iter().map(|(field, _)| field.clone()).collect(),
        (is_one_way, _) => {
            let message = if is_one_way {
                "neither `down` nor `from` is given"
            } else {
                "both `down` and `from` are given"
            };
            let help =
                "`down` has an expression for each old field; `from` names them where nothing leads back";
            change.wrong(message, "needs one of them", help);
            Vec::new()
        }
    };
    if down.is_empty() && !is_kept {
        let help = "leave `archive` out, or say in `down` how the old fields follow from the new ones";
        change.wrong("nothing would lead back to the old fields", "neither `down` nor an archive", help);
    }
    let all: Vec<String> = up.iter().map(|(field, _)| field.clone()).chain(old.iter().cloned()).collect();
    for field in &all {
        change.check_field(field);
    }
    change.keep_apart(&all);
    let new: Vec<String> = all[..up.len()].to_vec();
    refuse_own(&mut change, &up, &new, "up");
    refuse_own(&mut change, &down, &old, "down");
    let frame = change.frame(collection, &all, &["up", "down", "from", "archive"])?;
    let pairs = vec![Pair::computed(&up, old, &down)];
    Ok(Fields { frame, pairs, is_kept, obstacle: None }.parts())
}

/// A table of expressions by field.
fn expressions(change: &mut Change<'_>, key: &str, is_needed: bool) -> Vec<(String, Bson)> {
    let mut found = Vec::new();
    let node = if is_needed {
        change.reader.table.require(key).map(Some)
    } else {
        Ok(change.reader.table.take(key))
    };
    match node.map(|node| node.map(|node| (node, &node.value))) {
        Ok(Some((_, Value::Table(entries)))) if !entries.is_empty() => {
            for (key, value) in entries {
                match expression(value) {
                    Ok(value) => found.push((key.name.clone(), value)),
                    Err(wrong) => change.reader.wrong.push(wrong),
                }
            }
        }
        Ok(Some((node, _))) => change.reader.wrong.push(not("a table of fields and expressions", node.span)),
        Ok(None) => {}
        Err(wrong) => change.reader.wrong.push(wrong),
    }
    found
}

/// The old fields, where they are named.
fn fields(change: &mut Change<'_>) -> Option<Vec<String>> {
    let node = change.reader.table.take("from")?;
    match node.items() {
        Ok(items) if !items.is_empty() => {
            let texts: std::result::Result<Vec<&str>, _> = items.iter().map(Node::text).collect();
            match texts {
                Ok(texts) => return Some(texts.into_iter().map(str::to_owned).collect()),
                Err(wrong) => change.reader.wrong.push(wrong),
            }
        }
        Ok(_) => change.reader.wrong.push(not("a list of fields", node.span)),
        Err(wrong) => change.reader.wrong.push(wrong),
    }
    None
}

/// A yes or no.
pub(super) fn flag(change: &mut Change<'_>, key: &str, usual: bool) -> bool {
    match change.reader.table.take(key).map(|node| (node, &node.value)) {
        None => usual,
        Some((_, Value::Bool(truth))) => *truth,
        Some((node, _)) => {
            change.reader.wrong.push(not("true or false", node.span));
            usual
        }
    }
}

/// An expression that reads what it makes would make something else of it each time.
fn refuse_own(change: &mut Change<'_>, made: &[(String, Bson)], fields: &[String], key: &str) {
    let mut read = Vec::new();
    for (_, expression) in made {
        paths(expression, &mut read);
    }
    if let Some(field) = fields.iter().find(|field| read.iter().any(|read| path::meet(read, field))) {
        let message = format!("`{key}` reads `{field}`, which it makes");
        change.wrong(message, "reads what it makes", "give the new field another name than the old one");
    }
}
