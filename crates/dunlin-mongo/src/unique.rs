//! Documents that a unique index would refuse: looked for before it is made, or before documents are changed under it.

use bson::{Bson, Document, bson, doc};
use dunlin_core::{Error, ErrorKind, Result};
use mongodb::error::Error as DriverError;

use crate::change::carry::{self, Heir};
use crate::change::keep::SHAPE;
use crate::change::staged::Exchange;
use crate::chunk::{Collection, Key};
use crate::op::render;
use crate::session::indexes;
use crate::store::Store;

/// How many values are listed.
const LISTED: i64 = 20;

/// Whether an index is a unique one.
pub(crate) fn is_unique(index: &Document) -> bool {
    index.get_bool("unique").unwrap_or_default()
}

/// The fields an index is over, in words.
pub(crate) fn fields(index: &Document) -> String {
    let keys = index.get_document("key").map(|key| key.keys().cloned().collect::<Vec<_>>());
    keys.unwrap_or_default().join(", ")
}

/// The values that several documents have, in words, once stages have made of them what they will be. Of lists the server
/// says more than this can see.
pub(crate) async fn duplicates(
    place: &Collection<'_>,
    index: &Document,
    mut stages: Vec<Bson>,
) -> Result<Option<String>, DriverError> {
    let keys: Vec<&String> = index.get_document("key").map(|key| key.keys().collect()).unwrap_or_default();
    let mut filter = index.get_document("partialFilterExpression").cloned().unwrap_or_default();
    if index.get_bool("sparse").unwrap_or_default() {
        let any: Vec<Document> = keys.iter().map(|key| doc! { *key: { "$exists": true } }).collect();
        filter = doc! { "$and": [filter, { "$or": any }] };
    }
    let values: Vec<Bson> =
        keys.iter().map(|key| bson!({ "$ifNull": [format!("${key}"), Bson::Null] })).collect();
    stages.extend([
        bson!({ "$match": filter }),
        bson!({ "$group": { "_id": values, "n": { "$sum": 1 }, "one": { "$min": "$_id" }, "other": { "$max": "$_id" } } }),
        bson!({ "$match": { "n": { "$gt": 1 } } }),
        bson!({ "$sort": { "n": -1, "_id": 1 } }),
        bson!({ "$limit": LISTED }),
    ]);
    let mut command =
        doc! { "aggregate": place.name, "pipeline": stages, "cursor": {}, "allowDiskUse": true };
    if let Some(collation) = index.get("collation") {
        command.insert("collation", collation.clone());
    }
    let found: Vec<String> = place.batch(command).await?.iter().map(duplicate).collect();
    Ok((!found.is_empty()).then(|| found.join("; ")))
}

fn duplicate(found: &Document) -> String {
    let values = found.get_array("_id").map(Vec::as_slice).unwrap_or_default();
    let values: Vec<String> = values.iter().map(render::inline).collect();
    let ids = ["one", "other"].into_iter().filter_map(|name| found.get(name).cloned());
    let ids: Vec<String> = ids.map(|id| Key(id).text()).collect();
    let count = found.get("n").map(render::inline).unwrap_or_default();
    format!("{} in {count} documents ({})", values.join(", "), ids.join(", "))
}

/// The failure of an exchange of indexes that is still to come: that what is unique now would not be so then.
pub(crate) async fn foresee(store: &Store, exchange: &Exchange) -> Result<Option<Error>> {
    let fail = |failure: DriverError| store.fail(&failure, "cannot look at the documents");
    let place = Collection { db: &store.db, name: &exchange.collection };
    let listed = indexes(&place).await.map_err(fail)?;
    let carried = carry::carried(&listed, &exchange.heirs);
    let mut wanted: Vec<Document> = if exchange.is_back {
        let find =
            doc! { "find": SHAPE, "filter": { "_id": &exchange.tag }, "limit": 1, "singleBatch": true };
        let kept = place.batch(find).await.map_err(fail)?;
        let kept = kept.iter().filter(|kept| !kept.get_bool("is_back").unwrap_or_default());
        kept.flat_map(carry::recalled).chain(carried).map(|one| one.old).collect()
    } else {
        carried.into_iter().filter_map(|one| one.new).collect()
    };
    wanted.retain(is_unique);
    for index in wanted {
        let found = duplicates(&place, &index, exchange.stages()).await.map_err(fail)?;
        if let Some(found) = found {
            let name = index.get_str("name").unwrap_or_default();
            let message =
                format!("unique index {name} of {}: {} would not be unique", place.name, fields(&index));
            let error = Error::new(ErrorKind::Statement, message).at(exchange.span);
            let error = error.with("documents", found).with("left behind", "nothing");
            return Ok(Some(error.help(if exchange.is_back {
                "the way back would end half-way: give each of them a value of its own, or delete what is not needed"
            } else {
                "mend them before the contract: each value may be in one document only"
            })));
        }
    }
    Ok(None)
}

impl Exchange {
    /// Stages that give documents the fields they will have: old ones that are there count.
    fn stages(&self) -> Vec<Bson> {
        let field = |name: &str| Bson::String(format!("${name}"));
        let made = |(old, new): &Heir| {
            let mut values = vec![field(old)];
            values.push(
                new.as_ref().map_or_else(|| field(&format!("dunlin_kept.old.{old}")), |new| field(new)),
            );
            values.push("$$REMOVE".into());
            let target = if self.is_back { Some(old) } else { new.as_ref() };
            target.map(|target| (target.clone(), bson!({ "$ifNull": values })))
        };
        let made: Document = self.heirs.iter().filter_map(made).collect();
        let mut stages = Vec::new();
        if self.is_back && self.heirs.iter().any(|(_, new)| new.is_none()) {
            stages.push(bson!({ "$lookup": {
                "from": &self.archive, "localField": "_id", "foreignField": "_id", "as": "dunlin_kept",
            } }));
            stages.push(bson!({ "$set": { "dunlin_kept": { "$first": "$dunlin_kept" } } }));
        }
        if !made.is_empty() {
            stages.push(bson!({ "$set": made }));
        }
        stages
    }
}
