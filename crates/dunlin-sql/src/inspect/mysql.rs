//! The catalogue of MySQL and MariaDB.

use super::{Column, Constraint, Index, Role, Rule, Table, text};
use crate::conn::{Cell, Conn, Param};
use crate::cursor::Cursor;
use crate::dialect::{Dialect, literal};
use crate::lex::Kind;
use crate::op::Name;

const COLUMNS: &str = "select c.column_name, concat(c.column_type, if(c.collation_name is null or c.collation_name = t.table_collation, '', \
    concat(' character set ', c.character_set_name, ' collate ', c.collation_name))), c.column_default, \
    cast(c.is_nullable = 'YES' as signed), cast(c.extra like '%auto_increment%' or c.extra like '%GENERATED%' \
    and c.extra not like '%DEFAULT_GENERATED%' as signed), c.extra, c.column_comment, c.generation_expression \
    from information_schema.columns c join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name \
    where c.table_schema = coalesce(?, database()) and c.table_name = ? order by c.ordinal_position";

/// To `InnoDB` two of the actions are one, which is what a foreign key has that says none.
const FOREIGN: &str = "select k.constraint_name, concat('foreign key (', group_concat(concat('`', k.column_name, '`') order by k.ordinal_position separator ', '), \
    ') references `', k.referenced_table_schema, '`.`', k.referenced_table_name, '` (', group_concat(concat('`', k.referenced_column_name, '`') \
    order by k.ordinal_position separator ', '), ')', if(r.delete_rule in ('RESTRICT', 'NO ACTION'), '', concat(' on delete ', lower(r.delete_rule))), \
    if(r.update_rule in ('RESTRICT', 'NO ACTION'), '', concat(' on update ', lower(r.update_rule)))), \
    group_concat(k.column_name order by k.ordinal_position separator '\\n') \
    from information_schema.key_column_usage k join information_schema.referential_constraints r \
    on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name and r.table_name = k.table_name \
    where k.table_schema = coalesce(?, database()) and k.table_name = ? and k.referenced_table_name is not null \
    group by k.constraint_name, k.referenced_table_schema, k.referenced_table_name, r.delete_rule, r.update_rule order by k.constraint_name";

const POINTED_AT: &str = "select concat(k.constraint_name, ' of ', k.table_name), k.referenced_column_name from information_schema.key_column_usage k \
    where k.referenced_table_schema = coalesce(?, database()) and k.referenced_table_name = ? and k.table_name <> k.referenced_table_name \
    order by 1";

const CHECKS: &str = "select c.constraint_name, c.check_clause from information_schema.check_constraints c \
    join information_schema.table_constraints t on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name \
    and t.constraint_type = 'CHECK' where t.table_schema = coalesce(?, database()) and t.table_name = ? order by c.constraint_name";

/// MySQL has no table whose checks have the names of another's; MariaDB has, and says whose they are.
const CHECKS_OF_MARIADB: &str = "select constraint_name, check_clause, level from information_schema.check_constraints \
    where constraint_schema = coalesce(?, database()) and table_name = ? order by constraint_name";

const VIEWS: &str = "select table_name, view_definition from information_schema.views \
    where locate(concat('`', coalesce(?, database()), '`.`', ?, '`'), view_definition) > 0 order by table_name";

const TRIGGERS: &str = "select trigger_name from information_schema.triggers \
    where trigger_schema = coalesce(?, database()) and event_object_table = ? order by trigger_name";

pub(super) async fn table(conn: &mut Conn, name: &Name) -> sqlx::Result<Option<Table>> {
    let params: [Param; 2] = [name.schema.as_deref().into(), name.name.as_str().into()];
    let kind = "select table_type from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ? \
                and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')";
    let kind = conn.cell(kind, &params).await?;
    let Some(kind) = kind.text() else { return Ok(None) };
    let is_versioned = kind == "SYSTEM VERSIONED";
    let is_mariadb =
        conn.cell("select version()", &[]).await?.text().is_some_and(|text| text.contains("MariaDB"));
    let mut table = Table { has_rowid: true, is_versioned, ..Table::default() };
    let mut computing = Vec::new();
    for row in conn.rows(COLUMNS, &params).await? {
        computing.extend(
            row[7].text().filter(|text| !text.is_empty()).map(|from| (text(&row[0]), from.to_owned())),
        );
        table.columns.push(Column {
            name: text(&row[0]),
            kind: text(&row[1]),
            default: default(row[2].text(), is_mariadb, &text(&row[5]), &text(&row[1])),
            is_nullable: row[3].int() == Some(1),
            is_generated: row[4].int() == Some(1),
            extra: extra(&text(&row[5])),
            comment: text(&row[6]),
            ..Column::default()
        });
    }
    let shown = conn.rows(&format!("show create table {}", name.quoted(Dialect::MySql)), &[]).await?;
    let shown = shown.first().and_then(|row| row.get(1)).map(text).unwrap_or_default();
    table.indexes = declared(&shown).filter_map(index).collect();
    computed(&mut table, &computing);
    rules(conn, &params, is_mariadb, &mut table).await?;
    for row in conn.rows(VIEWS, &params).await? {
        let (view, query) = (text(&row[0]), text(&row[1]));
        let reads = |column: &String| query.contains(&format!("`{column}`"));
        table
            .readers
            .extend(table.names().into_iter().filter(reads).map(|column| (column, format!("view {view}"))));
    }
    table.triggers = conn.rows(TRIGGERS, &params).await?.iter().map(|row| text(&row[0])).collect();
    Ok(Some(table))
}

/// Columns computed from others.
fn computed(table: &mut Table, computing: &[(String, String)]) {
    for (column, from) in computing {
        let read = table.names().into_iter().filter(|name| crate::rewrite::reads(Dialect::MySql, from, name));
        let readers: Vec<(String, String)> =
            read.map(|name| (name, format!("generated column {column}"))).collect();
        table.readers.extend(readers);
    }
}

/// Foreign keys, those that point here, and checks.
async fn rules(conn: &mut Conn, params: &[Param], is_mariadb: bool, table: &mut Table) -> sqlx::Result<()> {
    for row in conn.rows(FOREIGN, params).await? {
        let columns = text(&row[2]).lines().map(str::to_owned).collect();
        table.constraints.push(Constraint {
            name: text(&row[0]),
            rule: Rule::Foreign,
            body: text(&row[1]),
            columns,
            ..Constraint::default()
        });
    }
    for row in conn.rows(POINTED_AT, params).await? {
        let (name, columns) = (text(&row[0]), vec![text(&row[1])]);
        table.constraints.push(Constraint {
            name,
            rule: Rule::PointedAt,
            body: String::new(),
            columns,
            ..Constraint::default()
        });
    }
    let checks = if is_mariadb { CHECKS_OF_MARIADB } else { CHECKS };
    for row in conn.rows(checks, params).await? {
        // MySQL says it as it stands within a text of its own.
        let clause = if is_mariadb { text(&row[1]) } else { text(&row[1]).replace("\\'", "'") };
        let level = row.get(2).and_then(Cell::text);
        if let (Some("Column"), Some(column)) = (level, named(table, &text(&row[0]))) {
            declare(column, clause);
            continue;
        }
        let columns =
            table.names().into_iter().filter(|column| crate::rewrite::reads(Dialect::MySql, &clause, column));
        let columns = columns.collect();
        table.constraints.push(Constraint {
            name: text(&row[0]),
            rule: Rule::Check,
            body: format!("check ({clause})"),
            columns,
            ..Constraint::default()
        });
    }
    Ok(())
}

fn named<'t>(table: &'t mut Table, name: &str) -> Option<&'t mut Column> {
    table.columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// A check that is part of a column's declaration. One of them makes the type (`MariaDB`).
fn declare(column: &mut Column, clause: String) {
    let is_json = clause == format!("json_valid({})", Dialect::MySql.quote(&column.name));
    if is_json && column.kind.starts_with("longtext") {
        "json".clone_into(&mut column.kind);
    } else {
        column.check = clause;
    }
}

/// A default as SQL. MySQL says the value, MariaDB the expression.
fn default(found: Option<&str>, is_mariadb: bool, extra: &str, kind: &str) -> Option<String> {
    let found = found.filter(|text| !is_mariadb || !text.eq_ignore_ascii_case("null"))?;
    let is_number = ["int", "decimal", "float", "double", "bit"].iter().any(|word| kind.contains(word));
    let is_expression = is_mariadb || extra.contains("DEFAULT_GENERATED") || is_number;
    Some(if is_expression { found.to_owned() } else { literal(found) })
}

/// What keeps a column's time, and whether only who names it sees it, as it is declared.
fn extra(found: &str) -> String {
    let lower = found.to_lowercase();
    if lower.contains("stored generated") {
        return "stored".to_owned();
    }
    let hidden = lower.contains("invisible").then_some("invisible");
    let time = lower.find("on update").map(|at| lower[at..].split(',').next().unwrap_or_default());
    hidden.into_iter().chain(time.map(str::trim)).collect::<Vec<_>>().join(" ")
}

/// What a table declares, one by one.
fn declared(shown: &str) -> impl Iterator<Item = &str> {
    let start = shown.find('(').map_or(shown.len(), |at| at + 1);
    let mut cursor = Cursor::new(Dialect::MySql, &shown[start..]);
    let (mut depth, mut from, mut ranges) = (0_i32, start, Vec::new());
    while let (Some(at), Some((kind, part))) = (cursor.at(), cursor.next()) {
        match (kind, part) {
            (Kind::Symbol, "(") => depth += 1,
            (Kind::Symbol, ")") if depth == 0 => {
                ranges.push(from..start + at);
                break;
            }
            (Kind::Symbol, ")") => depth -= 1,
            (Kind::Symbol, ",") if depth == 0 => {
                ranges.push(from..start + at);
                from = start + at + 1;
            }
            _ => {}
        }
    }
    ranges.into_iter().map(|range| shown[range].trim())
}

/// The index that is declared.
fn index(declared: &str) -> Option<Index> {
    let mut cursor = Cursor::new(Dialect::MySql, declared);
    if cursor.eat_all(&["primary", "key"]) {
        let (name, body) = ("PRIMARY".to_owned(), declared[cursor.at()?..].to_owned());
        return Some(Index { name, is_unique: true, role: Role::Primary, body, ..Index::default() });
    }
    let is_unique = cursor.eat("unique");
    let word =
        ["fulltext", "spatial"].into_iter().find(|word| cursor.eat(word)).unwrap_or_default().to_owned();
    if !cursor.eat("key") {
        return None;
    }
    let name = cursor.identifier()?;
    let body = declared[cursor.at()?..].to_owned();
    Some(Index { name, is_unique, word, body, ..Index::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_as_they_are_declared() {
        let shown = "CREATE TABLE `u` (\n  `id` int(11) NOT NULL COMMENT 'KEY (a), b',\n  `a` text DEFAULT concat(',', ')'),\n  \
                     PRIMARY KEY (`id`),\n  UNIQUE KEY `a``b` (`a`(10) DESC,`id`) USING BTREE COMMENT 'it''s, (x)',\n  \
                     FULLTEXT KEY `f` (`a`) /*!80000 INVISIBLE */,\n  KEY `g` (`id`) IGNORED,\n  CONSTRAINT `k` CHECK (`id` > 0)\n) ENGINE=InnoDB";
        let found: Vec<Index> = declared(shown).filter_map(index).collect();
        let names: Vec<&str> = found.iter().map(|index| &*index.name).collect();
        assert_eq!(names, ["PRIMARY", "a`b", "f", "g"]);
        assert_eq!(found[1].body, "(`a`(10) DESC,`id`) USING BTREE COMMENT 'it''s, (x)'");
        assert!(found[1].is_unique && !found[1].is_hidden(Dialect::MySql));
        assert_eq!(found[2].word, "fulltext");
        assert!(found[2].is_hidden(Dialect::MySql) && found[3].is_hidden(Dialect::MySql));
    }
}
