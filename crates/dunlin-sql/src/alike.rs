//! Whether values are the same, letter by letter: collations take `a` for `A`, types such as `citext` do, and to some types
//! (`json`, `point`) PostgreSQL knows no `=` at all. NULL equals NULL. Text only.

use crate::dialect::Dialect;

/// Whether two values of one type are the same.
pub(crate) fn identical(dialect: Dialect, one: &str, other: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("record_image_eq(row({one}), row({other}))"),
        Dialect::MySql => format!("cast({one} as binary) <=> cast({other} as binary)"),
        Dialect::Sqlite => format!("{one} is {other} collate binary"),
    }
}

/// Whether a value is what an expression says, which may be of another type: numbers are the same by what they count to,
/// everything else letter by letter.
pub(crate) fn alike(dialect: Dialect, value: &str, expr: &str) -> String {
    match dialect {
        Dialect::Postgres => {
            // Both are brought to the type that they have in common; the second branches only say what that is.
            let common =
                |one: &str, other: &str| format!("to_jsonb(case when true then {one} else {other} end)");
            format!("{} is not distinct from {}", common(value, expr), common(expr, value))
        }
        Dialect::MySql => {
            let letters = |text: &str| format!("cast(convert({text} using utf8mb4) as binary)");
            let (one, other) = (letters(value), letters(expr));
            format!("if(charset({value}) = 'binary', {value} <=> {expr}, {one} <=> {other})")
        }
        Dialect::Sqlite => identical(dialect, value, expr),
    }
}

/// Whether a row's columns are what the expressions say.
pub(crate) fn follows(dialect: Dialect, side: &[(&str, &str)]) -> String {
    let one = |(column, expr): &(&str, &str)| alike(dialect, &dialect.quote(column), &format!("({expr})"));
    let all: Vec<String> = side.iter().map(one).collect();
    all.join(" and ")
}
