//! What scripts set on the connection (a role, a search path, a charset, foreign keys), kept out of our own writes and
//! taken back before the next script.

use dunlin_core::Result;

use crate::connect::{self, is_memory};
use crate::dialect::Dialect;
use crate::error;
use crate::op::Statement;
use crate::session::Session;

/// What was set on a connection since it was clean.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    is_dirty: bool,
    /// PostgreSQL: whether another role may be in charge.
    is_other_role: bool,
    /// MySQL: every variable, before the first was set.
    before: Vec<(String, String)>,
}

/// MySQL's variables that are no settings, but change by themselves or say what happened last.
const MOVING: &str = "'timestamp', 'insert_id', 'last_insert_id', 'identity', 'rand_seed1', 'rand_seed2', 'pseudo_thread_id', \
    'pseudo_slave_mode', 'pseudo_replica_mode', 'error_count', 'warning_count', 'in_transaction', 'last_gtid', 'gtid_next', \
    'gtid_seq_no', 'gtid_domain_id', 'server_id', 'transaction_isolation', 'transaction_read_only', 'proxy_user', 'external_user'";

/// Every pragma of ours that a script may set on a connection, as SQLite has it by default.
const PRAGMAS: &str = "pragma foreign_keys = on; pragma legacy_alter_table = off; pragma recursive_triggers = off; \
    pragma ignore_check_constraints = off; pragma case_sensitive_like = off; pragma writable_schema = off; \
    pragma query_only = off; pragma reverse_unordered_selects = off";

const TAKING_BACK: &str = "cannot take back what the script set on the connection";

/// Whether a statement sets something.
pub(crate) fn sets(statement: &Statement) -> bool {
    statement.is_setting() || statement.text.contains("set_config")
}

/// Notes that a statement is about to set something.
pub(crate) async fn before(session: &mut Session, statement: &Statement) -> Result<()> {
    if !sets(statement) {
        return Ok(());
    }
    let text = statement.text.to_ascii_lowercase();
    session.changes.is_other_role |= text.contains("role") || text.contains("authorization");
    if session.changes.is_dirty {
        return Ok(());
    }
    if session.tables.dialect == Dialect::MySql {
        session.changes.before = variables(session).await?;
    }
    session.changes.is_dirty = true;
    Ok(())
}

/// What is a connection's own. What is the whole server's changes beside us, and is not ours to set.
async fn variables(session: &mut Session) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "select lower(variable_name), session_value from information_schema.system_variables \
         where session_value is not null and variable_scope <> 'GLOBAL' and lower(variable_name) not in ({MOVING})"
    );
    let mut read = session.conn.rows(&sql, &[]).await;
    if read.is_err() {
        // MySQL 8 keeps them elsewhere, and does not say whose they are.
        let sql = format!(
            "select lower(variable_name), variable_value from performance_schema.session_variables \
             where variable_name not like 'gtid%' and lower(variable_name) not in ({MOVING})"
        );
        read = session.conn.rows(&sql, &[]).await;
    }
    let rows = read.map_err(|failure| session.fail(&failure, "cannot read the variables"))?;
    let text = |cell: &crate::conn::Cell| cell.text().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect())
}

/// Before a write of ours in the middle of a script. A role may lack rights to our tables, so PostgreSQL's is taken back;
/// whatever comes next in the script has it set again. MySQL's charset is put aside.
pub(crate) async fn suspend(session: &mut Session) -> Result<()> {
    if !session.changes.is_dirty {
        return Ok(());
    }
    match session.tables.dialect {
        Dialect::Postgres if session.changes.is_other_role => {
            session.changes.is_other_role = false;
            session.is_set_up = false;
            run(session, "reset session authorization; reset role").await
        }
        Dialect::MySql => {
            let put_aside = "set @dunlin_client = @@character_set_client, @dunlin_connection = @@collation_connection, \
                 @dunlin_results = @@character_set_results, character_set_client = utf8mb4, character_set_connection = utf8mb4, \
                 character_set_results = utf8mb4";
            run(session, put_aside).await
        }
        Dialect::Postgres | Dialect::Sqlite => Ok(()),
    }
}

/// After a write of ours.
pub(crate) async fn resume(session: &mut Session) -> Result<()> {
    if !session.changes.is_dirty || session.tables.dialect != Dialect::MySql {
        return Ok(());
    }
    let back = "set character_set_client = @dunlin_client, collation_connection = @dunlin_connection, \
         character_set_results = @dunlin_results";
    run(session, back).await
}

/// Takes back everything that was set.
pub(crate) async fn restore(session: &mut Session) -> Result<()> {
    if !session.changes.is_dirty {
        return Ok(());
    }
    match session.tables.dialect {
        Dialect::Postgres => run(session, "reset session authorization; reset role; reset all").await?,
        Dialect::MySql => restore_variables(session).await?,
        Dialect::Sqlite if is_memory(&session.store.target) => run(session, PRAGMAS).await?,
        // The lock is in the file, not in the connection.
        Dialect::Sqlite => {
            if let Some(fresh) = connect::open(Dialect::Sqlite, &session.store.target, false).await? {
                session.conn = fresh;
            }
        }
    }
    session.changes = Changes::default();
    session.is_set_up = false;
    Ok(())
}

async fn restore_variables(session: &mut Session) -> Result<()> {
    // Before anything is compared: the names of variables are compared in the charset of the connection.
    run(session, "set names utf8mb4, timestamp = default").await?;
    if let Some(schema) = session.tables.schema.clone() {
        run(session, &format!("use {}", Dialect::MySql.quote(&schema))).await?;
    }
    let now = variables(session).await?;
    let before = std::mem::take(&mut session.changes.before);
    let differs = |(name, value): &&(String, String)| {
        now.iter().any(|(known, current)| known == name && current != value)
    };
    for (name, value) in before.iter().filter(differs) {
        let set = session.conn.execute(&format!("set {name} = {}", literal(value))).await;
        match set {
            // It changed by itself: MySQL lists what nobody sets among what a connection has.
            Err(failure) if error::is_no_setting(&failure) => {}
            set => set.map(drop).map_err(|failure| session.fail(&failure, TAKING_BACK))?,
        }
    }
    Ok(())
}

/// A variable's value as `SET` takes it: numbers and switches bare.
fn literal(value: &str) -> String {
    let is_number = !value.is_empty() && value.parse::<f64>().is_ok();
    match value {
        value if is_number => value.to_owned(),
        "" => "''".to_owned(),
        value => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''")),
    }
}

async fn run(session: &mut Session, sql: &str) -> Result<()> {
    session.conn.execute(sql).await.map(drop).map_err(|failure| session.fail(&failure, TAKING_BACK))
}
