//! dunlin's own tables, as text: how they are made, read and written in each dialect. Times are the server's, stored
//! in its own type for people who look, and read as milliseconds.

mod write;

use crate::dialect::Dialect;

pub(crate) use write::is_without_token;

/// The names of our tables, in one dialect and schema.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) dialect: Dialect,
    /// The schema they are in, where that is known; MySQL's database.
    pub(crate) schema: Option<String>,
    prefix: String,
}

/// The columns of a history row that are bound, in order.
const RECORD: [&str; 14] = [
    "version",
    "slug",
    "state",
    "phase",
    "origin",
    "steps",
    "checkpoint",
    "text_sum",
    "run",
    "who",
    "host",
    "tool",
    "note",
    "files",
];
/// The columns of a journal row that are bound, in order; `step`, `token` follow them as whole numbers.
const EVENT: [&str; 9] = ["version", "slug", "kind", "phase", "detail", "run", "who", "host", "tool"];

/// Whether a table is one of those in which dunlin keeps what it knows.
pub(crate) fn is_ours(name: &str) -> bool {
    ["dunlin_history", "dunlin_journal", "dunlin_lock"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

impl Tables {
    /// In the connection's own schema, or in one that is named.
    pub(crate) fn new(dialect: Dialect, schema: Option<&str>) -> Self {
        let named = schema.map(str::to_owned);
        Self {
            dialect,
            schema: named,
            prefix: schema.map(|schema| dialect.quote(schema) + ".").unwrap_or_default(),
        }
    }

    pub(crate) fn history(&self) -> String {
        format!("{}dunlin_history", self.prefix)
    }

    pub(crate) fn journal(&self) -> String {
        format!("{}dunlin_journal", self.prefix)
    }

    pub(crate) fn lock(&self) -> String {
        format!("{}dunlin_lock", self.prefix)
    }

    /// The statements that make the tables and the one row of the lock. Harmless where they exist.
    pub(crate) fn create(&self) -> Vec<String> {
        // MySQL cannot index a text of unknown length, and compares without regard to case unless told otherwise.
        let (key, text, time, serial, tail) = match self.dialect {
            Dialect::Postgres => {
                ("text", "text", "timestamptz", "bigint generated always as identity primary key", "")
            }
            Dialect::MySql => (
                "varchar(64)",
                "longtext",
                "datetime(6)",
                "bigint auto_increment primary key",
                " character set utf8mb4 collate utf8mb4_bin",
            ),
            Dialect::Sqlite => ("text", "text", "text", "integer primary key", ""),
        };
        let (history, journal, lock) = (self.history(), self.journal(), self.lock());
        // One page less to write with every migration. The long texts come last, so that listings need not read them.
        let history_tail = if self.dialect == Dialect::Sqlite { " without rowid" } else { tail };
        vec![
            format!(
                "create table if not exists {history} (version {key} not null primary key, slug {text} not null, state {text} not null, \
                 phase {text} not null, origin {text} not null, steps {text} not null, checkpoint {text}, text_sum {text} not null, \
                 run {text} not null, who {text} not null, host {text} not null, tool {text} not null, note {text}, \
                 started {time}, finished {time}, rows_changed bigint not null, format bigint not null, files {text} not null){history_tail}"
            ),
            format!(
                "create table if not exists {journal} (sequence {serial}, at {time} not null, version {key} not null, slug {text} not null, \
                 kind {text} not null, phase {text} not null, step bigint not null, detail {text}, run {text} not null, who {text} not null, \
                 host {text} not null, tool {text} not null, token bigint not null, format bigint not null){tail}"
            ),
            format!(
                "create table if not exists {lock} (id bigint not null primary key, token bigint not null, who {text}, host {text}, \
                 pid bigint, process {text}, run {text}, since {time}, expires {time}, backend bigint, format bigint not null){tail}"
            ),
            match self.dialect {
                // Tokens go on from the last one used, should somebody have dropped the lock's table.
                Dialect::MySql => format!(
                    "insert ignore into {lock} (id, token, format) select 1, coalesce(max(token), 0), 1 from {journal}"
                ),
                Dialect::Postgres | Dialect::Sqlite => format!(
                    "insert into {lock} (id, token, format) select 1, coalesce(max(token), 0), 1 from {journal} where true \
                     on conflict do nothing"
                ),
            },
        ]
    }

    /// The columns of a record without its files, as [`crate::history`] reads them.
    pub(crate) fn record_columns(&self) -> Vec<String> {
        let times = [self.millis("started"), self.millis("finished")];
        let numbers = ["rows_changed", "format"].map(str::to_owned);
        RECORD[..13].iter().map(|name| (*name).to_owned()).chain(times).chain(numbers).collect()
    }

    pub(crate) fn select_files(&self) -> String {
        format!("select files from {} where version = {}", self.history(), self.dialect.placeholder(1))
    }

    /// The newest journal rows of one version, or of all, newest first. Bound: the version if there is one, the limit.
    pub(crate) fn select_journal(&self, of_one: bool) -> String {
        let at = self.millis("at");
        let condition =
            if of_one { format!(" where version = {}", self.dialect.placeholder(1)) } else { String::new() };
        let (columns, limit) = (EVENT.join(", "), self.dialect.placeholder(1 + usize::from(of_one)));
        format!(
            "select sequence, {at}, step, format, {columns} from {}{condition} order by sequence desc limit {limit}",
            self.journal()
        )
    }

    pub(crate) fn select_lock(&self) -> String {
        let (since, expires) = (self.millis("since"), self.millis("expires"));
        let lapsed = format!("case when expires < {} then 1 else 0 end", self.now());
        format!(
            "select token, who, host, pid, process, run, {since}, {expires}, backend, {lapsed}, format from {} where id = 1",
            self.lock()
        )
    }

    /// One row if all our tables are there and the lock has its row; no row, or a failure, if not.
    pub(crate) fn select_complete(&self) -> String {
        let (history, journal, lock) = (self.history(), self.journal(), self.lock());
        format!(
            "select id from {lock} where id = 1 and (exists (select 1 from {history}) or exists (select 1 from {journal}) or 1 = 1)"
        )
    }

    /// Whether anything was ever written to the journal.
    pub(crate) fn select_any_event(&self) -> String {
        format!("select sequence from {} limit 1", self.journal())
    }

    /// The server's clock, now: not the start of the transaction.
    pub(crate) fn now(&self) -> &'static str {
        match self.dialect {
            Dialect::Postgres => "clock_timestamp()",
            Dialect::MySql => "utc_timestamp(6)",
            Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        }
    }

    /// The server's clock, that many milliseconds from now; bound.
    pub(crate) fn now_plus(&self, index: usize) -> String {
        match self.dialect {
            Dialect::Postgres => format!("clock_timestamp() + ${index}::bigint * interval '1 millisecond'"),
            Dialect::MySql => "utc_timestamp(6) + interval (? * 1000) microsecond".to_owned(),
            Dialect::Sqlite => {
                format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', (${index} / 1000.0) || ' seconds')")
            }
        }
    }

    fn millis(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("(extract(epoch from {column}) * 1000)::bigint"),
            Dialect::MySql => format!("timestampdiff(microsecond, '1970-01-01', {column}) div 1000"),
            Dialect::Sqlite => format!("cast(unixepoch({column}, 'subsec') * 1000 as integer)"),
        }
    }
}
