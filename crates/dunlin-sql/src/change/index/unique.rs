//! What is there more than once, in the words of the index that will take it only once.

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::lex::Kind;
use crate::moves::expr::{self, Expr};
use crate::op::Name;

/// A query for what is there more than once. Several NULLs are no duplicates.
pub(super) fn twice(dialect: Dialect, table: &Name, (columns, filter): (&str, Option<&Expr>)) -> String {
    let keys: Vec<String> =
        expr::list(dialect, columns).into_iter().map(|item| whole(dialect, item)).collect();
    let present = keys.iter().map(|key| format!("({key}) is not null"));
    let conditions: Vec<String> = present.chain(filter.map(Expr::sql)).collect();
    let (keys, conditions, table) = (keys.join(", "), conditions.join(" and "), table.quoted(dialect));
    format!(
        "select {keys}, count(*) as times from {table} where {conditions} group by {keys} having count(*) > 1"
    )
}

/// What an item of an index compares: as much of a text as it takes in.
pub(in crate::change) fn whole(dialect: Dialect, item: &str) -> String {
    match key(dialect, item) {
        (key, Some(length)) => format!("left({key}, {length})"),
        (key, None) => key.to_owned(),
    }
}

/// The part of an index's item that says what is compared, without how it is sorted: `lower(email) desc` → `lower(email)`.
/// After it, for MySQL, how many characters of it.
pub(super) fn key(dialect: Dialect, item: &str) -> (&str, Option<&str>) {
    let item = item.trim();
    let mut cursor = Cursor::new(dialect, item);
    let is_name = cursor.identifier().is_some();
    let end = |cursor: &mut Cursor<'_>| cursor.at().unwrap_or(item.len());
    let named = end(&mut cursor);
    let has_arguments = cursor.eat_parentheses();
    let closed = end(&mut cursor);
    let inside = item[named..closed].trim().trim_start_matches('(').trim_end_matches(')').trim();
    if dialect == Dialect::MySql
        && is_name
        && has_arguments
        && inside.bytes().all(|byte| byte.is_ascii_digit())
    {
        return (item[..named].trim(), Some(inside));
    }
    // PostgreSQL takes a name, a call, or parentheses; what follows is no part of that. SQLite takes any expression.
    if dialect == Dialect::Postgres && (is_name || has_arguments) {
        let mut end_of_key = closed;
        if cursor.eat("collate") {
            cursor.name();
            end_of_key = end(&mut cursor);
        }
        return (item[..end_of_key].trim(), None);
    }
    let mut ahead = Cursor::new(dialect, item);
    let mut last = item.len();
    while let Some(at) = ahead.at() {
        let is_word = ahead.peek().is_some_and(|(kind, _)| kind == Kind::Word);
        let is_sorting = is_word && ahead.eat_any(&["asc", "desc"]) && ahead.is_at_end();
        if is_sorting {
            last = at;
        } else {
            ahead.next();
        }
    }
    (item[..last].trim(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_key_is_sorted_is_no_part_of_it() {
        let key = |dialect, item| super::key(dialect, item);
        assert_eq!(
            key(Dialect::Postgres, "lower(email) text_pattern_ops desc nulls last"),
            ("lower(email)", None)
        );
        assert_eq!(key(Dialect::Postgres, "email COLLATE \"C\" DESC"), ("email COLLATE \"C\"", None));
        assert_eq!(key(Dialect::Postgres, "(a || b) asc"), ("(a || b)", None));
        assert_eq!(key(Dialect::MySql, "`email`(10) desc"), ("`email`", Some("10")));
        assert_eq!(key(Dialect::MySql, "email DESC"), ("email", None));
        assert_eq!(key(Dialect::Sqlite, "a || b collate nocase desc"), ("a || b collate nocase", None));
        assert_eq!(key(Dialect::Sqlite, "\"desc\""), ("\"desc\"", None));
        assert_eq!(whole(Dialect::MySql, "email(10)"), "left(email, 10)");
    }
}
