//! SQLite's schema.

use super::{Column, Constraint, Index, Role, Rule, Table, text};
use crate::conn::Conn;
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::op::Name;

const COLUMNS: &str =
    "select name, type, dflt_value, \"notnull\", hidden from pragma_table_xinfo(?1, ?2) where hidden <> 1";

const INDEXES: &str = "select l.name, l.\"unique\", l.origin, m.sql, \
    (select group_concat('\"' || replace(x.name, '\"', '\"\"') || '\"' || iif(x.coll = 'BINARY', '', ' collate ' || x.coll) || iif(x.\"desc\", ' desc', ''), ', ') from pragma_index_xinfo(l.name, ?2) x where x.key) \
    from pragma_index_list(?1, ?2) l left join sqlite_master m on m.type = 'index' and m.name = l.name order by l.name";

const FOREIGN: &str = "select id, group_concat(\"from\", char(10)), group_concat(coalesce(\"to\", ''), char(10)), \"table\", on_delete, on_update \
    from pragma_foreign_key_list(?1, ?2) group by id order by id";

const POINTED_AT: &str = "select m.name, coalesce(f.\"to\", '') from sqlite_master m join pragma_foreign_key_list(m.name) f \
    where m.type = 'table' and lower(f.\"table\") = lower(?1) and lower(m.name) <> lower(?1) order by m.name, f.id";

const OTHERS: &str =
    "select type, name, sql from sqlite_master where type in ('view', 'trigger') order by type, name";

pub(super) async fn table(conn: &mut Conn, name: &Name) -> sqlx::Result<Option<Table>> {
    let schema = name.schema.as_deref().unwrap_or("main");
    let params = [name.name.as_str().into(), schema.into()];
    let kind = "select l.wr, m.sql from pragma_table_list l join sqlite_master m on m.type = 'table' and lower(m.name) = lower(l.name) \
                where lower(l.name) = lower(?1) and lower(l.schema) = lower(?2) and l.type = 'table'";
    let found = conn.rows(kind, &params).await?;
    let Some(facts) = found.first() else { return Ok(None) };
    let mut table = Table { has_rowid: facts[0].int() == Some(0), text: text(&facts[1]), ..Table::default() };
    for row in conn.rows(COLUMNS, &params).await? {
        let name = text(&row[0]);
        table.columns.push(Column {
            kind: text(&row[1]) + &collation(&table.text, &name),
            name,
            default: row[2].text().map(str::to_owned),
            is_relaxed: crate::declared::is_relaxed(&table.text, &text(&row[0])),
            is_nullable: row[3].int() == Some(0),
            is_generated: row[4].int() != Some(0),
            ..Column::default()
        });
    }
    let generated: Vec<String> =
        table.columns.iter().filter(|column| column.is_generated).map(|column| column.name.clone()).collect();
    for column in generated {
        let declared =
            crate::declared::column(&table.text, &column).map(|range| table.text[range].to_owned());
        let declared = declared.unwrap_or_default();
        let reads =
            |name: &String| *name != column && crate::rewrite::reads(Dialect::Sqlite, &declared, name);
        let read: Vec<String> = table.names().into_iter().filter(reads).collect();
        table.readers.extend(read.into_iter().map(|name| (name, format!("generated column {column}"))));
    }
    for row in conn.rows(INDEXES, &params).await? {
        let made = row[3].text().map(|made| after_table(made, &name.name));
        table.indexes.push(Index {
            name: text(&row[0]),
            is_unique: row[1].int() == Some(1),
            role: match row[2].text() {
                Some("pk") => Role::Primary,
                Some("u") => Role::Constraint,
                _ => Role::Plain,
            },
            body: made.unwrap_or_else(|| format!("({})", text(&row[4]))),
            ..Index::default()
        });
    }
    constraints(conn, name, &mut table).await?;
    for row in conn.rows(OTHERS, &[]).await? {
        let (kind, other, made) = (text(&row[0]), text(&row[1]), text(&row[2]));
        let is_its = crate::rewrite::reads(Dialect::Sqlite, &made, &name.name);
        if kind == "trigger" && is_its {
            table.triggers.push(other);
        } else if is_its {
            let reads = |column: &String| crate::rewrite::reads(Dialect::Sqlite, &made, column);
            table.readers.extend(
                table.names().into_iter().filter(reads).map(|column| (column, format!("view {other}"))),
            );
        }
    }
    Ok(Some(table))
}

async fn constraints(conn: &mut Conn, name: &Name, table: &mut Table) -> sqlx::Result<()> {
    let params = [name.name.as_str().into(), name.schema.as_deref().unwrap_or("main").into()];
    for body in crate::declared::checks(&table.text) {
        let columns =
            table.names().into_iter().filter(|name| crate::rewrite::reads(Dialect::Sqlite, &body, name));
        let columns = columns.collect();
        table.constraints.push(Constraint {
            name: String::new(),
            rule: Rule::Check,
            body,
            columns,
            ..Constraint::default()
        });
    }
    for row in conn.rows(FOREIGN, &params).await? {
        let quote = |names: &str| {
            names.lines().map(|name| Dialect::Sqlite.quote(name)).collect::<Vec<_>>().join(", ")
        };
        let (from, to) = (text(&row[1]), text(&row[2]));
        let target = if to.trim().is_empty() { String::new() } else { format!(" ({})", quote(&to)) };
        let body = format!(
            "foreign key ({}) references {}{target} on delete {} on update {}",
            quote(&from),
            Dialect::Sqlite.quote(&text(&row[3])),
            text(&row[4]).to_lowercase(),
            text(&row[5]).to_lowercase()
        );
        let columns = from.lines().map(str::to_owned).collect();
        table.constraints.push(Constraint {
            name: String::new(),
            rule: Rule::Foreign,
            body,
            columns,
            ..Constraint::default()
        });
    }
    for row in conn.rows(POINTED_AT, &[name.name.as_str().into()]).await? {
        let name = format!("a foreign key of {}", text(&row[0]));
        table.constraints.push(Constraint {
            name,
            rule: Rule::PointedAt,
            body: String::new(),
            columns: vec![text(&row[1])],
            ..Constraint::default()
        });
    }
    Ok(())
}

/// What follows the table's name in the statement that made an index.
fn after_table(made: &str, table: &str) -> String {
    let mut cursor = Cursor::new(Dialect::Sqlite, made);
    while cursor.peek().is_some() {
        let is_on = cursor.eat("on");
        if is_on && cursor.name().is_some_and(|name| name.name.eq_ignore_ascii_case(table)) {
            // SQLite keeps what stood behind it, too.
            return cursor.at().map(|at| made[at..].trim_end().to_owned()).unwrap_or_default();
        }
        if !is_on {
            cursor.next();
        }
    }
    String::new()
}

/// The collation that a column's declaration names.
fn collation(made: &str, column: &str) -> String {
    let declared = crate::declared::column(made, column).map(|range| &made[range]);
    let mut cursor = Cursor::new(Dialect::Sqlite, declared.unwrap_or_default());
    while cursor.peek().is_some() {
        if cursor.eat("collate") {
            return cursor.next().map(|(_, name)| format!(" collate {name}")).unwrap_or_default();
        }
        cursor.next();
    }
    String::new()
}
