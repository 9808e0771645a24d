//! Writing a history without running anything: `baseline` and `mark`. Both ask for a reason and leave a journal line.

use std::sync::Arc;

use dunlin_core::{
    Author, Checkpoint, Cursor, Error, ErrorKind, EventKind, History, Migration, Origin, Phase, Record,
    Result, Seen, Session, State, StoreName, StoredFile,
};

use crate::lane;

/// What a person says of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// All of its steps are in effect, contract included.
    Done,
    /// None of its steps is in effect.
    Undone,
    /// The statement whose outcome nobody could tell took effect.
    StatementDone,
    /// That statement did not take effect; the next run sends it.
    StatementUndone,
}

/// Who says it, of which store, and why.
#[derive(Debug, Clone, Copy)]
pub struct Remark<'a> {
    /// The store.
    pub store: &'a StoreName,
    /// The person, and the invocation.
    pub author: &'a Arc<Author>,
    /// Their words.
    pub reason: &'a str,
}

/// The record that `mark` leads to in one store.
pub fn marked(
    migration: Option<&Arc<dyn Migration>>,
    known: Option<&Record>,
    mark: Mark,
    remark: Remark<'_>,
) -> Result<Record> {
    let Remark { store, author, reason } = remark;
    let nothing = || {
        Error::new(ErrorKind::Config, format!("`{store}` has neither a record nor a file of that version"))
    };
    let mut record = match (known, migration) {
        (Some(record), _) => record.clone(),
        (None, Some(migration)) => settled(&**migration, store, Origin::Mark, author),
        (None, None) => return Err(nothing().help("`dunlin status` lists what there is")),
    };
    if mark == Mark::Done && record.state == State::Expanded {
        return Err(two_shapes(&record, store));
    }
    record.author = author.clone();
    record.note = Some(reason.to_owned());
    match mark {
        Mark::Done => {
            if let Some(migration) = migration {
                record = Record {
                    note: record.note,
                    started: record.started,
                    rows: record.rows,
                    ..settled(&**migration, store, Origin::Mark, author)
                };
            }
            Ok(Record { state: State::Done, origin: Origin::Mark, checkpoint: None, ..record })
        }
        Mark::Undone => Ok(Record {
            state: State::Undone,
            origin: Origin::Mark,
            checkpoint: None,
            steps: Vec::new(),
            ..record
        }),
        Mark::StatementDone | Mark::StatementUndone => settle_statement(record, mark == Mark::StatementDone),
    }
}

/// The history would say that the old shape is gone, and nothing would ever remove it, or what keeps both in step.
fn two_shapes(record: &Record, store: &StoreName) -> Error {
    let (id, version) = (&record.id, &record.id.version);
    let message = format!("{id} is expanded in `{store}`: its old shape is still there, beside the new one");
    Error::new(ErrorKind::Config, message).help(format!(
        "nothing was changed. `dunlin contract {version}` removes the old shape, `dunlin down` takes the new one back. \
         If somebody removed the old one by hand: `dunlin mark {version} undone --reason …`, then `dunlin mark {version} done --reason …`"
    ))
}

fn settle_statement(record: Record, took_effect: bool) -> Result<Record> {
    // A step that goes through records knows by itself where it is.
    let cursor = if Seen::of(&record).is_some() { Cursor::default() } else { Cursor::of(&record)? };
    if !cursor.open {
        let error =
            Error::new(ErrorKind::Config, format!("{} has no statement whose outcome is unknown", record.id));
        return Err(error.help("`dunlin up` goes on by itself"));
    }
    let at = cursor.at + usize::from(took_effect);
    // The sum of the statements up to this one is the backend's to work out.
    let sum = if took_effect { String::new() } else { cursor.sum.clone() };
    let checkpoint = Checkpoint::of(&lane::closed(Cursor { at, sum, ..cursor }));
    Ok(Record { checkpoint: Some(checkpoint), ..record })
}

/// A record of a migration whose steps are all taken as complete.
pub fn settled(migration: &dyn Migration, store: &StoreName, origin: Origin, author: &Arc<Author>) -> Record {
    let steps = lane::steps(migration, store);
    Record {
        id: migration.id().clone(),
        state: State::Done,
        phase: steps.last().map_or(Phase::Expand, |step| step.phase),
        origin,
        steps: lane::sums(&steps),
        checkpoint: None,
        text: lane::text_sum(migration, store),
        author: author.clone(),
        started: None,
        finished: None,
        rows: 0,
        note: None,
    }
}

/// Writes a marked record, with the files that go with it.
pub async fn write(session: &mut Box<dyn Session>, record: &Record, files: &[StoredFile]) -> Result<()> {
    session.write(record, files, EventKind::Marked).await
}

/// Which of `migrations` a baseline up to and including the last of them would record in `store`.
pub fn baseline(migrations: &[Arc<dyn Migration>], history: &History, remark: Remark<'_>) -> Vec<Record> {
    let Remark { store, author, reason } = remark;
    let is_new = |migration: &&Arc<dyn Migration>| {
        lane::stores(&***migration).contains(&store) && history.live(&migration.id().version).is_none()
    };
    let record = |migration: &Arc<dyn Migration>| Record {
        note: Some(reason.to_owned()),
        ..settled(&**migration, store, Origin::Baseline, author)
    };
    migrations.iter().filter(is_new).map(record).collect()
}
