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
use crate::moves::Move;
use crate::op::Op;
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
