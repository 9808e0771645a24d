//! How our tables are written, as text.

use sqlx::error::DatabaseError;

use super::{EVENT, RECORD, Tables};
use crate::dialect::Dialect;

/// Whether SQLite refused a journal row because the lock's token is not ours.
pub(crate) fn is_without_token(error: &sqlx::Error) -> bool {
    let message = error.as_database_error().map(DatabaseError::message).unwrap_or_default();
    message.ends_with("dunlin_journal.token")
}

impl Tables {
    /// Checks the fencing token and keeps it from changing until the transaction ends.
    pub(crate) fn fence(&self) -> String {
        let (lock, token) = (self.lock(), self.dialect.placeholder(1));
        match self.dialect {
            // Who has SQLite's one write lock may as well renew the lease.
            Dialect::Sqlite => {
                format!("update {lock} set expires = {} where id = 1 and token = $1", self.now_plus(2))
            }
            Dialect::Postgres | Dialect::MySql => {
                format!("select token from {lock} where id = 1 and token = {token} for update")
            }
        }
    }

    /// Writes how far a record got, if these columns of it are as given. Bound: the checkpoint, the rows, the version, the
    /// columns; on PostgreSQL then the token, and the answer is how many locks and how many records were found.
    pub(crate) fn keep(&self, by: &[&str]) -> String {
        let text = |index: usize| self.texts(index, 1);
        let known: Vec<String> =
            by.iter().enumerate().map(|(at, name)| format!(" and {name} = {}", text(at + 4))).collect();
        let (history, known) = (self.history(), known.concat());
        let set = format!("set checkpoint = {}, rows_changed = {}", text(1), self.number(2));
        if self.dialect != Dialect::Postgres {
            return format!("update {history} {set} where version = {}{known}", text(3));
        }
        format!(
            "with fence as (select token from {} where id = 1 and token = ${}::bigint for update), \
             kept as (update {history} {set} from fence where version = {}{known} returning 1) \
             select (select count(*) from fence), (select count(*) from kept)",
            self.lock(),
            by.len() + 4,
            text(3),
        )
    }

    /// Inserts or replaces a record. Bound: the record's columns, the rows, whether it is settled.
    pub(crate) fn upsert(&self) -> String {
        let names: Vec<&str> =
            RECORD.into_iter().chain(["started", "rows_changed", "finished", "format"]).collect();
        format!(
            "insert into {} ({}) values ({}, {}, {}, {}, 1) {}",
            self.history(),
            names.join(", "),
            self.texts(1, RECORD.len()),
            self.now(),
            self.number(RECORD.len() + 1),
            self.finished(RECORD.len() + 2),
            self.on_conflict(),
        )
    }

    /// Appends a journal row. Bound: the event's columns, the step, the token.
    pub(crate) fn append(&self) -> String {
        let count = EVENT.len();
        format!(
            "insert into {} ({}, step, token, at, format) values ({}, {}, {}, {}, 1)",
            self.journal(),
            EVENT.join(", "),
            self.texts(1, count),
            self.number(count + 1),
            self.number(count + 2),
            self.now(),
        )
    }

    /// PostgreSQL: fence, journal and history in one statement, so that a migration costs one round trip more than its
    /// own statements and the commit. Bound: the token; the record's columns, the rows, whether it is settled; kind,
    /// detail and step of the journal row. Changes no row if the token is not the lock's.
    pub(crate) fn write_all(&self) -> String {
        format!(
            "with fence as (select token from {} where id = 1 and token = $1::bigint for update), journal as ({} from fence) \
             insert into {} from fence {}",
            self.lock(),
            self.journal_row("$1::bigint"),
            self.history_row("now()"),
            self.on_conflict(),
        )
    }

    /// SQLite: journal, history and commit in one request. Bound as in [`Tables::write_all`]. Fails at a journal row
    /// [without a token](is_without_token) if the token is not the lock's. Every migration changes the schema, so that
    /// all this is compiled anew each time; an upsert that names every column twice takes long for that.
    pub(crate) fn write_and_commit(&self) -> [String; 3] {
        let token = format!("(select token from {} where id = 1 and token = $1)", self.lock());
        let began = format!(
            "coalesce((select started from {} where version = $2 and state <> 'undone'), {})",
            self.history(),
            self.now()
        );
        let replace = format!("replace into {}", self.history_row(&began));
        [self.journal_row(&token), replace, "commit".to_owned()]
    }

    /// Appends a journal row to the record that is bound from the second place on.
    fn journal_row(&self, token: &str) -> String {
        let kind = 2 + RECORD.len() + 2;
        let of = |name: &str| match name {
            "kind" => kind,
            "detail" => kind + 1,
            name => 2 + RECORD.iter().position(|column| *column == name).unwrap_or(0),
        };
        let values: Vec<String> = EVENT.into_iter().map(|name| self.texts(of(name), 1)).collect();
        format!(
            "insert into {} ({}, step, token, at, format) select {}, {}, {token}, {}, 1",
            self.journal(),
            EVENT.join(", "),
            values.join(", "),
            self.number(kind + 2),
            self.now(),
        )
    }

    /// The history's table, and the row of the record that is bound from the second place on.
    fn history_row(&self, began: &str) -> String {
        let rows = 2 + RECORD.len();
        format!(
            "{} ({}, started, rows_changed, finished, format) select {}, {began}, {}, {}, 1",
            self.history(),
            RECORD.join(", "),
            self.texts(2, RECORD.len()),
            self.number(rows),
            self.finished(rows + 1),
        )
    }

    fn on_conflict(&self) -> String {
        let table = self.history();
        let new = |name: &str| match self.dialect {
            Dialect::MySql => format!("values({name})"),
            Dialect::Postgres | Dialect::Sqlite => format!("excluded.{name}"),
        };
        let old = |name: &str| {
            if self.dialect == Dialect::Postgres { format!("{table}.{name}") } else { name.to_owned() }
        };
        // MySQL assigns from left to right, so `started`, which looks at the old state, comes first.
        let started = format!(
            "started = case when {} = 'undone' then {} else coalesce({}, {}) end",
            old("state"),
            new("started"),
            old("started"),
            new("started")
        );
        let others = RECORD[1..]
            .iter()
            .chain(&["finished", "rows_changed", "format"])
            .map(|name| format!("{name} = {}", new(name)));
        let sets: Vec<String> = std::iter::once(started).chain(others).collect();
        match self.dialect {
            Dialect::MySql => format!("on duplicate key update {}", sets.join(", ")),
            Dialect::Postgres | Dialect::Sqlite => {
                format!("on conflict (version) do update set {}", sets.join(", "))
            }
        }
    }

    fn texts(&self, first: usize, count: usize) -> String {
        let cast = if self.dialect == Dialect::Postgres { "::text" } else { "" };
        (first..first + count)
            .map(|index| self.dialect.placeholder(index) + cast)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn number(&self, index: usize) -> String {
        let cast = if self.dialect == Dialect::Postgres { "::bigint" } else { "" };
        self.dialect.placeholder(index) + cast
    }

    fn finished(&self, index: usize) -> String {
        format!("case when {} = 1 then {} end", self.number(index), self.now())
    }
}
