//! Columns that come and columns that leave: `rename_column`, `change_type`, `transform`, `add_column`, `drop_column`.
//!
//! Both shapes live side by side until contract, kept in step by triggers. Contract takes nothing away for good: a column
//! that leaves is renamed aside, at no cost, and stays there until it is purged. The way back renames it back, once the
//! rows written meanwhile are in it.

pub(crate) mod alter;
mod bonds;
mod copy;
mod exchange;
mod harden;
mod settle;
mod stage;
mod text;

use std::sync::Arc;

use dunlin_core::{AnyOp, Part, Phase, Result};

use super::{Frame, archived, back, nothing, part};
use crate::dialect::Dialect;
use crate::evolve::{Evolve, Site};
use crate::inspect::Column;
use crate::moves::{Expr, Move, Rows, Verb};
use crate::none::Nothing;
use crate::sync::{Half, Sync};
use crate::{alike, rewrite};
use stage::{Stage, What};

pub(super) use super::decode::reshape as read;

/// A change of columns.
#[derive(Debug, Clone)]
pub(crate) struct Reshape {
    pub(crate) frame: Frame,
    pub(crate) leaving: Vec<Leaving>,
    pub(crate) coming: Vec<Coming>,
    /// Whether the column that comes takes the name of the one that leaves, when that leaves.
    pub(crate) takes_name: bool,
}

/// A column of the old shape.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) column: String,
    /// What it is, said by the new shape.
    pub(crate) down: Option<Expr>,
}

/// A column of the new shape.
#[derive(Debug, Clone)]
pub(crate) struct Coming {
    pub(crate) column: String,
    pub(crate) kind: Kind,
    /// What it is, said by the old shape.
    pub(crate) up: Option<Expr>,
    pub(crate) default: Option<Expr>,
    pub(crate) is_needed: bool,
}

/// The type of a column.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Given(Expr),
    /// That of another column of the table.
    Like(String),
}

/// Which names the columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before contract.
    Before,
    /// Once the columns that leave are aside.
    After,
}

impl Reshape {
    fn dialect(&self) -> Dialect {
        self.frame.dialect
    }

    /// One column for one: what hangs on the old one is made for the new one as well.
    pub(crate) fn twin(&self) -> Option<(&Leaving, &Coming)> {
        match (self.leaving.as_slice(), self.coming.as_slice()) {
            ([old], [new]) => Some((old, new)),
            _ => None,
        }
    }

    /// What a column that leaves is called.
    pub(crate) fn old_name(&self, column: &str, when: When) -> String {
        match when {
            When::Before => column.to_owned(),
            When::After => archived(&self.frame.tag, column),
        }
    }

    /// What a column that comes is called.
    pub(crate) fn new_name(&self, column: &str, when: When) -> String {
        match (when, self.leaving.first()) {
            (When::After, Some(old)) if self.takes_name => old.column.clone(),
            _ => column.to_owned(),
        }
    }

    /// An expression with the names that the columns have.
    pub(crate) fn expr(&self, expr: &Expr, when: When) -> String {
        let dialect = self.dialect();
        rewrite::columns(dialect, &expr.text, |name| {
            let is = |column: &str| rewrite::is_same(dialect, name, column);
            let old =
                self.leaving.iter().find(|old| is(&old.column)).map(|old| self.old_name(&old.column, when));
            let new =
                || self.coming.iter().find(|new| is(&new.column)).map(|new| self.new_name(&new.column, when));
            old.or_else(new).map(|name| dialect.quote(&name))
        })
    }

    /// The columns of the new shape, and what they follow.
    fn forth(&self, when: When) -> Vec<(String, String)> {
        let pair = |new: &Coming| Some((self.new_name(&new.column, when), self.expr(new.up.as_ref()?, when)));
        self.coming.iter().filter_map(pair).collect()
    }

    /// The columns of the old shape, and what they follow.
    fn back(&self, when: When) -> Vec<(String, String)> {
        let pair =
            |old: &Leaving| Some((self.old_name(&old.column, when), self.expr(old.down.as_ref()?, when)));
        self.leaving.iter().filter_map(pair).collect()
    }

    /// Whether old and new are in step.
    pub(crate) fn in_step(&self, when: When) -> String {
        if let Some((old, new)) = self.twin().filter(|_| self.is_plain()) {
            let dialect = self.dialect();
            let (old, new) = (self.old_name(&old.column, when), self.new_name(&new.column, when));
            return alike::identical(dialect, &dialect.quote(&new), &dialect.quote(&old));
        }
        let follows = |side: &[(String, String)]| {
            let side: Vec<(&str, &str)> = side.iter().map(|(column, expr)| (&**column, &**expr)).collect();
            alike::follows(self.dialect(), &side)
        };
        format!("({}) or ({})", follows(&self.forth(when)), follows(&self.back(when)))
    }

    /// Whether columns come that follow others.
    fn has_forth(&self) -> bool {
        self.coming.iter().any(|new| new.up.is_some())
    }

    /// Whether it is one column under another name.
    pub(crate) fn is_plain(&self) -> bool {
        self.twin().is_some_and(|(_, new)| matches!(new.kind, Kind::Like(_)))
    }

    fn rows(&self, filter: &str) -> Rows {
        let filter = Expr::written(self.dialect(), filter);
        Rows { table: self.frame.table.clone(), filter: Some(filter), key: None }
    }

    /// Fills one side where a condition holds.
    fn fill(&self, side: Vec<(String, String)>, filter: &str) -> Move {
        let set =
            side.into_iter().map(|(column, expr)| (column, Expr::written(self.dialect(), &expr))).collect();
        Move { dialect: self.dialect(), verb: Verb::Update { set }, rows: self.rows(filter), is_silent: true }
    }

    fn none(&self, filter: &str) -> Nothing {
        Nothing { dialect: self.dialect(), rows: self.rows(filter), words: Some(self.summary(What::Check)) }
    }

    /// Where one of these columns is NULL.
    fn is_unfilled(&self, columns: &[(String, String)]) -> String {
        let one = |(column, _): &(String, String)| format!("{} is null", self.dialect().quote(column));
        columns.iter().map(one).collect::<Vec<_>>().join(" or ")
    }

    /// The triggers that keep the shapes in step.
    pub(crate) fn sync(&self, site: &Site<'_>, when: When) -> Result<Vec<String>> {
        let dialect = self.dialect();
        let table = site.table()?;
        let mut old = Vec::new();
        for Leaving { column, down } in &self.leaving {
            let Some(down) = down else { continue };
            let (kind, auto) = (self.old_column(site, column)?.kind.clone(), self.auto(site)?);
            let (column, expr) = (self.old_name(column, when), self.expr(down, when));
            old.push(Half { column, kind, expr, default: None, auto });
        }
        let mut new = Vec::new();
        for coming in &self.coming {
            let Some(up) = &coming.up else { continue };
            let column = self.new_name(&coming.column, when);
            let (kind, default) = (self.kind_of(site, coming)?, self.default_of(site, coming));
            new.push(Half { column, kind, expr: self.expr(up, when), default, auto: self.auto(site)? });
        }
        if self.coming.is_empty() {
            // Nothing comes: what leaves is filled where clients of the new shape leave it out.
            std::mem::swap(&mut old, &mut new);
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let other = if when == When::Before { When::After } else { When::Before };
        let gone = self.leaving.iter().map(|old| self.old_name(&old.column, other));
        let gone: Vec<String> =
            gone.chain(self.coming.iter().map(|new| self.new_name(&new.column, other))).collect();
        let mut known = table.names();
        known.retain(|name| !gone.iter().any(|gone| rewrite::is_same(dialect, gone, name)));
        known.extend(self.leaving.iter().map(|old| self.old_name(&old.column, when)));
        known.extend(self.coming.iter().map(|new| self.new_name(&new.column, when)));
        let sync = Sync {
            dialect,
            table: site.named(),
            tag: &self.frame.tag,
            known: &known,
            key: &table.row_key(dialect),
            old: &old,
            new: &new,
        };
        Ok(sync.create())
    }

    /// What the server sets both columns to in an update that says neither (MySQL), where they are one under two names.
    fn auto(&self, site: &Site<'_>) -> Result<Option<String>> {
        let Some((old, _)) = self.twin().filter(|_| self.is_plain()) else { return Ok(None) };
        let old = self.old_column(site, &old.column)?;
        Ok(old.is_timed().then(|| old.extra.trim_start_matches("on update ").to_owned()))
    }

    /// A column that leaves, under the name that it has just now.
    pub(crate) fn old_column<'a>(&self, site: &Site<'a>, column: &str) -> Result<&'a Column> {
        let aside = self.old_name(column, When::After);
        site.column(if site.has(&aside) { &aside } else { column })
    }

    /// The type of a column that comes.
    pub(crate) fn kind_of(&self, site: &Site<'_>, coming: &Coming) -> Result<String> {
        match &coming.kind {
            Kind::Given(text) => Ok(text.text.to_string()),
            Kind::Like(column) => self.old_column(site, column).map(|column| column.kind.clone()),
        }
    }

    /// What a column that comes holds where a client says nothing.
    pub(crate) fn default_of(&self, site: &Site<'_>, coming: &Coming) -> Option<String> {
        match &coming.kind {
            _ if coming.default.is_some() => coming.default.as_ref().map(|default| default.text.to_string()),
            Kind::Like(like) => self.old_column(site, like).ok()?.constant().map(str::to_owned),
            Kind::Given(_) => None,
        }
    }

    /// A step in a few words.
    fn summary(&self, what: What) -> String {
        let join = |names: Vec<&str>| names.join(", ");
        let old = join(self.leaving.iter().map(|old| &*old.column).collect());
        let new = join(self.coming.iter().map(|new| &*new.column).collect());
        let table = &self.frame.table.name;
        let is_of_old = matches!(what, What::Aside | What::Back | What::Keep);
        let columns = match (old.is_empty(), new.is_empty() || is_of_old || self.takes_name) {
            (true, _) => new,
            (_, true) => old,
            _ => format!("{new} beside {old}"),
        };
        format!("{} {table}.{columns}", what.word())
    }

    /// The steps.
    pub(crate) fn unfold(self) -> Vec<Part> {
        let change = Arc::new(self);
        let step = |what: What| Evolve {
            removes: change.removed_by(what),
            loses: match what {
                What::Narrow => change.losses(When::Before),
                What::Back => change.losses(When::After),
                _ => None,
            },
            ..change.frame.evolve(what.word(), change.summary(what), Stage { change: change.clone(), what })
        };
        let (forth, backwards) = (change.forth(When::Before), change.back(When::Before));
        let is_two_way = !forth.is_empty() && !change.leaving.is_empty();
        let mut parts = vec![part(Phase::Expand, step(What::Widen), back(step(What::Narrow)))];
        let gone = || nothing("the columns go with the step that made them");
        let only_looks = || nothing("it only looks");
        if is_two_way {
            let stray = format!("not ({})", change.in_step(When::Before));
            parts.push(part(Phase::Backfill, change.fill(forth, &stray), gone()));
            parts.push(part(Phase::Backfill, step(What::Finish), gone()));
            let wrong = change.lost(&stray);
            parts.push(part(Phase::Verify, change.none(&wrong), only_looks()));
        } else if !forth.is_empty() {
            let unfilled = change.is_unfilled(&forth);
            parts.push(part(Phase::Backfill, change.fill(forth, &unfilled), gone()));
            if change.coming.iter().any(|new| new.is_needed) {
                parts.push(part(Phase::Backfill, step(What::Finish), gone()));
                parts.push(part(Phase::Verify, change.none(&unfilled), only_looks()));
            }
        } else if !backwards.is_empty() {
            let unfilled = change.is_unfilled(&backwards);
            let filled = back(change.fill(backwards, &unfilled));
            parts.push(part(Phase::Backfill, step(What::Keep), filled));
        }
        if !change.leaving.is_empty() {
            parts.push(part(Phase::Contract, step(What::Aside), back(step(What::Back))));
            parts
                .extend(change.filled_back().map(|fill| part(Phase::Contract, step(What::Keep), back(fill))));
        }
        if !change.forth(When::Before).is_empty() {
            parts.push(part(Phase::Contract, step(What::Unsync), back(step(What::Resync))));
        }
        parts
    }

    /// Where the new shape does not hold what the old one held: out of step, or nothing where there was something.
    fn lost(&self, stray: &str) -> String {
        let quote = |name: &str| self.dialect().quote(name);
        let mut wrong = vec![format!("({stray})")];
        if let Some((old, new)) = self.twin().filter(|_| !self.is_plain()) {
            wrong.push(format!("{} is null and {} is not null", quote(&new.column), quote(&old.column)));
        }
        let needed = self.coming.iter().filter(|new| new.is_needed);
        wrong.extend(needed.map(|new| format!("{} is null", quote(&new.column))));
        wrong.join(" or ")
    }

    /// The way back fills what was written while the old columns were aside.
    fn filled_back(&self) -> Option<Move> {
        let filter = self.is_behind(When::After)?;
        Some(self.fill(self.back(When::After), &filter))
    }

    /// Where the way back has to fill the old columns.
    fn is_behind(&self, when: When) -> Option<String> {
        let backwards = self.back(when);
        if backwards.is_empty() {
            return None;
        }
        let is_alone = self.forth(when).is_empty();
        let stray = || format!("not ({})", self.in_step(when));
        Some(if is_alone { self.is_unfilled(&backwards) } else { stray() })
    }

    fn removed_by(&self, what: What) -> Vec<String> {
        let table = &self.frame.table.name;
        match what {
            What::Narrow if self.leaving.is_empty() => {
                self.coming.iter().map(|new| format!("column {table}.{}", new.column)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Rows whose new columns say what is lost on the way through the old ones and back.
    fn losses(&self, when: When) -> Option<AnyOp> {
        let dialect = self.dialect();
        let through = |new: &Coming| {
            let expr = rewrite::columns(dialect, &new.up.as_ref()?.text, |name| {
                let is = |old: &&Leaving| rewrite::is_same(dialect, &old.column, name);
                let down = self.leaving.iter().find(is)?.down.as_ref()?;
                Some(format!("({})", self.expr(down, when)))
            });
            Some((self.new_name(&new.column, when), expr))
        };
        let side: Vec<(String, String)> = self.coming.iter().filter_map(through).collect();
        let is_plain = |(column, expr): &(String, String)| *expr == format!("({})", dialect.quote(column));
        if self.leaving.is_empty() || side.iter().all(is_plain) {
            return None;
        }
        let side: Vec<(&str, &str)> = side.iter().map(|(column, expr)| (&**column, &**expr)).collect();
        let op: AnyOp = Arc::new(self.none(&format!("not ({})", alike::follows(dialect, &side))));
        Some(op)
    }
}
