//! How our tables are written, as text.

use sqlx::mysql::MySqlDatabaseError;

use super::{EVENT, RECORD, Tables};
use crate::dialect::Dialect;

/// Whether SQLite or MySQL refused a journal row because the lock's token is not ours.
pub(crate) fn is_without_token(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    match error.try_downcast_ref::<MySqlDatabaseError>() {
        // ER_BAD_NULL_ERROR: nothing else of a row of ours can be null where it must not be.
        Some(mysql) => mysql.number() == 1048,
        None => error.message().ends_with("dunlin_journal.token"),
    }
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
        let (journal, event) = self.journal_row("$1::bigint");
        let (history, record) = self.history_row("now()");
        format!(
            "with fence as (select token from {} where id = 1 and token = $1::bigint for update), \
             journal as (insert into {journal} select {event} from fence) \
             insert into {history} select {record} from fence {}",
            self.lock(),
            self.on_conflict(),
        )
    }

    /// SQLite and MySQL: journal, history and commit in one request. Bound as in [`Tables::write_all`]; MySQL, whose
    /// requests of several statements bind nothing, has the values in [variables](Tables::set_values). Fails at a journal
    /// row [without a token](is_without_token) if the token is not the lock's.
    pub(crate) fn write_and_commit(&self) -> [String; 3] {
        let is_mysql = self.dialect == Dialect::MySql;
        let kept = if is_mysql { " for update" } else { "" };
        let token = format!(
            "(select token from {} where id = 1 and token = {}{kept})",
            self.lock(),
            self.value(1, "")
        );
        let (journal, event) = self.journal_row(&token);
        // In SQLite every migration changes the schema, so that all this is compiled anew each time; an upsert that names
        // every column twice takes long for that.
        let (verb, began, tail) = if is_mysql {
            ("insert", self.now().to_owned(), format!(" {}", self.on_conflict()))
        } else {
            let began = format!(
                "coalesce((select started from {} where version = $2 and state <> 'undone'), {})",
                self.history(),
                self.now()
            );
            ("replace", began, String::new())
        };
        let (history, record) = self.history_row(&began);
        [
            format!("insert into {journal} values ({event})"),
            format!("{verb} into {history} values ({record}){tail}"),
            "commit".to_owned(),
        ]
    }

    /// MySQL: puts the values of a write into variables, in the order in which they are bound.
    pub(crate) fn set_values(&self, count: usize) -> String {
        let sets: Vec<String> = (1..=count).map(|index| format!("{} = ?", self.value(index, ""))).collect();
        format!("set {}", sets.join(", "))
    }

    /// The journal's table and columns, and the row that goes with the record bound from the second place on.
    fn journal_row(&self, token: &str) -> (String, String) {
        let kind = 2 + RECORD.len() + 2;
        let of = |name: &str| match name {
            "kind" => kind,
            "detail" => kind + 1,
            name => 2 + RECORD.iter().position(|column| *column == name).unwrap_or(0),
        };
        let values: Vec<String> = EVENT.into_iter().map(|name| self.value(of(name), "::text")).collect();
        (
            format!("{} ({}, step, token, at, format)", self.journal(), EVENT.join(", ")),
            format!(
                "{}, {}, {token}, {}, 1",
                values.join(", "),
                self.value(kind + 2, "::bigint"),
                self.now()
            ),
        )
    }

    /// The history's table and columns, and the row of the record bound from the second place on.
    fn history_row(&self, began: &str) -> (String, String) {
        let rows = 2 + RECORD.len();
        let values: Vec<String> = (2..rows).map(|index| self.value(index, "::text")).collect();
        let (changed, settled) = (self.value(rows, "::bigint"), self.value(rows + 1, "::bigint"));
        let finished = format!("case when {settled} = 1 then {} end", self.now());
        (
            format!("{} ({}, started, rows_changed, finished, format)", self.history(), RECORD.join(", ")),
            format!("{}, {began}, {changed}, {finished}, 1", values.join(", ")),
        )
    }

    /// A value of a whole write.
    fn value(&self, index: usize, cast: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("${index}{cast}"),
            Dialect::MySql => format!("@dunlin_{index}"),
            Dialect::Sqlite => format!("${index}"),
        }
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
}
