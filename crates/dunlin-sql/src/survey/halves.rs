//! Rows over which the condition of a change fails: each is found, and is wrong.

use dunlin_core::Violation;

use super::{Part, Place, View};
use crate::clause::Clause;
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::error;
use crate::verify::SHOWN;

const KEEP: &str = "savepoint dunlin";
const BACK: &str = "rollback to dunlin";
const FREE: &str = "release dunlin";

impl View<'_> {
    /// Looks at one chunk, and where what a change says fails over a row of it, at that row by itself: the row is wrong.
    pub(super) async fn halved(
        &self,
        conn: &mut Conn,
        place: &mut Place,
        mut size: u32,
        is_sample: bool,
    ) -> sqlx::Result<(bool, u64)> {
        // Within a transaction PostgreSQL answers nothing more after a failure, unless it can go back to before it.
        let is_wary = self.survey.is_of_change() && conn.dialect() == Dialect::Postgres;
        loop {
            let is_kept = is_wary && conn.execute(KEEP).await.is_ok();
            let looked = self.chunk(conn, place, size, is_sample).await;
            if is_kept {
                conn.execute(if looked.is_ok() { FREE } else { BACK }).await?;
            }
            match looked {
                Err(failure) if self.survey.is_of_change() && error::is_about_rows(&failure) => {
                    if size == 1 {
                        return self.failing(conn, place, &failure).await;
                    }
                    size /= 2;
                }
                looked => return looked,
            }
        }
    }

    /// Notes the next row, over which the condition fails.
    async fn failing(
        &self,
        conn: &mut Conn,
        place: &mut Place,
        failure: &sqlx::Error,
    ) -> sqlx::Result<(bool, u64)> {
        let Some(to) = &place.to else { return Ok((true, 0)) };
        let part =
            Part { key: self.key, other: self.other, after: place.at.as_deref(), until: to, only: false };
        let mut clause = Clause::new(self.key.dialect);
        self.survey.bound(&mut clause, &part, 1);
        let found = conn.planned(&clause.text, &clause.params).await?;
        let Some(at) = found.first().and_then(|row| self.key.values(row)) else { return Ok((true, 0)) };
        let why = failure.as_database_error().map(|error| error.message().to_owned());
        let violation = Violation { values: why, ..Violation::new(self.key.describe(&at)) };
        let room = place.found.len() < SHOWN;
        place.note(1, room.then_some(violation).into_iter().collect());
        place.at = Some(at);
        Ok((false, 1))
    }
}
