//! Who uses fields that leave: views whose stages name them, and queries that go along an index over them, as long as its
//! count of uses grows. A view that names a field which comes for them knows the new shape.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Bson, Document, doc};
use dunlin_core::words::counted;
use mongodb::error::Error as DriverError;

use crate::change::carry;
use crate::chunk::{Collection, number};
use crate::error;
use crate::store::Store;

/// So long it is looked whether the counters of indexes grow.
const LOOK: Duration = Duration::from_millis(500);
/// Where a stage has the name of a field as it is.
const BARE: [&str; 6] = ["localField", "foreignField", "connectToField", "$unset", "$getField", "field"];

/// Fields that leave a collection, and those that come for them.
pub(super) struct Leaving<'a> {
    pub(super) collection: &'a str,
    pub(super) fields: &'a [String],
    pub(super) coming: Vec<&'a str>,
}

/// In words.
pub(super) async fn usage(store: &Store, leaving: &Leaving<'_>) -> Result<Vec<String>, DriverError> {
    let mut uses = Vec::new();
    for (view, options) in super::views_over(store, leaving.collection).await? {
        uses.extend(
            leaving
                .read_by(&options)
                .map(|field| format!("view {view} reads {}.{field}", leaving.collection)),
        );
    }
    uses.extend(indexes(store, leaving).await?);
    Ok(uses)
}

impl Leaving<'_> {
    /// The first of them that the stages of a view name, unless those name what comes.
    fn read_by(&self, options: &Document) -> Option<&str> {
        let mut names = Vec::new();
        if let Some(stages) = options.get("pipeline") {
            named(stages, false, &mut names);
        }
        let has = |field: &str| names.iter().any(|name| leads(name, field));
        if self.coming.iter().any(|field| has(field)) {
            return None;
        }
        self.fields.iter().map(String::as_str).find(|field| has(field))
    }
}

/// Whether a path has all the names of a field in it, one after the other: what a `$lookup` brings in is a level deeper.
fn leads(path: &str, field: &str) -> bool {
    format!(".{path}.").contains(&format!(".{field}."))
}

/// The paths that stages name.
fn named<'a>(stages: &'a Bson, is_bare: bool, names: &mut Vec<&'a str>) {
    match stages {
        Bson::String(text) if is_bare || text.starts_with('$') => names.push(text.trim_start_matches('$')),
        Bson::Array(items) => items.iter().for_each(|item| named(item, is_bare, names)),
        Bson::Document(document) => {
            for (key, value) in document {
                // A field that a projection leaves out is not missed.
                let is_left_out =
                    matches!(value, Bson::Boolean(false)) || number(Some(value)) == 0 && is_number(value);
                if !key.starts_with('$') && !is_left_out {
                    names.push(key);
                }
                named(value, BARE.contains(&key.as_str()), names);
            }
        }
        _ => {}
    }
}

fn is_number(value: &Bson) -> bool {
    matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_))
}

/// Indexes over the fields whose count grows just now. Earlier uses were perhaps dunlin's own.
async fn indexes(store: &Store, leaving: &Leaving<'_>) -> Result<Vec<String>, DriverError> {
    let before = match accesses(store, leaving).await {
        // What this login may not see is not claimed.
        Err(failure) if error::code(&failure) == Some(13) => return Ok(Vec::new()),
        before => before?,
    };
    if before.is_empty() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(LOOK).await;
    let after = accesses(store, leaving).await?;
    let grown = |(name, now): (String, u64)| {
        let more = now.saturating_sub(before.get(&name).copied().unwrap_or(now));
        let seconds = LOOK.as_secs_f32();
        (more > 0).then(|| {
            format!(
                "index {name} of {} was used {} within {seconds} s",
                leaving.collection,
                counted(more, "time")
            )
        })
    };
    Ok(after.into_iter().filter_map(grown).collect())
}

/// How often each index over the fields was used, on all members that are asked.
async fn accesses(store: &Store, leaving: &Leaving<'_>) -> Result<BTreeMap<String, u64>, DriverError> {
    let place = Collection { db: &store.db, name: leaving.collection };
    let stages = vec![doc! { "$indexStats": {} }];
    let command = doc! { "aggregate": leaving.collection, "pipeline": stages, "cursor": {} };
    let mut found = BTreeMap::new();
    for stats in place.batch(command).await? {
        let spec = stats.get_document("spec").ok();
        let (Some(spec), Ok(name)) = (spec, stats.get_str("name")) else { continue };
        if carry::is_over(spec, leaving.fields) {
            let count = stats.get_document("accesses").map_or(0, |accesses| number(accesses.get("ops")));
            *found.entry(name.to_owned()).or_default() += count;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bson::bson;

    use super::*;

    #[test]
    fn a_view_that_names_a_field_is_told_from_one_that_does_not() {
        let fields = ["email".to_owned(), "at.home".to_owned()];
        let leaving = Leaving { collection: "users", fields: &fields, coming: vec!["mail"] };
        let reads = |stages: Bson| leaving.read_by(&doc! { "pipeline": stages });
        for stages in [
            bson!([{ "$project": { "email": 1 } }]),
            bson!([{ "$match": { "$or": [{ "email": "a" }] } }]),
            bson!([{ "$set": { "host": { "$substr": ["$email.host", 0, 9] } } }]),
            bson!([{ "$lookup": { "from": "users", "localField": "user", "foreignField": "email", "as": "u" } }]),
            bson!([{ "$set": { "home": { "$first": "$u.at.home" } } }]),
            bson!([{ "$unset": ["n", "email"] }]),
        ] {
            assert!(reads(stages.clone()).is_some(), "{stages}");
        }
        for stages in [
            bson!([]),
            bson!([{ "$project": { "email": 0 } }]),
            bson!([{ "$match": { "kind": "email", "emails": 1 } }]),
            bson!([{ "$set": { "email": { "$ifNull": ["$mail", "$email"] } } }]),
            bson!([{ "$project": { "at": 1, "home": 1 } }]),
        ] {
            assert_eq!(reads(stages.clone()), None, "{stages}");
        }
    }
}
