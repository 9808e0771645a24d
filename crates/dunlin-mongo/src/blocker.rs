//! Who has the lock of a collection that a command waited for in vain. Asked after it gave up: whoever was in its way most
//! likely still is.

use bson::{Bson, Document, doc};
use mongodb::error::Error as DriverError;

use crate::error;
use crate::op::render;
use crate::same::clipped;
use crate::store::Store;

/// So many are named.
const NAMED: usize = 3;
/// So much of a statement is shown.
const SHOWN: usize = 100;
/// What a driver adds to a command.
const ADDED: [&str; 10] = [
    "lsid",
    "$clusterTime",
    "$db",
    "$readPreference",
    "txnNumber",
    "autocommit",
    "startTransaction",
    "readConcern",
    "writeConcern",
    "comment",
];

/// In words, and be it why nobody can be named.
pub(crate) async fn blockers(store: &Store, spaces: &[String]) -> String {
    let (operations, is_all) = match operations(store, true).await {
        Err(failure) if error::code(&failure) == Some(13) => match operations(store, false).await {
            Ok(operations) => (operations, false),
            Err(_) => (Vec::new(), false),
        },
        Ok(operations) => (operations, true),
        Err(failure) => {
            let reason = store.target.url.scrub(&failure.to_string());
            return format!("who has it cannot be seen: {reason}");
        }
    };
    let mut found = Vec::new();
    let holders = holders(store, spaces).await;
    match &holders {
        Some(holders) => found.extend(operations.iter().filter(|one| holders.iter().any(|it| it.is(one)))),
        // All that is known then is who has locks at all.
        None => found.extend(operations.iter().filter(|one| has_locks(one))),
    }
    found.sort_by_key(|one| std::cmp::Reverse(age(one)));
    let words: Vec<String> = found.into_iter().take(NAMED).map(|one| words(store, one)).collect();
    match (words.is_empty(), is_all) {
        (false, _) if holders.is_some() => format!("blocked by {}", words.join("; ")),
        (false, _) => format!("perhaps blocked by {}", words.join("; ")),
        (true, true) => "whoever had it is gone".to_owned(),
        (true, false) => {
            "who has it may not be seen by this login: that takes the right `inprog`, as of the \
                          role clusterMonitor"
                .to_owned()
        }
    }
}

/// What goes on at the server, and the transactions that are open with nothing going on.
async fn operations(store: &Store, is_all: bool) -> Result<Vec<Document>, DriverError> {
    let what = doc! { "$currentOp": { "allUsers": is_all, "idleSessions": true } };
    let one = doc! { "$match": { "$or": [
        { "type": "op", "active": true, "waitingForLock": { "$ne": true } },
        { "type": "idleSession", "transaction": { "$exists": true } },
    ] } };
    let command = doc! { "aggregate": 1, "pipeline": [what, one], "cursor": { "batchSize": 1000 } };
    let response = store.client.database("admin").run_command(command).await?;
    let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let batch = batch.map(Vec::as_slice).unwrap_or_default();
    Ok(batch.iter().filter_map(Bson::as_document).cloned().collect())
}

/// Who was granted a lock.
struct Holder {
    /// The operation, where there is one.
    operation: Option<Bson>,
    /// What else the server says, which has the id of the session where a transaction has the lock.
    told: String,
}

impl Holder {
    fn is(&self, operation: &Document) -> bool {
        let is_same = |number: &Bson| operation.get("opid") == Some(number);
        self.operation.as_ref().is_some_and(is_same)
            || session(operation).is_some_and(|id| self.told.contains(&id))
    }
}

/// Who has locks on these collections or, where nobody has, on their database. Nothing where the server does not say.
async fn holders(store: &Store, spaces: &[String]) -> Option<Vec<Holder>> {
    let response = store.client.database("admin").run_command(doc! { "lockInfo": 1 }).await.ok()?;
    let locks = response.get_array("lockInfo").ok()?;
    let of = |name: &str| -> Vec<Holder> {
        let end = format!(", {name}}}");
        let is_meant =
            |lock: &&Document| lock.get_str("resourceId").is_ok_and(|resource| resource.ends_with(&end));
        let locks = locks.iter().filter_map(Bson::as_document).filter(is_meant);
        locks.filter_map(|lock| lock.get_array("granted").ok()).flatten().filter_map(holder).collect()
    };
    let found: Vec<Holder> = spaces.iter().flat_map(|name| of(name)).collect();
    if !found.is_empty() {
        return Some(found);
    }
    let databases = spaces.iter().filter_map(|name| name.split_once('.'));
    Some(databases.flat_map(|(database, _)| of(database)).collect())
}

fn holder(granted: &Bson) -> Option<Holder> {
    let granted = granted.as_document()?;
    let operation = granted.get_document("clientInfo").ok().and_then(|client| client.get("opid").cloned());
    Some(Holder { operation, told: granted.get_str("debugInfo").unwrap_or_default().to_owned() })
}

fn has_locks(operation: &Document) -> bool {
    operation.get_document("locks").is_ok_and(|locks| locks.contains_key("Collection"))
}

/// The id of the session an operation belongs to.
fn session(operation: &Document) -> Option<String> {
    match operation.get_document("lsid").ok()?.get("id")? {
        Bson::Binary(id) if id.bytes.len() == 16 => {
            let hex = crate::extended::hex(&id.bytes);
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            Some(parts.join("-"))
        }
        _ => None,
    }
}

/// For how many seconds it has been going on.
fn age(operation: &Document) -> u64 {
    let micros = operation
        .get_document("transaction")
        .ok()
        .map(|open| crate::chunk::number(open.get("timeOpenMicros")));
    micros.map_or_else(|| crate::chunk::number(operation.get("secs_running")), |micros| micros / 1_000_000)
}

fn words(store: &Store, operation: &Document) -> String {
    let text = |key: &str| operation.get_str(key).ok().filter(|text| !text.is_empty());
    let is_idle = text("type") == Some("idleSession");
    let id = match operation.get("opid").map(render::inline) {
        Some(id) if !is_idle => format!("operation {id}"),
        _ => format!("session {}", session(operation).unwrap_or_else(|| "?".to_owned())),
    };
    let users = operation.get_array("effectiveUsers").map(Vec::as_slice).unwrap_or_default();
    let user = users.first().and_then(Bson::as_document).and_then(|user| user.get_str("user").ok());
    let user = user.map(|user| format!(" by {user}"));
    let from = [text("appName"), text("client")].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let is_open = operation.contains_key("transaction");
    let how = match (is_idle, is_open) {
        (true, _) => "idle in a transaction",
        (false, true) => "in a transaction",
        (false, false) => "running",
    };
    let statement = statement(operation).map(|statement| {
        format!(": {}", store.target.url.scrub(&clipped(&render::inline(&Bson::Document(statement)), SHOWN)))
    });
    format!(
        "{id}{} ({from}), {how} for {} s{}",
        user.unwrap_or_default(),
        age(operation),
        statement.unwrap_or_default()
    )
}

/// What it does. What a transaction did last that does nothing just now, the server does not say.
fn statement(operation: &Document) -> Option<Document> {
    let origin =
        operation.get_document("cursor").and_then(|cursor| cursor.get_document("originatingCommand"));
    let command = origin.or_else(|_| operation.get_document("command")).ok()?;
    let written = command.iter().filter(|(key, _)| !ADDED.contains(&key.as_str()));
    let written: Document = written.map(|(key, value)| (key.clone(), value.clone())).collect();
    (!written.is_empty()).then_some(written)
}
