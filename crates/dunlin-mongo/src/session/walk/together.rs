//! A chunk and the position after it in one transaction.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use dunlin_core::{Record, StoredFile};
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;
use mongodb::{ClientSession, Database};

use super::{Bout, Next, Stop, concern, kept, odd};
use crate::chunk::{both, index};
use crate::fence::Entry;
use crate::history::dated;
use crate::moves::{Convert, Move, OnError, Reshape, Task};
use crate::op::Command;
use crate::session::{Session, apart, ledger, outcome, transaction};

/// How often a chunk is archived that others write just then.
const KEEPS: u32 = 5;

/// Runs a chunk. How long others may have had to wait for it.
pub(super) async fn run(
    session: &mut Session,
    bout: &mut Bout<'_>,
    next: &mut Next<'_>,
) -> Result<Duration, Stop> {
    let mut tries = 0;
    loop {
        let began = Instant::now();
        let ran = once(session, bout, next).await;
        tries += 1;
        match ran {
            Err(Stop::Unkept) if tries < KEEPS => keep(session, bout.op, next).await?,
            Err(stop) => return Err(stop),
            Ok(()) => return Ok(began.elapsed()),
        }
    }
}

/// Puts what a chunk takes away into the archive. Apart from the transaction, which looks whether it is there.
async fn keep(session: &Session, op: &Move, next: &Next<'_>) -> Result<(), Stop> {
    let Task::Reshape(Reshape { keeping: Some(keeping), .. }) = &op.task else { return Ok(()) };
    let db = session.store.database(&op.command());
    let mut command = keeping.keep(&op.collection, &op.filter, &next.chunk.range());
    command.insert("writeConcern", doc! { "w": "majority" });
    session.check_lease().await.map_err(Stop::Ours)?;
    db.run_command(command).await?;
    Ok(())
}

async fn once(session: &mut Session, bout: &mut Bout<'_>, next: &mut Next<'_>) -> Result<(), Stop> {
    let mut transaction = session.transaction().await;
    transaction.start_transaction().write_concern(concern(session, next.is_final)).await?;
    let ran = inside(session, bout, next, &mut transaction).await;
    let (record, files, changed) = match ran {
        Ok(ran) => ran,
        Err(stop) => {
            // The server ends a transaction nobody commits; that the abort did not reach it changes nothing.
            let _ = transaction.abort_transaction().await;
            return Err(stop);
        }
    };
    transaction::commit(&mut transaction).await.map_err(|failure| {
        let is_undone = failure.contains_label(TRANSIENT_TRANSACTION_ERROR);
        if is_undone { Stop::Driver(failure) } else { Stop::Unknown(failure) }
    })?;
    session.ledger.written(&entry(bout, next, &record, files));
    bout.wrote(record, changed, next.chunk.count);
    Ok(())
}

fn entry<'a>(bout: &Bout<'a>, next: &Next<'_>, record: &'a Record, files: &'a [StoredFile]) -> Entry<'a> {
    if next.is_end { ledger::step(bout.work, record, files) } else { ledger::light(record, files) }
}

/// The changes and the record, before the commit.
async fn inside<'a>(
    session: &mut Session,
    bout: &Bout<'a>,
    next: &mut Next<'_>,
    transaction: &mut ClientSession,
) -> Result<(Record, &'a [StoredFile], u64), Stop> {
    let op = bout.op;
    let written = op.command();
    let db = session.store.database(&written);
    let range = next.chunk.range();
    let mut changed = 0;
    if let Task::Convert(convert) = &op.task {
        odd::find(&db, op, next, Some(&mut *transaction)).await?;
        if convert.on_error == OnError::Fail {
            next.position.place.odd.refuse(op).map_err(Stop::Ours)?;
        }
        if let OnError::Quarantine(into) = &convert.on_error
            && next.position.place.odd.is_new()
        {
            changed += quarantine(session, (&db, op, convert, into), &range, transaction).await?;
        }
    }
    if let Task::Reshape(Reshape { keeping: Some(keeping), .. }) = &op.task {
        let [now, kept] = keeping.kept(&op.collection, &op.filter, &range);
        if !kept::is_kept(&db, (now, kept), transaction).await? {
            return Err(Stop::Unkept);
        }
    }
    for command in op.commands(range, next.position.place.passes == 0) {
        let response = db.run_command(command).session(&mut *transaction).await?;
        changed += outcome(&response, &written).map_err(Stop::Write)?;
    }
    let record = dated(&bout.record(&mut *next, changed), session.ledger.now());
    let files = session.ledger.unkept(&record, bout.work.files).map_err(Stop::Ours)?;
    let entry = entry(bout, next, &record, files);
    let is_written = session.ledger.put_inside(&session.store, &entry, transaction).await?;
    if !is_written.map_err(Stop::Ours)? {
        return Err(Stop::Ours(session.ledger.refused(&session.store).await));
    }
    Ok((record, files, changed))
}

/// Moves the documents of a range that cannot be converted into another collection. They leave the range one batch
/// after the other, so that no more than a batch is held here.
async fn quarantine(
    session: &Session,
    (db, op, convert, into): (&Database, &Move, &Convert, &str),
    range: &Document,
    transaction: &mut ClientSession,
) -> Result<u64, Stop> {
    let written = op.command();
    let mut moved = 0;
    loop {
        let mut find = convert.whole(&op.collection, &both(range.clone(), &op.filter));
        find.extend(doc! { "batchSize": 100, "singleBatch": true });
        let response = db.run_command(find).session(&mut *transaction).await?;
        let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let batch: Vec<Bson> = batch.cloned().unwrap_or_default();
        if batch.is_empty() {
            return Ok(moved);
        }
        let ids: Vec<Bson> = batch.iter().filter_map(|one| one.as_document()?.get("_id").cloned()).collect();
        let document = doc! { "insert": into, "documents": batch };
        let insert = Command { document, ..op.command() };
        for part in apart::filled(&insert, None, 0) {
            let response = db.run_command(part).session(&mut *transaction).await?;
            outcome(&response, &insert).map_err(|failure| {
                let error = failure.error(&session.store, &insert);
                Stop::Ours(
                    error.with(
                        "left behind",
                        format!("nothing of this chunk: {into} has a document of that _id"),
                    ),
                )
            })?;
        }
        let delete = doc! { "q": { "_id": { "$in": ids } }, "limit": 0, "hint": index() };
        let delete = doc! { "delete": &op.collection, "deletes": [delete] };
        let response = db.run_command(delete).session(&mut *transaction).await?;
        moved += outcome(&response, &written).map_err(Stop::Write)?;
    }
}
