//! SQLite changes most things by building a table anew. Done carelessly, that deletes the rows of other tables which
//! point at it; here is what keeps them.

use std::collections::BTreeMap;

use dunlin_core::words::{agree, counted};
use dunlin_core::{Error, ErrorKind, Result};

use crate::dialect::Dialect;
use crate::op::{ForeignKeys, Object, Op, Statement};
use crate::session::Session;

/// How foreign keys stood before a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Untouched,
    TurnedOff,
}

/// Turns foreign keys off where the script asks for it: inside a transaction SQLite would ignore that.
pub(crate) async fn before(session: &mut Session, op: &Op) -> Result<Keys> {
    if session.tables.dialect != Dialect::Sqlite
        || op.foreign_keys != ForeignKeys::Off
        || !are_on(session).await?
    {
        return Ok(Keys::Untouched);
    }
    session
        .conn
        .execute("pragma foreign_keys = off")
        .await
        .map_err(|failure| session.fail(&failure, "cannot turn foreign keys off"))?;
    Ok(Keys::TurnedOff)
}

/// Turns them on again.
pub(crate) async fn after(session: &mut Session, keys: Keys) -> Result<()> {
    if keys == Keys::TurnedOff {
        session
            .conn
            .execute("pragma foreign_keys = on")
            .await
            .map_err(|failure| session.fail(&failure, "cannot turn foreign keys on"))?;
    }
    Ok(())
}

async fn are_on(session: &mut Session) -> Result<bool> {
    let on = session.conn.cell("select foreign_keys from pragma_foreign_keys", &[]).await;
    Ok(on.map_err(|failure| session.fail(&failure, "cannot read the foreign key setting"))?.int() == Some(1))
}

/// Before the commit of a script that ran with foreign keys off: no row may point at nothing.
pub(crate) async fn check(session: &mut Session, op: &Op, known: &Broken) -> Result<()> {
    let is_unguarded = match op.foreign_keys {
        ForeignKeys::Off => true,
        ForeignKeys::On => false,
        ForeignKeys::AsWritten => session.tables.dialect == Dialect::Sqlite && !are_on(session).await?,
    };
    if !is_unguarded {
        return Ok(());
    }
    let mut list = Vec::new();
    for ((child, parent), count) in broken(session).await? {
        let more = count - known.get(&(child.clone(), parent.clone())).copied().unwrap_or_default();
        if more > 0 {
            list.push(format!(
                "{} of {child} {} at no row of {parent}",
                counted(more.unsigned_abs(), "row"),
                agree(more.unsigned_abs(), "points", "point")
            ));
        }
    }
    if list.is_empty() {
        return Ok(());
    }
    let error =
        Error::new(ErrorKind::Statement, format!("foreign keys would be broken: {}", list.join("; ")));
    Err(error.help("nothing was changed; `pragma foreign_key_check` lists such rows"))
}

/// How many rows of a table point at no row of another.
pub(crate) type Broken = BTreeMap<(String, String), i64>;

/// All rows that point at nothing now.
pub(crate) async fn broken(session: &mut Session) -> Result<Broken> {
    let sql = "select \"table\", parent, count(*) from pragma_foreign_key_check group by 1, 2";
    let rows = session
        .conn
        .rows(sql, &[])
        .await
        .map_err(|failure| session.fail(&failure, "cannot check foreign keys"))?;
    let text = |cell: &crate::conn::Cell| cell.text().unwrap_or("?").to_owned();
    Ok(rows.iter().map(|row| ((text(&row[0]), text(&row[1])), row[2].int().unwrap_or_default())).collect())
}

/// Whether the rows of other tables are counted around a statement: it drops one that others may point at.
pub(crate) async fn guards(session: &mut Session, statement: &Statement) -> Result<bool> {
    if session.tables.dialect != Dialect::Sqlite {
        return Ok(false);
    }
    if dropped_table(statement).is_some() {
        return has_keys(session).await;
    }
    // From now on some table may point at another.
    if session.has_keys != Some(true) && statement.canonical().contains("references") {
        session.has_keys = Some(true);
    }
    Ok(false)
}

/// The rows that other tables would lose when a table is dropped with foreign keys on: SQLite deletes its rows first,
/// and the `on delete` rules of the tables that point at it fire.
#[derive(Debug)]
pub(crate) struct Lost {
    children: BTreeMap<String, i64>,
}

impl Lost {
    /// Counts them, if the statement drops a table that others point at.
    pub(crate) async fn before(session: &mut Session, statement: &Statement) -> Result<Option<Self>> {
        match dropped_table(statement) {
            Some(table) if guards(session, statement).await? && are_on(session).await? => {
                Ok(Some(Self { children: count(session, &table).await? }))
            }
            _ => Ok(None),
        }
    }

    /// Refuses the drop if rows are gone after it.
    pub(crate) async fn refuse(self, session: &mut Session, statement: &Statement) -> Result<()> {
        let Some(table) = dropped_table(statement) else { return Ok(()) };
        for (child, before) in &self.children {
            let sql = format!("select count(*) from {}", child.split('\u{0}').next().unwrap_or(child));
            let sql = child
                .split_once('\u{0}')
                .map_or(sql.clone(), |(_, condition)| format!("{sql} where {condition}"));
            let now = session
                .conn
                .cell(&sql, &[])
                .await
                .map_err(|failure| session.fail(&failure, "cannot count child rows"))?;
            let gone = before - now.int().unwrap_or_default();
            if gone > 0 {
                let name = child.split('\u{0}').next().unwrap_or(child);
                let error = Error::new(
                    ErrorKind::Statement,
                    format!(
                        "dropping {table} would take {} of {name} with it",
                        counted(gone.unsigned_abs(), "row")
                    ),
                );
                return Err(error.at(statement.span).help(
                    "nothing was changed. For a table rebuild write `-- dunlin: foreign-keys: off`; if the rows are meant to go, delete them first",
                ));
            }
        }
        Ok(())
    }
}

fn dropped_table(statement: &Statement) -> Option<String> {
    let effect = statement.effect().filter(|effect| !effect.appears)?;
    match effect.object {
        Object::Table(name) if statement.head().starts_with("drop table") => Some(name.name),
        _ => None,
    }
}

/// Whether any table points at another, asked once per session.
async fn has_keys(session: &mut Session) -> Result<bool> {
    if let Some(known) = session.has_keys {
        return Ok(known);
    }
    let sql = "select 1 from sqlite_master where type = 'table' and sql like '%references%' limit 1";
    let found = session
        .conn
        .cell(sql, &[])
        .await
        .map_err(|failure| session.fail(&failure, "cannot read the schema"))?
        .int()
        .is_some();
    session.has_keys = Some(found);
    Ok(found)
}

/// The rows of every table that a rule would delete or empty, by table and condition.
async fn count(session: &mut Session, table: &str) -> Result<BTreeMap<String, i64>> {
    let sql = "select m.name, f.\"from\", f.on_delete from sqlite_master m join pragma_foreign_key_list(m.name) f \
               where m.type = 'table' and f.\"table\" = ?1 collate nocase and m.name <> ?1 collate nocase \
               and f.on_delete in ('CASCADE', 'SET NULL', 'SET DEFAULT')";
    let rows = session
        .conn
        .rows(sql, &[table.into()])
        .await
        .map_err(|failure| session.fail(&failure, "cannot read foreign keys"))?;
    let mut children = BTreeMap::new();
    for row in rows {
        let (Some(child), Some(column), Some(rule)) = (row[0].text(), row[1].text(), row[2].text()) else {
            continue;
        };
        let child = Dialect::Sqlite.quote(child);
        let (key, sql) = if rule == "CASCADE" {
            (child.clone(), format!("select count(*) from {child}"))
        } else {
            let condition = format!("{} is not null", Dialect::Sqlite.quote(column));
            (format!("{child}\u{0}{condition}"), format!("select count(*) from {child} where {condition}"))
        };
        let rows = session
            .conn
            .cell(&sql, &[])
            .await
            .map_err(|failure| session.fail(&failure, "cannot count child rows"))?;
        children.insert(key, rows.int().unwrap_or_default());
    }
    Ok(children)
}
