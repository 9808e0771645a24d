//! How long statements wait for locks of the database: what holds for the store, unless a step says otherwise.

use std::sync::Arc;
use std::time::Duration;

use dunlin_core::{Result, Target};

use crate::connect::{BUSY, is_pooled};
use crate::dialect::Dialect;
use crate::session::Session;

/// Lets the statements to come wait for this long; for as long as usual where nothing is said. Whatever else asks how long
/// that is asks the target of the session.
pub(crate) async fn take(session: &mut Session, said: Option<Duration>) -> Result<()> {
    let time = said.unwrap_or(session.usual);
    if said.is_none() && time == session.store.target.lock_timeout {
        return Ok(());
    }
    if time != session.store.target.lock_timeout {
        let target = Target { lock_timeout: time, ..(*session.store.target).clone() };
        session.store.target = Arc::new(target);
    }
    let text = match session.tables.dialect {
        // A pooler keeps nothing from one transaction to the next: each begins with it.
        Dialect::Postgres if is_pooled(&session.store.target) => return Ok(()),
        Dialect::Postgres => format!("set lock_timeout = {}", time.as_millis()),
        Dialect::MySql => {
            let seconds = seconds(time);
            format!("set lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
        }
        Dialect::Sqlite => format!("pragma busy_timeout = {}", said.unwrap_or(BUSY).as_millis()),
    };
    let set = session.conn.execute(&text).await;
    set.map(drop).map_err(|failure| session.fail(&failure, "cannot set how long to wait for locks"))
}

/// MySQL counts in whole seconds.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}
