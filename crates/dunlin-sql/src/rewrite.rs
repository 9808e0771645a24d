//! Names inside expressions: the columns of a row under another name, or as those of `NEW` and `OLD` in a trigger.

use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};

/// The text with every column that `change` knows replaced by what it says. What is qualified, called, or quoted as a
/// text is no column.
pub(crate) fn columns(dialect: Dialect, text: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let tokens: Vec<Token> = Lexer::new(dialect, text).collect();
    let part = |token: &Token| &text[token.start..token.end];
    let is_silent = |token: &&Token| matches!(token.kind, Kind::Blank | Kind::Comment);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut out = String::with_capacity(text.len());
    for (at, token) in tokens.iter().enumerate() {
        let before = tokens[..at].iter().rev().find(|token| !is_silent(token)).map(part);
        let mut after = tokens[at + 1..].iter().filter(|token| !is_silent(token)).map(part);
        let next = after.next();
        // So much of a text as MySQL takes into an index: `name`(10).
        let is_part = dialect == Dialect::MySql
            && token.kind == Kind::Name
            && next == Some("(")
            && after.next().is_some_and(is_number)
            && after.next() == Some(")");
        let stands_alone = before != Some(".") && (is_part || !matches!(next, Some("." | "(")));
        let replaced =
            name(dialect, token.kind, part(token)).filter(|_| stands_alone).and_then(|n| change(&n));
        out.push_str(replaced.as_deref().unwrap_or_else(|| part(token)));
    }
    out
}

/// The name that a token spells, as the catalogue has it.
fn name(dialect: Dialect, kind: Kind, text: &str) -> Option<String> {
    match (kind, dialect) {
        (Kind::Word, Dialect::Postgres) => Some(text.to_lowercase()),
        (Kind::Word, _) => Some(text.to_owned()),
        (Kind::Name, _) => {
            let quote = text.chars().next().filter(|quote| *quote != '[');
            let inner = &text[1..text.len().max(2) - 1];
            Some(quote.map_or_else(
                || inner.to_owned(),
                |quote| inner.replace(&format!("{quote}{quote}"), &quote.to_string()),
            ))
        }
        _ => None,
    }
}

/// Whether two names of columns are the same one.
pub(crate) fn is_same(dialect: Dialect, one: &str, other: &str) -> bool {
    match dialect {
        Dialect::Postgres => one == other,
        Dialect::MySql | Dialect::Sqlite => one.eq_ignore_ascii_case(other),
    }
}

/// The text with one column under another name.
pub(crate) fn renamed(dialect: Dialect, text: &str, from: &str, to: &str) -> String {
    columns(dialect, text, |name| is_same(dialect, name, from).then(|| dialect.quote(to)))
}

/// The text with these columns as those of a row: `NEW`.
pub(crate) fn of_row(dialect: Dialect, text: &str, row: &str, known: &[String]) -> String {
    columns(dialect, text, |name| {
        known
            .iter()
            .find(|known| is_same(dialect, name, known))
            .map(|known| format!("{row}.{}", dialect.quote(known)))
    })
}

/// Whether the text reads this column.
pub(crate) fn reads(dialect: Dialect, text: &str, column: &str) -> bool {
    let found = std::cell::Cell::new(false);
    columns(dialect, text, |name| {
        found.set(found.get() || is_same(dialect, name, column));
        None
    });
    found.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_where_they_stand_alone() {
        let known = ["first".to_owned(), "Last".to_owned()];
        let row = |dialect, text| of_row(dialect, text, "new", &known);
        assert_eq!(
            row(Dialect::Postgres, "lower(FIRST) || ' first ' || \"Last\" || u.first || first(x)"),
            "lower(new.\"first\") || ' first ' || new.\"Last\" || u.first || first(x)"
        );
        assert_eq!(row(Dialect::Postgres, "last"), "last", "folded, it is another column");
        assert_eq!(row(Dialect::MySql, "concat(`first`, last)"), "concat(new.`first`, new.`Last`)");
        assert_eq!(
            row(Dialect::Sqlite, "[first] /* first */ || 'first'"),
            "new.\"first\" /* first */ || 'first'"
        );
        assert_eq!(
            renamed(Dialect::Postgres, "(email) WHERE email IS NOT NULL", "email", "mail"),
            "(\"mail\") WHERE \"mail\" IS NOT NULL"
        );
        assert!(reads(Dialect::MySql, "(`s`(5),`e`)", "s") && !reads(Dialect::MySql, "`s`(`e`) + s(5)", "s"));
        assert!(reads(Dialect::Sqlite, "a + b", "B") && !reads(Dialect::Sqlite, "a + 'b'", "b"));
    }
}
