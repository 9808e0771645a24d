//! The steps of a change of columns, drawn for a table.

use std::sync::Arc;

use dunlin_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::bonds::{self, BONDS, Bonds};
use super::exchange::{drop_sync, exchange, locked};
use super::{Coming, Leaving, Reshape, When, alter, copy, harden, settle, text};
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site, Unkeyed};
use crate::inspect::{Role, Rule};
use crate::moves::Expr;
use crate::obstacle::Obstacle;
use crate::probe::{self, Probe};
use crate::rewrite;
use crate::usage::Taken;

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
        match self.what {
            What::Widen => is_free(&self.change, site)?,
            What::Aside => {}
            What::Unsync => return Ok(Some(json!({ BONDS: Bonds::of(&self.change, site)?.value()? }))),
            _ => return Ok(None),
        }
        let mut leaving = Vec::new();
        for old in &self.change.leaving {
            let column = site.column(&old.column)?;
            leaving.push((old.column.as_str(), column.is_needed(), column));
        }
        let mut was = alter::remembered(leaving.into_iter());
        if self.what == What::Aside {
            was[BONDS] = Bonds::of(&self.change, site)?.value()?;
        }
        Ok(Some(was))
    }

    fn probes(&self, site: &Site<'_>) -> Result<Vec<Probe>> {
        if self.what != What::Widen {
            return Ok(Vec::new());
        }
        let change = &*self.change;
        let up: Vec<&Expr> = change.coming.iter().filter_map(|new| new.up.as_ref()).collect();
        let down: Vec<&Expr> = change.leaving.iter().filter_map(|old| old.down.as_ref()).collect();
        let kind = |new: &Coming| Ok((new.column.clone(), change.kind_of(site, new)?));
        let more = change.coming.iter().map(kind).collect::<Result<Vec<_>>>()?;
        Ok([probe::of(site, &up, &[]), probe::of(site, &down, &more)].into_iter().flatten().collect())
    }

    fn takes(&self) -> Option<Taken> {
        let change = &*self.change;
        (self.what == What::Aside).then(|| Taken {
            columns: change.leaving.iter().map(|old| old.column.clone()).collect(),
            coming: change.coming.iter().map(|new| new.column.clone()).collect(),
            keeps_name: change.takes_name,
            keeps_table: false,
        })
    }

    fn unkeys(&self) -> Option<Unkeyed> {
        let change = &*self.change;
        // Where one column became one, the new one is in a key like that of the old: in SQLite only once the triggers are
        // gone, and in MariaDB, which takes the first of such keys for the primary one, not at every moment of the way back.
        let has_other = change.twin().is_some() && change.frame.dialect == Dialect::Postgres;
        let is_filled = !change.forth(When::Before).is_empty() || !change.back(When::Before).is_empty();
        let goes_on = is_filled || change.frame.dialect == Dialect::MySql;
        let columns = change.leaving.iter().map(|old| old.column.clone()).collect();
        (self.what == What::Widen && !has_other).then_some(Unkeyed { columns, goes_on })
    }

    fn is_bound(&self) -> bool {
        // Where one column became one, the new one has all that the old one has.
        matches!(self.what, What::Back | What::Narrow)
            && !self.change.is_plain()
            && !self.change.leaving.is_empty()
    }

    fn obstacles(&self, site: &Site<'_>) -> Result<Vec<Obstacle>> {
        bonds::obstacles(&self.change, site)
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

/// Refuses names that are taken, and those that nothing has.
fn is_free(change: &Reshape, site: &Site<'_>) -> Result<()> {
    if let Some(new) = change.coming.iter().find(|new| site.has(&new.column)) {
        let message = format!("`{}` has a column `{}` already", site.name.name, new.column);
        return Err(Error::new(ErrorKind::Statement, message)
            .help("the change would make another one of that name; nothing was changed"));
    }
    if !change.coming.is_empty() {
        alter::unworded(site)?;
    }
    let is_tight = |old: &&Leaving| site.column(&old.column).is_ok_and(|column| !column.is_nullable);
    let tight = change.leaving.iter().filter(is_tight);
    for old in tight {
        // It is taken aside without, and a way back asks for it again.
        alter::in_place(site, &site.column(&old.column)?.kind)?;
    }
    for new in change.coming.iter().filter(|new| new.is_needed && new.up.is_some()) {
        alter::in_place(site, &change.kind_of(site, new)?)?;
    }
    let more: Vec<&str> = change.coming.iter().map(|new| &*new.column).collect();
    let up = change.coming.iter().filter_map(|new| new.up.as_ref());
    let down = change.leaving.iter().filter_map(|old| old.down.as_ref());
    let texts: Vec<&str> = up.chain(down).map(|expr| &*expr.text).collect();
    site.synced(texts.iter().copied())?;
    site.known(texts, &more)
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
        let checked = table.constraints.iter().find(|rule| {
            rule.rule == Rule::Check && rewrite::reads(site.dialect(), &rule.body, &column.name)
        });
        let is_excluded = table.indexes.iter().any(|index| {
            index.role == Role::Constraint
                && !index.is_unique
                && rewrite::reads(site.dialect(), &index.body, &column.name)
        });
        // MySQL, unlike MariaDB, renames no column that a check reads.
        let is_fixed = site.dialect() == Dialect::MySql && !site.server.is_mariadb;
        let why = match (pointed_at, computed, checked.filter(|_| is_fixed)) {
            _ if in_key => "is part of the primary key".to_owned(),
            _ if is_excluded => "is in an exclusion constraint".to_owned(),
            _ if column.is_generated => "is computed or counted by the server".to_owned(),
            (Some(rule), ..) => format!("is what {} points at", rule.name),
            (_, Some((_, reader)), _) => format!("is read by the {reader}"),
            (.., Some(rule)) => format!("is read by the check {} (drop it in a migration before)", rule.name),
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

/// Refuses another type for a column whose foreign key could not be made for it: MySQL wants one type on both sides.
fn alike(change: &Reshape, site: &Site<'_>) -> Result<()> {
    let Some((old, new)) = change.twin().filter(|_| site.dialect() == Dialect::MySql) else { return Ok(()) };
    let (was, kind) = (&site.column(&old.column)?.kind, change.kind_of(site, new)?);
    let mut rules = site.table()?.constraints.iter();
    let rule = rules.find(|rule| rule.rule == Rule::Foreign && rule.is_about(Dialect::MySql, &old.column));
    let Some(rule) = rule.filter(|_| family(was) != family(&kind)) else { return Ok(()) };
    let message = format!(
        "`{}.{}` is in the foreign key `{}`, and the server wants the same type on both sides of one: {was}, not {kind}",
        site.name.name, old.column, rule.name
    );
    Err(Error::new(ErrorKind::Unsupported, message)
        .help("drop that foreign key in a migration before, and make it again once both sides have the type; nothing was changed"))
}

/// What two types have to have in common for a foreign key: all but the length (MySQL).
fn family(kind: &str) -> (String, bool) {
    let mut words = Cursor::new(Dialect::MySql, kind);
    let word = words.word().unwrap_or_default();
    let is_unsigned = words.has("unsigned");
    (if word == "integer" { "int".to_owned() } else { word }, is_unsigned)
}

fn widen(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    possible(change, site)?;
    alike(change, site)?;
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
    // The text of a SQLite table is changed as it was read, before its columns go.
    made.extend(alter::tighten(change, site)?);
    let mut gone = drop_sync(change, site)?;
    for new in change.coming.iter().filter(|new| site.has(&new.column)) {
        gone.extend(alter::drop_column(site, &new.column)?);
    }
    // What new clients write until then is in the old columns; a server that has to copy the table takes too long for that.
    made.extend(if alter::is_quick_to_drop(site) { locked(site, gone) } else { gone });
    Ok(made)
}

fn aside(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let leaves = change.leaving.iter().map(|old| &*old.column);
    let mut made = harden::harden(change, site)?;
    made.extend(alter::unsaid(site, leaves)?);
    // What others keep in step with still tells them what it may hold.
    let is_alone = !change.has_forth();
    if is_alone && site.dialect() == Dialect::Sqlite {
        made.extend(text::loosen(change, site, site.table()?.text.clone())?);
    }
    made.extend(exchange(change, site, When::After)?);
    if is_alone && site.dialect() != Dialect::Sqlite {
        made.extend(alone(change, site)?);
        made.extend(bonds::hush(change, site)?);
    }
    Ok(made)
}

fn bring_back(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    if !alter::is_renamed(change, site, When::Before) {
        made.extend(harden::soften(change, site, When::After)?);
    }
    if !alter::is_renamed(change, site, When::Before) {
        let bound = if site.dialect() == Dialect::Sqlite { text::bind } else { bonds::bind };
        made.extend(bound(change, site)?);
    }
    made.extend(exchange(change, site, When::Before)?);
    made.extend(alter::needed_again(change, site)?);
    Ok(made)
}

/// Nothing binds any more what is aside, each in its own transaction.
fn alone(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let is_postgres = site.dialect() == Dialect::Postgres;
    let mut made: Vec<String> = is_postgres.then(|| alter::COMMIT.to_owned()).into_iter().collect();
    made.extend(bonds::loosen(change, site)?);
    Ok(made)
}

fn unsync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = if change.leaving.is_empty() { harden::harden(change, site)? } else { Vec::new() };
    if site.dialect() != Dialect::Sqlite {
        made.extend(alone(change, site)?);
    }
    made.extend(drop_sync(change, site)?);
    made.extend(settle::settle(change, site)?);
    Ok(made)
}

fn resync(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = drop_sync(change, site)?;
    made.extend(settle::unsettle(change, site)?);
    if change.leaving.is_empty() {
        made.extend(harden::soften(change, site, When::Before)?);
    }
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    made.extend(change.sync(site, when)?);
    Ok(made)
}
