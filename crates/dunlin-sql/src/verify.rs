//! Queries that only look: every row they find is one that must not be there.

use dunlin_core::{Check, Checked, Result, StoreUrl, Violation};

use crate::conn::Conn;
use crate::error;
use crate::op::Op;
use crate::survey::Survey;

/// How many rows a query shows.
pub(crate) const SHOWN: usize = 20;

/// Asks on from where the check stands.
pub(crate) async fn run(conn: &mut Conn, check: &Check<'_>, url: &StoreUrl) -> Result<Checked> {
    if let Some(survey) = Survey::of(check.op) {
        return survey.run(conn, check, url).await;
    }
    let op: &Op = check.op.own()?;
    let mut violations = Vec::new();
    for statement in op.statements() {
        let found = conn.sample(&statement.text, SHOWN).await;
        let found = found.map_err(|failure| error::of_statement(&failure, statement, 0, url))?;
        violations.extend(found.into_iter().map(Violation::new));
    }
    Ok(Checked::Wholly { violations, unlisted: 0, scanned: 0 })
}
