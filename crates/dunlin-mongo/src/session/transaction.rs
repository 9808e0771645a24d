//! Commands that change documents, in one transaction with the history.

use std::time::Duration;

use dunlin_core::{Advance, Checkpoint, Cursor, Error, Record, Result, StoredFile, Work};
use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};

use super::{Session, apart, cursor, ledger, outcome};
use crate::error;
use crate::fill::Seed;
use crate::history::dated;
use crate::lock;
use crate::op::{Command, Op};

/// How often a transaction that met another one is tried.
const TRIES: u32 = 5;

/// Why a transaction did not come to its end.
enum Stop {
    /// The driver or the server says so, about this command or about the transaction as a whole.
    Driver(DriverError, Option<usize>),
    /// We say so.
    Ours(Error),
    /// The server says of one write that it cannot be part of a transaction: so much for the whole unit, if there is more.
    Unfit(Error),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self::Driver(error, None)
    }
}

/// Runs a unit. `None` where the server says that this cannot be part of a transaction.
pub(super) async fn run(
    session: &mut Session,
    op: &Op,
    unit: &[Command],
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Option<Advance>> {
    let seed = session.seed(op, at)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let stop = match attempt(session, op, unit, (at, seed.as_ref()), work).await {
            Ok(advance) => return Ok(Some(advance)),
            Err(Stop::Unfit(_)) if unit.len() == 1 => return Ok(None),
            Err(Stop::Ours(error) | Stop::Unfit(error)) => return Err(error),
            Err(Stop::Driver(failure, index)) => (failure, index),
        };
        let (failure, index) = stop;
        let is_passing = failure.contains_label(TRANSIENT_TRANSACTION_ERROR);
        if error::is_no_transaction(&failure) && unit.len() == 1 {
            return Ok(None);
        }
        if let Some(advance) = session.ledger.found_written(&session.store, work).await? {
            return Ok(Some(advance));
        }
        let is_too_much = error::is_too_much(&failure, tries);
        if !is_passing || is_too_much || tries == TRIES {
            let command = index.and_then(|index| unit.get(index)).or_else(|| unit.first());
            let error = command.map_or_else(
                || session.fail(&failure, "cannot commit"),
                |command| session.of_command(&failure, command),
            );
            return Err(Error { temporary: error.temporary && !is_too_much, ..error });
        }
        tokio::time::sleep(Duration::from_millis(20 << tries)).await;
    }
}

async fn attempt(
    session: &mut Session,
    op: &Op,
    unit: &[Command],
    (at, seed): (&Cursor, Option<&Seed>),
    work: &Work<'_>,
) -> Result<Advance, Stop> {
    let mut transaction = session.transaction().await;
    let is_last = at.at + unit.len() >= op.commands.len();
    let concern = if is_last { lock::for_good() } else { lock::in_order() };
    transaction.start_transaction().write_concern(concern).await?;
    let ran = inside(session, op, unit, (at, seed), (work, &mut transaction)).await;
    let (record, files, changed) = match ran {
        Ok(ran) => ran,
        Err(stop) => {
            // The server ends a transaction nobody commits; that the abort did not reach it changes nothing.
            let _ = transaction.abort_transaction().await;
            return Err(stop);
        }
    };
    if let Err(failure) = commit(&mut transaction).await {
        // Whether it is there is found out before anything else is written.
        session.ledger.doubt();
        return Err(failure.into());
    }
    session.ledger.written(&ledger::step(work, &record, files));
    Ok(if is_last { Advance::complete(record, changed) } else { Advance::partly(record, changed) })
}

/// The commands and the record, before the commit.
async fn inside<'a>(
    session: &mut Session,
    op: &Op,
    unit: &[Command],
    (at, seed): (&Cursor, Option<&Seed>),
    (work, transaction): (&Work<'a>, &mut ClientSession),
) -> Result<(Record, &'a [StoredFile], u64), Stop> {
    let mut changed = 0;
    for (index, command) in unit.iter().enumerate() {
        let db = session.store.database(command);
        for document in apart::filled(command, seed, at.at + index) {
            // The transaction has the only write concern there is.
            let document =
                document.into_iter().filter(|(key, _)| key != "writeConcern").collect::<bson::Document>();
            let response = db.run_command(document).session(&mut *transaction).await;
            let response = response.map_err(|failure| Stop::Driver(failure, Some(index)))?;
            changed += outcome(&response, command).map_err(|failure| {
                let fault = failure.error(&session.store, command);
                let fault = fault.with("left behind", "nothing of this command: it was undone");
                if failure.is_no_transaction() {
                    Stop::Unfit(fault.help(error::NO_TRANSACTION_HERE))
                } else {
                    Stop::Ours(fault)
                }
            })?;
        }
    }
    let next = at.at + unit.len();
    let record = if next >= op.commands.len() {
        work.complete(changed)
    } else {
        let cursor = cursor(op, next, seed, None, false);
        work.partly(Checkpoint::of(&cursor), changed)
    };
    let record = dated(&record, session.ledger.now());
    let files = session.ledger.unkept(&record, work.files).map_err(Stop::Ours)?;
    let entry = ledger::step(work, &record, files);
    let written = session.ledger.put_inside(&session.store, &entry, transaction).await?;
    if !written.map_err(Stop::Ours)? {
        return Err(Stop::Ours(session.ledger.refused(&session.store).await));
    }
    Ok((record, files, changed))
}

/// Commits. Where the answer is lost, asking again tells: a commit is done once however often it is asked for.
pub(crate) async fn commit(transaction: &mut ClientSession) -> Result<(), DriverError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match transaction.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < TRIES => {
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
            }
            result => return result,
        }
    }
}
