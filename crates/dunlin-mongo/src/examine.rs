//! Facts about a server and our login there, for `dunlin doctor`.

use std::time::{SystemTime, UNIX_EPOCH};

use bson::{Bson, Document, doc};
use mongodb::error::Error as DriverError;

use crate::store::Store;

pub(crate) async fn facts(store: &Store) -> Result<Vec<(String, String)>, DriverError> {
    let admin = store.client.database("admin");
    let build = admin.run_command(doc! { "buildInfo": 1 }).await?;
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    let status = store.db.run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await?;
    let mut facts = vec![
        ("server", format!("MongoDB {}", build.get_str("version").unwrap_or("of unknown version"))),
        ("database", store.db.name().to_owned()),
        ("topology", store.topology.word().to_owned()),
    ];
    let transactions = if store.topology.has_transactions() {
        "yes: documents change together with the history"
    } else {
        "no: each command is recorded before and after; make it a replica set for more"
    };
    facts.push(("transactions", transactions.to_owned()));
    let is_primary = hello.get_bool("isWritablePrimary").unwrap_or_default();
    facts.push(("takes writes", if is_primary { "yes" } else { "no: not the primary" }.to_owned()));
    facts.push(("login", login(&status)));
    facts.push(("may write here", rights(&status, store.db.name())));
    if let Ok(time) = hello.get_datetime("localTime") {
        facts.push(("clock", clock(time.timestamp_millis())));
    }
    facts.push(("migration lock by", "lease".to_owned()));
    Ok(facts.into_iter().map(|(what, finding)| (what.to_owned(), finding)).collect())
}

fn auth(status: &Document) -> Option<&Document> {
    status.get_document("authInfo").ok()
}

fn login(status: &Document) -> String {
    let users = auth(status).and_then(|auth| auth.get_array("authenticatedUsers").ok());
    let user = users.and_then(|users| users.first()).and_then(Bson::as_document);
    match user {
        Some(user) => {
            format!("{} of {}", user.get_str("user").unwrap_or("?"), user.get_str("db").unwrap_or("?"))
        }
        None => "none: the server asks for no login, or lets everybody read".to_owned(),
    }
}

/// What the login may not do of what migrations need, where the server says.
fn rights(status: &Document, database: &str) -> String {
    const NEEDED: [&str; 7] =
        ["find", "insert", "update", "remove", "createCollection", "createIndex", "dropCollection"];
    if login(status).starts_with("none") {
        return "yes, as far as is known".to_owned();
    }
    let privileges = auth(status).and_then(|auth| auth.get_array("authenticatedUserPrivileges").ok());
    let covers = |privilege: &&Document| {
        let Ok(resource) = privilege.get_document("resource") else { return false };
        let is_any = resource.get_bool("anyResource").unwrap_or_default();
        let of = resource.get_str("db").is_ok_and(|db| db.is_empty() || db == database);
        is_any || of && resource.get_str("collection").is_ok_and(str::is_empty)
    };
    let granted: Vec<&str> = privileges
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
        .filter(covers)
        .filter_map(|privilege| privilege.get_array("actions").ok())
        .flatten()
        .filter_map(Bson::as_str)
        .collect();
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|action| !granted.contains(action) && !granted.contains(&"anyAction"))
        .collect();
    if missing.is_empty() { "yes".to_owned() } else { format!("no: {} not granted", missing.join(", ")) }
}

fn clock(server: i64) -> String {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let apart = i64::try_from(here).unwrap_or(i64::MAX).abs_diff(server);
    format!("{apart} ms from this machine's; only the server's is used")
}
