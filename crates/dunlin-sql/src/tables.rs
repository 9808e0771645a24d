//! dunlin's own tables, as text: how they are made, read and written in each dialect. Times are the server's, stored
//! in its own type for people who look, and read as milliseconds.

use crate::dialect::Dialect;

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

    /// Everything of every record but its files.
    pub(crate) fn select_history(&self) -> String {
        let (started, finished) = (self.millis("started"), self.millis("finished"));
        format!(
            "select {}, {started}, {finished}, rows_changed, format from {}",
            RECORD[..13].join(", "),
            self.history()
        )
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

    /// Checks the fencing token and keeps it from changing until the transaction ends.
    pub(crate) fn fence(&self) -> String {
        let (lock, token) = (self.lock(), self.dialect.placeholder(1));
        match self.dialect {
            // A write takes SQLite's one write lock anyway, so it may as well renew the lease.
            Dialect::Sqlite => {
                format!("update {lock} set expires = {} where id = 1 and token = ?1", self.now_plus(2))
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

    /// PostgreSQL only: fence, journal and history in one statement, so that a migration costs one round trip more
    /// than its own statements. Bound: the token; the record's columns, the rows, whether it is settled; kind, detail
    /// and step of the journal row. Changes no row if the token is not the lock's.
    pub(crate) fn write_all(&self) -> String {
        let first = 2;
        let (rows, settled, kind) =
            (first + RECORD.len(), first + RECORD.len() + 1, first + RECORD.len() + 2);
        let of = |name: &str| {
            format!("${}::text", first + RECORD.iter().position(|column| *column == name).unwrap_or(0))
        };
        let event = EVENT.map(|name| match name {
            "kind" => format!("${kind}::text"),
            "detail" => format!("${}::text", kind + 1),
            name => of(name),
        });
        format!(
            "with fence as (select token from {} where id = 1 and token = $1::bigint for update), \
             journal as (insert into {} ({}, step, token, at, format) select {}, ${}::bigint, $1::bigint, {now}, 1 from fence) \
             insert into {} ({}, started, finished, rows_changed, format) select {}, now(), {}, ${rows}::bigint, 1 from fence {}",
            self.lock(),
            self.journal(),
            EVENT.join(", "),
            event.join(", "),
            kind + 2,
            self.history(),
            RECORD.join(", "),
            self.texts(first, RECORD.len()),
            self.finished(settled),
            self.on_conflict(),
            now = self.now(),
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
                format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', (?{index} / 1000.0) || ' seconds')")
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
