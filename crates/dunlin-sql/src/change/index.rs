//! `add_index`, `drop_index`, `add_unique`: built and dropped while everybody works.

use dunlin_core::node::Value;
use dunlin_core::{Error, ErrorKind, Field, Part, Phase, Result};

use super::decode::{Said, frame};
use super::reshape::alter::ONLINE;
use super::{back, nothing, own_name, part};
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site};
use crate::inspect::{self, Role};
use crate::moves::decode::Reader;
use crate::moves::expr::{self, Expr};
use crate::op::Op;

/// An index.
#[derive(Debug, Clone)]
struct Index {
    name: String,
    /// What is in the parentheses.
    columns: Expr,
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
    /// Queries no longer see it (MySQL, MariaDB).
    Hide,
    Show,
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let mut said = frame(reader, field, tag)?;
    let columns = columns(reader, &mut said);
    let is_constraint = field.name == "add_unique";
    // A constraint is about all rows, and MySQL has no index that is not.
    let takes_filter = !is_constraint && reader.dialect != Dialect::MySql;
    let filter = if takes_filter { said.expr(reader, "where") } else { None };
    let is_unique = is_constraint || said.flag(reader, "unique");
    let name = match said.table.take("name") {
        Some(node) => reader.keep(node.text().and_then(|text| expr::column(reader.dialect, text, node.span))),
        None if field.name == "drop_index" => {
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
    }
    let mut known = vec!["table", "columns", "name"];
    known.extend((!is_constraint).then_some("unique"));
    known.extend(takes_filter.then_some("where"));
    let frame = said.finish(reader, &known);
    let index = Index { name: name?, columns: columns?, is_unique, filter, is_constraint };
    let step = |what: What, words: &str| {
        let summary = format!("{words} {} of {}", index.name, frame.table.name);
        frame.evolve(words, summary, Step { index: index.clone(), what })
    };
    let (make, drop) = (step(What::Make, "index"), step(What::Drop, "drop index"));
    if field.name == "drop_index" {
        let hide = part(Phase::Expand, step(What::Hide, "hide index"), back(step(What::Show, "show index")));
        return Some(vec![hide, part(Phase::Contract, drop, back(make))]);
    }
    if !is_unique {
        return Some(vec![part(Phase::Expand, make, back(drop))]);
    }
    // Who still writes the old shape may write what is there twice: the rule comes with the contract, once none is found.
    let twice = Op::script(frame.dialect, &twice(&index, &frame.table.quoted(frame.dialect), frame.dialect));
    let twice = twice.map_err(|faults| reader.faults.extend(faults)).ok()?;
    Some(vec![part(Phase::Verify, twice, nothing("it only looks")), part(Phase::Contract, make, back(drop))])
}

/// What is there more than once. Several NULLs are no duplicates.
fn twice(index: &Index, table: &str, dialect: Dialect) -> String {
    let text = &index.columns.text;
    let present = expr::list(dialect, text).into_iter().map(|part| format!("({part}) is not null"));
    let conditions: Vec<String> = present.chain(index.filter.as_ref().map(Expr::sql)).collect();
    let conditions = conditions.join(" and ");
    format!(
        "select {text}, count(*) as times from {table} where {conditions} group by {text} having count(*) > 1"
    )
}

/// `columns = "email"`, `columns = "lower(email), age desc"` or a list of them.
fn columns(reader: &mut Reader, said: &mut Said<'_>) -> Option<Expr> {
    let node = reader.required(&mut said.table, "columns")?;
    let columns = match &node.value {
        Value::Array(items) => {
            let read: Option<Vec<Expr>> = items.iter().map(|item| reader.expr(item)).collect();
            let texts: Vec<String> = read?.iter().map(|expr| expr.text.to_string()).collect();
            Expr::written(reader.dialect, &texts.join(", "))
        }
        _ => reader.expr(node)?,
    };
    said.hash("columns", &columns.canonical);
    for part in expr::list(reader.dialect, &columns.text) {
        let bare = part.trim().trim_matches(['"', '`']).to_owned();
        said.touch(&bare);
    }
    Some(columns)
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
            (What::Make, found) => self.make(site, found),
            (What::Drop, Some(_)) => self.drop(site),
            (What::Hide | What::Show, Some(_)) => self.visibility(site),
            _ => Vec::new(),
        })
    }
}

impl Step {
    fn make(&self, site: &Site<'_>, found: Option<&inspect::Index>) -> Vec<String> {
        let Index { name, columns, is_unique, filter, is_constraint } = &self.index;
        let (table, name, columns) = (site.named(), site.quote(name), &columns.text);
        let unique = if *is_unique { "unique " } else { "" };
        let filter = filter.as_ref().map(|filter| format!(" where {}", filter.sql())).unwrap_or_default();
        match site.dialect() {
            Dialect::MySql | Dialect::Sqlite if found.is_some() => Vec::new(),
            Dialect::MySql => {
                vec![format!("alter table {table} add {unique}index {name} ({columns}){ONLINE}")]
            }
            Dialect::Sqlite => vec![format!("create {unique}index {name} on {table} ({columns}){filter}")],
            Dialect::Postgres => {
                let is_whole = site.table().is_ok_and(|table| !table.is_partitioned);
                let concurrently = if is_whole { "concurrently " } else { "" };
                let mut made = Vec::new();
                if found.is_none_or(|found| found.is_invalid) {
                    made.push(format!(
                        "create {unique}index {concurrently}{name} on {table} ({columns}){filter}"
                    ));
                }
                if *is_constraint && !found.is_some_and(|found| found.role != Role::Plain) {
                    made.push(format!("alter table {table} add constraint {name} unique using index {name}"));
                }
                made
            }
        }
    }

    fn drop(&self, site: &Site<'_>) -> Vec<String> {
        let (table, name) = (site.named(), site.quote(&self.index.name));
        let is_constraint = site
            .table()
            .is_ok_and(|table| table.index(&self.index.name).is_some_and(|index| index.role != Role::Plain));
        match site.dialect() {
            Dialect::MySql => vec![format!("alter table {table} drop index {name}{ONLINE}")],
            Dialect::Sqlite => vec![format!("drop index {name}")],
            Dialect::Postgres if is_constraint => vec![format!("alter table {table} drop constraint {name}")],
            Dialect::Postgres => {
                let schema =
                    site.name.schema.as_ref().map(|schema| site.quote(schema) + ".").unwrap_or_default();
                vec![format!("drop index concurrently {schema}{name}")]
            }
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
