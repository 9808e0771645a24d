//! Recognises SQLite table rebuilds: a table is dropped, and another takes its name.

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::op::ForeignKeys;

/// How foreign keys are treated unless the author says: off around a rebuild, because `DROP TABLE` would delete the
/// rows that refer to the old table.
pub(crate) fn default_keys<'a>(statements: impl Iterator<Item = &'a str>) -> ForeignKeys {
    let moves: Vec<Move> = statements.filter_map(read).collect();
    let is_rebuild = moves.iter().enumerate().any(|(at, step)| {
        let (before, after) = (&moves[..at], &moves[at + 1..]);
        match step {
            // The new table is renamed, or made again under the old name.
            Move::Drop(table) => {
                let comes_back = |step: &Move| match step {
                    Move::Rename(to) => to == table,
                    Move::Create(made) => made == table,
                    Move::Drop(_) => false,
                };
                // Or the old one was renamed away before.
                let went_away = |step: &Move| matches!(step, Move::Rename(to) if to == table);
                after.iter().any(comes_back) || before.iter().any(went_away)
            }
            Move::Rename(_) | Move::Create(_) => false,
        }
    });
    if is_rebuild { ForeignKeys::Off } else { ForeignKeys::On }
}

/// What a statement does to the names of tables, in lower case.
enum Move {
    Create(String),
    Drop(String),
    /// To this name.
    Rename(String),
}

fn read(statement: &str) -> Option<Move> {
    let mut cursor = Cursor::new(Dialect::Sqlite, statement);
    match cursor.word()?.as_str() {
        "create" => cursor.eat("table").then_some(())?,
        "drop" if cursor.eat("table") => {
            cursor.eat_all(&["if", "exists"]);
            return table(&mut cursor).map(Move::Drop);
        }
        "alter" if cursor.eat("table") => {
            table(&mut cursor)?;
            return cursor.eat_all(&["rename", "to"]).then(|| table(&mut cursor)).flatten().map(Move::Rename);
        }
        _ => return None,
    }
    cursor.eat_all(&["if", "not", "exists"]);
    table(&mut cursor).map(Move::Create)
}

fn table(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.name().map(|name| name.name.to_ascii_lowercase())
}
