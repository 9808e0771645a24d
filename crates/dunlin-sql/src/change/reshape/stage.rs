//! The steps of a change of columns, drawn for a table.

use std::sync::Arc;

use dunlin_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::{Leaving, Reshape, When, alter, copy, settle};
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site};
use crate::inspect::{Role, Rule};
use crate::{rewrite, sync};

/// A step.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) change: Arc<Reshape>,
    pub(super) what: What,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The new columns come, and triggers that keep both shapes in step.
    Widen,
    /// And go again.
    Narrow,
    /// What hangs on the old column is made for the new one.
    Finish,
    /// Does nothing on the way there; its way back is what counts.
    Keep,
    /// The old columns are renamed aside.
    Aside,
    /// And come back.
    Back,
    /// Nothing is amiss.
    Check,
    /// The triggers go.
    Unsync,
    /// And come back.
    Resync,
}

impl What {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Widen => "add",
            Self::Narrow => "remove",
            Self::Finish => "complete",
            Self::Keep => "keep aside",
            Self::Check => "compare",
            Self::Aside => "set aside",
            Self::Back => "bring back",
            Self::Unsync => "no longer sync",
            Self::Resync => "sync again",
        }
    }
}

impl Draw for Stage {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let change = &*self.change;
        match self.what {
            What::Widen => widen(change, site),
            What::Narrow => narrow(change, site),
            What::Finish => copy::finish(change, site),
            What::Keep | What::Check => Ok(Vec::new()),
            What::Aside => aside(change, site),
            What::Back => bring_back(change, site),
            What::Unsync => unsync(change, site),
            What::Resync => resync(change, site),
        }
    }

    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let leaves = matches!(self.what, What::Aside | What::Widen if !self.change.leaving.is_empty());
        if !leaves || site.dialect() == Dialect::Sqlite {
            // SQLite's own text keeps what was taken out of it.
            return Ok(None);
        }
        let mut was = serde_json::Map::new();
        for old in &self.change.leaving {
            was.insert(old.column.clone(), json!(site.column(&old.column)?.is_needed()));
        }
        Ok(Some(Value::Object(was)))
    }

    fn usage(&self, site: &Site<'_>) -> Result<Vec<String>> {
        if self.what != What::Aside {
            return Ok(Vec::new());
        }
        let reads = |column: &str| {
            self.change.leaving.iter().any(|old| rewrite::is_same(site.dialect(), &old.column, column))
        };
        let readers = &site.table()?.readers;
        let table = &self.change.frame.table.name;
        let uses = readers.iter().filter(|(column, _)| reads(column));
        Ok(uses.map(|(column, reader)| format!("{reader} reads {table}.{column}")).collect())
    }

    fn gone(&self, site: &Site<'_>) -> Vec<String> {
        if self.what != What::Back {
            return Vec::new();
        }
        let is_gone = |old: &&Leaving| !site.has(&self.change.old_name(&old.column, When::After));
        let table = &self.change.frame.table.name;
        let gone = self.change.leaving.iter().filter(is_gone);
        gone.map(|old| format!("column {table}.{}", old.column)).collect()
    }
}

/// Refuses what cannot live in two shapes.
fn possible(change: &Reshape, site: &Site<'_>) -> Result<()> {
    let table = site.table()?;
    for old in &change.leaving {
        let column = site.column(&old.column)?;
        let name = format!("`{}.{}`", change.frame.table.name, column.name);
        let in_key = table.indexes.iter().any(|index| {
            index.role == Role::Primary && rewrite::reads(site.dialect(), &index.body, &column.name)
        });
        let pointed_at = table.constraints.iter().find(|rule| {
            rule.rule == Rule::PointedAt
                && rule.columns.iter().any(|other| rewrite::is_same(site.dialect(), other, &column.name))
        });
        let computed = table.readers.iter().find(|(read, reader)| {
            rewrite::is_same(site.dialect(), read, &column.name) && reader.starts_with("generated")
        });
        let why = match (pointed_at, computed) {
            _ if in_key => "is part of the primary key".to_owned(),
            _ if column.is_generated => "is computed or counted by the server".to_owned(),
            (Some(rule), _) => format!("is what {} points at", rule.name),
            (_, Some((_, reader))) => format!("is read by the {reader}"),
            _ => continue,
        };
        let error =
            Error::new(ErrorKind::Unsupported, format!("{name} {why}, and cannot live in two shapes"));
        return Err(
            error.help("write the steps by hand under `[[expand]]` to `[[contract]]`; nothing was changed")
        );
    }
    Ok(())
}

fn widen(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    possible(change, site)?;
    let mut made = drop_sync(change, site)?;
    made.extend(alter::relax(change, site)?);
    for new in &change.coming {
        if site.has(&new.column) {
            continue;
        }
        made.push(alter::add_column(change, site, new)?);
    }
    made.extend(change.sync(site, When::Before)?);
    Ok(made)
}

fn narrow(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let leaves = change.coming.iter().map(|new| &*new.column);
    let mut made = alter::unsaid(site, leaves)?;
    made.extend(drop_sync(change, site)?);
    // The text of a SQLite table is changed as it was read, before its columns go.
    made.extend(alter::tighten(change, site)?);
    for new in change.coming.iter().filter(|new| site.has(&new.column)) {
        made.extend(alter::drop_column(site, &new.column)?);
    }
    Ok(made)
}

fn aside(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let leaves = change.leaving.iter().map(|old| &*old.column);
    let mut made = alter::unsaid(site, leaves)?;
    made.extend(drop_sync(change, site)?);
    made.extend(alter::rename(change, site, When::After)?);
    if !change.coming.is_empty() {
        made.extend(change.sync(site, When::After)?);
    }
    Ok(made)
}

fn bring_back(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = drop_sync(change, site)?;
    made.extend(alter::rename(change, site, When::Before)?);
    made.extend(change.sync(site, When::Before)?);
    made.extend(alter::needed_again(change, site)?);
    Ok(made)
}

fn unsync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = drop_sync(change, site)?;
    made.extend(settle::settle(change, site)?);
    Ok(made)
}

fn resync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = drop_sync(change, site)?;
    made.extend(settle::unsettle(change, site)?);
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    made.extend(change.sync(site, when)?);
    Ok(made)
}

fn drop_sync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    Ok(sync::drop(site.dialect(), &site.named(), &change.frame.tag, &site.table()?.triggers))
}
