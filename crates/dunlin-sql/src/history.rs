//! Records and events to and from rows.

use std::sync::Arc;

use dunlin_core::history::{damaged, decode_steps, decode_sum, encode_files, encode_steps, readable};
use dunlin_core::{
    Author, Checkpoint, Error, ErrorKind, Event, EventKind, History, MigrationId, Origin, Phase, Record,
    Result, RunId, State, StoredFile, Timestamp, Version,
};

use sqlx::error::DatabaseError;

use crate::conn::{Cell, Conn, Param};
use crate::tables::Tables;

/// Reads all records. Where the tables do not exist nothing was ever run.
pub(crate) async fn read(conn: &mut Conn, tables: &Tables) -> sqlx::Result<Result<History>> {
    let mut found = select(conn, tables).await?;
    if matches!(found, Ok(None)) {
        if !has_events(conn, tables).await? {
            return Ok(Ok(History::default()));
        }
        // Another run may have made the tables between our two looks.
        found = select(conn, tables).await?;
    }
    Ok(found.and_then(|records| records.ok_or_else(|| gone(tables))))
}

/// All records; none where there is no such table.
async fn select(conn: &mut Conn, tables: &Tables) -> sqlx::Result<Result<Option<History>>> {
    let (columns, table) = (tables.record_columns(), tables.history());
    let mut history = History::default();
    let mut last = None;
    let mut wrong = None;
    let keep = |row: &[Cell]| match record(row, last.as_ref()) {
        Ok(record) => {
            last = Some(record.author.clone());
            history.put(record);
        }
        Err(error) => wrong = wrong.take().or_else(|| Some(naming(error, row, tables))),
    };
    match conn.each(&columns, &table, keep).await {
        Ok(()) => Ok(wrong.map_or(Ok(Some(history)), Err)),
        Err(error) if is_missing_table(&error) => Ok(Ok(None)),
        Err(error) if is_missing_column(&error) => {
            let message = error.as_database_error().map(DatabaseError::message).unwrap_or_default();
            let message = format!("{} lacks a column that dunlin made: {message}", tables.history());
            let error = Error::new(ErrorKind::Integrity, message);
            Ok(Err(error.help("restore the table from a backup; nothing was changed")))
        }
        Err(error) => Err(error),
    }
}

async fn has_events(conn: &mut Conn, tables: &Tables) -> sqlx::Result<bool> {
    match conn.rows(&tables.select_any_event(), &[]).await {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(error) if is_missing_table(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The history was there once: running everything again would be the worst.
fn gone(tables: &Tables) -> Error {
    let message = format!("{} is gone, and {} says that migrations ran", tables.history(), tables.journal());
    let error = Error::new(ErrorKind::Integrity, message);
    error.help("restore the table from a backup; to forget everything that ran, drop the journal too")
}

fn naming(error: Error, row: &[Cell], tables: &Tables) -> Error {
    let text = |index: usize| row[index].text().unwrap_or("NULL");
    error.with("row", format!("{}_{} in {}", text(0), text(1), tables.history()))
}

fn is_missing_column(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // SQLSTATE undefined_column of PostgreSQL; of MySQL; SQLite has one code for all.
    matches!(&*error.code().unwrap_or_default(), "42703" | "42S22")
        || error.message().starts_with("no such column: ")
}

/// Whether a statement failed because our tables are not there.
pub(crate) fn is_missing_table(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().unwrap_or_default();
    // PostgreSQL: undefined_table, and no schema in the path; MySQL's SQLSTATE of error 1146; SQLite has one code for all.
    matches!(&*code, "42P01" | "3F000" | "42S02") || error.message().starts_with("no such table: dunlin_")
}

/// A record. What was written before it may well be by the same author.
fn record(row: &[Cell], before: Option<&Arc<Author>>) -> Result<Record> {
    let text = |index: usize, what: &str| row[index].text().ok_or_else(|| damaged(what, "nothing"));
    readable(row[16].int().unwrap_or_default())?;
    Ok(Record {
        id: id(text(0, "version")?, text(1, "slug")?)?,
        state: State::of(text(2, "state")?)?,
        phase: phase(text(3, "phase")?)?,
        origin: Origin::of(text(4, "origin")?)?,
        steps: decode_steps(text(5, "steps")?)?,
        checkpoint: row[6].text().map(|text| Checkpoint(text.into())),
        text: decode_sum(text(7, "text_sum")?)?,
        author: author(&row[8..12], before)?,
        note: row[12].text().map(str::to_owned),
        started: row[13].int().map(Timestamp),
        finished: row[14].int().map(Timestamp),
        rows: row[15]
            .int()
            .and_then(|rows| u64::try_from(rows).ok())
            .ok_or_else(|| damaged("rows_changed", "no count"))?,
    })
}

fn id(version: &str, slug: &str) -> Result<MigrationId> {
    let version = Version::parse(version).ok_or_else(|| damaged("version", version))?;
    Ok(MigrationId { version, slug: slug.into() })
}

fn phase(word: &str) -> Result<Phase> {
    Phase::of(word).ok_or_else(|| damaged("phase", word))
}

fn author(cells: &[Cell], before: Option<&Arc<Author>>) -> Result<Arc<Author>> {
    let text = |at: usize| cells[at].text().ok_or_else(|| damaged("author", "nothing"));
    let [run, who, host, tool] = [text(0)?, text(1)?, text(2)?, text(3)?];
    let is_same = |before: &&Arc<Author>| {
        [&before.run.0, &before.who, &before.host, &before.tool].map(|text| &**text) == [run, who, host, tool]
    };
    let new = || Author { run: RunId(run.into()), who: who.into(), host: host.into(), tool: tool.into() };
    Ok(before.filter(is_same).cloned().unwrap_or_else(|| Arc::new(new())))
}

/// A journal row, as [`Tables::select_journal`] selects it.
pub(crate) fn event(row: &[Cell]) -> Result<Event> {
    let text = |index: usize, what: &str| row[index].text().ok_or_else(|| damaged(what, "nothing"));
    readable(row[3].int().unwrap_or_default())?;
    Ok(Event {
        sequence: row[0].int().ok_or_else(|| damaged("sequence", "nothing"))?,
        at: Timestamp(row[1].int().ok_or_else(|| damaged("at", "nothing"))?),
        step: row[2]
            .int()
            .and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| damaged("step", "nothing"))?,
        id: id(text(4, "version")?, text(5, "slug")?)?,
        kind: EventKind::of(text(6, "kind")?)?,
        phase: phase(text(7, "phase")?)?,
        detail: row[8].text().map(str::to_owned),
        author: author(&row[9..13], None)?,
    })
}

/// What is written: a record, and the journal row that goes with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) record: &'a Record,
    pub(crate) files: &'a [StoredFile],
    pub(crate) kind: EventKind,
    /// The index of the step the event is about.
    pub(crate) step: usize,
    pub(crate) detail: Option<&'a str>,
}

impl Entry<'_> {
    /// The bound values of a history row: its columns, the rows changed, whether it is settled.
    pub(crate) fn record_params(&self) -> Vec<Param> {
        let record = self.record;
        let shared = |text: &Arc<str>| Param::Text(text.clone());
        vec![
            record.id.version.as_str().into(),
            shared(&record.id.slug),
            record.state.word().into(),
            record.phase.word().into(),
            record.origin.word().into(),
            encode_steps(&record.steps).into(),
            record.checkpoint.as_ref().map(|checkpoint| &*checkpoint.0).into(),
            record.text.to_string().into(),
            shared(&record.author.run.0),
            shared(&record.author.who),
            shared(&record.author.host),
            shared(&record.author.tool),
            record.note.as_deref().into(),
            encode_files(self.files).into(),
            i64::try_from(record.rows).unwrap_or(i64::MAX).into(),
            i64::from(record.state.is_settled()).into(),
        ]
    }

    /// The bound values of a journal row: its columns, the step, the token.
    pub(crate) fn event_params(&self, token: i64) -> Vec<Param> {
        let (record, author) = (self.record, &self.record.author);
        vec![
            record.id.version.as_str().into(),
            Param::Text(record.id.slug.clone()),
            self.kind.word().into(),
            record.phase.word().into(),
            self.detail.into(),
            Param::Text(author.run.0.clone()),
            Param::Text(author.who.clone()),
            Param::Text(author.host.clone()),
            Param::Text(author.tool.clone()),
            self.step_param(),
            token.into(),
        ]
    }

    pub(crate) fn step_param(&self) -> Param {
        i64::try_from(self.step).unwrap_or(i64::MAX).into()
    }
}
