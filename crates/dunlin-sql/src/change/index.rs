//! `add_index`, `drop_index`, `add_unique`: built and dropped while everybody works.

pub(crate) mod build;
pub(in crate::change) mod unique;

use dunlin_core::node::Value;
use dunlin_core::{Error, ErrorKind, Field, Part, Phase, Result};
use serde_json::json;

use super::decode::{Said, frame};
use super::{back, nothing, own_name, part};
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site};
use crate::inspect::{self, Role};
use crate::moves::decode::Reader;
use crate::moves::expr::{self, Expr};
use crate::obstacle::{Obstacle, Place};
use crate::op::Op;

/// An index.
#[derive(Debug, Clone)]
struct Index {
    name: String,
    /// What is in the parentheses; nothing where the catalogue says it.
    columns: Option<Expr>,
    is_unique: bool,
    filter: Option<Expr>,
    /// Whether it is that of a constraint.
    is_constraint: bool,
}

#[derive(Debug, Clone)]
struct Step {
    index: Index,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Make,
    Drop,
    /// As it was before it was dropped.
    Restore,
    /// Queries no longer see it (MySQL, MariaDB).
    Hide,
    Show,
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let mut said = frame(reader, field, tag)?;
    let is_drop = field.name == "drop_index";
    let columns = columns(reader, &mut said, !is_drop);
    let is_constraint = field.name == "add_unique";
    // A constraint is about all rows, and MySQL has no index that is not.
    let takes_filter = !is_constraint && reader.dialect != Dialect::MySql;
    let filter = if takes_filter { said.over(reader, "where") } else { None };
    let is_unique = is_constraint || said.flag(reader, "unique");
    let name = match said.table.take("name") {
        Some(node) => reader.keep(node.text().and_then(|text| expr::column(reader.dialect, text, node.span))),
        None if is_drop => {
            reader.required(&mut said.table, "name");
            None
        }
        None => columns.as_ref().map(|columns| {
            let plain: String =
                columns.text.chars().filter(|letter| !matches!(letter, '"' | '`' | ' ')).collect();
            let plain = plain.replace(|letter: char| !letter.is_alphanumeric() && letter != '_', "_");
            own_name(
                &format!("{}_{}", said.frame.table.name, plain.trim_matches('_')),
                if is_unique { "key" } else { "idx" },
            )
        }),
    };
    if let Some(name) = &name {
        said.hash("name", name);
        if is_drop {
            // Two that drop it have the same in hand.
            said.touch(&format!("index {name}"));
        }
    }
    let mut known = vec!["table", "columns", "name"];
    known.extend((!is_constraint).then_some("unique"));
    known.extend(takes_filter.then_some("where"));
    let frame = said.finish(reader, &known);
    let index = Index { name: name?, columns, is_unique, filter, is_constraint };
    let step = |what: What, words: &str| {
        let summary = format!("{words} {} of {}", index.name, frame.table.name);
        frame.evolve(words, summary, Step { index: index.clone(), what })
    };
    let (make, drop) = (step(What::Make, "index"), step(What::Drop, "drop index"));
    if is_drop {
        let make = step(What::Restore, "index");
        let hide = part(Phase::Expand, step(What::Hide, "hide index"), back(step(What::Show, "show index")));
        return Some(vec![hide, part(Phase::Contract, drop, back(make))]);
    }
    if !is_unique {
        return Some(vec![part(Phase::Expand, make, back(drop))]);
    }
    // Who still writes the old shape may write what is there twice: the rule comes with the contract, once none is found.
    let columns = index.columns.as_ref().map(|columns| &*columns.text).unwrap_or_default();
    let twice = unique::twice(frame.dialect, &frame.table, (columns, index.filter.as_ref()));
    let twice = Op::script(frame.dialect, &twice);
    let twice = twice.map_err(|faults| reader.faults.extend(faults)).ok()?;
    Some(vec![part(Phase::Verify, twice, nothing("it only looks")), part(Phase::Contract, make, back(drop))])
}

/// `columns = "email"`, `columns = "lower(email), age desc"` or a list of them.
fn columns(reader: &mut Reader, said: &mut Said<'_>, is_required: bool) -> Option<Expr> {
    let node = match said.table.take("columns") {
        Some(node) => node,
        None if is_required => reader.required(&mut said.table, "columns")?,
        None => return None,
    };
    let columns = match &node.value {
        Value::Array(items) => {
            let read: Option<Vec<Expr>> = items.iter().map(|item| reader.expr(item)).collect();
            let texts: Vec<String> = read?.iter().map(|expr| expr.text.to_string()).collect();
            Expr::written(reader.dialect, &texts.join(", "))
        }
        _ => reader.expr(node)?,
    };
    said.hash("columns", &columns.canonical);
    for item in expr::list(reader.dialect, &columns.text) {
        said.read(&Expr::written(reader.dialect, unique::key(reader.dialect, item).0));
    }
    Some(columns)
}

impl Index {
    /// The index that the change describes; none where only the catalogue could.
    fn said(&self, dialect: Dialect) -> Option<inspect::Index> {
        let columns = &self.columns.as_ref()?.text;
        let filter = self.filter.as_ref().map(|filter| format!(" where {}", filter.sql()));
        let using = if dialect == Dialect::Postgres { "using btree " } else { "" };
        let body = format!("{using}({columns}){}", filter.unwrap_or_default());
        Some(inspect::Index {
            name: self.name.clone(),
            is_unique: self.is_unique,
            role: if self.is_constraint { Role::Constraint } else { Role::Plain },
            body,
            ..inspect::Index::default()
        })
    }

    fn missing(&self, table: &str) -> Error {
        Error::new(ErrorKind::Statement, format!("`{table}` has no index `{}`", self.name))
            .help("the change names an index that this table does not have; nothing was changed")
    }
}

impl Draw for Step {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let found = site.table()?.index(&self.index.name);
        let of_constraint = found.is_some_and(|found| found.role != Role::Plain);
        if of_constraint && matches!(self.what, What::Drop | What::Hide) && !self.index.is_constraint {
            let message = format!("`{}` is the index of a constraint", self.index.name);
            return Err(Error::new(ErrorKind::Unsupported, message)
                .help("take the constraint away with `sql = { up, down }`; nothing was changed"));
        }
        Ok(match (self.what, found) {
            (What::Make, _) => self.make(site),
            (What::Restore, _) => build::build(site, &self.before(site)?),
            (What::Drop, Some(found)) => vec![build::drop(site, found)],
            (What::Hide, Some(found)) if !found.is_hidden(site.dialect()) => self.visibility(site),
            (What::Show, Some(_)) if site.was("hidden") != true => self.visibility(site),
            _ => Vec::new(),
        })
    }

    fn is_bound(&self) -> bool {
        self.what == What::Restore
    }

    fn obstacles(&self, site: &Site<'_>) -> Result<Vec<Obstacle>> {
        let (index, dialect, rows) = (self.before(site)?, site.dialect(), site.named());
        let help = "change or remove all of them but one, and run this again";
        let place = Place { dialect, rows: &rows, table: &site.name.name, help };
        let twice = place.twice(&index, |item| unique::whole(dialect, item));
        Ok(twice.filter(|_| index.is_unique).into_iter().collect())
    }

    fn remember(&self, site: &Site<'_>) -> Result<Option<serde_json::Value>> {
        let table = site.table()?;
        let found = table.index(&self.index.name);
        let texts = self.index.columns.iter().chain(&self.index.filter).map(|expr| &*expr.text);
        site.known(texts, &[])?;
        match (self.what, found) {
            (What::Make, Some(_)) => {
                let message = format!("`{}` has an index `{}` already", site.name.name, self.index.name);
                Err(Error::new(ErrorKind::Statement, message)
                    .help("give the new one another `name`, or drop that one first; nothing was changed"))
            }
            (What::Make, None) => Ok(Some(json!({}))),
            (What::Drop | What::Hide, None) => Err(self.index.missing(&site.name.name)),
            (What::Hide, Some(found)) => Ok(Some(json!({ "hidden": found.is_hidden(site.dialect()) }))),
            (What::Drop, Some(found)) => Ok(Some(json!({ "index": found }))),
            (What::Restore | What::Show, _) => Ok(None),
        }
    }
}

impl Step {
    fn make(&self, site: &Site<'_>) -> Vec<String> {
        let Some(index) = self.index.said(site.dialect()) else { return Vec::new() };
        let mut made = build::build(site, &index);
        made.extend(build::constraint(site, &index));
        made
    }

    /// The index as it was dropped.
    fn before(&self, site: &Site<'_>) -> Result<inspect::Index> {
        let was = site.was("index");
        let remembered = (!was.is_null()).then(|| serde_json::from_value(was.clone()));
        let damaged = |_| dunlin_core::history::damaged("journal line", &was.to_string());
        match remembered.transpose().map_err(damaged)? {
            Some(index) => Ok(index),
            None => self.index.said(site.dialect()).ok_or_else(|| {
                let message = format!("nothing says what `{}` was", self.index.name);
                Error::new(ErrorKind::Unsupported, message)
                    .help("the journal does not have it: say `columns` in the change; nothing was changed")
            }),
        }
    }

    /// Whoever still needs it finds out before it is gone.
    fn visibility(&self, site: &Site<'_>) -> Vec<String> {
        let (table, name) = (site.named(), site.quote(&self.index.name));
        let hides = self.what == What::Hide;
        let word = match (site.dialect(), site.server.is_mariadb, site.server.version) {
            (Dialect::MySql, true, version) if version >= (10, 6) => {
                if hides {
                    "ignored"
                } else {
                    "not ignored"
                }
            }
            (Dialect::MySql, false, version) if version >= (8, 0) => {
                if hides {
                    "invisible"
                } else {
                    "visible"
                }
            }
            _ => return Vec::new(),
        };
        vec![format!("alter table {table} alter index {name} {word}")]
    }
}
