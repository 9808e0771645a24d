//! Where to look whether a statement took effect. Only what a catalogue can answer for sure: a statement whose traces
//! may have been there before (`CREATE OR REPLACE`, another type for a column) has no effect in this sense.

mod alter;

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::op::{Effect, Name, Object};

/// What a statement makes appear or disappear, as far as that can be looked up. Where it has run, all of it holds; the
/// first tells best whether it did.
pub(crate) fn effects(dialect: Dialect, statement: &str) -> Vec<Effect> {
    let mut cursor = Cursor::new(dialect, statement);
    let effects = match cursor.word().unwrap_or_default().as_str() {
        "create" => create(dialect, &mut cursor).map(|object| vec![Effect { object, appears: true }]),
        "drop" => drop(dialect, &mut cursor),
        "alter" => alter::effects(dialect, &mut cursor),
        "rename" if dialect == Dialect::MySql => rename_tables(&mut cursor).map(|effect| vec![effect]),
        _ => None,
    };
    effects.unwrap_or_default()
}

fn create(dialect: Dialect, cursor: &mut Cursor<'_>) -> Option<Object> {
    let not_exists = ["if", "not", "exists"];
    loop {
        let word = cursor.word()?;
        match word.as_str() {
            "table" | "view" => {
                cursor.eat_all(&not_exists);
                return Some(Object::Table(cursor.name()?));
            }
            "index" => return create_index(dialect, cursor),
            // In PostgreSQL a trigger's name says little without its table, and a routine's without its arguments.
            "trigger" if dialect != Dialect::Postgres => {
                cursor.eat_all(&not_exists);
                return Some(Object::Trigger { name: cursor.name()? });
            }
            "procedure" | "function" if dialect == Dialect::MySql => {
                cursor.eat_all(&not_exists);
                return Some(Object::Routine { name: cursor.name()? });
            }
            "schema" | "database" => {
                cursor.eat_all(&not_exists);
                return schema(dialect, &word, cursor);
            }
            "definer" | "algorithm" => skip_value(cursor)?,
            "unique" | "fulltext" | "spatial" | "unlogged" | "virtual" | "foreign" | "recursive"
            | "materialized" => {}
            "sql" => {
                cursor.eat("security");
                cursor.word()?;
            }
            // `OR REPLACE`, temporary things, and what no catalogue of ours shows.
            _ => return None,
        }
    }
}

/// Goes past `= value`, where the value may be `user@host`.
fn skip_value(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.eat_symbol("=");
    cursor.next()?;
    cursor.eat_parentheses();
    if cursor.eat_symbol("@") {
        cursor.next()?;
    }
    Some(())
}

fn schema(dialect: Dialect, word: &str, cursor: &mut Cursor<'_>) -> Option<Object> {
    if cursor.is("authorization") {
        return None;
    }
    let name = cursor.identifier()?;
    let is_database = dialect == Dialect::Postgres && word == "database";
    Some(if is_database { Object::Database(name) } else { Object::Schema(name) })
}

fn create_index(dialect: Dialect, cursor: &mut Cursor<'_>) -> Option<Object> {
    cursor.eat("concurrently");
    cursor.eat_all(&["if", "not", "exists"]);
    if cursor.is("on") {
        return None;
    }
    let mut name = cursor.name()?;
    if cursor.eat("using") {
        cursor.word()?;
    }
    if !cursor.eat("on") {
        return None;
    }
    cursor.eat("only");
    let table = cursor.name()?;
    if dialect == Dialect::Postgres {
        // An index lives where its table lives.
        name.schema.clone_from(&table.schema);
    }
    Some(Object::Index { name, table: Some(table) })
}

fn drop(dialect: Dialect, cursor: &mut Cursor<'_>) -> Option<Vec<Effect>> {
    cursor.eat_any(&["materialized", "foreign"]);
    let kind = cursor.word()?;
    cursor.eat("concurrently");
    cursor.eat_all(&["if", "exists"]);
    let objects = match kind.as_str() {
        "table" | "tables" | "view" => last_first(cursor)?.into_iter().map(Object::Table).collect(),
        "index" if dialect != Dialect::MySql => {
            let index = |name| Object::Index { name, table: None };
            last_first(cursor)?.into_iter().map(index).collect()
        }
        _ => vec![dropped(dialect, &kind, cursor)?],
    };
    Some(objects.into_iter().map(|object| Effect { object, appears: false }).collect())
}

/// What is dropped alone.
fn dropped(dialect: Dialect, kind: &str, cursor: &mut Cursor<'_>) -> Option<Object> {
    match kind {
        "index" => {
            let name = cursor.name()?;
            let table = if cursor.eat("on") { Some(cursor.name()?) } else { None };
            Some(Object::Index { name, table })
        }
        "trigger" if dialect != Dialect::Postgres => Some(Object::Trigger { name: cursor.name()? }),
        "procedure" | "function" if dialect == Dialect::MySql => {
            Some(Object::Routine { name: cursor.name()? })
        }
        "schema" | "database" => schema(dialect, kind, cursor),
        _ => None,
    }
}

/// Several names; the last one goes last.
fn last_first(cursor: &mut Cursor<'_>) -> Option<Vec<Name>> {
    let mut names = vec![cursor.name()?];
    while cursor.eat_symbol(",") {
        names.push(cursor.name()?);
    }
    names.reverse();
    Some(names)
}

/// `RENAME TABLE a TO b, …`: a new name that was not taken before.
fn rename_tables(cursor: &mut Cursor<'_>) -> Option<Effect> {
    if !cursor.eat_any(&["table", "tables"]) {
        return None;
    }
    let mut pairs = Vec::new();
    loop {
        cursor.eat_all(&["if", "exists"]);
        let from = cursor.name()?;
        if !cursor.eat("to") {
            return None;
        }
        pairs.push((from, cursor.name()?));
        if !cursor.eat_symbol(",") {
            break;
        }
    }
    let is_new = |to: &Name| pairs.iter().all(|(from, _)| from != to);
    let (_, to) = pairs.iter().find(|(_, to)| is_new(to))?;
    Some(Effect { object: Object::Table(to.clone()), appears: true })
}

#[cfg(test)]
mod tests;
