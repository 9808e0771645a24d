//! Fields that come or go: `add_field` and `drop_field`.

use std::sync::Arc;

use bson::{Bson, Document, bson, doc};
use dunlin_core::node::Node;
use dunlin_core::{Part, Phase};

use super::decode::{Change, paths};
use super::index::carry;
use super::life::{Frame, archive, one_way, open_archive, part, restore};
use super::pair::given;
use super::path;
use super::staged::Staged;
use crate::check::decode::expression;
use crate::check::{Found, shown};
use crate::moves::{Keeping, Reshape, Update};
use crate::op::decode::{Result, value};

/// `add_field = { collection, field, default | expr, filter?, schema_version? }`.
pub(super) fn add(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let field = change.field("field");
    let (default, expr) = (change.reader.table.take("default"), change.reader.table.take("expr"));
    let made = match (default, expr) {
        (Some(default), None) => value_or_text(default).map(literal),
        (None, Some(expr)) => expression(expr),
        (default, _) => {
            let message = if default.is_some() {
                "both `default` and `expr` are given"
            } else {
                "neither `default` nor `expr` is given"
            };
            change.wrong(
                message,
                "needs one of them",
                "`default` is a value, `expr` an expression over the document",
            );
            Ok(Bson::Null)
        }
    };
    let made = made.map_err(|wrong| change.reader.wrong.push(wrong)).unwrap_or(Bson::Null);
    let mut read = Vec::new();
    paths(&made, &mut read);
    if read.iter().any(|read| path::meet(read, &field)) {
        change.wrong(
            format!("`expr` reads `{field}`, which it makes"),
            "reads what it makes",
            "read other fields",
        );
    }
    let frame = change.frame(collection, std::slice::from_ref(&field), &["field", "default", "expr"])?;
    Ok(added(&frame, &field, &made))
}

/// A text is a text here: an expression has a key of its own.
fn value_or_text(node: &Node) -> std::result::Result<Bson, dunlin_core::Diagnostic> {
    match node.text() {
        Ok(text) => Ok(Bson::String(text.to_owned())),
        Err(_) => value(node),
    }
}

/// As an expression.
fn literal(value: Bson) -> Bson {
    match value {
        Bson::String(text) if !text.starts_with('$') => Bson::String(text),
        Bson::String(_) | Bson::Document(_) | Bson::Array(_) => bson!({ "$literal": value }),
        plain => plain,
    }
}

fn added(frame: &Frame, field: &str, made: &Bson) -> Vec<Part> {
    let name = format!("{}.{field}", frame.collection);
    let fill = Update::new(
        given(path::lacks(field), &path::is_open(field)),
        frame.versioned(vec![bson!({ "$set": { field: made.clone() } })]),
    );
    let closed = bson!({ "$not": [{ "$and": path::is_open(field) }] });
    let ways = doc! { "$or": [path::has(field), { "$expr": closed }] };
    let survey = vec![
        bson!({ "$match": ways }),
        bson!({ "$project": { "_id": 1, "value": path::value(field), "becomes": shown(made) } }),
    ];
    let obstacle = format!("{field} already, or something else in its place");
    let filling = Reshape { updates: vec![fill.clone()], survey, obstacle, ..Reshape::default() };
    let gone = Update::new(path::has(field), frame.unversioned(path::removal(field)));
    let undo = frame.reshape(Reshape { updates: vec![gone], ..Reshape::default() }, format!("remove {name}"));
    let other = doc! { "$and": [path::has(field), { "$expr": { "$not": [path::alike(made, &path::value(field))] } }] };
    let lost = frame.look(Found {
        word: "kept",
        summary: format!("what the way back of {name} loses"),
        names: ("the default".to_owned(), field.to_owned()),
        stages: vec![
            bson!({ "$match": other }),
            bson!({ "$project": { "_id": 1, "left": shown(made), "right": path::value(field) } }),
        ],
        mends: Vec::new(),
    });
    let undo = Staged { loses: Some(lost), ..undo };
    let found = Found {
        word: "in_step",
        summary: format!("{name} everywhere"),
        names: ("the default".to_owned(), field.to_owned()),
        stages: vec![
            bson!({ "$match": path::lacks(field) }),
            bson!({ "$project": { "_id": 1, "left": shown(made) } }),
        ],
        mends: vec![fill],
    };
    vec![
        part(Phase::Backfill, frame.reshape(filling, format!("fill {name}")), undo),
        one_way(Phase::Verify, frame.look(found), "it only looks"),
    ]
}

/// `drop_field = { collection, field, filter?, schema_version? }`.
pub(super) fn remove(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let field = change.field("field");
    let frame = change.frame(collection, std::slice::from_ref(&field), &["field"])?;
    let name = format!("{}.{field}", frame.collection);
    let concerned = given(path::has(&field), &path::is_open(&field));
    let keeping =
        Keeping { archive: frame.archive(), filter: concerned.clone(), fields: vec![field.clone()] };
    let gone = Update::new(concerned, frame.versioned(vec![bson!({ "$unset": &field })]));
    let removal = Reshape {
        updates: vec![gone],
        has_passes: true,
        keeping: Some(keeping.clone()),
        ..Reshape::default()
    };
    let removal = frame.reshape(removal, format!("remove {name}"));
    let needs = Some(frame.release(vec![field.clone()]));
    let removal =
        Staged { removes: vec![format!("field {field} of {}", frame.collection)], needs, ..removal };
    let kept = Bson::String(format!("$$new.old.{field}"));
    let back = bson!({ "$cond": [path::is_there(&field), path::value(&field), kept] });
    let back = restore(
        &frame,
        frame.unversioned(vec![bson!({ "$set": { &field: back } })]),
        format!("restore {name}"),
    );
    let mut parts = Vec::new();
    if path::parent(&field).is_some() {
        parts.push(one_way(Phase::Verify, frame.look(in_lists(&field)), "it only looks"));
    }
    parts.push(open_archive(&frame));
    parts.push(one_way(
        Phase::Contract,
        Arc::new(archive(&frame, &keeping)),
        "the archive is dropped as a whole",
    ));
    parts.push(carry(&frame, vec![(field, None)], true));
    parts.push(part(Phase::Contract, removal, back));
    Ok(parts)
}

/// Documents in which the field is in a list: which element had which value is not kept.
fn in_lists(field: &str) -> Found {
    let closed: Document = doc! { "$expr": { "$not": [{ "$and": path::is_open(field) }] } };
    Found {
        word: "in_lists",
        summary: format!("{field} in no list"),
        names: (field.to_owned(), "what holds it".to_owned()),
        stages: vec![
            bson!({ "$match": { "$and": [path::has(field), closed] } }),
            bson!({ "$project": {
                "_id": 1, "left": path::value(field), "right": path::value(path::parent(field).unwrap_or(field)),
            } }),
        ],
        mends: Vec::new(),
    }
}
