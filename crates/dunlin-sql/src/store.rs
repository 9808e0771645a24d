//! A SQL database we can read, and whose lock we can ask for.

use std::sync::Arc;
use std::time::Duration;

use dunlin_core::history::decode_files;
use dunlin_core::{
    Attempt, Error, ErrorKind, Event, History, Holder, Result, Store as CoreStore, StoredFile, Target,
    Version, async_trait,
};
use tokio::sync::Mutex;

use crate::conn::{Conn, Param};
use crate::connect::{self, is_lease, is_memory};
use crate::dialect::Dialect;
use crate::lock::{self, Heartbeat};
use crate::look::{Presence, look};
use crate::session::Session;
use crate::tables::Tables;
use crate::{error, history};

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

    fn fail(&self, failure: &sqlx::Error, doing: &str) -> Error {
        error::own(failure, doing, &self.target.url)
    }

    /// Our tables as a connection with default settings finds them.
    fn tables(&self) -> Tables {
        let schema = self.target.schema.as_deref().filter(|_| self.dialect == Dialect::Postgres);
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
        let lease = is_lease(self.dialect, &self.target).then_some(self.target.lease);
        let tables = match self.prepare(&mut conn).await {
            Ok(tables) => tables,
            Err(error) => return Err(error),
        };
        match self.enter(&mut conn, &tables, me, lease).await? {
            Some(token) => {
                let beats = lease.is_some() && !is_memory(&self.target);
                let heartbeat =
                    beats.then(|| Heartbeat::start(tables.clone(), (*self.target).clone(), token));
                Ok(Attempt::Taken(Box::new(Session::new(self.clone(), conn, tables, token, heartbeat))))
            }
            None => {
                let row = lock::row(&mut conn, &tables)
                    .await
                    .map_err(|failure| self.fail(&failure, "cannot read the lock"))?;
                self.keep(conn).await;
                Ok(Attempt::Held(row?.map(|row| row.holder)))
            }
        }
    }

    /// Finds out which schema is ours. User scripts may change the search path later, so that our tables are always
    /// called by their full names in a session.
    async fn prepare(&self, conn: &mut Conn) -> Result<Tables> {
        if self.dialect != Dialect::Postgres {
            return Ok(self.tables());
        }
        if let Some(schema) = &self.target.schema {
            let sql = "select 1::bigint from pg_namespace where nspname = $1";
            let known = conn
                .cell(sql, &[schema.as_str().into()])
                .await
                .map_err(|failure| self.fail(&failure, "cannot read the schema"))?;
            if known.int().is_none() {
                let create = format!("create schema if not exists {}", self.dialect.quote(schema));
                conn.execute(&create)
                    .await
                    .map_err(|failure| self.fail(&failure, "cannot create the schema"))?;
            }
            return Ok(Tables::new(self.dialect, Some(schema)));
        }
        let cell = conn
            .cell("select current_schema()::text", &[])
            .await
            .map_err(|failure| self.fail(&failure, "cannot read the schema"))?;
        match cell.text() {
            Some(schema) => Ok(Tables::new(self.dialect, Some(schema))),
            None => Err(Error::new(ErrorKind::Config, "no schema of the search path exists")
                .help("set `schema` for the store in dunlin.toml")),
        }
    }

    /// Takes the lock if it is free; our token then.
    async fn enter(
        &self,
        conn: &mut Conn,
        tables: &Tables,
        me: &Holder,
        lease: Option<Duration>,
    ) -> Result<Option<i64>> {
        let taken = match (self.dialect, lease) {
            (Dialect::Sqlite, _) => enter_sqlite(conn, tables, me, lease).await,
            (Dialect::Postgres, Some(_)) => enter_pooled(conn, tables, me, lease).await,
            _ => enter_session(conn, tables, me, lease).await,
        };
        taken.map_err(|failure| self.fail(&failure, "cannot take the migration lock"))
    }
}

/// SQLite has one writer at a time, so looking and taking are one transaction. Looking alone writes nothing.
async fn enter_sqlite(
    conn: &mut Conn,
    tables: &Tables,
    me: &Holder,
    lease: Option<Duration>,
) -> sqlx::Result<Option<i64>> {
    if let Ok(Some(row)) = lock::row(conn, tables).await?
        && !row.is_lapsed
    {
        return Ok(None);
    }
    conn.execute("begin immediate").await?;
    let taken = create_and_enter(conn, tables, me, lease).await;
    finish(conn, taken).await
}

/// Behind a pooler only a transaction has a session of its own: its lock decides between racing runners.
async fn enter_pooled(
    conn: &mut Conn,
    tables: &Tables,
    me: &Holder,
    lease: Option<Duration>,
) -> sqlx::Result<Option<i64>> {
    conn.execute("begin").await?;
    let key = "hashtextextended('dunlin ' || coalesce(current_schema(), ''), 0)";
    let sql = format!("select case when pg_try_advisory_xact_lock({key}) then 1 else 0 end::bigint");
    let taken = match conn.cell(&sql, &[]).await {
        Ok(cell) if cell.int() == Some(1) => create_and_enter(conn, tables, me, lease).await,
        Ok(_) => Ok(None),
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

async fn enter_session(
    conn: &mut Conn,
    tables: &Tables,
    me: &Holder,
    lease: Option<Duration>,
) -> sqlx::Result<Option<i64>> {
    // MySQL has no lock that ends with a transaction; for a lease its session lock is held just while entering.
    if !lock::try_session_lock(conn).await? {
        return Ok(None);
    }
    let taken = create_and_enter(conn, tables, me, lease).await;
    if lease.is_some() || !matches!(taken, Ok(Some(_))) {
        lock::drop_session_lock(conn).await?;
    }
    taken
}

async fn create_and_enter(
    conn: &mut Conn,
    tables: &Tables,
    me: &Holder,
    lease: Option<Duration>,
) -> sqlx::Result<Option<i64>> {
    // A failed query would end a transaction, so the catalogue is asked first. A table without its row is one whose
    // making was cut off.
    let is_there = look(conn, &tables.last()).await? == Some(Presence::Present)
        && conn
            .cell(&format!("select token from {} where id = 1", tables.lock()), &[])
            .await?
            .int()
            .is_some();
    if !is_there {
        for statement in tables.create() {
            conn.execute(&statement).await?;
        }
    }
    lock::enter(conn, tables, me, lease).await
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
            Some(_) => {
                lock::is_session_locked(&mut conn).await.map_err(|failure| self.fail(&failure, doing))?
            }
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
        if let (true, Some(backend)) = (evicted, row.and_then(|row| row.backend)) {
            hang_up(&mut conn, backend).await.map_err(|failure| self.fail(&failure, doing))?;
        }
        self.keep(conn).await;
        Ok(())
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

/// Ends the connection that holds the session lock, if it still does: the row alone does not free it.
async fn hang_up(conn: &mut Conn, backend: i64) -> sqlx::Result<()> {
    if !lock::is_session_locked(conn).await? {
        return Ok(());
    }
    match conn.dialect() {
        Dialect::Postgres => conn
            .cell("select pg_terminate_backend($1::bigint::int)::int::bigint", &[backend.into()])
            .await
            .map(drop),
        Dialect::MySql => conn.execute(&format!("kill {backend}")).await.map(drop),
        Dialect::Sqlite => Ok(()),
    }
}
