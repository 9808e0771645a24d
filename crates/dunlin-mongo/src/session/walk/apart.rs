//! A chunk without a transaction: it comes first, and the position after it. Both are in the same log, in this order.

use bson::Document;
use mongodb::Database;

use super::{Bout, Next, Stop, concern, odd};
use crate::archive;
use crate::chunk::{both, number};
use crate::error;
use crate::moves::{Existing, Merge, OnError, Task};
use crate::session::{Session, ledger, outcome};

/// Runs a chunk, and writes the position after it.
pub(super) async fn run(session: &mut Session, bout: &mut Bout<'_>, next: &mut Next<'_>) -> Result<(), Stop> {
    let op = bout.op;
    let written = op.command();
    let db = session.store.database(&written);
    if let Task::Convert(convert) = &op.task {
        odd::find(&db, op, next, None).await?;
        if convert.on_error == OnError::Fail {
            next.position.place.odd.refuse(op).map_err(Stop::Ours)?;
        }
    }
    let mut changed = 0;
    if let Task::Merge(merge) = &op.task {
        changed += self::merge(session, &db, (bout, merge), next).await?;
    } else {
        for command in op.commands(next.chunk.range(), next.position.place.passes == 0) {
            let response = db.run_command(concerned(session, command)).await?;
            changed += outcome(&response, &written).map_err(Stop::Write)?;
        }
    }
    let record = bout.record(&mut *next, changed);
    let record = if next.is_end {
        session.ledger.put_step(&session.store, &bout.now(), &record).await
    } else {
        session.ledger.put(&session.store, ledger::light(&record, &[]), next.is_final).await
    };
    bout.wrote(record.map_err(Stop::Ours)?, changed, next.chunk.count);
    Ok(())
}

fn concerned(session: &Session, mut command: Document) -> Document {
    let concern = concern(session, false).w;
    let is_majority = matches!(concern, Some(mongodb::options::Acknowledgment::Majority));
    let w: bson::Bson = if is_majority { "majority".into() } else { 1.into() };
    command.insert("writeConcern", bson::doc! { "w": w });
    command
}

/// Merges a chunk. Documents that are there already may be those of a chunk that was cut off: they are the same then.
async fn merge(
    session: &mut Session,
    db: &Database,
    (bout, merge): (&Bout<'_>, &Merge),
    next: &mut Next<'_>,
) -> Result<u64, Stop> {
    let op = bout.op;
    let from = &op.collection;
    let range = both(next.chunk.range(), &op.filter);
    // What goes into an archive is there only where a chunk was cut off, and inserts are the quicker ones.
    let is_archive = merge.existing == Existing::Replace && archive::is_named(&merge.into);
    let matched = if is_archive { Existing::Fail } else { merge.existing }.matched();
    let command = merge.command(from, range.clone(), matched);
    match db.run_command(concerned(session, command)).await {
        Ok(_) => {}
        Err(failure) if is_archive && error::code(&failure) == Some(11000) => {
            let command = merge.command(from, range.clone(), merge.existing.matched());
            db.run_command(concerned(session, command)).await?;
        }
        Err(failure) if merge.existing == Existing::Fail && error::code(&failure) == Some(11000) => {
            odd::find(db, op, next, None).await?;
            next.position.place.odd.refuse(op).map_err(Stop::Ours)?;
            let command = merge.command(from, range.clone(), Existing::Skip.matched());
            db.run_command(concerned(session, command)).await?;
        }
        Err(failure) => return Err(failure.into()),
    }
    if op.filter.is_empty() && merge.pipeline.is_empty() {
        return Ok(next.chunk.count);
    }
    let response = db.run_command(merge.count(from, range)).await?;
    let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let first = batch.ok().and_then(|batch| batch.first()).and_then(bson::Bson::as_document);
    Ok(number(first.and_then(|first| first.get("n"))))
}
