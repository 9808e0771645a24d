//! The moment at which the columns change places: the triggers of one side go, the columns are renamed, the triggers of
//! the other side come. Whoever writes sees all of it or nothing. PostgreSQL and SQLite do it in one transaction; MySQL has
//! none for this, and so its writers wait for the table meanwhile, for as long as three statements take that touch no row.

use dunlin_core::Result;

use super::alter::{is_renamed, rename};
use super::{Reshape, When};
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::{alike, rewrite, sync};

/// Renames the columns, and with them the triggers.
pub(super) fn exchange(change: &Reshape, site: &Site<'_>, to: When) -> Result<Vec<String>> {
    let mut made = mend(change, site)?;
    made.extend(drop_sync(change, site)?);
    made.extend(rename(change, site, to)?);
    if has_sync(change, to) {
        made.extend(change.sync(site, to)?);
    }
    Ok(locked(site, made))
}

/// The triggers go.
pub(super) fn drop_sync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    Ok(sync::drop(site.dialect(), &site.named(), &change.frame.tag, &site.table()?.triggers))
}

/// With these statements nobody writes in between (MySQL; elsewhere they are a transaction).
pub(super) fn locked(site: &Site<'_>, statements: Vec<String>) -> Vec<String> {
    if site.dialect() != Dialect::MySql || statements.is_empty() {
        return statements;
    }
    let lock = format!("lock tables {} write", site.named());
    [vec![lock], statements, vec!["unlock tables".to_owned()]].concat()
}

/// Once the old columns are aside, there is something to keep in step only if others came for them.
fn has_sync(change: &Reshape, when: When) -> bool {
    when == When::Before || !change.coming.is_empty()
}

/// What was written since a run was cut off among the statements of an exchange, when there were no triggers: put in step
/// while nobody writes.
fn mend(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let when = if is_renamed(change, site, When::After) { When::After } else { When::Before };
    if site.dialect() != Dialect::MySql || !has_sync(change, when) {
        return Ok(Vec::new());
    }
    let table = site.table()?;
    let is_whole = sync::is_whole(&change.frame.tag, &table.triggers);
    if is_whole || change.sync(site, when)?.is_empty() {
        return Ok(Vec::new());
    }
    let (forth, backwards) = (change.forth(when), change.back(when));
    let update = |columns: &[(String, String)], filter: &str| {
        let mut set: Vec<String> =
            columns.iter().map(|(column, expr)| format!("{} = ({expr})", site.quote(column))).collect();
        // Nor is this an update of the row to anybody who looks at when it was.
        let timed = table.columns.iter().filter(|column| column.is_timed()).map(|column| &column.name);
        let is_set =
            |name: &&String| columns.iter().any(|(column, _)| rewrite::is_same(site.dialect(), column, name));
        set.extend(timed.filter(|name| !is_set(name)).map(|name| format!("{0} = {0}", site.quote(name))));
        format!("update {} set {} where {filter}", site.named(), set.join(", "))
    };
    if forth.is_empty() || backwards.is_empty() {
        let filled = if forth.is_empty() { backwards } else { forth };
        return Ok(vec![update(&filled, &change.is_unfilled(&filled))]);
    }
    let stray = format!("not ({})", change.in_step(when));
    let mut made = Vec::new();
    if when == When::Before {
        // Where the new column is to take the old one's name, everybody writes the old one until then.
        let is_unsaid =
            if change.takes_name { String::new() } else { format!(" and {}", unsaid(change, site)) };
        made.push(update(&forth, &format!("{stray}{is_unsaid}")));
    }
    if when == When::After || !change.takes_name {
        made.push(update(&backwards, &stray));
    }
    Ok(made)
}

/// Whether nobody said anything of the new columns.
fn unsaid(change: &Reshape, site: &Site<'_>) -> String {
    let said = change.coming.iter().filter(|new| new.up.is_some()).map(|new| {
        let default = change.default_of(site, new);
        alike::identical(site.dialect(), &site.quote(&new.column), default.as_deref().unwrap_or("null"))
    });
    said.collect::<Vec<_>>().join(" and ")
}
