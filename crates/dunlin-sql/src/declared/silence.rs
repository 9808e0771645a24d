//! What binds a column, silenced in the text of its table: it stays there as a comment until it speaks again.

use std::ops::Range;

use super::{OF_TABLE, end_of, parts};
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::rewrite;

/// What stands for the end of a comment inside one.
const END: (&str, &str) = ("*/", "*\\/");

fn opening(tag: &str) -> String {
    format!("/* dunlin {tag}: ")
}

/// The table in which nothing binds a column: neither its own UNIQUE, CHECK, REFERENCES and, if that goes, DEFAULT, nor what
/// others and the table say of it. `written` says how it is kept.
pub(crate) fn silenced(
    text: &str,
    column: &str,
    (tag, takes_default): (&str, bool),
    written: impl Fn(&str) -> String,
) -> String {
    let mut silenced = text.to_owned();
    for place in bonds(text, column, takes_default).into_iter().rev() {
        let part = written(&text[place.clone()]).replace(END.0, END.1);
        silenced.replace_range(place, &format!("{}{part} */", opening(tag)));
    }
    silenced
}

/// The table in which what was silenced speaks again.
pub(crate) fn spoken(text: &str, tag: &str, written: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(&opening(tag)) {
        let (part, after) = after.split_once(" */").unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(&written(&part.replace(END.1, END.0)));
        rest = after;
    }
    out + rest
}

/// A constraint of a table about another column; what a foreign key points at is not this table's.
pub(crate) fn renamed(part: &str, from: &str, to: &str) -> String {
    let (mut cursor, mut end) = (Cursor::new(Dialect::Sqlite, part), part.len());
    while let Some(at) = cursor.at() {
        if cursor.eat("references") {
            end = at;
            break;
        }
        if !cursor.eat_parentheses() {
            cursor.next();
        }
    }
    format!("{}{}", rewrite::renamed(Dialect::Sqlite, &part[..end], from, to), &part[end..])
}

/// The places of what binds a column.
fn bonds(text: &str, name: &str, takes_default: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for range in parts(text).0 {
        let part = &text[range.clone()];
        let mut cursor = Cursor::new(Dialect::Sqlite, part);
        if OF_TABLE.iter().any(|word| cursor.is(word)) {
            let own = renamed(part, name, "");
            if own != part && !is_primary(cursor) {
                // The comma before it is silent, too.
                found.push(range.start - 1..end_of(text, &range));
            }
            continue;
        }
        let is_own = cursor.identifier().is_some_and(|found| found.eq_ignore_ascii_case(name));
        while let Some(at) = cursor.at() {
            match clause(&mut cursor) {
                Some(word) => {
                    let end = cursor.at().unwrap_or(part.len());
                    let place = range.start + at..end_of(text, &(range.start + at..range.start + end));
                    let reads = || rewrite::reads(Dialect::Sqlite, &text[place.clone()], name);
                    if if is_own { word != "default" || takes_default } else { word == "check" && reads() } {
                        found.push(place);
                    }
                }
                None if cursor.eat_parentheses() => {}
                None => drop(cursor.next()),
            }
        }
    }
    found
}

fn is_primary(mut cursor: Cursor<'_>) -> bool {
    if cursor.eat("constraint") {
        cursor.identifier();
    }
    cursor.is("primary")
}

/// Goes past a clause of a column that may bind it, its name included, and says which.
fn clause(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    let mut ahead = cursor.clone();
    if ahead.eat("constraint") {
        ahead.identifier()?;
    }
    let word = ["check", "unique", "references", "default"].into_iter().find(|word| ahead.eat(word))?;
    match word {
        "references" => target(&mut ahead),
        "unique" => {
            if ahead.eat_all(&["on", "conflict"]) {
                ahead.next();
            }
        }
        _ if ahead.eat_parentheses() => {}
        _ => {
            let _ = ahead.eat_symbol("-") || ahead.eat_symbol("+");
            ahead.next();
        }
    }
    *cursor = ahead;
    Some(word)
}

/// What a foreign key points at, and how.
fn target(cursor: &mut Cursor<'_>) {
    cursor.name();
    cursor.eat_parentheses();
    loop {
        if cursor.eat("on") {
            cursor.next();
            if !cursor.eat_all(&["no", "action"]) {
                cursor.eat("set");
                cursor.next();
            }
        } else if cursor.eat("match") || cursor.eat("initially") {
            cursor.next();
        } else if !cursor.eat_all(&["not", "deferrable"]) && !cursor.eat("deferrable") {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT CONSTRAINT one UNIQUE ON CONFLICT IGNORE NOT NULL DEFAULT -1 \
                        REFERENCES p (a) ON DELETE SET NULL NOT DEFERRABLE INITIALLY DEFERRED CHECK (a > 0 /* a */), b INT CHECK (a < b) \
                        DEFAULT 2, UNIQUE (b, a), FOREIGN KEY (b) REFERENCES q (a), CHECK (b > 0)) STRICT";

    #[test]
    fn what_binds_a_column_is_silent_and_speaks_again() {
        let silent = silenced(TEXT, "A", ("1_1", true), |part| renamed(part, "a", "old"));
        assert_eq!(
            silent,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT /* dunlin 1_1: CONSTRAINT one UNIQUE ON CONFLICT IGNORE */ NOT NULL \
             /* dunlin 1_1: DEFAULT -1 */ /* dunlin 1_1: REFERENCES p (a) ON DELETE SET NULL NOT DEFERRABLE INITIALLY DEFERRED */ \
             /* dunlin 1_1: CHECK (\"old\" > 0 /* a *\\/) */, b INT /* dunlin 1_1: CHECK (\"old\" < b) */ DEFAULT 2\
             /* dunlin 1_1: , UNIQUE (b, \"old\") */, FOREIGN KEY (b) REFERENCES q (a), CHECK (b > 0)) STRICT"
        );
        assert_eq!(spoken(&silent, "2_1", str::to_owned), silent);
        assert_eq!(spoken(&silent, "1_1", |part| renamed(part, "old", "a")).replace('"', ""), TEXT);
        let kept = silenced(TEXT, "a", ("1_1", false), str::to_owned);
        assert!(kept.contains("NOT NULL DEFAULT -1 /*"), "{kept}");
    }
}
