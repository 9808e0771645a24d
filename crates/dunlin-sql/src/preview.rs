//! What a plan shows of an op where the store can be asked: the statements with the key that the table has. Looks only.

use dunlin_core::{Line, Op as CoreOp, Result, StoreUrl};

use crate::conn::Conn;
use crate::evolve::{self, Evolve};
use crate::keyset;
use crate::moves::Move;
use crate::survey::Survey;

/// The statements of an op. A table that is not there yet is made by an earlier step: its key is left open.
pub(crate) async fn lines(conn: &mut Conn, op: &dyn CoreOp, url: &StoreUrl) -> Result<Vec<Line>> {
    if let Some(survey) = Survey::of(op) {
        return survey.looked(conn, url).await;
    }
    if let Some(op) = op.kind::<Evolve>() {
        return evolve::preview(conn, op, url).await;
    }
    let Some(op) = op.kind::<Move>() else { return Ok(op.preview()) };
    let key = keyset::look(conn, &op.rows, url).await?;
    Ok(key.map_or_else(|| op.preview(), |key| op.shown(&key)))
}
