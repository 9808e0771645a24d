//! Verify steps: whatever a read finds must not be there.

use bson::{Bson, Document, doc};
use dunlin_core::{Check, Checked, Result, Violation, words};
use mongodb::error::Error as DriverError;

use crate::check::Look;
use crate::fill::{self, Seed};
use crate::op::{Command, Op};
use crate::same::{self, Mender};
use crate::store::Store;
use crate::{command, error, extended};

/// How many documents a read shows.
const SHOWN: i32 = 20;

/// Runs all reads, or goes on with a look, in which somebody may mend.
pub(crate) async fn run(
    store: &Store,
    check: &Check<'_>,
    mender: Option<&mut dyn Mender>,
) -> Result<Checked> {
    if let Some(look) = check.op.kind::<Look>() {
        return same::run(store, look, check, mender).await;
    }
    let op: &Op = check.op.own()?;
    let mut violations = Vec::new();
    for command in &op.commands {
        violations.extend(found(store, command).await?);
    }
    Ok(Checked::Wholly { violations, unlisted: 0, scanned: 0 })
}

async fn found(store: &Store, command: &Command) -> Result<Vec<Violation>> {
    let db = store.database(command);
    let fail = |failure: DriverError| error::of_command(&failure, command, &store.target.url);
    let mut document = command.document.clone();
    if fill::is_needed(&document) {
        let now = db.run_command(doc! { "hello": 1 }).await.map_err(fail)?;
        let now = now.get_datetime("localTime").map_or(0, |now| now.timestamp_millis());
        document = Seed::new(now).fill(&document, 0);
    }
    match command::name(&document) {
        "find" => {
            document.insert("batchSize", SHOWN);
            document.insert("singleBatch", true);
        }
        "aggregate" => drop(document.insert("cursor", doc! { "batchSize": SHOWN })),
        _ => {}
    }
    let response = db.run_command(document).await.map_err(fail)?;
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
    Violation::new(record)
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
    let count = u64::try_from(count).unwrap_or_default();
    if count > 0 {
        vec![Violation::new(format!("{} in {target}", words::counted(count, "document")))]
    } else {
        Vec::new()
    }
}
