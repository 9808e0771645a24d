//! What a column must hold: `set_not_null`, `drop_not_null`, `set_default`.

use std::sync::Arc;

use dunlin_core::{Diagnostic, Error, ErrorKind, Field, Part, Phase, Result};
use serde_json::{Value, json};

use super::decode::frame;
use super::reshape::alter::{edit, in_place, needed, proven_needed, remembered};
use super::{Frame, back, nothing, part};
use crate::declared;
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site, Unkeyed};
use crate::moves::decode::Reader;
use crate::moves::{Expr, Move, Rows, Verb};
use crate::none::Nothing;
use crate::probe::{self, Probe};
use crate::sync::{self, Half, Sync};

/// A column that is to take no NULL, or may.
#[derive(Debug, Clone)]
struct Needed {
    tag: Arc<str>,
    column: String,
    fill: Option<Expr>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// NULLs of clients that still write them become what `fill` says.
    Fill,
    Unfill,
    Forbid,
    /// NULL is taken no more, if it was not before.
    ForbidAgain,
    /// NULL is taken.
    Allow,
    /// It is taken again, if it was before.
    AllowAgain,
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let mut said = frame(reader, field, tag)?;
    let column = said.column(reader, "column");
    if field.name == "set_default" {
        let (default, down) = (said.expr(reader, "default"), said.expr(reader, "down"));
        if default.is_none() && down.is_none() {
            let fault = Diagnostic::error("missing-key", "this changes no default");
            reader.faults.push(
                fault
                    .at(field.value.span, "says neither")
                    .help("`default` is the new one, `down` the one before; leave out the one that is none"),
            );
        }
        let frame = said.finish(reader, &["table", "column", "default", "down"]);
        return Some(set_default(&frame, &column?, default, down));
    }
    let fill = said.over(reader, "fill");
    let frame = said.finish(reader, &["table", "column", "fill"]);
    let column = column?;
    let step = |what: What, words: &str| {
        let draw = Needed { tag: frame.tag.clone(), column: column.clone(), fill: fill.clone(), what };
        frame.evolve(words, format!("{words} {}.{column}", frame.table.name), draw)
    };
    let is_null = format!("{} is null", frame.dialect.quote(&column));
    let none = Nothing {
        dialect: frame.dialect,
        rows: rows(&frame, &is_null),
        words: Some(format!("no NULL in {}.{column}", frame.table.name)),
    };
    if field.name == "drop_not_null" {
        let mut allow = step(What::ForbidAgain, "not null again");
        if fill.is_none() {
            allow.loses = Some(Arc::new(none));
        }
        let mut parts = vec![part(Phase::Expand, step(What::Allow, "null allowed in"), back(allow))];
        if let Some(fill) = &fill {
            // NULL is there to be written. Only on the way back it is filled, first where somebody writes it still.
            let stays = || frame.evolve("keep", format!("keep {}.{column}", frame.table.name), Stays);
            parts.push(part(Phase::Backfill, stays(), back(filling(&frame, &column, fill, &is_null))));
            parts.push(part(Phase::Backfill, stays(), back(step(What::Fill, "fill"))));
        }
        return Some(parts);
    }
    let mut parts = Vec::new();
    if let Some(fill) = &fill {
        let unfill = step(What::Unfill, "stop filling");
        parts.push(part(Phase::Expand, step(What::Fill, "fill"), back(unfill)));
        let stays = nothing("what was NULL says less than what it became");
        parts.push(part(Phase::Backfill, filling(&frame, &column, fill, &is_null), stays));
    }
    parts.push(part(Phase::Verify, none, nothing("it only looks")));
    parts.push(part(
        Phase::Contract,
        step(What::Forbid, "not null"),
        back(step(What::AllowAgain, "null allowed again in")),
    ));
    Some(parts)
}

fn rows(frame: &Frame, filter: &str) -> Rows {
    Rows { table: frame.table.clone(), filter: Some(Expr::written(frame.dialect, filter)), key: None }
}

fn filling(frame: &Frame, column: &str, fill: &Expr, filter: &str) -> Move {
    let verb = Verb::Update { set: vec![(column.to_owned(), fill.clone())] };
    Move { dialect: frame.dialect, verb, rows: rows(frame, filter), is_silent: true }
}

/// A step whose way back is what counts.
#[derive(Debug, Clone)]
struct Stays;

impl Draw for Stays {
    fn draw(&self, _site: &Site<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl Needed {
    /// What filled NULLs until NULL was forbidden fills them again.
    fn refilled(&self, what: What, site: &Site<'_>) -> Result<Vec<String>> {
        if what == What::AllowAgain { self.triggers(site) } else { Ok(Vec::new()) }
    }

    fn triggers(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let Some(fill) = &self.fill else { return Ok(Vec::new()) };
        let table = site.table()?;
        let kind = site.column(&self.column)?.kind.clone();
        let half = Half {
            column: self.column.clone(),
            kind,
            expr: fill.text.to_string(),
            default: None,
            auto: None,
        };
        let sync = Sync {
            dialect: site.dialect(),
            table: site.named(),
            tag: &self.tag,
            known: &table.names(),
            key: &table.row_key(site.dialect()),
            old: &[],
            new: &[half],
        };
        Ok(sync.create())
    }
}

/// What no column is called: where it is remembered how this one was declared (SQLite).
const DECLARED: &str = "dunlin declared";

impl Draw for Needed {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let (table, column) = (site.table()?, site.column(&self.column)?);
        let mut made = sync::drop(site.dialect(), &site.named(), &self.tag, &table.triggers);
        let is_needed = !column.is_nullable;
        // What held before the change holds after the way back from it.
        let what = match (self.what, site.was(&self.column).as_bool()) {
            (What::ForbidAgain, Some(false)) => What::Unfill,
            (What::ForbidAgain, _) => What::Forbid,
            (What::AllowAgain, Some(true)) => What::Fill,
            (what, _) => what,
        };
        match (what, site.dialect()) {
            (What::Fill, _) => made.extend(self.triggers(site)?),
            (What::Unfill | What::ForbidAgain, _) => {}
            (What::Forbid, _) if is_needed => {}
            (What::Forbid, Dialect::Postgres) => {
                // The triggers fill until nothing more can be missing.
                let triggers = std::mem::take(&mut made);
                made.extend(proven_needed(site, &self.tag, (&self.column, column)));
                made.extend(triggers);
            }
            (What::Forbid, Dialect::MySql) => made.insert(0, needed(site, column, &self.column, true)),
            (What::Forbid, Dialect::Sqlite) => {
                // As it was written before, where this is the way back to that.
                let text = match site.was(DECLARED).as_str() {
                    Some(was) => declared::needed(&table.text, &self.column, was),
                    None => declared::tightened(&table.text, &self.column),
                };
                made.extend(edit(site, text)?);
                made.extend(bump());
            }
            (What::Allow | What::AllowAgain, Dialect::Sqlite) => {
                made.extend(edit(site, declared::nullable(&table.text, &self.column))?);
                made.extend(bump());
                made.extend(self.refilled(what, site)?);
            }
            (What::Allow | What::AllowAgain, _) => {
                made.extend((is_needed).then(|| needed(site, column, &self.column, false)));
                made.extend(self.refilled(what, site)?);
            }
        }
        Ok(made)
    }

    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let texts = || self.fill.iter().map(|fill| &*fill.text);
        site.known(texts(), &[])?;
        site.synced(texts())?;
        if matches!(self.what, What::Allow | What::Fill | What::Forbid) {
            in_place(site, &site.column(&self.column)?.kind)?;
        }
        let column = site.column(&self.column)?;
        let mut was = remembered(std::iter::once((self.column.as_str(), !column.is_nullable, column)));
        if self.what == What::Allow {
            was[DECLARED] = declared::declaration(&site.table()?.text, &column.name).into();
        }
        Ok(Some(was))
    }

    fn unkeys(&self) -> Option<Unkeyed> {
        // The way back looks for what is NULL then.
        (self.what == What::Allow).then(|| Unkeyed { columns: vec![self.column.clone()], goes_on: true })
    }

    fn probes(&self, site: &Site<'_>) -> Result<Vec<Probe>> {
        let fill: Vec<&Expr> = self.fill.iter().collect();
        Ok(probe::of(site, &fill, &[]).into_iter().collect())
    }
}

/// Makes every other connection read the schema again (SQLite).
pub(super) fn bump() -> [String; 2] {
    ["create view dunlin_bump as select 1".to_owned(), "drop view dunlin_bump".to_owned()]
}

fn set_default(frame: &Frame, column: &str, default: Option<Expr>, down: Option<Expr>) -> Vec<Part> {
    let step = |word: &str, default: Option<Expr>, other: Option<Expr>| {
        let draw = Preset { column: column.to_owned(), default, other };
        frame.evolve(word, format!("{word} of {}.{column}", frame.table.name), draw)
    };
    let there = step("default", default.clone(), down.clone());
    vec![part(Phase::Expand, there, back(step("default before", down, default)))]
}

/// Another default.
#[derive(Debug, Clone)]
struct Preset {
    column: String,
    default: Option<Expr>,
    /// What it is on the other side.
    other: Option<Expr>,
}

impl Draw for Preset {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        site.column(&self.column)?;
        let (table, name) = (site.named(), site.quote(&self.column));
        Ok(match (site.dialect(), &self.default) {
            (Dialect::Sqlite, default) => {
                let text = declared::with_default(
                    &site.table()?.text,
                    &self.column,
                    default.as_ref().map(|default| &*default.text),
                );
                let mut made = edit(site, text)?;
                made.extend(bump());
                made
            }
            (_, Some(default)) => {
                vec![format!("alter table {table} alter column {name} set default {}", default.sql())]
            }
            (_, None) => vec![format!("alter table {table} alter column {name} drop default")],
        })
    }

    /// Asked before anything is changed, and once: what another run of this step did is not taken for what was there.
    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let column = site.column(&self.column)?;
        if let (Some(found), None) = (&column.default, &self.other) {
            let message = format!(
                "`{}.{}` has the default {found}, and the change does not say so",
                site.name.name, self.column
            );
            return Err(Error::new(ErrorKind::Unsupported, message).help(format!(
                "write `down = {found:?}`, so that it can be brought back; nothing was changed"
            )));
        }
        Ok(Some(json!({ (self.column.as_str()): column.default })))
    }
}
