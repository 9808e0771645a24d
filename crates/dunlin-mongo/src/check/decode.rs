//! `none` and `same` from the values of `.toml` steps.

use std::sync::Arc;

use bson::{Bson, Document};
use dunlin_core::node::{Node, Value};
use dunlin_core::{AnyOp, Diagnostic, Field, Phase};

use super::{Counterpart, Look, Question};
use crate::moves::decode::Reader;
use crate::op::decode::{Result, database, not, value};

/// The op, unless it stands where it must not.
pub(crate) fn checked(phase: Phase, field: &Field<'_>, op: Look) -> Result<AnyOp> {
    if phase == Phase::Verify {
        return Ok(Arc::new(op));
    }
    let message = format!("`{}` only looks, which does nothing here", field.name);
    let wrong = Diagnostic::error("read-outside-verify", message).at(field.value.span, "changes nothing");
    Err(vec![wrong.help("move it into a verify step, where whatever it finds is a violation")])
}

/// `none = { collection, filter, database? }`: no document is found.
pub(crate) fn none(node: &Node) -> Result<Look> {
    let (database, collection, filter) = Reader::documents(node)?;
    Ok(Look { database, collection, filter, question: Question::None, span: Some(node.span) })
}

/// `same = { collection, field | expr, as, filter?, sample?, database? }`, or with another collection
/// `same = { collection, field | expr, with = { collection, field? | expr?, key?, filter? }, filter?, database? }`.
pub(crate) fn same(node: &Node) -> Result<Look> {
    let mut reader = Reader::new(node)?;
    let collection = reader.text("collection");
    let left = side(&mut reader, node, None);
    let (other, with) = (reader.table.take("as"), reader.table.take("with"));
    let sample = sample(&mut reader);
    let question = match (other, with) {
        (Some(other), None) => {
            let right = expression(other).map_err(|bad| reader.wrong.push(bad)).unwrap_or(Bson::Null);
            Question::Same { left, right, sample }
        }
        (None, Some(with)) => {
            if sample.is_some() {
                let wrong = Diagnostic::error("wrong-value", "two collections are compared as a whole");
                reader.wrong.push(wrong.at(with.span, "takes no `sample`").help("leave `sample` out"));
            }
            match counterpart(with, &left) {
                Ok(with) => Question::Across { left, with },
                Err(mut bad) => {
                    reader.wrong.append(&mut bad);
                    Question::None
                }
            }
        }
        (other, _) => {
            let message = if other.is_some() {
                "both `as` and `with` are given"
            } else {
                "neither `as` nor `with` is given"
            };
            let wrong = Diagnostic::error("missing-key", message).at(node.span, "needs one of them");
            let help = "`as` is an expression over the same document, `with` names the collection of its counterpart";
            reader.wrong.push(wrong.help(help));
            Question::None
        }
    };
    let filter = reader.filter();
    let database = database(&mut reader.table, &mut reader.wrong);
    reader.finish(&["collection", "field", "expr", "as", "with", "filter", "sample", "database"])?;
    Ok(Look { database, collection, filter, question, span: Some(node.span) })
}

fn counterpart(node: &Node, left: &Bson) -> Result<Counterpart> {
    let mut reader = Reader::new(node)?;
    let collection = reader.text("collection");
    let right = side(&mut reader, node, Some(left));
    let has_key = reader.table.keys().any(|key| key.name == "key");
    let key = if has_key { reader.field("key") } else { "_id".to_owned() };
    let filter: Document = reader.filter();
    reader.finish(&["collection", "field", "expr", "key", "filter"])?;
    Ok(Counterpart { collection, key, right, filter })
}

/// What is compared: a field, or an expression.
fn side(reader: &mut Reader<'_>, node: &Node, usual: Option<&Bson>) -> Bson {
    let has_field = reader.table.keys().any(|key| key.name == "field");
    let expr = reader.table.take("expr");
    match (has_field, expr, usual) {
        (true, None, _) => Bson::String(format!("${}", reader.field("field"))),
        (false, Some(expr), _) => {
            expression(expr).map_err(|bad| reader.wrong.push(bad)).unwrap_or(Bson::Null)
        }
        (false, None, Some(usual)) => usual.clone(),
        (has_field, ..) => {
            if has_field {
                reader.table.take("field");
            }
            let message = if has_field {
                "both `field` and `expr` are given"
            } else {
                "neither `field` nor `expr` is given"
            };
            let wrong = Diagnostic::error("missing-key", message).at(node.span, "needs one of them");
            reader.wrong.push(wrong);
            Bson::Null
        }
    }
}

fn sample(reader: &mut Reader<'_>) -> Option<u32> {
    let node = reader.table.take("sample")?;
    match &node.value {
        Value::Integer(number) => match u32::try_from(*number) {
            Ok(number) if number > 0 => return Some(number),
            _ => reader.wrong.push(not("a number of documents", node.span)),
        },
        _ => reader.wrong.push(not("a number of documents", node.span)),
    }
    None
}

/// An expression. `"$name"` is a field; another text holds a literal.
pub(crate) fn expression(node: &Node) -> Result<Bson, Diagnostic> {
    match &node.value {
        Value::String { text, .. } if text.starts_with('$') => Ok(Bson::String(text.clone())),
        _ => value(node),
    }
}
