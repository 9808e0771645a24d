//! The walk over a collection: in order of `_id`, from bound to bound, through the index alone.
//!
//! A comparison finds values of its own type only, and one collection may hold `_id`s of several. So a walk goes
//! through *brackets*, each of which is one type, or several that are ordered together, such as all numbers. Where each
//! bracket ends is looked up when the walk begins: what arrives beyond is not chased.

mod bracket;

use bson::{Bson, Document, doc};
use mongodb::Database;
use mongodb::error::Error as DriverError;
use serde::{Deserialize, Serialize};

pub(crate) use bracket::Key;
use bracket::{BRACKETS, Bracket};

use crate::error;

/// How long a look at a whole collection may take, in milliseconds: for so long nobody looks whether to stop.
const GLANCE: i64 = 5000;

/// The index every walk goes along.
pub(crate) fn index() -> Document {
    doc! { "_id": 1 }
}

/// How what dunlin compares is compared: byte by byte, whatever the collection says of text.
fn simple() -> Document {
    doc! { "locale": "simple" }
}

/// An `aggregate` or a `find`, or one statement of an `update` or a `delete`, that compares so.
pub(crate) fn binary(mut command: Document) -> Document {
    command.insert("collation", simple());
    command
}

/// The same as people need to see it: without what only the walk asks for.
pub(crate) fn bare(mut command: Document) -> Document {
    if command.get_document("hint").is_ok_and(|hint| *hint == index()) {
        command.remove("hint");
    }
    if command.get_document("collation").is_ok_and(|collation| *collation == simple()) {
        command.remove("collation");
    }
    command
}

/// Where a walk is, and what is before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    brackets: Vec<Bracket>,
    /// How many of them it came past.
    #[serde(default)]
    on: usize,
    /// The last `_id` it came past in the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Key>,
}

/// The documents that are next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    bracket: Bracket,
    after: Option<Key>,
    to: Option<Key>,
    is_end: bool,
    /// How many there are.
    pub(crate) count: u64,
}

impl Chunk {
    /// What finds them.
    pub(crate) fn range(&self) -> Document {
        self.bracket.range("_id", self.after.as_ref(), self.to.as_ref())
    }

    /// What finds their counterparts by another field: everything between the bounds, beyond the last one, too.
    pub(crate) fn counterparts(&self, field: &str) -> Document {
        let to = self.to.as_ref().filter(|_| !self.is_end);
        self.bracket.range(field, self.after.as_ref(), to)
    }

    /// Whether there can be a smaller one.
    pub(crate) fn is_divided(&self) -> bool {
        self.bracket.end.is_some()
    }

    /// The last of them, where it is known.
    pub(crate) fn last(&self) -> Option<&Key> {
        self.to.as_ref()
    }
}

impl Route {
    /// Through all there is.
    pub(crate) async fn through(place: &Collection<'_>) -> Result<Self, DriverError> {
        Self::along(place, "_id", &index().into()).await
    }

    /// Through all there is, by commands that compare byte by byte.
    pub(crate) async fn through_bytes(place: &Collection<'_>) -> Result<Self, DriverError> {
        let route = Self::through(place).await?;
        Ok(if place.has_collation().await? { route.with_whole_texts() } else { route })
    }

    /// Through all there is of another field, along its index.
    pub(crate) async fn along(place: &Collection<'_>, field: &str, hint: &Bson) -> Result<Self, DriverError> {
        let end = async |filter: Document, order: i32| place.one(filter, (field, hint), order, 0).await;
        let (Some(first), Some(last)) = (end(doc! {}, 1).await?, end(doc! {}, -1).await?) else {
            return Ok(Self::default());
        };
        let at = |key: &Key| {
            let kind = key.0.element_type() as i8;
            BRACKETS.iter().position(|(_, types, _)| types.contains(&i32::from(kind)))
        };
        let span = at(&first).unwrap_or(0)..=at(&last).unwrap_or(BRACKETS.len() - 1);
        let mut brackets = Vec::new();
        for (kind, types, is_divided) in &BRACKETS[span] {
            let within = doc! { field: { "$type": types.to_vec() } };
            if let Some(end) = end(within, -1).await? {
                brackets.push(Bracket { kind: (*kind).to_owned(), end: is_divided.then_some(end) });
            }
        }
        Ok(Self { brackets, on: 0, after: None })
    }

    /// Also through the brackets that only the other one has.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for bracket in other.brackets {
            if !self.brackets.iter().any(|known| known.kind == bracket.kind) {
                self.brackets.push(bracket);
            }
        }
        self
    }

    /// The same where text is compared by another collation than that of the index: it is not divided then.
    pub(crate) fn with_whole_texts(mut self) -> Self {
        for bracket in &mut self.brackets {
            if matches!(bracket.kind.as_str(), "string" | "object") {
                bracket.end = None;
            }
        }
        self
    }

    /// Whether it is at its end.
    pub(crate) fn is_over(&self) -> bool {
        self.on >= self.brackets.len()
    }

    /// Whether there is nothing to go through.
    pub(crate) fn is_empty(&self) -> bool {
        self.brackets.is_empty()
    }

    /// Back to the beginning.
    pub(crate) fn rewind(&mut self) {
        (self.on, self.after) = (0, None);
    }

    /// Only what it came past, from the beginning.
    pub(crate) fn past(mut self) -> Self {
        if let (Some(after), Some(bracket)) = (self.after.take(), self.brackets.get_mut(self.on)) {
            bracket.end = Some(after);
            self.on += 1;
        }
        self.brackets.truncate(self.on);
        self.on = 0;
        self
    }

    /// The last document it came past, for people.
    pub(crate) fn near(&self) -> String {
        let last = self.after.as_ref().or_else(|| self.brackets[..self.on].last()?.end.as_ref());
        last.map(|key| format!("_id {}", key.text())).unwrap_or_default()
    }

    /// The next documents, at most `size` where the bracket can be divided.
    pub(crate) async fn next(&self, place: &Collection<'_>, size: u32) -> Result<Option<Chunk>, DriverError> {
        let Some(bracket) = self.brackets.get(self.on) else { return Ok(None) };
        let whole = bracket.range("_id", self.after.as_ref(), bracket.end.as_ref());
        let mut chunk = Chunk {
            bracket: bracket.clone(),
            after: self.after.clone(),
            to: bracket.end.clone(),
            is_end: true,
            count: u64::from(size),
        };
        if bracket.end.is_some()
            && let Some(to) = place.nth(whole.clone(), size).await?
        {
            (chunk.is_end, chunk.to) = (false, Some(to));
        } else {
            chunk.count = place.count(whole).await?;
        }
        Ok(Some(chunk))
    }

    /// Goes past these.
    pub(crate) fn pass(&mut self, chunk: &Chunk) {
        if chunk.is_end {
            self.on += 1;
            self.after = None;
        } else {
            self.after.clone_from(&chunk.to);
        }
    }
}

/// A collection that is walked over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collection<'a> {
    pub(crate) db: &'a Database,
    pub(crate) name: &'a str,
}

impl Collection<'_> {
    /// The first batch of what a command finds.
    pub(crate) async fn batch(&self, command: Document) -> Result<Vec<Document>, DriverError> {
        let response = self.db.run_command(command).await?;
        let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let documents = batch.map(Vec::as_slice).unwrap_or_default().iter();
        Ok(documents.filter_map(Bson::as_document).cloned().collect())
    }

    /// The value of a field that comes so many after the first, in its order.
    async fn one(
        &self,
        filter: Document,
        (field, hint): (&str, &Bson),
        order: i32,
        skip: u32,
    ) -> Result<Option<Key>, DriverError> {
        // Only the index is read.
        let projection = if field == "_id" {
            doc! { "_id": 1 }
        } else {
            doc! { "_id": 0, field: 1 }
        };
        let command = doc! {
            "find": self.name, "filter": filter, "projection": projection, "sort": { field: order },
            "hint": hint.clone(), "skip": i64::from(skip), "limit": 1, "singleBatch": true,
        };
        let found = self.batch(command).await?.into_iter().next();
        Ok(found.and_then(|found| found.get(field).cloned()).map(Key))
    }

    /// Whether stages find anything, in whatever order the server reads: in the usual order of the documents that is some
    /// times as fast as along the index of `_id`, and costs one request. Unknown where that takes longer than `GLANCE`.
    pub(crate) async fn has(&self, mut stages: Vec<Bson>) -> Result<Option<bool>, DriverError> {
        stages.push(bson::bson!({ "$limit": 1 }));
        let command = doc! { "aggregate": self.name, "pipeline": stages, "cursor": {}, "maxTimeMS": GLANCE };
        match self.batch(binary(command)).await {
            Ok(found) => Ok(Some(!found.is_empty())),
            Err(failure) if error::is_out_of_time(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether its indexes compare text otherwise than byte by byte, where they do not say so themselves.
    pub(crate) async fn has_collation(&self) -> Result<bool, DriverError> {
        let list = doc! { "listCollections": 1, "filter": { "name": self.name }, "cursor": {} };
        let found = self.batch(list).await?;
        let options = found.first().and_then(|found| found.get_document("options").ok());
        Ok(options.is_some_and(|options| options.contains_key("collation")))
    }

    /// How many documents there are about, as the server keeps count.
    pub(crate) async fn about(&self) -> Result<u64, DriverError> {
        Ok(number(self.db.run_command(doc! { "count": self.name }).await?.get("n")))
    }

    async fn nth(&self, range: Document, number: u32) -> Result<Option<Key>, DriverError> {
        self.one(range, ("_id", &index().into()), 1, number.saturating_sub(1)).await
    }

    async fn count(&self, range: Document) -> Result<u64, DriverError> {
        let command = doc! { "count": self.name, "query": range, "hint": index() };
        let response = self.db.run_command(command).await?;
        Ok(number(response.get("n")))
    }
}

/// A count of the server's.
pub(crate) fn number(value: Option<&Bson>) -> u64 {
    match value {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Double(number)) if *number >= 0.0 => format!("{number:.0}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// Both conditions.
pub(crate) fn both(range: Document, filter: &Document) -> Document {
    if filter.is_empty() {
        range
    } else {
        doc! { "$and": [range, filter.clone()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bracket(kind: &str, end: Option<Bson>) -> Bracket {
        Bracket { kind: kind.to_owned(), end: end.map(Key) }
    }

    #[test]
    fn the_way_back_covers_what_was_come_past() {
        let brackets = vec![bracket("number", Some(9.into())), bracket("objectId", None)];
        let route = Route { brackets: brackets.clone(), on: 0, after: Some(Key(4.into())) };
        assert_eq!(route.past().brackets, [bracket("number", Some(4.into()))]);
        let route = Route { brackets: brackets.clone(), on: 1, after: None };
        assert_eq!(route.past().brackets, brackets[..1]);
        let route = Route { brackets, on: 0, after: None };
        assert!(route.past().is_over());
    }
}
