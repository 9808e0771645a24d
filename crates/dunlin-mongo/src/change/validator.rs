//! `set_validator`: warns first, refuses once no document breaks it.

use std::sync::Arc;

use bson::{Document, doc};
use dunlin_core::node::Node;
use dunlin_core::{Part, Phase};

use super::decode::{Change, names};
use super::index::keep;
use super::keep::What;
use super::life::{one_way, part};
use crate::check::{Look, Question};
use crate::op::decode::{Result, document};

/// `set_validator = { collection, validator | schema }`.
pub(super) fn set(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let (validator, schema) = (change.reader.table.take("validator"), change.reader.table.take("schema"));
    let validator = match (validator, schema) {
        (Some(validator), None) => document(validator),
        (None, Some(schema)) => document(schema).map(|schema| doc! { "$jsonSchema": schema }),
        (validator, _) => {
            let message = if validator.is_some() {
                "both `validator` and `schema` are given"
            } else {
                "neither `validator` nor `schema` is given"
            };
            change.wrong(message, "needs one of them", "`validator` is a query, `schema` a JSON schema");
            Ok(Document::new())
        }
    };
    let validator = validator.map_err(|wrong| change.reader.wrong.push(wrong)).unwrap_or_default();
    let mut frame = change.whole(collection, &["collection", "validator", "schema"])?;
    let name = frame.collection.clone();
    frame.touches = fields(&validator).iter().map(|field| format!("{name}.{field}")).collect();
    frame.touches.push(format!("{name}.validator"));

    let warning = doc! { "validationLevel": "moderate", "validationAction": "warn" };
    let mut gentle = doc! { "validator": validator.clone() };
    gentle.extend(warning.clone());
    let warn = keep(&frame, What::Validate(gentle), format!("warn by the validator of {name}"));
    let unset = keep(&frame, What::Revalidate, format!("validator of {name} as it was"));
    let broken = Look {
        database: None,
        collection: name.clone(),
        filter: doc! { "$nor": [validator] },
        question: Question::None,
        span: Some(frame.span),
    };
    let modify = |options: Document, words: &str| {
        let mut command = doc! { "collMod": &name };
        command.extend(options);
        frame.commands(vec![command], format!("{words} by the validator of {name}"))
    };
    let strict = doc! { "validationLevel": "strict", "validationAction": "error" };
    Ok(vec![
        part(Phase::Expand, warn, unset),
        one_way(Phase::Verify, Arc::new(broken), "it only looks"),
        part(Phase::Contract, modify(strict, "refuse"), modify(warning, "warn")),
    ])
}

/// The fields a validator is about.
fn fields(validator: &Document) -> Vec<String> {
    let mut found = names(validator);
    if let Ok(schema) = validator.get_document("$jsonSchema") {
        let properties = schema.get_document("properties").map(|fields| fields.keys().cloned().collect());
        found.extend(properties.unwrap_or_else(|_| Vec::new()));
        let required = schema.get_array("required").map(Vec::as_slice).unwrap_or_default();
        found.extend(required.iter().filter_map(|name| name.as_str()).map(str::to_owned));
    }
    found.sort();
    found.dedup();
    found
}
