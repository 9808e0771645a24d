//! A SQL database we can read, and whose lock we can ask for.

use std::sync::Arc;
use std::time::Duration;

use dunlin_core::history::decode_files;
use dunlin_core::{
    Ahead, Archive, Attempt, Check, Checked, Error, ErrorKind, Event, History, Holder, Line, Op as CoreOp,
    Result, Store as CoreStore, StoredFile, Target, Version, async_trait,
};
use tokio::sync::Mutex;

use crate::conn::{Conn, Param};
use crate::connect::{self, history_schema, is_lease, is_memory, is_pooled};
use crate::dialect::Dialect;
use crate::evolve::{self, Evolve};
use crate::lock::{self, Heartbeat, Renewed};
use crate::session::Session;
use crate::tables::Tables;
use crate::{archive, error, history, preview, rollback, verify};

/// A connected SQL database.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) dialect: Dialect,
    pub(crate) target: Arc<Target>,
    /// The connection nobody uses just now. A second one is opened where one is in use.
    idle: Arc<Mutex<Option<Conn>>>,
}

impl Store {
    /// Connects. A SQLite file that does not exist yet is created by the first lock, if the URL asks for it.
    pub async fn connect(dialect: Dialect, target: &Target) -> Result<Self> {
        let conn = connect::open(dialect, target, is_memory(target)).await?;
        Ok(Self { dialect, target: Arc::new(target.clone()), idle: Arc::new(Mutex::new(conn)) })
    }

    /// How long a lease lasts, as it is bound.
    pub(crate) fn lease_millis(&self) -> i64 {
        i64::try_from(self.target.lease.as_millis()).unwrap_or(i64::MAX)
    }

    fn fail(&self, failure: &sqlx::Error, doing: &str) -> Error {
        error::own(failure, doing, &self.target.url)
    }

    /// Our tables as a connection with default settings finds them.
    fn tables(&self) -> Tables {
        let schema = history_schema(&self.target).filter(|_| self.dialect == Dialect::Postgres);
        Tables::new(self.dialect, schema)
    }

    /// A connection for reading; none where the file does not exist yet.
    async fn take(&self) -> Result<Option<Conn>> {
        match self.idle.lock().await.take() {
            Some(conn) => Ok(Some(conn)),
            None => connect::open(self.dialect, &self.target, false).await,
        }
    }

    /// Keeps a connection that still works for the next one who needs it.
    pub(crate) async fn keep(&self, conn: Conn) {
        *self.idle.lock().await = Some(conn);
    }

    async fn lock_on(&self, mut conn: Conn, me: &Holder) -> Result<Attempt> {
        let tables = self.prepare(&mut conn).await?;
        if let Some(token) = self.enter(&mut conn, &tables, me).await? {
            let kept = rollback::keep(&mut conn).await;
            kept.map_err(|failure| self.fail(&failure, "cannot keep the rollback journal"))?;
            let beats = is_lease(self.dialect, &self.target) && !is_memory(&self.target);
            let renewed = Renewed::now();
            let start = || Heartbeat::start(tables.clone(), (*self.target).clone(), token, renewed.clone());
            let lock = (token, beats.then(start), renewed);
            return Ok(Attempt::Taken(Box::new(Session::new(self.clone(), conn, tables, lock))));
        }
        let row = lock::row(&mut conn, &tables).await;
        let row = row.map_err(|failure| self.fail(&failure, "cannot read the lock"))?;
        self.keep(conn).await;
        Ok(Attempt::Held(row?.map(|row| row.holder)))
    }

    /// Finds out which schema is ours. User scripts may change the search path later, so that our tables are always
    /// called by their full names in a session.
    async fn prepare(&self, conn: &mut Conn) -> Result<Tables> {
        let doing = "cannot read the schema";
        let own = match self.dialect {
            Dialect::Sqlite => return Ok(self.tables()),
            Dialect::MySql => "select database()",
            Dialect::Postgres => "select current_schema()::text",
        };
        if let (Some(schema), Dialect::Postgres) = (history_schema(&self.target), self.dialect) {
            self.make_schema(conn, schema).await?;
            return Ok(Tables::new(self.dialect, Some(schema)));
        }
        let cell = conn.cell(own, &[]).await.map_err(|failure| self.fail(&failure, doing))?;
        match (cell.text(), self.dialect) {
            (Some(schema), _) => Ok(Tables::new(self.dialect, Some(schema))),
            (None, Dialect::Postgres) => {
                Err(Error::new(ErrorKind::Config, "no schema of the search path exists")
                    .help("set `schema` for the store in dunlin.toml"))
            }
            (None, _) => Err(Error::new(ErrorKind::Config, "the url names no database")
                .with("url", &self.target.url)
                .help("add it to the store's URL: `mysql://host/DATABASE`")),
        }
    }

    async fn make_schema(&self, conn: &mut Conn, schema: &str) -> Result<()> {
        let known = "select 1::bigint from pg_namespace where nspname = $1";
        let create = format!("create schema if not exists {}", self.dialect.quote(schema));
        let mut result = Ok(0);
        // Of two runners that create it at once one fails, in spite of `if not exists`.
        for _ in 0..2 {
            let found = conn.cell(known, &[schema.into()]).await;
            let found = found.map_err(|failure| self.fail(&failure, "cannot read the schema"))?;
            if found.int().is_some() {
                return Ok(());
            }
            result = conn.execute(&create).await;
        }
        result.map(drop).map_err(|failure| self.fail(&failure, "cannot create the schema"))
    }

    /// Takes the lock if it is free; our token then.
    async fn enter(&self, conn: &mut Conn, tables: &Tables, me: &Holder) -> Result<Option<Token>> {
        let doing = "cannot take the migration lock";
        let row = lock::row(conn, tables).await.map_err(|failure| self.fail(&failure, doing))??;
        if self.dialect == Dialect::Sqlite && row.as_ref().is_some_and(|row| !row.is_lapsed) {
            return Ok(None);
        }
        let overtaken = row.filter(|row| row.is_lapsed && !is_pooled(&self.target));
        if let Some(backend) = overtaken.and_then(|row| row.backend) {
            // Whoever slept past its lease may hold locks, and wake in a statement that no transaction fences.
            hang_up(conn, backend).await.map_err(|failure| self.fail(&failure, doing))?;
        }
        let is_complete = match conn.rows(&tables.select_complete(), &[]).await {
            Ok(rows) => rows.len() == 1,
            Err(failure) if history::is_missing_table(&failure) => false,
            Err(failure) => return Err(self.fail(&failure, doing)),
        };
        let lease = is_lease(self.dialect, &self.target).then_some(self.target.lease);
        let entry = Entering { tables, me, lease, is_complete };
        let taken = match (self.dialect, lease) {
            (Dialect::Sqlite, _) => enter_sqlite(conn, &entry).await,
            (Dialect::Postgres, Some(_)) => enter_pooled(conn, &entry).await,
            _ => enter_session(conn, &entry).await,
        };
        taken.map_err(|failure| self.fail(&failure, doing))
    }
}

/// A fencing token.
type Token = i64;

/// What is needed to take the lock.
struct Entering<'a> {
    tables: &'a Tables,
    me: &'a Holder,
    lease: Option<Duration>,
    /// Whether all our tables are there.
    is_complete: bool,
}

/// SQLite has one writer at a time, so looking and taking are one transaction.
async fn enter_sqlite(conn: &mut Conn, entry: &Entering<'_>) -> sqlx::Result<Option<Token>> {
    conn.execute("begin immediate").await?;
    let taken = create_and_enter(conn, entry).await;
    finish(conn, taken).await
}

/// Behind a pooler only a transaction has a session of its own: its lock decides between racing runners.
async fn enter_pooled(conn: &mut Conn, entry: &Entering<'_>) -> sqlx::Result<Option<Token>> {
    conn.execute("begin").await?;
    let taken = match lock::try_transaction_lock(conn, entry.tables).await {
        Ok(true) => create_and_enter(conn, entry).await,
        Ok(false) => Ok(None),
        Err(failure) => Err(failure),
    };
    finish(conn, taken).await
}

async fn finish<T>(conn: &mut Conn, taken: sqlx::Result<Option<T>>) -> sqlx::Result<Option<T>> {
    let end = if matches!(taken, Ok(Some(_))) { "commit" } else { "rollback" };
    let ended = conn.execute(end).await;
    let taken = taken?;
    ended.map(|_| taken)
}

async fn enter_session(conn: &mut Conn, entry: &Entering<'_>) -> sqlx::Result<Option<Token>> {
    // MySQL has no lock that ends with a transaction; for a lease its session lock is held just while entering.
    if !lock::try_session_lock(conn, entry.tables).await? {
        return Ok(None);
    }
    let taken = create_and_enter(conn, entry).await;
    if entry.lease.is_some() || !matches!(taken, Ok(Some(_))) {
        lock::drop_session_lock(conn, entry.tables).await?;
    }
    taken
}

async fn create_and_enter(conn: &mut Conn, entry: &Entering<'_>) -> sqlx::Result<Option<Token>> {
    if !entry.is_complete {
        for statement in entry.tables.create() {
            conn.execute(&statement).await?;
        }
    }
    lock::enter(conn, entry.tables, entry.me, entry.lease).await
}

#[async_trait]
impl CoreStore for Store {
    fn is_transactional(&self) -> bool {
        self.dialect != Dialect::MySql
    }

    async fn history(&self) -> Result<History> {
        let Some(mut conn) = self.take().await? else { return Ok(History::default()) };
        let read = history::read(&mut conn, &self.tables())
            .await
            .map_err(|failure| self.fail(&failure, "cannot read the history"))?;
        self.keep(conn).await;
        read
    }

    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>> {
        let Some(mut conn) = self.take().await? else { return Ok(Vec::new()) };
        let params: Vec<Param> = version
            .map(|version| version.as_str().into())
            .into_iter()
            .chain([i64::from(limit).into()])
            .collect();
        let rows = match conn.rows(&self.tables().select_journal(version.is_some()), &params).await {
            Ok(rows) => rows,
            Err(failure) if history::is_missing_table(&failure) => Vec::new(),
            Err(failure) => return Err(self.fail(&failure, "cannot read the journal")),
        };
        self.keep(conn).await;
        rows.iter().rev().map(|row| history::event(row)).collect()
    }

    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>> {
        let Some(mut conn) = self.take().await? else { return Ok(Vec::new()) };
        let cell = conn.cell(&self.tables().select_files(), &[version.as_str().into()]).await;
        let cell = cell.map_err(|failure| self.fail(&failure, "cannot read the stored files"))?;
        self.keep(conn).await;
        cell.text().map_or(Ok(Vec::new()), decode_files)
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        let Some(mut conn) = self.take().await? else { return Ok(None) };
        let doing = "cannot read the lock";
        let row =
            lock::row(&mut conn, &self.tables()).await.map_err(|failure| self.fail(&failure, doing))??;
        let is_held = match &row {
            Some(row) if row.holder.expires.is_some() => !row.is_lapsed,
            Some(_) => lock::is_session_locked(&mut conn, &self.tables())
                .await
                .map_err(|failure| self.fail(&failure, doing))?,
            None => false,
        };
        self.keep(conn).await;
        Ok(row.filter(|_| is_held).map(|row| row.holder))
    }

    async fn try_lock(&self, me: &Holder) -> Result<Attempt> {
        let idle = self.idle.lock().await.take();
        let conn = match idle {
            Some(conn) => Some(conn),
            None => connect::open(self.dialect, &self.target, true).await?,
        };
        let conn = conn.ok_or_else(|| Error::unexpected("the file could be created but was not"))?;
        match self.lock_on(conn, me).await {
            // Another writer kept the file busy for long: as good as locked.
            Err(error) if error.temporary => Ok(Attempt::Held(None)),
            attempt => attempt,
        }
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        let Some(mut conn) = self.take().await? else { return Ok(()) };
        let doing = "cannot release the lock";
        let tables = self.tables();
        let row = lock::row(&mut conn, &tables).await.map_err(|failure| self.fail(&failure, doing))??;
        let evicted =
            lock::evict(&mut conn, &tables, token).await.map_err(|failure| self.fail(&failure, doing))?;
        let backend = row.and_then(|row| row.backend).filter(|_| !is_pooled(&self.target));
        if let (true, Some(backend)) = (evicted, backend) {
            hang_up(&mut conn, backend).await.map_err(|failure| self.fail(&failure, doing))?;
        }
        self.keep(conn).await;
        Ok(())
    }

    async fn verify(&self, check: &Check<'_>) -> Result<Checked> {
        let Some(mut conn) = self.take().await? else {
            let error = Error::new(ErrorKind::Connect, "there is no database yet");
            return Err(error.help("`dunlin up` creates it"));
        };
        let checked = verify::run(&mut conn, check, &self.target).await?;
        self.keep(conn).await;
        Ok(checked)
    }

    async fn usage(&self, op: &dyn CoreOp) -> Result<Vec<String>> {
        let Some(op) = op.kind::<Evolve>() else { return Ok(Vec::new()) };
        let Some(mut conn) = self.take().await? else { return Ok(Vec::new()) };
        let found = evolve::usage(&mut conn, op, &self.target.url).await?;
        self.keep(conn).await;
        Ok(found)
    }

    async fn gone(&self, op: &dyn CoreOp, place: (&Version, usize)) -> Result<Vec<String>> {
        let Some(op) = op.kind::<Evolve>() else { return Ok(Vec::new()) };
        let Some(mut conn) = self.take().await? else { return Ok(Vec::new()) };
        let found = evolve::gone(&mut conn, op, (&self.tables(), place), &self.target.url).await?;
        self.keep(conn).await;
        Ok(found)
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        let Some(mut conn) = self.take().await? else { return Ok(Vec::new()) };
        let found = archive::list(&mut conn, &self.target.url).await?;
        self.keep(conn).await;
        Ok(found.into_iter().map(|aside| aside.archive).collect())
    }

    async fn preview(&self, op: &dyn CoreOp) -> Result<Vec<Line>> {
        if op.kind::<crate::Op>().is_some() {
            return Ok(op.preview());
        }
        let Some(mut conn) = self.take().await? else { return Ok(op.preview()) };
        let lines = preview::lines(&mut conn, op, &self.target.url).await?;
        self.keep(conn).await;
        Ok(lines)
    }

    async fn previews(&self, steps: &[Ahead<'_>]) -> Result<Vec<Vec<Line>>> {
        let Some(mut conn) = self.take().await? else {
            return Ok(steps.iter().map(|step| step.op.preview()).collect());
        };
        let lines = preview::all(&mut conn, steps, (&self.tables(), &self.target.url)).await?;
        self.keep(conn).await;
        Ok(lines)
    }

    async fn foresee(&self, now: &[Ahead<'_>], _later: &[Ahead<'_>]) -> Result<Vec<String>> {
        if now.iter().any(|step| preview::asks_for_key(step.op))
            && let Some(mut conn) = self.take().await?
        {
            preview::keyless(&mut conn, now, (&self.tables(), &self.target.url)).await?;
            self.keep(conn).await;
        }
        Ok(Vec::new())
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        let Some(mut conn) = self.take().await? else {
            return Ok(vec![(
                "file".to_owned(),
                "does not exist yet; the first `dunlin up` creates it".to_owned(),
            )]);
        };
        let facts = crate::examine::facts(&mut conn, &self.target)
            .await
            .map_err(|failure| self.fail(&failure, "cannot examine"))?;
        self.keep(conn).await;
        Ok(facts)
    }
}

/// Ends a connection of another dunlin: the lock row alone neither frees a session lock nor stops a statement. The
/// server may have given the number to somebody else since.
async fn hang_up(conn: &mut Conn, backend: i64) -> sqlx::Result<()> {
    match conn.dialect() {
        Dialect::Postgres => conn
            .rows(
                "select pg_terminate_backend(pid)::int::bigint from pg_stat_activity where pid = $1::bigint::int \
                 and application_name = 'dunlin' and datname = current_database()",
                &[backend.into()],
            )
            .await
            .map(drop),
        Dialect::MySql => {
            let ours = "select id from information_schema.processlist where id = ? and user = substring_index(user(), '@', 1) \
                        and (db = database() or db is null)";
            if conn.cell(ours, &[backend.into()]).await?.int().is_some() {
                conn.execute(&format!("kill {backend}")).await?;
            }
            Ok(())
        }
        Dialect::Sqlite => Ok(()),
    }
}
