//! Looks at the documents of a collection chunk by chunk: reads only, and goes on from where it stopped.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use dunlin_core::pace::Sizer;
use dunlin_core::{Check, Checked, Error, ErrorKind, Position, Result, Violation, async_trait};
use futures_util::future::try_join;
use mongodb::error::Error as DriverError;
use serde::{Deserialize, Serialize};

use crate::check::{Counterpart, Look, Question};
use crate::chunk::{Chunk, Collection, Key, Route, both, index, number};
use crate::error;
use crate::op::render;
use crate::store::Store;

/// How many violations are listed.
const LISTED: usize = 20;
/// How much of the values of one is shown.
const SHOWN: usize = 200;
/// How long a chunk should take where nobody says; nobody waits for one that only reads.
const TARGET: Duration = Duration::from_millis(50);
/// How often a chunk is mended that others write just then.
const MENDS: u32 = 8;
const SIZES: (u32, u32, u32) = (5000, 100, 100_000);

/// What was found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    route: Route,
    /// How many documents the next chunk has.
    size: u32,
    violations: Vec<Violation>,
    unlisted: u64,
}

/// Whoever may bring documents in step: it holds the lock, or follows.
#[async_trait]
pub(crate) trait Mender: Send {
    /// Mends documents, and looks at them again in the same transaction: whether all of them are in step then. Nothing is
    /// known where there is no transaction, or where another write came in between.
    async fn mend(&mut self, look: &Look, (mend, found): (&Document, &Document)) -> Result<Option<bool>>;
}

/// Goes on for one bout. What somebody wrote since it was in step is mended, where somebody may.
pub(crate) async fn run(
    store: &Store,
    look: &Look,
    check: &Check<'_>,
    mut mender: Option<&mut dyn Mender>,
) -> Result<Checked> {
    let db = store.database(&look.command());
    let fail = |failure: DriverError| error::of_command(&failure, &look.command(), &store.target.url);
    let place = Collection { db: &db, name: &look.collection };
    let mut position = match check.from.and_then(|checkpoint| Position::looked(checkpoint, look)) {
        Some(position) => position,
        None => match clean(&place, (look, check)).await.map_err(fail)? {
            Some(scanned) => return Ok(Checked::Wholly { violations: Vec::new(), unlisted: 0, scanned }),
            None => fresh(store, &place, look).await?,
        },
    };
    if let Question::Same { sample: Some(size), .. } = &look.question {
        if let Some(command) = look.sampled(*size) {
            list(&place, (&command, look), &mut position.place).await.map_err(fail)?;
        }
        let seen = position.total.unwrap_or_default().min(u64::from(*size));
        return Ok(wholly(position, seen));
    }
    let began = Instant::now();
    let mut sizer = Sizer::new(position.place.size, SIZES.1, SIZES.2);
    let mut scanned = 0;
    loop {
        let left = u32::try_from(check.pace.most().saturating_sub(scanned)).unwrap_or(u32::MAX);
        let size = sizer.size().min(left).max(1);
        let chunk_began = Instant::now();
        let Some(chunk) = position.place.route.next(&place, size).await.map_err(fail)? else {
            let scanned = position.scanned;
            return Ok(wholly(position, scanned));
        };
        let mender: Option<&mut dyn Mender> = match &mut mender {
            Some(mender) => Some(&mut **mender),
            None => None,
        };
        one(&place, (look, mender), &chunk, &mut position.place).await?.map_err(fail)?;
        position.place.route.pass(&chunk);
        position.scanned += chunk.count;
        position.near = position.place.route.near();
        scanned += chunk.count;
        if chunk.count == u64::from(sizer.size()) {
            sizer.learn(chunk_began.elapsed(), check.pace.target.unwrap_or(TARGET));
            position.place.size = sizer.size();
        }
        if began.elapsed() >= check.pace.bout || scanned >= check.pace.most() {
            return Ok(Checked::Partly(position.checkpoint()));
        }
    }
}

/// How many documents there are, where one look at all of them finds that all are as they must be. Who is to go slowly
/// does not look at all of them at once.
async fn clean(
    place: &Collection<'_>,
    (look, check): (&Look, &Check<'_>),
) -> Result<Option<u64>, DriverError> {
    let is_sample = matches!(&look.question, Question::Same { sample: Some(_), .. });
    if is_sample || check.pace.rate.is_some() {
        return Ok(None);
    }
    let Some(stages) = look.stages(Document::new()) else { return Ok(None) };
    match place.has(stages).await? {
        Some(false) => place.about().await.map(Some),
        _ => Ok(None),
    }
}

fn wholly(position: Position<Found>, scanned: u64) -> Checked {
    let Found { violations, unlisted, .. } = position.place;
    Checked::Wholly { violations, unlisted, scanned }
}

async fn fresh(store: &Store, place: &Collection<'_>, look: &Look) -> Result<Position<Found>> {
    let fail = |failure: DriverError| error::of_command(&failure, &look.command(), &store.target.url);
    let mut route = Route::through_bytes(place).await.map_err(fail)?;
    if let Question::Across { with, .. } = &look.question {
        let there = Collection { name: &with.collection, ..*place };
        let hint = hint(&there, with).await.map_err(fail)?.ok_or_else(|| unindexed(look, with))?;
        route = route.and(Route::along(&there, &with.key, &hint).await.map_err(fail)?);
    }
    let total = place.about().await.map_err(fail)?;
    let found = Found { route, size: SIZES.0, violations: Vec::new(), unlisted: 0 };
    Ok(Position { total: Some(total), ..Position::new(look, found) })
}

/// Looks at one chunk.
async fn one(
    place: &Collection<'_>,
    (look, mender): (&Look, Option<&mut dyn Mender>),
    chunk: &Chunk,
    found: &mut Found,
) -> Result<Result<(), DriverError>> {
    if let Question::Across { left, with } = &look.question {
        return Ok(across(place, (look, left, with), chunk, found).await);
    }
    // Whoever writes a document faster than it is mended is met again: by the next look, or as what a follower hears.
    Ok(mended(place, (look, mender), &chunk.range(), found).await?.map(drop))
}

/// Looks at these documents and mends them. What stays as it must not be; nothing where others wrote them all the while.
pub(crate) async fn hinted(
    store: &Store,
    look: &Look,
    ids: &[Bson],
    mender: &mut dyn Mender,
) -> Result<Option<Vec<Violation>>> {
    let db = store.database(&look.command());
    let place = Collection { db: &db, name: &look.collection };
    let mut found = Found { route: Route::default(), size: 0, violations: Vec::new(), unlisted: 0 };
    let range = doc! { "_id": { "$in": ids } };
    let is_sure = mended(&place, (look, Some(mender)), &range, &mut found).await?;
    let fail = |failure: DriverError| error::of_command(&failure, &look.command(), &store.target.url);
    Ok(is_sure.map_err(fail)?.then_some(found.violations))
}

/// Lists the documents of a range that are not as they must be, once they were mended where somebody may. Whether that is
/// sure, or others wrote them all the while.
async fn mended(
    place: &Collection<'_>,
    (look, mender): (&Look, Option<&mut dyn Mender>),
    range: &Document,
    found: &mut Found,
) -> Result<Result<bool, DriverError>> {
    let Some(command) = look.found(range.clone()) else { return Ok(Ok(true)) };
    let (Some(mender), Some(mend)) = (mender, look.mend(range)) else {
        return Ok(list(place, (&command, look), found).await.map(|()| true));
    };
    let (listed, unlisted) = (found.violations.len(), found.unlisted);
    for _ in 0..MENDS {
        found.violations.truncate(listed);
        found.unlisted = unlisted;
        if let Err(failure) = list(place, (&command, look), found).await {
            return Ok(Err(failure));
        }
        if found.violations.len() == listed && found.unlisted == unlisted {
            return Ok(Ok(true));
        }
        match mender.mend(look, (&mend, &command)).await? {
            // In the transaction that mended them, all were in step.
            Some(true) => {
                found.violations.truncate(listed);
                found.unlisted = unlisted;
                return Ok(Ok(true));
            }
            // Some cannot be brought in step: those are still found.
            Some(false) => {
                found.violations.truncate(listed);
                found.unlisted = unlisted;
                return Ok(list(place, (&command, look), found).await.map(|()| true));
            }
            // Without a transaction they may have been written again since: look.
            None => {}
        }
    }
    Ok(Ok(false))
}

/// Counts what a command finds, and lists it where there is room.
async fn list(
    place: &Collection<'_>,
    (command, look): (&Document, &Look),
    found: &mut Found,
) -> Result<(), DriverError> {
    let counted = place.batch(with(command, doc! { "$count": "n" })).await?;
    let count = number(counted.first().and_then(|first| first.get("n")));
    let room = LISTED.saturating_sub(found.violations.len());
    let mut listed = 0;
    if count > 0 && room > 0 {
        let limit = i64::try_from(room).unwrap_or_default();
        let documents = place.batch(with(command, doc! { "$limit": limit })).await?;
        listed = documents.len() as u64;
        found.violations.extend(documents.iter().map(|document| violation(look, document)));
    }
    found.unlisted += count.saturating_sub(listed);
    Ok(())
}

fn with(command: &Document, last: Document) -> Document {
    let mut command = command.clone();
    if let Ok(pipeline) = command.get_array_mut("pipeline") {
        pipeline.push(Bson::Document(last));
    }
    command
}

/// Compares the digests of both sides of a chunk, and the documents themselves where those say too little.
async fn across(
    place: &Collection<'_>,
    (look, left, with): (&Look, &Bson, &Counterpart),
    chunk: &Chunk,
    found: &mut Found,
) -> Result<(), DriverError> {
    let there = Collection { name: &with.collection, ..*place };
    // The index was there when the look began; without it everything is only slower.
    let hint = hint(&there, with).await?.unwrap_or_else(|| index().into());
    let counterparts = chunk.counterparts(&with.key);
    let here =
        Counterpart::digest(place.name, both(chunk.range(), &look.filter), ("_id", left), index().into());
    let other = both(counterparts.clone(), &with.filter);
    let other = Counterpart::digest(&with.collection, other, (&with.key, &with.right), hint.clone());
    match try_join(digest(place, here), digest(&there, other)).await {
        Ok((here, there)) if here == there && here.deep == 0 => return Ok(()),
        Ok(_) => {}
        // Servers that have no such hash compare one by one.
        Err(failure) if error::code(&failure) == Some(31325) || error::code(&failure) == Some(168) => {}
        Err(failure) => return Err(failure),
    }
    list(place, (&with.differing(look, left, chunk.range()), look), found).await?;
    list(&there, (&with.surplus(look, counterparts, hint), look), found).await
}

#[derive(Debug, Default, PartialEq)]
struct Digest {
    count: u64,
    sum: Option<Bson>,
    deep: u64,
}

async fn digest(place: &Collection<'_>, command: Document) -> Result<Digest, DriverError> {
    let found = place.batch(command).await?;
    Ok(found.first().map_or_else(Digest::default, |found| Digest {
        count: number(found.get("n")),
        sum: found.get("sum").map(|sum| match sum {
            Bson::Int32(sum) => Bson::Int64(i64::from(*sum)),
            other => other.clone(),
        }),
        deep: number(found.get("deep")),
    }))
}

/// The index along which counterparts are found.
async fn hint(there: &Collection<'_>, with: &Counterpart) -> Result<Option<Bson>, DriverError> {
    if with.key == "_id" {
        return Ok(Some(index().into()));
    }
    let listed = there.batch(doc! { "listIndexes": there.name }).await?;
    let fits = |found: &&Document| {
        let is_part = ["partialFilterExpression", "collation"].iter().any(|name| found.contains_key(name));
        let is_sparse = found.get_bool("sparse").unwrap_or(false);
        let key = found.get_document("key").ok().and_then(|key| key.iter().next());
        !is_part
            && !is_sparse
            && key.is_some_and(|(name, order)| *name == with.key && number(Some(order)) == 1)
    };
    Ok(listed.iter().find(fits).and_then(|found| found.get("name").cloned()))
}

fn unindexed(look: &Look, with: &Counterpart) -> Error {
    let message =
        format!("{} has no index on {} that covers all of its documents", with.collection, with.key);
    let error = Error::new(ErrorKind::Unsupported, message).at(look.span);
    error.help("create one in an expand step: without it every chunk would read the whole collection")
}

fn violation(look: &Look, found: &Document) -> Violation {
    let text = |name: &str| {
        let text = found.get(name).map_or_else(|| "nothing".to_owned(), render::inline);
        clipped(&text, SHOWN)
    };
    let values = match (&look.question, found.get("count").and_then(Bson::as_i32)) {
        (Question::None, _) => text("left"),
        (Question::Found(asked), _) => {
            let (left, right) = &asked.names;
            format!("{left} is {}, {right} is {}", text("left"), text("right"))
        }
        (Question::Across { with, .. }, Some(0)) => {
            format!("{}, and not in {}", text("left"), with.collection)
        }
        (Question::Across { with, .. }, Some(-1)) => {
            format!("{}, and only in {}", text("right"), with.collection)
        }
        (Question::Across { with, .. }, Some(2)) => format!("several in {}", with.collection),
        _ => format!("{} is not {}", text("left"), text("right")),
    };
    let record = found.get("_id").cloned().map(|id| Key(id).text()).unwrap_or_default();
    Violation { record, values: Some(values) }
}

/// The beginning of a text that is too long.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
