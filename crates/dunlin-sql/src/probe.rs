//! What a change says over the rows of a table, shown to the server before anything is written: a name that it does not
//! know, or words that it cannot read, fail here and not in a trigger or after the new columns came.

use dunlin_core::{Result, Span, StoreUrl};

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::error;
use crate::evolve::Site;
use crate::inspect::Column;
use crate::moves::Expr;

/// A query that yields no row, and the user's parts of it.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    text: String,
    parts: Vec<(String, Option<Span>)>,
}

/// Asks for expressions over a row of a table that may have columns more than it has now: `(name, type)`.
pub(crate) fn of(site: &Site<'_>, exprs: &[&Expr], more: &[(String, String)]) -> Option<Probe> {
    let dialect = site.dialect();
    let is_known = |kind: &str| {
        let word = kind.split(['(', ' ']).next().unwrap_or_default().to_lowercase();
        // What makes a sequence is no type of a value.
        !word.contains("serial") && !kind.to_lowercase().contains(" generated")
    };
    if exprs.is_empty() || !more.iter().all(|(_, kind)| is_known(kind)) {
        return None;
    }
    let comes = |(name, kind): &(String, String)| {
        let value = match dialect {
            Dialect::Postgres => format!("cast(null as {})", bare(kind)),
            Dialect::MySql | Dialect::Sqlite => "null".to_owned(),
        };
        format!("{value} as {}", site.quote(name))
    };
    let shown = |column: &Column| site.quote(&column.name);
    let columns: Vec<String> =
        site.table().ok()?.columns.iter().map(shown).chain(more.iter().map(comes)).collect();
    let values: Vec<String> = exprs.iter().map(|expr| expr.sql()).collect();
    let text = format!(
        "select {} from (select {} from {} where 1 = 0) dunlin_row where 1 = 0",
        values.join(", "),
        columns.join(", "),
        site.named()
    );
    Some(Probe { text, parts: exprs.iter().map(|expr| (expr.text.to_string(), expr.span)).collect() })
}

/// The type in a column's declaration, without what follows it.
fn bare(kind: &str) -> &str {
    const AFTER: [&str; 8] = [
        " collate ",
        " check",
        " constraint ",
        " references ",
        " unique",
        " primary ",
        " not null",
        " default ",
    ];
    let lower = kind.to_ascii_lowercase();
    let end = AFTER.iter().filter_map(|word| lower.find(word)).min();
    &kind[..end.unwrap_or(kind.len())]
}

impl Probe {
    /// Asks the server.
    pub(crate) async fn ask(&self, conn: &mut Conn, url: &StoreUrl) -> Result<()> {
        let parts: Vec<(&str, Option<Span>)> =
            self.parts.iter().map(|(text, span)| (&**text, *span)).collect();
        match conn.execute(&self.text).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                let error = error::of_parts(&failure, &parts, url);
                Err(if error.temporary { error } else { error.help("nothing was changed") })
            }
        }
    }
}
