//! The steps that changes unfold into: what they send hangs on the table as it is when they run.

use std::fmt::Debug;
use std::sync::Arc;

use dunlin_core::history::damaged;
use dunlin_core::{
    Advance, AnyOp, Cursor, Error, ErrorKind, EventKind, Line, Op as CoreOp, Result, Session as _, StoreUrl,
    Work,
};
use serde_json::Value;

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::history;
use crate::inspect::{self, Server, Table};
use crate::op::{Name, Op};
use crate::session::Session;

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

    /// What the way back must know of the table as it is before, and will not find there.
    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let _ = site;
        Ok(None)
    }

    /// Who visibly still uses what this takes away.
    fn usage(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let _ = site;
        Ok(Vec::new())
    }

    /// What this would bring back and that is not there any more.
    fn gone(&self, site: &Site<'_>) -> Vec<String> {
        let _ = site;
        Vec::new()
    }
}

/// Where statements are drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) server: Server,
    pub(crate) name: &'a Name,
    table: Option<&'a Table>,
    /// Whether the table has the name that it is to have.
    pub(crate) has_other: bool,
    /// On the way back: what was remembered on the way there.
    was: Option<&'a Value>,
}

impl<'a> Site<'a> {
    /// The table, which must be there.
    pub(crate) fn table(&self) -> Result<&'a Table> {
        self.table.ok_or_else(|| inspect::missing(self.name))
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

    /// The table's name as SQL.
    pub(crate) fn named(&self) -> String {
        self.name.quoted(self.dialect())
    }
}

impl Evolve {
    fn parse(&self, statements: &[String]) -> Result<Op> {
        let text = statements.join(";\n");
        Op::script(self.dialect, &text).map_err(|faults| {
            let why = faults.first().map(|fault| fault.message.clone()).unwrap_or_default();
            Error::new(ErrorKind::Unexpected, format!("dunlin wrote a script it cannot read: {why}"))
                .with("script", text)
        })
    }
}

/// What the store is like where a step is drawn.
pub(crate) struct Look {
    server: Server,
    pub(crate) table: Option<Table>,
    /// Whether a table has the other name.
    has_other: bool,
}

impl Look {
    /// At one table.
    pub(crate) async fn at_table(conn: &mut Conn, name: &Name, url: &StoreUrl) -> Result<Self> {
        let (server, table) = (inspect::server(conn, url).await?, inspect::table(conn, name, url).await?);
        Ok(Self { server, table, has_other: false })
    }

    async fn at(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Self> {
        let mut look = Self::at_table(conn, &op.table, url).await?;
        if let Some(name) = &op.other {
            look.has_other = inspect::table(conn, name, url).await?.is_some();
        }
        Ok(look)
    }

    pub(crate) fn site<'a>(&'a self, name: &'a Name, was: Option<&'a Value>) -> Site<'a> {
        Site { server: self.server, name, table: self.table.as_ref(), has_other: self.has_other, was }
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
        was = op.draw.remember(&look.site(&op.table, None))?;
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
    let params = [work.running.id.version.as_str().into(), i64::from(u32::MAX).into()];
    let rows = session.conn.rows(&session.tables.select_journal(true), &params).await;
    let rows = rows.map_err(|failure| session.fail(&failure, "cannot read the journal"))?;
    // Newest first.
    for row in &rows {
        let event = history::event(row)?;
        if event.step == work.step() && event.kind == EventKind::StepUndone {
            return Ok(None);
        }
        let was = event.detail.as_deref().and_then(|detail| detail.strip_prefix(WAS));
        if let Some(was) = was.filter(|_| event.step == work.step() && event.kind == EventKind::Begun) {
            return serde_json::from_str(was).map(Some).map_err(|_| damaged("journal line", was));
        }
    }
    Ok(None)
}

/// What a plan shows: the statements for the table as it is; where an earlier step makes the table, what the step does.
pub(crate) async fn preview(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Vec<Line>> {
    let look = Look::at(conn, op, url).await?;
    match op.draw.draw(&look.site(&op.table, None)) {
        Ok(statements) => Ok(op.parse(&statements)?.preview()),
        Err(error) if error.kind == ErrorKind::Statement => Ok(op.preview()),
        Err(error) => Err(error),
    }
}

/// Who visibly still uses what a step takes away.
pub(crate) async fn usage(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Vec<String>> {
    let look = Look::at(conn, op, url).await?;
    op.draw.usage(&look.site(&op.table, None))
}

/// What a way back would bring back and that is not there any more.
pub(crate) async fn gone(conn: &mut Conn, op: &Evolve, url: &StoreUrl) -> Result<Vec<String>> {
    let look = Look::at(conn, op, url).await?;
    Ok(op.draw.gone(&look.site(&op.table, None)))
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

    fn loses(&self) -> Option<AnyOp> {
        self.loses.clone()
    }
}
