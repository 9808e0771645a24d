//! Rows that a rule would not take when it comes back on a way back: looked for before any of that way is gone.

use dunlin_core::{Error, ErrorKind, Result};

use crate::conn::Conn;
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::inspect::{Constraint, Index, Rule};
use crate::moves::expr;

/// A query that finds such rows, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    query: String,
    message: String,
    help: String,
}

/// Rows, under their table's name, and where what they hold can be mended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) dialect: Dialect,
    /// As SQL, after `from`.
    pub(crate) rows: &'a str,
    pub(crate) table: &'a str,
    pub(crate) help: &'a str,
}

impl Place<'_> {
    fn obstacle(&self, rest: &str, message: &str) -> Obstacle {
        let Self { rows, table, help, .. } = self;
        Obstacle {
            query: format!("select 1 from {rows} where {rest} limit 1"),
            message: format!("the way back is not open: rows of `{table}` {message}"),
            help: format!("nothing was changed. {help}"),
        }
    }

    /// Where a column that takes no NULL has none.
    pub(crate) fn missing(&self, column: &str) -> Obstacle {
        let rest = format!("{} is null", self.dialect.quote(column));
        self.obstacle(&rest, &format!("have no `{column}`, which was NOT NULL and will be again"))
    }

    /// What a unique index would find twice.
    pub(crate) fn twice(&self, index: &Index, key: impl Fn(&str) -> String) -> Option<Obstacle> {
        let (items, filter) = parts(self.dialect, &index.body)?;
        let keys: Vec<String> = expr::list(self.dialect, items).into_iter().map(key).collect();
        let filter = filter.map(|filter| format!("({filter})"));
        let present: Vec<String> =
            keys.iter().map(|key| format!("({key}) is not null")).chain(filter).collect();
        let (present, keys) = (present.join(" and "), keys.join(", "));
        let rest = format!("{present} group by {keys} having count(*) > 1");
        Some(self.obstacle(&rest, &format!("hold the same in what the unique `{}` is over", index.name)))
    }

    /// What a check or a foreign key would not take.
    pub(crate) fn broken(&self, rule: &Constraint) -> Option<Obstacle> {
        let dialect = self.dialect;
        let mut cursor = Cursor::new(dialect, &rule.body);
        if rule.rule == Rule::Check {
            cursor.eat("check").then_some(())?;
            let start = cursor.at()?;
            cursor.eat_parentheses().then_some(())?;
            let check = &rule.body[start..cursor.at().unwrap_or(rule.body.len())];
            let name = if rule.name.is_empty() { check.trim() } else { &rule.name };
            return Some(self.obstacle(&format!("not {check}"), &format!("break the check `{name}`")));
        }
        while !cursor.eat("references") {
            cursor.next()?;
        }
        let target = cursor.name()?;
        let start = cursor.at()?;
        cursor.eat_parentheses().then_some(())?;
        let there = &rule.body[start..cursor.at().unwrap_or(rule.body.len())];
        let there = there.trim().strip_prefix('(')?.strip_suffix(')')?;
        let own = rule.columns.iter().map(|column| format!("dunlin_row.{}", dialect.quote(column)));
        let own: Vec<String> = own.collect();
        let pairs = own.iter().zip(expr::list(dialect, there));
        let pairs: Vec<String> = pairs.map(|(own, there)| format!("dunlin_there.{there} = {own}")).collect();
        let present: Vec<String> = own.iter().map(|own| format!("{own} is not null")).collect();
        let rest = format!(
            "{} and not exists (select 1 from {} dunlin_there where {})",
            present.join(" and "),
            target.quoted(dialect),
            pairs.join(" and ")
        );
        Some(self.obstacle(&rest, &format!("point at none of `{}`, as they must", target.name)))
    }
}

/// What an index is over, and which rows are in it.
fn parts(dialect: Dialect, body: &str) -> Option<(&str, Option<&str>)> {
    let mut cursor = Cursor::new(dialect, body);
    let start = loop {
        let at = cursor.at()?;
        if cursor.eat_parentheses() {
            break at;
        }
        cursor.next()?;
    };
    let end = cursor.at().unwrap_or(body.len());
    let items = body[start..end].trim().strip_prefix('(')?.strip_suffix(')')?;
    while let Some((_, word)) = cursor.next() {
        if word.eq_ignore_ascii_case("where") {
            return Some((items, Some(&body[cursor.at()?..])));
        }
    }
    Some((items, None))
}

impl Obstacle {
    /// Fails where it finds one. What cannot be asked is about a shape that another way back makes first.
    pub(crate) async fn ask(&self, conn: &mut Conn) -> Result<()> {
        match conn.rows(&self.query, &[]).await {
            Ok(rows) if !rows.is_empty() => {
                Err(Error::new(ErrorKind::Unsupported, self.message.clone()).help(self.help.clone()))
            }
            _ => Ok(()),
        }
    }
}
