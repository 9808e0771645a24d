//! Whether an update changes nothing more when it is done again. Only what can be proved counts.

use std::collections::BTreeSet;

use bson::{Bson, Document};

use crate::command;

/// Whether a second application of an update statement is without effect.
pub(super) fn is_repeatable(statement: &Document) -> bool {
    match statement.get("u") {
        Some(Bson::Document(_)) => command::is_repeatable_update(statement),
        Some(Bson::Array(stages)) => is_apart(stages),
        _ => false,
    }
}

/// Whether a pipeline reads none of the fields that it writes: the second time it then computes the same.
fn is_apart(stages: &[Bson]) -> bool {
    let (mut written, mut read) = (BTreeSet::new(), Some(BTreeSet::new()));
    for stage in stages {
        let Some((name, value)) = stage.as_document().and_then(|stage| stage.iter().next()) else {
            return false;
        };
        match (name.as_str(), value) {
            ("$set" | "$addFields", Bson::Document(fields)) => {
                for (field, expression) in fields {
                    written.insert(field.clone());
                    // A document is set field by field.
                    reads(expression, &mut read);
                }
            }
            ("$unset", Bson::String(field)) => drop(written.insert(field.clone())),
            ("$unset", Bson::Array(fields)) => {
                written.extend(fields.iter().filter_map(Bson::as_str).map(str::to_owned));
            }
            _ => return false,
        }
    }
    let Some(read) = read else { return false };
    let meet = |one: &str, other: &str| {
        one == other || one.starts_with(&format!("{other}.")) || other.starts_with(&format!("{one}."))
    };
    !read.iter().any(|read| written.iter().any(|written| meet(read, written)))
}

/// The fields an expression reads; none where it may read anything, or is not the same each time.
fn reads(expression: &Bson, found: &mut Option<BTreeSet<String>>) {
    match expression {
        // These two stand for the document; a variable of $let or $map for what its own expression reads.
        Bson::String(text) if text.starts_with("$$ROOT") || text.starts_with("$$CURRENT") => *found = None,
        Bson::String(text) if text.starts_with("$$") => {}
        Bson::String(text) => {
            if let (Some(field), Some(found)) = (text.strip_prefix('$'), found.as_mut()) {
                found.insert(field.to_owned());
            }
        }
        Bson::Array(items) => items.iter().for_each(|item| reads(item, found)),
        Bson::Document(operators) => {
            for (name, value) in operators {
                match name.as_str() {
                    "$literal" => {}
                    "$getField" | "$setField" | "$unsetField" | "$function" | "$rand" | "$meta" => {
                        *found = None;
                    }
                    _ => reads(value, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;

    #[test]
    fn what_a_pipeline_reads_decides() {
        for (pipeline, is_right) in [
            (bson!([{ "$set": { "b": "$a" } }]), true),
            (bson!([{ "$set": { "b": { "$toLower": "$a.x" } } }, { "$unset": "c" }]), true),
            (bson!([{ "$set": { "at": "$$NOW", "b": { "$literal": "$b" } } }]), true),
            (bson!([{ "$set": { "n": { "$add": ["$n", 1] } } }]), false),
            (bson!([{ "$set": { "a": { "x": "$a.y" } } }]), false),
            (bson!([{ "$set": { "a.x": "$a" } }]), false),
            (bson!([{ "$set": { "b": "$a" } }, { "$unset": ["a"] }]), false),
            (bson!([{ "$set": { "old": "$$ROOT" } }]), false),
            (bson!([{ "$set": { "b": { "$getField": "b" } } }]), false),
            (bson!([{ "$replaceWith": { "b": 1 } }]), false),
        ] {
            let statement = doc! { "q": {}, "u": pipeline.clone(), "multi": true };
            assert_eq!(is_repeatable(&statement), is_right, "{pipeline}");
        }
        let operators = |u: Document| is_repeatable(&doc! { "q": {}, "u": u, "multi": true });
        assert!(operators(doc! { "$set": { "a": 1 } }));
        assert!(!operators(doc! { "$inc": { "a": 1 } }));
        assert!(!operators(doc! { "$push": { "a": 1 } }));
    }
}
