//! Who visibly still uses what a contract takes away: what the catalogue says is built upon it, programs in the database
//! that name it, and statements of others that name it, now or within the last moments. What a server does not show is not
//! claimed.

mod mysql;
mod postgres;

use std::time::Duration;

use dunlin_core::{Result, StoreUrl};

use crate::conn::{Cell, Conn, Param};
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::error;
use crate::inspect::Table;
use crate::lex::Kind;
use crate::op::Name;
use crate::rewrite;

/// What a step takes away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Columns; none where it is the whole table.
    pub(crate) columns: Vec<String>,
    /// The columns that come for them: who names one of those knows the new shape, or is dunlin itself.
    pub(crate) coming: Vec<String>,
    /// Whether something else has the name afterwards, so that who uses the name need not mean what goes.
    pub(crate) keeps_name: bool,
    /// Whether the table stays under another name, which leads to it already.
    pub(crate) keeps_table: bool,
}

/// What a text names.
#[derive(Debug, Clone, Copy)]
enum Named<'a> {
    Table,
    Column(&'a str),
}

/// A table that loses something.
struct Losing<'a> {
    table: &'a Name,
    taken: &'a Taken,
    dialect: Dialect,
}

/// So long it is looked whether counters grow.
const LOOK: Duration = Duration::from_millis(1200);
/// So many letters of a statement are shown.
const SHOWN: usize = 100;

/// Those who use it, in a few words each.
pub(crate) async fn find(
    conn: &mut Conn,
    (name, table): (&Name, &Table),
    taken: &Taken,
    url: &StoreUrl,
) -> Result<Vec<String>> {
    let losing = Losing { table: name, taken, dialect: conn.dialect() };
    let mut found = losing.built(table);
    if !taken.keeps_name {
        let programs = match losing.dialect {
            Dialect::Postgres => postgres::programs(conn, &losing).await,
            Dialect::MySql => mysql::programs(conn, &losing).await,
            Dialect::Sqlite => sqlite(conn, &losing).await,
        };
        found.extend(programs.map_err(|failure| error::own(&failure, "cannot read the catalogue", url))?);
        found.extend(match losing.dialect {
            Dialect::Postgres => postgres::statements(conn, &losing).await,
            Dialect::MySql => mysql::statements(conn, &losing).await,
            Dialect::Sqlite => Vec::new(),
        });
    }
    if taken.columns.is_empty() && !taken.keeps_table && grows(conn, name).await {
        found.push(format!("somebody reads or writes {}", name.name));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

impl Losing<'_> {
    /// What the catalogue itself says is built upon it.
    fn built(&self, table: &Table) -> Vec<String> {
        let is_taken = |column: &str| {
            self.taken.columns.is_empty()
                || self.taken.columns.iter().any(|taken| rewrite::is_same(self.dialect, taken, column))
        };
        if self.taken.keeps_table {
            return Vec::new();
        }
        // What is part of a table goes with it.
        let goes_along = |reader: &str| {
            self.taken.columns.is_empty()
                && ["generated column ", "policy ", "trigger "].iter().any(|own| reader.starts_with(own))
        };
        let readers = table.readers.iter().filter(|(column, by)| is_taken(column) && !goes_along(by));
        readers.map(|(column, reader)| self.says(reader, Named::Column(column))).collect()
    }

    fn says(&self, who: &str, what: Named<'_>) -> String {
        match what {
            Named::Column(column) if !self.taken.columns.is_empty() => {
                format!("{who} reads {}.{column}", self.table.name)
            }
            _ => format!("{who} reads {}", self.table.name),
        }
    }

    /// The names that are looked for in texts.
    fn names(&self) -> Vec<&str> {
        let columns: Vec<&str> = self.taken.columns.iter().map(String::as_str).collect();
        if columns.is_empty() { vec![&self.table.name] } else { columns }
    }

    /// What of that which is taken a program or a statement names.
    fn named_in(&self, text: &str, knows_table: bool) -> Option<Named<'_>> {
        let names = mentioned(self.dialect, text);
        let has = |name: &str| names.iter().any(|other| rewrite::is_same(self.dialect, other, name));
        if names.iter().any(|name| name.contains("dunlin_")) || self.taken.coming.iter().any(|new| has(new)) {
            return None;
        }
        if !knows_table && !has(&self.table.name) {
            return None;
        }
        if self.taken.columns.is_empty() {
            return Some(Named::Table);
        }
        self.taken.columns.iter().find(|column| has(column)).map(|column| Named::Column(column))
    }

    /// A statement of somebody else that names what is taken.
    fn statement(&self, who: &str, text: &str) -> Option<String> {
        const VERBS: [&str; 8] = ["select", "insert", "update", "delete", "replace", "merge", "with", "copy"];
        let mut cursor = Cursor::new(self.dialect, text);
        while cursor.eat_symbol("(") {}
        if !VERBS.iter().any(|verb| cursor.is(verb)) {
            return None;
        }
        let column = self.named_in(text, false)?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        Some(format!("{} (`{shown}`)", self.says(who, column)))
    }
}

/// All names in a text, qualified or not.
fn mentioned(dialect: Dialect, text: &str) -> Vec<String> {
    let mut cursor = Cursor::new(dialect, text);
    let mut names = Vec::new();
    while let Some((kind, _)) = cursor.peek() {
        match kind {
            Kind::Word | Kind::Name => names.extend(cursor.identifier()),
            _ => drop(cursor.next()),
        }
    }
    names
}

/// Whether a table is read or written: its counters grow, and grow on. Once they would by what this process did before, too.
async fn grows(conn: &mut Conn, name: &Name) -> bool {
    let question = match conn.dialect() {
        Dialect::Postgres => postgres::COUNTERS,
        Dialect::MySql => mysql::COUNTERS,
        Dialect::Sqlite => return false,
    };
    let named = name.quoted(Dialect::Postgres);
    let params: Vec<Param> = match conn.dialect() {
        Dialect::Postgres => vec![named.as_str().into()],
        _ => vec![name.schema.as_deref().into(), name.name.as_str().into()],
    };
    let mut before = None;
    for at in 0..3 {
        if at > 0 {
            tokio::time::sleep(LOOK).await;
        }
        let Some(now) = conn.cell(question, &params).await.ok().as_ref().and_then(Cell::int) else {
            return false;
        };
        if before.is_some_and(|before| now <= before) {
            return false;
        }
        before = Some(now);
    }
    true
}

/// SQLite's triggers. Its views are known already.
async fn sqlite(conn: &mut Conn, losing: &Losing<'_>) -> sqlx::Result<Vec<String>> {
    let question = "select name, sql, lower(tbl_name) = lower(?1) from sqlite_master where type = 'trigger' order by name";
    let rows = conn.rows(question, &[losing.table.name.as_str().into()]).await?;
    let of = |row: &Vec<Cell>| {
        let column = losing.named_in(row[1].text()?, row[2].int() == Some(1))?;
        // What belongs to a table goes with it.
        let goes_along = row[2].int() == Some(1) && losing.taken.columns.is_empty();
        (!goes_along).then(|| losing.says(&format!("trigger {}", row[0].text().unwrap_or_default()), column))
    };
    Ok(rows.iter().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_the_old_shape_are_told_from_others() {
        let table = Name { schema: None, name: "users".to_owned() };
        let columns = vec!["email".to_owned()];
        let taken = Taken { columns, coming: vec!["mail".to_owned()], ..Taken::default() };
        let losing = Losing { table: &table, taken: &taken, dialect: Dialect::Postgres };
        let says = |text| losing.statement("somebody", text);
        let old = "SELECT u.\"email\"\n FROM public.users u";
        assert_eq!(
            says(old).unwrap(),
            "somebody reads users.email (`SELECT u.\"email\" FROM public.users u`)"
        );
        for other in [
            "select email from teams",
            "select mail from users",
            "update users set mail = (email) where id > $1",
            "select 'email' from users /* email */",
            "alter table users rename column email to x",
            "select email from users where dunlin_archive_1_x is null",
        ] {
            assert_eq!(says(other), None, "{other}");
        }
        let taken = Taken::default();
        let losing = Losing { taken: &taken, ..losing };
        assert!(
            losing
                .statement("somebody", "(select 1 from USERS)")
                .unwrap()
                .starts_with("somebody reads users (`")
        );
    }
}
