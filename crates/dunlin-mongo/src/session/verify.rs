//! Verify steps: whatever a read finds must not be there.

use bson::{Bson, Document, doc};
use dunlin_core::{Advance, Cursor, Result, Violation, Work};

use super::{Session, apart};
use crate::command;
use crate::extended;
use crate::op::{Command, Op};

/// How many documents a read shows.
const SHOWN: i32 = 20;

/// Runs all reads; the step is complete where none finds anything.
pub(super) async fn run(session: &mut Session, op: &Op, work: &Work<'_>) -> Result<Advance> {
    let mut violations = Vec::new();
    for command in &op.commands {
        violations.extend(found(session, op, command).await?);
    }
    if violations.is_empty() {
        let record = session.ledger.put_step(&session.store, work, &work.complete(0)).await?;
        return Ok(Advance::complete(record, 0));
    }
    Ok(Advance { violations, ..Advance::partly(work.running.clone(), 0) })
}

async fn found(session: &Session, op: &Op, command: &Command) -> Result<Vec<Violation>> {
    let db = apart::database(session, command);
    let seed = session.seed(op, &Cursor::default())?;
    let mut document = seed.map_or_else(|| command.document.clone(), |seed| seed.fill(&command.document, 0));
    match command::name(&document) {
        "find" => {
            document.insert("batchSize", SHOWN);
            document.insert("singleBatch", true);
        }
        "aggregate" => drop(document.insert("cursor", doc! { "batchSize": SHOWN })),
        _ => {}
    }
    let response = db.run_command(document).await.map_err(|failure| session.of_command(&failure, command))?;
    if let Ok(cursor) = response.get_document("cursor") {
        let batch = cursor.get_array("firstBatch").map(Vec::as_slice).unwrap_or_default();
        let id = cursor.get_i64("id").unwrap_or_default();
        if let (false, Some(target)) = (id == 0, command::target(&command.document)) {
            // The server forgets a cursor nobody reads; this only spares it the wait.
            let _ = db.run_command(doc! { "killCursors": target, "cursors": [id] }).await;
        }
        return Ok(batch.iter().map(violation).collect());
    }
    Ok(counted(&response, &command.document))
}

fn violation(value: &Bson) -> Violation {
    let record = match value {
        Bson::Document(document) => extended::canonical(document),
        other => other.to_string(),
    };
    Violation { record }
}

/// What an answer without documents says: a number, or a list of values.
fn counted(response: &Document, question: &Document) -> Vec<Violation> {
    if let Ok(values) = response.get_array("values") {
        return values.iter().take(usize::try_from(SHOWN).unwrap_or_default()).map(violation).collect();
    }
    let count = match response.get("n") {
        Some(Bson::Int32(count)) => i64::from(*count),
        Some(Bson::Int64(count)) => *count,
        _ => 0,
    };
    let target = command::target(question).unwrap_or_default();
    if count > 0 { vec![Violation { record: format!("{count} documents in {target}") }] } else { Vec::new() }
}
