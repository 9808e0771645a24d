//! The steps that changes unfold into: what they send hangs on the table as it is when they run.

use std::fmt::Debug;
use std::sync::Arc;

use dunlin_core::history::damaged;
use dunlin_core::{
    Advance, AnyOp, Cursor, Error, ErrorKind, EventKind, Line, Op as CoreOp, Result, Session as _, StoreUrl,
    Version, Work,
};
use serde_json::Value;

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::history;
use crate::inspect::{self, Server, Table};
use crate::model::Model;
use crate::obstacle::Obstacle;
use crate::op::{Name, Op};
use crate::probe::Probe;
use crate::session::Session;
use crate::tables::Tables;
use crate::usage::{self, Taken};
use crate::{error, names, rewrite};

/// A step of a change.
#[derive(Debug, Clone)]
pub struct Evolve {
    pub(crate) dialect: Dialect,
    /// A few words.
    pub(crate) summary: String,
    /// What is hashed.
    pub(crate) canonical: String,
    /// The table it looks at.
    pub(crate) table: Name,
    /// The name that it gives that table.
    pub(crate) other: Option<Name>,
    /// What the migration has in hand by it.
    pub(crate) touches: Vec<String>,
    /// What it builds upon and leaves as it is.
    pub(crate) reads: Vec<String>,
    /// What it takes away with the data in it.
    pub(crate) removes: Vec<String>,
    /// What finds the rows that lose something.
    pub(crate) loses: Option<AnyOp>,
    pub(crate) draw: Arc<dyn Draw>,
}

/// How the statements are found.
pub(crate) trait Draw: Debug + Send + Sync {
    /// The statements for this server and this table, in order. What is in effect already is left out, so that a step
    /// that was cut off is drawn anew. `commit` between them ends a transaction.
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>>;

    /// What the server is to understand before anything is written.
    fn probes(&self, site: &Site<'_>) -> Result<Vec<Probe>> {
        let _ = site;
        Ok(Vec::new())
    }

    /// What the way back must know of the table as it is before, and will not find there. Asked before anything is
    /// changed, and once: what another run of this step did is not taken for what was there. So this refuses, too, what
    /// is in the way.
    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let _ = site;
        Ok(None)
    }

    /// What this takes away that others may still use.
    fn takes(&self) -> Option<Taken> {
        None
    }

    /// The columns that are in no key of the table any more once this has run, or on the way back from the change.
    fn unkeys(&self) -> Option<Unkeyed> {
        None
    }

    /// Whether it brings rules back that the rows that are there by then may not meet.
    fn is_bound(&self) -> bool {
        false
    }

    /// What finds such rows, on the way back.
    fn obstacles(&self, site: &Site<'_>) -> Result<Vec<Obstacle>> {
        let _ = site;
        Ok(Vec::new())
    }

    /// What this would bring back and that is not there any more.
    fn gone(&self, site: &Site<'_>) -> Vec<String> {
        let _ = site;
        Vec::new()
    }
}

/// Columns by which rows cannot be gone through any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unkeyed {
    pub(crate) columns: Vec<String>,
    /// Whether the change itself goes through the rows after that.
    pub(crate) goes_on: bool,
}

/// Where statements are drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) server: Server,
    pub(crate) name: &'a Name,
    table: Option<&'a Table>,
    /// What has its name and is no table.
    other: Option<&'a str>,
    /// Whether the table has the name that it is to have.
    pub(crate) has_other: bool,
    /// On the way back: what was remembered on the way there.
    was: Option<&'a Value>,
}

impl<'a> Site<'a> {
    /// The table, which must be there.
    pub(crate) fn table(&self) -> Result<&'a Table> {
        let table = self.table.ok_or_else(|| inspect::missing(self.name, self.other))?;
        if table.is_versioned {
            let message = format!(
                "`{}` is system-versioned, and the server changes no column of it beside those who write",
                self.name.name
            );
            return Err(Error::new(ErrorKind::Unsupported, message)
                .help("write the steps by hand under `[[expand]]` to `[[contract]]`; nothing was changed"));
        }
        Ok(table)
    }

    /// What was remembered of a column.
    pub(crate) fn was(&self, column: &str) -> &'a Value {
        self.was.map_or(&Value::Null, |was| &was[column])
    }

    pub(crate) fn has_table(&self) -> bool {
        self.table.is_some()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.server.dialect
    }

    /// A column of the table, which must be there.
    pub(crate) fn column(&self, name: &str) -> Result<&'a inspect::Column> {
        let found = self.table()?.column(self.dialect(), name);
        found.ok_or_else(|| {
            let message = format!("`{}` has no column `{name}`", self.name.name);
            Error::new(ErrorKind::Statement, message)
                .help("the change names a column that this table does not have")
        })
    }

    /// Whether the table has a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.table.is_some_and(|table| table.column(self.dialect(), column).is_some())
    }

    pub(crate) fn quote(&self, name: &str) -> String {
        self.dialect().quote(name)
    }

    /// Refuses texts in which a name in double quotes is no column, neither of the table nor one of these: SQLite would
    /// take it for a text.
    pub(crate) fn known<'t>(&self, texts: impl IntoIterator<Item = &'t str>, more: &[&str]) -> Result<()> {
        if self.dialect() != Dialect::Sqlite {
            return Ok(());
        }
        let is_more = |name: &str| more.iter().any(|other| rewrite::is_same(Dialect::Sqlite, other, name));
        let is_known = |name: &str| self.has(name) || is_more(name) || name.eq_ignore_ascii_case("rowid");
        match texts.into_iter().find_map(|text| names::strange(text, is_known)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("`{}` has no column \"{name}\"", self.name.name);
                Err(Error::new(ErrorKind::Statement, message).help(
                    "SQLite takes what it does not know in double quotes for a text; where a text is meant, write single ones. Nothing was changed",
                ))
            }
        }
    }

    /// Refuses what triggers are to compute and cannot without failing somebody who writes: in SQLite an expression that can
    /// fail, since no trigger of its catches anything; in PostgreSQL anything, where rows are in other tables.
    pub(crate) fn synced<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Result<()> {
        let mut texts = texts.into_iter().peekable();
        if let (Some(heir), Some(_)) = (&self.table()?.heir, texts.peek()) {
            let message =
                format!("`{heir}` inherits from `{}`, whose triggers see none of its rows", self.name.name);
            return Err(Error::new(ErrorKind::Unsupported, message)
                .help("write the steps by hand under `[[expand]]` to `[[contract]]`; nothing was changed"));
        }
        match texts.find(|text| self.dialect() == Dialect::Sqlite && names::can_fail(text)) {
            None => Ok(()),
            Some(text) => {
                let message = format!(
                    "`{text}` fails where the text is no JSON, and a trigger of SQLite would fail whoever writes it"
                );
                Err(Error::new(ErrorKind::Unsupported, message)
                    .help("ask first: `case when json_valid(column) then … end`; nothing was changed"))
            }
        }
    }

    /// The table's name as SQL.
    pub(crate) fn named(&self) -> String {
        self.name.quoted(self.dialect())
    }
}

impl Evolve {
    fn parse(&self, statements: &[String]) -> Result<Op> {
        Op::drawn(self.dialect, statements).map_err(|faults| {
            let why = faults.first().map(|fault| fault.message.clone()).unwrap_or_default();
            Error::new(ErrorKind::Unexpected, format!("dunlin wrote a script it cannot read: {why}"))
                .with("script", statements.join(";\n"))
        })
    }
}

/// What the store is like where a step is drawn.
pub(crate) struct Look {
    server: Server,
    pub(crate) table: Option<Table>,
    /// What has its name and is no table.
    other: Option<String>,
    /// Whether a table has the other name.
    has_other: bool,
}

impl Look {
    /// At one table.
    pub(crate) async fn at_table(conn: &mut Conn, name: &Name, url: &StoreUrl) -> Result<Self> {
        let server = inspect::server(conn, url).await?;
        let (table, other) = inspect::named(conn, name, url).await?;
        Ok(Self { server, table, other, has_other: false })
    }

    async fn at(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Self> {
        let mut look = Self::at_table(conn, &op.table, url).await?;
        if let Some(name) = &op.other {
            look.has_other = inspect::table(conn, name, url).await?.is_some();
        }
        Ok(look)
    }

    pub(crate) fn site<'a>(&'a self, name: &'a Name, was: Option<&'a Value>) -> Site<'a> {
        let (table, other) = (self.table.as_ref(), self.other.as_deref());
        Site { server: self.server, name, table, other, has_other: self.has_other, was }
    }
}

/// Runs a step on by one unit. A session that did not begin it draws it for the table as it is now, in which some of it
/// may be in effect: nobody has to know how far another one came.
pub(crate) async fn run(session: &mut Session, op: &Evolve, work: &Work<'_>) -> Result<Advance> {
    let begun = session.drawn.take().filter(|(at, _)| Some(at) == work.running.checkpoint.as_ref());
    let (at, script) = match begun {
        Some((at, script)) => (at.read()?, script),
        None => (Cursor::default(), script(session, op, work).await?),
    };
    let advance = session.run_script(&script, &at, work).await?;
    session.drawn = advance.record.checkpoint.clone().map(|at| (at, script));
    Ok(advance)
}

async fn script(session: &mut Session, op: &Evolve, work: &Work<'_>) -> Result<Op> {
    let url = session.store.target.url.clone();
    let look = Look::at(&mut session.conn, op, &url).await?;
    let mut was = remembered(session, work).await?;
    if !work.is_undo() && was.is_none() {
        let site = look.site(&op.table, None);
        was = op.draw.remember(&site)?;
        for probe in op.draw.probes(&site)? {
            probe.ask(&mut session.conn, &url).await?;
        }
        if let Some(was) = &was {
            session.note(work.running, EventKind::Begun, &format!("{WAS}{was}")).await?;
        }
    }
    op.parse(&op.draw.draw(&look.site(&op.table, was.as_ref()))?)
}

/// What a journal line of a step begins with that says what the way back must know.
const WAS: &str = "was ";

/// What was remembered when this step began, unless it was taken back since.
async fn remembered(session: &mut Session, work: &Work<'_>) -> Result<Option<Value>> {
    let Session { conn, store, tables, .. } = session;
    recalled(conn, tables, (&work.running.id.version, work.step()), &store.target.url).await
}

/// What the journal has of the step of a migration at this place.
pub(crate) async fn recalled(
    conn: &mut Conn,
    tables: &Tables,
    (version, step): (&Version, usize),
    url: &StoreUrl,
) -> Result<Option<Value>> {
    let params = [version.as_str().into(), i64::from(u32::MAX).into()];
    let rows = match conn.rows(&tables.select_journal(true), &params).await {
        Ok(rows) => rows,
        Err(failure) if history::is_missing_table(&failure) => Vec::new(),
        Err(failure) => return Err(error::own(&failure, "cannot read the journal", url)),
    };
    // Newest first.
    for row in &rows {
        let event = history::event(row)?;
        if event.step == step && event.kind == EventKind::StepUndone {
            return Ok(None);
        }
        let was = event.detail.as_deref().and_then(|detail| detail.strip_prefix(WAS));
        if let Some(was) = was.filter(|_| event.step == step && event.kind == EventKind::Begun) {
            return serde_json::from_str(was).map(Some).map_err(|_| damaged("journal line", was));
        }
    }
    Ok(None)
}

impl Evolve {
    fn foreseen<'a>(&'a self, server: Server, model: &'a Model, was: Option<&'a Value>) -> Site<'a> {
        let has_other = self.other.as_ref().is_some_and(|name| model.table(name).is_some());
        let (table, other) = (model.table(&self.table), model.other(&self.table));
        Site { server, name: &self.table, table, other, has_other, was }
    }

    /// The statements for a table as it will be.
    pub(crate) fn drawn(&self, server: Server, model: &Model, was: Option<&Value>) -> Result<Op> {
        self.parse(&self.draw.draw(&self.foreseen(server, model, was))?)
    }

    /// What would be remembered.
    pub(crate) fn remember(&self, server: Server, model: &Model) -> Result<Option<Value>> {
        self.draw.remember(&self.foreseen(server, model, None))
    }
}

/// Who visibly still uses what a step takes away.
pub(crate) async fn usage(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Vec<String>> {
    let Some(taken) = op.draw.takes() else { return Ok(Vec::new()) };
    let look = Look::at(conn, op, url).await?;
    let Some(table) = &look.table else { return Ok(Vec::new()) };
    usage::find(conn, (&op.table, table), &taken, url).await
}

/// What a way back would bring back and that is not there any more. Rows that are in its way are an error.
pub(crate) async fn gone(
    conn: &mut Conn,
    op: &Evolve,
    (tables, place): (&Tables, (&Version, usize)),
    url: &StoreUrl,
) -> Result<Vec<String>> {
    let look = Look::at(conn, op, url).await?;
    let gone = op.draw.gone(&look.site(&op.table, None));
    if !gone.is_empty() || !op.draw.is_bound() {
        return Ok(gone);
    }
    let was = recalled(conn, tables, place, url).await?;
    for obstacle in op.draw.obstacles(&look.site(&op.table, was.as_ref()))? {
        obstacle.ask(conn).await?;
    }
    Ok(gone)
}

impl CoreOp for Evolve {
    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn preview(&self) -> Vec<Line> {
        let text = format!("-- {}; the statements hang on the table as it is then", self.summary);
        vec![Line::new(text)]
    }

    fn canonical(&self) -> String {
        self.canonical.clone()
    }

    fn removes(&self) -> Vec<String> {
        self.removes.clone()
    }

    fn touches(&self) -> Vec<String> {
        self.touches.clone()
    }

    fn reads(&self) -> Vec<String> {
        self.reads.clone()
    }

    fn loses(&self) -> Option<AnyOp> {
        self.loses.clone()
    }
}
