//! What waits for the triggers to go: defaults that are computed, and in SQLite all that a row must meet.

use dunlin_core::Result;

use super::alter::edit;
use super::bonds::{Bonds, hush};
use super::copy::needed_names;
use super::{Kind, Reshape, When, text};
use crate::change::own_name;
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::{declared, rewrite};

/// Gives the new columns what waited.
pub(super) fn settle(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (dialect, table) = (site.dialect(), site.named());
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    let default = late_default(change, site, &Bonds::default())?;
    if dialect != Dialect::Sqlite {
        let set = |(name, default): (String, String)| {
            format!("alter table {table} alter column {} set default {default}", site.quote(&name))
        };
        let mut made: Vec<String> = default.map(set).into_iter().collect();
        made.extend(owned(change, site, When::After)?);
        made.extend(hush(change, site)?);
        return Ok(made);
    }
    let mut text = site.table()?.text.clone();
    for name in needed_names(change, site, when)? {
        text = declared::tightened(&text, &name).unwrap_or(text);
    }
    if let Some((name, default)) = default {
        text = declared::with_default(&text, &name, Some(&default)).unwrap_or(text);
    }
    if let Some((old, new)) = change.twin() {
        let (from, to) = (change.old_name(&old.column, when), change.new_name(&new.column, when));
        let rules = &site.table()?.constraints;
        for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_about(dialect, &from)) {
            let (name, body) = (site.quote(&rule_name(change, at)), rule.of(dialect, &from, &to));
            text = declared::with_constraint(&text, &format!("constraint {name} {body}"));
        }
    }
    text::loosen(change, site, text)
}

/// The reverse of [`settle`].
pub(super) fn unsettle(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (dialect, table) = (site.dialect(), site.named());
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    let default = late_default(change, site, &Bonds::kept(site)?)?;
    if dialect != Dialect::Sqlite {
        let drop = |(name, _): (String, String)| {
            format!("alter table {table} alter column {} drop default", site.quote(&name))
        };
        let mut made = owned(change, site, When::Before)?;
        made.extend(default.map(drop));
        return Ok(made);
    }
    let mut text = site.table()?.text.clone();
    for new in &change.coming {
        text = declared::relaxed(&text, &change.new_name(&new.column, when)).unwrap_or(text);
    }
    if let Some((name, _)) = default {
        text = declared::with_default(&text, &name, None).unwrap_or(text);
    }
    for at in 0..site.table()?.constraints.len() {
        text = declared::without_constraint(&text, &rule_name(change, at)).unwrap_or(text);
    }
    edit(site, Some(text))
}

/// The sequences of the old column go on with the new one, or come back to it (PostgreSQL).
fn owned(change: &Reshape, site: &Site<'_>, to: When) -> Result<Vec<String>> {
    let Some((old, new)) = change.twin() else { return Ok(Vec::new()) };
    let (old, new) =
        (change.old_column(site, &old.column)?, site.column(&change.new_name(&new.column, When::After))?);
    let (from, to) = if to == When::After { (old, new) } else { (new, old) };
    let (table, name) = (site.named(), site.quote(&to.name));
    let own = |sequence: &String| format!("alter sequence {sequence} owned by {table}.{name}");
    Ok(from.sequences.iter().map(own).collect())
}

fn rule_name(change: &Reshape, at: usize) -> String {
    own_name(&format!("dunlin_{}", change.frame.tag), &at.to_string())
}

/// The default that the new column gets when the old one is aside: what the old one's leads to.
fn late_default(change: &Reshape, site: &Site<'_>, bonds: &Bonds) -> Result<Option<(String, String)>> {
    let Some((old, new)) = change.twin() else { return Ok(None) };
    let dialect = site.dialect();
    let aside = bonds.column(change.old_column(site, &old.column)?, &old.column);
    let is_like = matches!(new.kind, Kind::Like(_));
    let (Some(default), Some(up)) = (&aside.default, &new.up) else { return Ok(None) };
    if is_like && aside.constant().is_some() {
        return Ok(None);
    }
    // What hangs on other columns, too, is no default.
    let others =
        site.table()?.names().into_iter().filter(|name| !rewrite::is_same(dialect, name, &old.column));
    if !is_like && others.into_iter().any(|name| rewrite::reads(dialect, &up.text, &name)) {
        return Ok(None);
    }
    let led = rewrite::columns(dialect, &up.text, |name| {
        rewrite::is_same(dialect, name, &old.column).then(|| default.clone())
    });
    let default = if is_like { default.clone() } else { format!("({led})") };
    Ok(Some((change.new_name(&new.column, When::After), default)))
}
