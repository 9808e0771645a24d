//! The light write: how far a record got, and nothing else of it; no journal line, no files. It checks the fence like
//! every write, and that the record is what the writer takes it for.

use dunlin_core::Record;

use crate::conn::{Conn, Param};
use crate::dialect::Dialect;
use crate::tables::Tables;

/// What came of a light write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is written.
    Yes,
    /// The record is not what it was.
    Moved,
    /// The lock is not ours any more.
    Lost,
}

/// A light write.
#[derive(Debug, Clone)]
pub(crate) struct Light {
    /// The columns by which the record is known besides its version.
    by: &'static [&'static str],
    /// The checkpoint, the rows, the version, and the values of `by`.
    params: Vec<Param>,
}

impl Light {
    /// On from another checkpoint.
    pub(crate) fn after(before: &Param, record: &Record) -> Self {
        Self { by: &["checkpoint"], params: Self::params(record, [before.clone()]) }
    }

    /// Of a record that this run has written before.
    pub(crate) fn of(record: &Record) -> Self {
        let steps = dunlin_core::history::encode_steps(&record.steps);
        let run = Param::Text(record.author.run.0.clone());
        let known = [record.state.word().into(), record.phase.word().into(), steps.into(), run];
        Self { by: &["state", "phase", "steps", "run"], params: Self::params(record, known) }
    }

    fn params(record: &Record, known: impl IntoIterator<Item = Param>) -> Vec<Param> {
        let checkpoint =
            record.checkpoint.as_ref().map_or(Param::Null, |checkpoint| Param::Text(checkpoint.0.clone()));
        let rows = i64::try_from(record.rows).unwrap_or(i64::MAX);
        let mut params = vec![checkpoint, rows.into(), record.id.version.as_str().into()];
        params.extend(known);
        params
    }

    /// Writes inside the transaction that is open; on PostgreSQL it may as well be one of its own.
    pub(crate) async fn write(
        &self,
        conn: &mut Conn,
        tables: &Tables,
        (token, lease): (i64, i64),
    ) -> sqlx::Result<Kept> {
        let update = tables.keep(self.by);
        if tables.dialect == Dialect::Postgres {
            let mut params = self.params.clone();
            params.push(token.into());
            let rows = conn.rows(&update, &params).await?;
            let counts = rows.first().map(|row| (row[0].int(), row[1].int()));
            return Ok(match counts {
                Some((Some(1), Some(1))) => Kept::Yes,
                Some((Some(1), _)) => Kept::Moved,
                _ => Kept::Lost,
            });
        }
        let fence = tables.fence();
        let is_ours = if tables.dialect == Dialect::Sqlite {
            conn.run(&fence, &[token.into(), lease.into()]).await? == 1
        } else {
            conn.rows(&fence, &[token.into()]).await?.len() == 1
        };
        if !is_ours {
            return Ok(Kept::Lost);
        }
        Ok(if conn.run(&update, &self.params).await? == 1 { Kept::Yes } else { Kept::Moved })
    }
}
