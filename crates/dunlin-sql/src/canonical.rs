//! The text of a statement that is hashed: what formatters change is gone from it.
//!
//! Histories keep hashes of these texts. A change of the rules here reports every applied migration as edited.

use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};

/// A statement without comments, with one blank for many and none beside `(`, `)` and `,`, in lower case outside
/// quotes, with `\n` for `\r\n` inside them, and without a `;` at its end.
pub(crate) fn canonical(dialect: Dialect, statement: &str) -> String {
    let mut text = as_far_as(dialect, statement, usize::MAX);
    while text.ends_with(';') {
        text.pop();
        text.truncate(text.trim_end_matches(' ').len());
    }
    text
}

/// How it begins, in the same form, for who asks what kind of statement it is.
pub(crate) fn head(dialect: Dialect, statement: &str) -> String {
    as_far_as(dialect, statement, HEAD)
}

/// So much of a statement says what it is.
const HEAD: usize = 80;

fn as_far_as(dialect: Dialect, statement: &str, limit: usize) -> String {
    let mut text = String::with_capacity(statement.len().min(limit));
    let mut has_gap = false;
    for token in Lexer::new(dialect, statement) {
        if text.len() > limit {
            break;
        }
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            has_gap = true;
            continue;
        }
        let part = &statement[token.start..token.end];
        if std::mem::take(&mut has_gap) && !text.is_empty() && !text.ends_with(['(', ',']) && !is_tight(part)
        {
            text.push(' ');
        }
        push(&mut text, token, part);
    }
    text
}

/// Whether no blank is kept before a token.
fn is_tight(part: &str) -> bool {
    matches!(part, "(" | ")" | ",")
}

fn push(text: &mut String, token: Token, part: &str) {
    match token.kind {
        Kind::Word => {
            let start = text.len();
            text.push_str(part);
            text[start..].make_ascii_lowercase();
        }
        Kind::Name | Kind::Text if part.contains('\r') => text.push_str(&part.replace("\r\n", "\n")),
        _ => text.push_str(part),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use crate::dialect::Dialect::{self, MySql, Postgres, Sqlite};

    fn same(dialect: Dialect, one: &str, other: &str) {
        assert_eq!(canonical(dialect, one), canonical(dialect, other));
    }

    #[test]
    fn a_head_is_how_it_begins() {
        let long = format!("CREATE  TABLE t ({});", "a INT, ".repeat(40));
        let head = super::head(Sqlite, &long);
        assert!(canonical(Sqlite, &long).starts_with(&head) && (80..100).contains(&head.len()), "{head}");
        assert_eq!(super::head(Sqlite, "-- now\nDROP  TABLE t"), "drop table t");
    }

    #[test]
    fn formatting_is_not_in_it() {
        let expected = "create table t(a int,b text default 'A  b')";
        let text = "CREATE  TABLE t ( -- why\r\n  a INT ,\r\n  B text DEFAULT 'A  b' /* c */ ) ;";
        assert_eq!(canonical(Postgres, text), expected);
        same(Postgres, "DO $$\r\nBEGIN\r\nEND\r\n$$", "do $$\nBEGIN\nEND\n$$");
        same(Sqlite, "SELECT/**/1", "select 1");
    }

    #[test]
    fn meaning_is() {
        assert_eq!(
            canonical(Postgres, "SELECT \"A\" - -1, $X$ Y $X$, E'\\N'"),
            "select \"A\" - -1,$X$ Y $X$,E'\\N'"
        );
        assert_ne!(canonical(Postgres, "SELECT a < -1"), canonical(Postgres, "SELECT a <-1"));
        assert_eq!(canonical(MySql, "/*!40101 SET  @A = 1 */"), "/*!40101 set @a = 1 */");
        assert_eq!(canonical(MySql, "SELECT /*+ A  b */ 1 # c"), "select /*+ A  b */ 1");
    }
}
