//! The statement that made a SQLite table, taken apart and changed: its columns' constraints are changed there, where
//! `ALTER TABLE` cannot, and the rows stay where they are. SQLite's documentation, "Making Other Kinds Of Table Schema
//! Changes", allows that for whatever does not touch the content on disk.

mod silence;

use std::ops::Range;

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};
use crate::rewrite;

pub(crate) use silence::{renamed, silenced, spoken};

/// The words that begin a constraint of the whole table.
const OF_TABLE: [&str; 5] = ["constraint", "primary", "unique", "check", "foreign"];

/// The parts between the outermost parentheses, and the place of the closing one.
fn parts(text: &str) -> (Vec<Range<usize>>, usize) {
    let (mut depth, mut start, mut found) = (0_i32, 0, Vec::new());
    for Token { kind, start: from, end: to, .. } in Lexer::new(Dialect::Sqlite, text) {
        match (kind, &text[from..to]) {
            (Kind::Symbol, "(") => {
                depth += 1;
                if depth == 1 {
                    start = to;
                }
            }
            (Kind::Symbol, ",") if depth == 1 => {
                found.push(start..from);
                start = to;
            }
            (Kind::Symbol, ")") => {
                depth -= 1;
                if depth == 0 {
                    found.push(start..from);
                    return (found, from);
                }
            }
            _ => {}
        }
    }
    (Vec::new(), text.len())
}

/// Where a column is declared.
pub(crate) fn column(text: &str, name: &str) -> Option<Range<usize>> {
    parts(text).0.into_iter().find(|range| {
        let mut cursor = Cursor::new(Dialect::Sqlite, &text[range.clone()]);
        let is_column = !OF_TABLE.iter().any(|word| cursor.is(word));
        is_column && cursor.identifier().is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
}

/// The places of these words in a column's declaration, outside parentheses, with what the rest of their clause takes.
fn clause(text: &str, column: &Range<usize>, words: &[&str]) -> Option<Range<usize>> {
    let mut cursor = Cursor::new(Dialect::Sqlite, &text[column.clone()]);
    cursor.identifier()?;
    while let Some(at) = cursor.at() {
        // A name given to the constraint goes with it.
        let mut ahead = cursor.clone();
        let is_named = ahead.eat("constraint") && ahead.identifier().is_some();
        let mut next = if is_named { ahead } else { cursor.clone() };
        if next.eat_all(words) {
            match words {
                ["default"] => {
                    if !next.eat_parentheses() {
                        let _ = next.eat_symbol("-") || next.eat_symbol("+");
                        next.next();
                    }
                }
                ["check"] => {
                    next.eat_parentheses();
                }
                _ => {
                    if next.eat_all(&["on", "conflict"]) {
                        next.next();
                    }
                }
            }
            let end = next.at().unwrap_or(column.len());
            let start = column.start + at;
            return Some(start..end_of(text, &(start..column.start + end)));
        }
        if !cursor.eat_parentheses() {
            cursor.next();
        }
    }
    None
}

fn without(text: &str, range: Range<usize>) -> String {
    format!("{}{}", text[..range.start].trim_end(), &text[range.end..])
}

/// The end of what a column's declaration says, before blanks and comments.
fn end_of(text: &str, column: &Range<usize>) -> usize {
    let silent = |token: &Token| matches!(token.kind, Kind::Blank | Kind::Comment);
    let last = Lexer::new(Dialect::Sqlite, &text[column.clone()]).filter(|token| !silent(token)).last();
    column.start + last.map_or(0, |token| token.end)
}

/// The table with a column that takes NULL, whatever it was before.
pub(crate) fn nullable(text: &str, name: &str) -> Option<String> {
    let column = column(text, name)?;
    Some(
        clause(text, &column, &["not", "null"]).map_or_else(|| text.to_owned(), |range| without(text, range)),
    )
}

/// What a column says of itself, its name included.
pub(crate) fn declaration<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    column(text, name).map(|range| &text[range])
}

/// The reverse of [`nullable`] for a column that was declared like this.
pub(crate) fn needed(text: &str, name: &str, declared: &str) -> Option<String> {
    let now = column(text, name)?;
    let was = format!("({declared})");
    if nullable(&was, name)? == format!("({})", &text[now.clone()]) {
        return Some(format!("{}{declared}{}", &text[..now.start], &text[now.end..]));
    }
    let Some(range) = clause(&was, &column(&was, name)?, &["not", "null"]) else {
        return tightened(text, name);
    };
    let end = end_of(text, &now);
    Some(format!("{} {}{}", &text[..end], &was[range], &text[end..]))
}

/// What stands around a NOT NULL that was taken out for a while.
const RELAXED: (&str, &str) = ("/* dunlin: ", " */");

/// Where a NOT NULL that was taken out stands as a comment.
fn kept(text: &str, column: &Range<usize>) -> Option<Range<usize>> {
    let start = column.start + text[column.clone()].find(RELAXED.0)?;
    let end = start + text[start..column.end].find(RELAXED.1)? + RELAXED.1.len();
    Some(start..end)
}

/// Whether a column takes NULL for a while only.
pub(crate) fn is_relaxed(text: &str, name: &str) -> bool {
    column(text, name).is_some_and(|column| kept(text, &column).is_some())
}

/// The table with a column that takes NULL; its NOT NULL stays there as a comment. The same text where there is none.
pub(crate) fn relaxed(text: &str, name: &str) -> Option<String> {
    let column = column(text, name)?;
    let Some(range) = clause(text, &column, &["not", "null"]) else { return Some(text.to_owned()) };
    let (start, end) = RELAXED;
    Some(format!("{}{start}{}{end}{}", &text[..range.start], &text[range.clone()], &text[range.end..]))
}

/// The table with a column that takes no NULL: as it was before it was relaxed, if it was.
pub(crate) fn tightened(text: &str, name: &str) -> Option<String> {
    let column = column(text, name)?;
    if clause(text, &column, &["not", "null"]).is_some() {
        return Some(text.to_owned());
    }
    if let Some(Range { start, end }) = kept(text, &column) {
        let was = &text[start + RELAXED.0.len()..end - RELAXED.1.len()];
        return Some(format!("{}{was}{}", &text[..start], &text[end..]));
    }
    let end = end_of(text, &column);
    Some(format!("{} not null{}", &text[..end], &text[end..]))
}

/// The checks, of columns and of the table: `check (…)`.
pub(crate) fn checks(text: &str) -> Vec<String> {
    check_places(text).into_iter().map(|range| text[range].to_owned()).collect()
}

fn check_places(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for range in parts(text).0 {
        let mut cursor = Cursor::new(Dialect::Sqlite, &text[range.clone()]);
        while let Some(at) = cursor.at() {
            if cursor.eat("check") && cursor.eat_parentheses() {
                let end = cursor.at().unwrap_or(range.len());
                let start = range.start + at;
                found.push(start..end_of(text, &(start..range.start + end)));
            } else if !cursor.eat_parentheses() {
                cursor.next();
            }
        }
    }
    found
}

/// The table with another default of a column, or none.
pub(crate) fn with_default(text: &str, name: &str, default: Option<&str>) -> Option<String> {
    let found = column(text, name)?;
    let bare =
        clause(text, &found, &["default"]).map_or_else(|| text.to_owned(), |range| without(text, range));
    let Some(default) = default else { return Some(bare) };
    let end = end_of(&bare, &column(&bare, name)?);
    // A literal stands alone, everything else in parentheses.
    let is_literal = Lexer::new(Dialect::Sqlite, default).count() == 1;
    let default = if is_literal { default.to_owned() } else { format!("({default})") };
    Some(format!("{} default {default}{}", &bare[..end], &bare[end..]))
}

/// The table, under another name, without a column and without the constraints that read it.
pub(crate) fn without_column(text: &str, name: &str, table: &str) -> Option<String> {
    column(text, name)?;
    let reads = |text: &str| rewrite::reads(Dialect::Sqlite, text, name);
    let mut text = text.to_owned();
    let mut checks = check_places(&text);
    checks.retain(|place| reads(&text[place.clone()]));
    for place in checks.into_iter().rev() {
        text.replace_range(place, "");
    }
    let stays = |range: &&Range<usize>| {
        let part = &text[(*range).clone()];
        let mut cursor = Cursor::new(Dialect::Sqlite, part);
        let is_rule = OF_TABLE.iter().any(|word| cursor.is(word));
        let is_bare = cursor.eat("constraint") && cursor.identifier().is_some() || is_rule;
        // Nothing is left of a check that read the column but its name.
        let is_empty = is_bare && cursor.peek().is_none() || part.trim().is_empty();
        let is_it = !is_rule && cursor.identifier().is_some_and(|found| found.eq_ignore_ascii_case(name));
        !(is_it || is_empty || is_rule && reads(part))
    };
    let (parts, close) = parts(&text);
    let kept: Vec<&str> = parts.iter().filter(stays).map(|range| &text[range.clone()]).collect();
    let table = Dialect::Sqlite.quote(table);
    Some(format!("create table {table} ({}{}", kept.join(","), &text[close..]))
}

/// The default of a column, as it is declared.
pub(crate) fn default(text: &str, name: &str) -> Option<String> {
    let range = clause(text, &column(text, name)?, &["default"])?;
    let mut cursor = Cursor::new(Dialect::Sqlite, &text[range.clone()]);
    while !cursor.eat("default") {
        cursor.next()?;
    }
    let said = text[range.start + cursor.at()?..range.end].trim();
    Some(said.strip_prefix('(').and_then(|said| said.strip_suffix(')')).unwrap_or(said).to_owned())
}

/// The table with one more constraint.
pub(crate) fn with_constraint(text: &str, constraint: &str) -> String {
    let (parts, close) = parts(text);
    let end = parts.last().map_or(close, |last| end_of(text, last));
    format!("{}, {constraint}{}", &text[..end], &text[end..])
}

/// The table without a constraint of that name.
pub(crate) fn without_constraint(text: &str, name: &str) -> Option<String> {
    let (parts, _) = parts(text);
    let at = parts.iter().position(|range| {
        let mut cursor = Cursor::new(Dialect::Sqlite, &text[range.clone()]);
        cursor.eat("constraint") && cursor.identifier().is_some_and(|found| found.eq_ignore_ascii_case(name))
    })?;
    // The comma before it goes with it.
    let start = at.checked_sub(1).map_or(parts[at].start, |before| parts[before].end);
    Some(format!("{}{}", &text[..start], &text[end_of(text, &parts[at])..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "CREATE TABLE \"users\" (id INTEGER PRIMARY KEY AUTOINCREMENT, -- the (key)\n  [e mail] TEXT COLLATE NOCASE CONSTRAINT needed NOT NULL ON CONFLICT FAIL DEFAULT ('a,b'), age INT DEFAULT -1 NOT NULL /* , */,\n  CHECK (age > 0), CONSTRAINT two UNIQUE (age, id)\n) STRICT";

    #[test]
    fn a_column_is_relaxed_and_tightened_again() {
        let relaxed = relaxed(USERS, "e mail").unwrap();
        assert!(
            relaxed.contains("NOCASE /* dunlin: CONSTRAINT needed NOT NULL ON CONFLICT FAIL */ DEFAULT"),
            "{relaxed}"
        );
        assert!(
            is_relaxed(&relaxed, "e mail") && !is_relaxed(USERS, "e mail") && !is_relaxed(&relaxed, "age")
        );
        assert_eq!(super::relaxed(&relaxed, "e mail").unwrap(), relaxed);
        assert_eq!(tightened(&relaxed, "E MAIL").unwrap(), USERS);
        assert_eq!(tightened(USERS, "age").unwrap(), USERS);
        assert_eq!(super::relaxed(USERS, "id").unwrap(), USERS);
        assert!(super::relaxed(USERS, "needed").is_none() && super::relaxed(USERS, "two").is_none());
        assert!(tightened(USERS, "id").unwrap().contains("AUTOINCREMENT not null, --"));
    }

    #[test]
    fn a_column_is_declared_as_it_was() {
        for name in ["e mail", "age"] {
            let declared = declaration(USERS, name).unwrap();
            let free = nullable(USERS, name).unwrap();
            assert!(!declaration(&free, name).unwrap().contains("NOT NULL"), "{free}");
            assert_eq!(needed(&free, name, declared).unwrap(), USERS);
        }
        let free = nullable(USERS, "e mail").unwrap();
        let other = needed(
            &with_default(&free, "e mail", Some("7")).unwrap(),
            "e mail",
            declaration(USERS, "e mail").unwrap(),
        );
        let other = other.unwrap();
        assert!(other.contains("default 7 CONSTRAINT needed NOT NULL ON CONFLICT FAIL, age"), "{other}");
    }

    #[test]
    fn defaults_and_constraints_come_and_go() {
        let other = with_default(USERS, "age", Some("7")).unwrap();
        assert!(other.contains("age INT NOT NULL default 7 /* , */"), "{other}");
        assert!(with_default(USERS, "e mail", None).unwrap().contains("ON CONFLICT FAIL, age"));
        let more = with_constraint(USERS, "constraint c check (id > 0)");
        assert!(more.contains("UNIQUE (age, id), constraint c check (id > 0)\n) STRICT"), "{more}");
        assert_eq!(without_constraint(&more, "C").unwrap(), USERS);
        assert!(without_constraint(USERS, "three").is_none());
        assert_eq!(checks(&more), ["CHECK (age > 0)", "check (id > 0)"]);
    }

    #[test]
    fn a_column_goes_with_the_constraints_that_read_it() {
        let text = "CREATE TABLE \"users\" (id INTEGER PRIMARY KEY, -- the (key)\n old TEXT UNIQUE, \
                    n INT CONSTRAINT small CHECK (n < old) /* dunlin: NOT NULL */,\n CHECK (old <> ''), \
                    CONSTRAINT c CHECK (old > 1), UNIQUE (n, old), CHECK (n > 0)) STRICT";
        let less = without_column(text, "OLD", "users 2").unwrap();
        assert_eq!(
            less,
            "create table \"users 2\" (id INTEGER PRIMARY KEY, n INT CONSTRAINT small  /* dunlin: NOT NULL */, CHECK (n > 0)) STRICT"
        );
        assert!(without_column(text, "older", "t").is_none());
    }
}
