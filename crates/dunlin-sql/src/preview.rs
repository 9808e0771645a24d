//! What a plan shows of its steps where the store can be asked: the statements with the key that the table has, and those of
//! changes drawn for the table as it will be when the steps before them have run. Looks only.

use dunlin_core::{Ahead, Error, ErrorKind, Line, Op as CoreOp, Result, StoreUrl};

use crate::chunk::start;
use crate::conn::Conn;
use crate::error;
use crate::evolve::{self, Evolve};
use crate::inspect::{self, Server};
use crate::keyset;
use crate::model::{self, Model};
use crate::moves::{Move, Rows};
use crate::op::{Name, Op};
use crate::survey::Survey;
use crate::tables::Tables;

/// The statements of an op. A table that is not there yet is made by an earlier step: its key is left open.
pub(crate) async fn lines(conn: &mut Conn, op: &dyn CoreOp, url: &StoreUrl) -> Result<Vec<Line>> {
    if let Some(survey) = Survey::of(op) {
        return survey.looked(conn, url).await;
    }
    let Some(op) = op.kind::<Move>() else { return Ok(op.preview()) };
    let Some(key) = keyset::look(conn, &op.rows, url).await? else { return Ok(op.preview()) };
    let kept = start::kept(conn, op).await;
    let kept = kept.map_err(|failure| error::own(&failure, "cannot read the catalogue", url))?;
    Ok(op.shown(&key, &kept))
}

/// The statements of steps that run one after the other.
pub(crate) async fn all(
    conn: &mut Conn,
    steps: &[Ahead<'_>],
    (tables, url): (&Tables, &StoreUrl),
) -> Result<Vec<Vec<Line>>> {
    let mut foresight =
        Foresight { server: inspect::server(conn, url).await?, model: Model::new(conn.dialect()) };
    let mut shown = Vec::with_capacity(steps.len());
    for step in steps {
        if let Some(op) = step.op.kind::<Evolve>() {
            shown.push(foresight.evolve(conn, (step, op), (tables, url)).await?);
        } else if let Some(op) = step.op.kind::<Op>() {
            shown.push(op.preview());
            foresight.run(conn, op, url).await?;
        } else {
            shown.push(lines(conn, step.op, url).await?);
        }
    }
    Ok(shown)
}

/// Whether a step goes through rows by a key, or takes one away.
pub(crate) fn asks_for_key(op: &dyn CoreOp) -> bool {
    gone_through(op).next().is_some() || op.kind::<Evolve>().is_some_and(|op| op.draw.unkeys().is_some())
}

/// Refuses steps that go through a table which has no key to go by, or none any more by then, where no step before them
/// makes one.
pub(crate) async fn keyless(
    conn: &mut Conn,
    steps: &[Ahead<'_>],
    (tables, url): (&Tables, &StoreUrl),
) -> Result<()> {
    let (mut seen, mut taken) = (Vec::new(), Vec::<(&Name, Vec<String>)>::new());
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| !step.is_undo && !step.is_begun) {
        let mut asked: Vec<Rows> = gone_through(step.op).cloned().collect();
        if let Some((op, lost)) = step.op.kind::<Evolve>().and_then(|op| Some((op, op.draw.unkeys()?))) {
            taken.push((&op.table, lost.columns));
            asked.extend(lost.goes_on.then(|| Rows { table: op.table.clone(), filter: None, key: None }));
        }
        for rows in asked {
            let of_table = taken.iter().filter(|(table, _)| **table == rows.table);
            let gone: Vec<String> = of_table.flat_map(|(_, columns)| columns.clone()).collect();
            let question = (rows, gone);
            if seen.contains(&question) {
                continue;
            }
            match has_key(conn, &question, url).await {
                Err(error)
                    if error.kind == ErrorKind::Unsupported
                        && !may_make_key(conn, &steps[..at], &question.0.table, (tables, url)).await? =>
                {
                    let help = error.help.as_deref().unwrap_or_default();
                    let help = help.replace(keyset::UNTOUCHED, "nothing was changed");
                    return Err(error.help(help));
                }
                // A table that is not there yet, or has no key yet, is made by an earlier step.
                Err(error) if !matches!(error.kind, ErrorKind::Statement | ErrorKind::Unsupported) => {
                    return Err(error);
                }
                _ => seen.push(question),
            }
        }
    }
    Ok(())
}

/// Fails where rows have no key to be gone through by, or none without these columns.
async fn has_key(conn: &mut Conn, (rows, gone): &(Rows, Vec<String>), url: &StoreUrl) -> Result<()> {
    keyset::find(conn, &rows.table, rows.key.as_deref(), url).await?;
    if gone.is_empty() { Ok(()) } else { keyset::spare(conn, rows, gone, url).await }
}

/// The tables that an op goes through by a key.
fn gone_through(op: &dyn CoreOp) -> impl Iterator<Item = &Rows> {
    let survey = Survey::of(op);
    let moved = op.kind::<Move>().map(|op| &op.rows);
    moved.into_iter().chain(survey.map(Survey::rows)).chain(survey.and_then(Survey::others))
}

/// Whether a table may have another key once these steps have run.
async fn may_make_key(
    conn: &mut Conn,
    steps: &[Ahead<'_>],
    table: &Name,
    (tables, url): (&Tables, &StoreUrl),
) -> Result<bool> {
    let name = table.name.to_lowercase();
    let is_about = |op: &Op| op.statements().any(|statement| statement.text.to_lowercase().contains(&name));
    if steps.iter().filter_map(|step| step.op.kind::<Op>()).any(is_about) {
        return Ok(true);
    }
    let mut foresight =
        Foresight { server: inspect::server(conn, url).await?, model: Model::new(conn.dialect()) };
    foresight.model.fetch(conn, table, url).await?;
    let indexes = |model: &Model| model.table(table).map(|table| table.indexes.clone());
    let now = indexes(&foresight.model);
    for (step, op) in steps.iter().filter_map(|step| Some((step, step.op.kind::<Evolve>()?))) {
        foresight.evolve(conn, (step, op), (tables, url)).await?;
    }
    Ok(foresight.model.is_adrift(table) || indexes(&foresight.model) != now)
}

/// What the store will be like.
struct Foresight {
    server: Server,
    model: Model,
}

impl Foresight {
    /// Takes statements for run.
    async fn run(&mut self, conn: &mut Conn, op: &Op, url: &StoreUrl) -> Result<()> {
        for statement in op.statements() {
            if let Some(name) = model::about(conn.dialect(), &statement.text) {
                self.model.fetch(conn, &name, url).await?;
            }
            self.model.take(statement);
        }
        Ok(())
    }

    async fn evolve(
        &mut self,
        conn: &mut Conn,
        (step, op): (&Ahead<'_>, &Evolve),
        (tables, url): (&Tables, &StoreUrl),
    ) -> Result<Vec<Line>> {
        for name in [Some(&op.table), op.other.as_ref()].into_iter().flatten() {
            self.model.fetch(conn, name, url).await?;
        }
        let is_adrift = self.model.is_adrift(&op.table);
        let mut was = evolve::recalled(conn, tables, (step.version, step.index), url).await?;
        let mut shown = Vec::new();
        if is_adrift {
            shown.push(Line::new(format!(
                "-- as far as is known now: a step before this one changes {} in ways that only show then",
                op.table.name
            )));
        }
        if was.is_none() && !step.is_undo {
            match op.remember(self.server, &self.model) {
                Ok(found) => was = found,
                Err(error) if !is_adrift && error.kind != ErrorKind::Unsupported => {
                    return Ok(vec![refused(&error)]);
                }
                Err(_) => {}
            }
        }
        match op.drawn(self.server, &self.model, was.as_ref()) {
            Ok(script) => {
                shown.extend(script.preview());
                self.run(conn, &script, url).await?;
            }
            Err(error) if error.kind == ErrorKind::Statement => {
                shown.extend(op.preview());
                self.model.lose(&op.table);
            }
            Err(error) => return Err(error),
        }
        Ok(shown)
    }
}

/// A step that would not run as things are.
fn refused(error: &Error) -> Line {
    Line::new(format!("-- would be refused: {}", error.message))
}
