//! The names in an expression that may be columns, where nobody can be asked which ones the table has.

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::lex::Kind;

/// Words that stand where a column could, and are none unless they are quoted.
const WORDS: &str = "all and any array as asc between binary by case collate current_date current_time current_timestamp desc \
    distinct div else end escape exists false from glob ilike in interval is isnull like localtime localtimestamp mod not \
    notnull null nulls or precision regexp rlike similar some then true when with without zone";

/// What an expression seems to read: names that stand alone, as the catalogue spells them. Types, collations and
/// functions are none; neither is a word that could as well be one of SQL's, except where it is quoted.
pub(crate) fn of(dialect: Dialect, text: &str) -> Vec<String> {
    let mut cursor = Cursor::new(dialect, text);
    let mut found = Vec::new();
    let (mut before, mut is_type) = (String::new(), false);
    while let Some((kind, part)) = cursor.peek() {
        let word = part.to_ascii_lowercase();
        is_type = match &*word {
            "as" => true,
            "(" | ")" | "," => false,
            _ => is_type,
        };
        let is_word = kind == Kind::Word;
        let is_number = part.starts_with(|letter: char| letter.is_ascii_digit());
        if is_number || !(is_word || kind == Kind::Name) {
            cursor.next();
            before = word;
            continue;
        }
        let is_part = matches!(&*before, "." | ":" | "collate" | "nulls" | "@") || is_type;
        let name = cursor.identifier();
        // What is before a text says how that is read: `date '2026-01-01'`.
        let after = cursor.peek();
        let is_other =
            matches!(after, Some((Kind::Symbol, "." | "("))) || matches!(after, Some((Kind::Text, _)));
        let is_field = before == "(" && cursor.is("from");
        if !(is_part || is_word && (is_other || is_field || WORDS.split(' ').any(|other| other == word))) {
            found.extend(name);
        }
        before = word;
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether an expression reads JSON (SQLite), which fails over a text that is none, and does not ask for that.
pub(crate) fn can_fail(text: &str) -> bool {
    let mut cursor = Cursor::new(Dialect::Sqlite, text);
    let (mut reads, mut asks, mut before) = (false, false, String::new());
    while let Some((kind, part)) = cursor.next() {
        let word = part.to_ascii_lowercase();
        let is_called = kind == Kind::Word && matches!(cursor.peek(), Some((Kind::Symbol, "(")));
        let is_safe = matches!(
            &*word,
            "json_valid" | "json_error_position" | "json_quote" | "json_array" | "json_object"
        );
        asks |= is_called && word == "json_valid";
        reads |= before == "-" && word == ">" || is_called && word.starts_with("json") && !is_safe;
        before = word;
    }
    reads && !asks
}

/// The names in double quotes that are none of these columns: to SQLite they are texts then.
pub(crate) fn strange<'a>(text: &str, known: impl Fn(&str) -> bool + 'a) -> Option<String> {
    let mut cursor = Cursor::new(Dialect::Sqlite, text);
    let mut is_qualified = false;
    while let Some((kind, part)) = cursor.next() {
        let is_quoted = kind == Kind::Name && part.starts_with('"');
        let is_alone = !is_qualified && !matches!(cursor.peek(), Some((Kind::Symbol, "." | "(")));
        is_qualified = matches!(&*part.to_ascii_lowercase(), "." | "collate");
        if is_quoted && is_alone {
            let name = part[1..part.len().max(2) - 1].replace("\"\"", "\"");
            if !known(&name) {
                return Some(name);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_functions_and_words_are_no_columns() {
        let of = |text: &str| of(Dialect::Postgres, text).join(" ");
        assert_eq!(of("lower(First) || ' x ' || \"Last\" || u.name"), "Last first");
        assert_eq!(
            of("cast(age as integer) + n::numeric(9, 2) + case when a is null then 1 else b end"),
            "a age b n"
        );
        assert_eq!(of("extract(year from born) > 1 and email collate \"C\" <> ''"), "born email");
        assert_eq!(
            of("at > date '2026-01-01' and \"select\" and length(\"end\") > year"),
            "at end select year"
        );
        assert_eq!(super::of(Dialect::Sqlite, "\"a\" || [b c] || 'd'"), ["a", "b c"]);
        assert_eq!(super::of(Dialect::MySql, "`a` div b + cast(c as char)"), ["a", "b", "c"]);
    }

    #[test]
    fn a_quoted_name_that_is_no_column_is_found() {
        let known = |name: &str| name == "a" || name == "b";
        assert_eq!(strange("\"a\" || b || c || 'd' || x.\"y\" || \"f\"(1) collate \"nocase\"", known), None);
        assert_eq!(strange("lower(\"a\") || \"no\"\"pe\"", known).as_deref(), Some("no\"pe"));
    }
}
