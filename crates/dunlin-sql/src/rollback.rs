//! SQLite's rollback journal: the file beside the database from which a transaction that was cut off is taken back. By
//! default it is made and deleted with every transaction, which costs the disk more than what it holds. A session keeps
//! the file and blanks its head instead, which ends a transaction as durably; at its end the file goes.

use crate::conn::Conn;
use crate::dialect::Dialect;

/// Keeps the file from now on, where the database has one that is deleted: not where it writes ahead.
pub(crate) async fn keep(conn: &mut Conn) -> sqlx::Result<()> {
    turn(conn, "delete", "persist").await
}

/// Deletes it, unless a script has chosen another way meanwhile.
pub(crate) async fn discard(conn: &mut Conn) -> sqlx::Result<()> {
    turn(conn, "persist", "delete").await
}

async fn turn(conn: &mut Conn, from: &str, to: &str) -> sqlx::Result<()> {
    if conn.dialect() == Dialect::Sqlite && conn.cell("pragma journal_mode", &[]).await?.text() == Some(from)
    {
        conn.execute(&format!("pragma journal_mode = {to}")).await?;
    }
    Ok(())
}
