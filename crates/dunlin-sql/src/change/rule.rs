//! `add_check`, `add_foreign_key`: rules that the rows meet before they are made.

use dunlin_core::{Error, ErrorKind, Field, Part, Phase, Result};

use serde_json::{Value, json};

use super::decode::{frame, path};
use super::reshape::alter::{ONLINE, checked, edit};
use super::{back, nothing, own_name, part};
use crate::change::column::bump;
use crate::declared;
use crate::dialect::Dialect;
use crate::evolve::{Draw, Site};
use crate::inspect::Table;
use crate::moves::decode::Reader;
use crate::moves::{Expr, Rows};
use crate::names;
use crate::none::Nothing;

/// What `add_foreign_key` takes.
const FOREIGN: [&str; 6] = ["table", "name", "column", "references", "to", "on_delete"];

/// A rule.
#[derive(Debug, Clone)]
struct Rule {
    name: String,
    /// As it is declared.
    body: String,
    is_foreign: bool,
    /// Whether it comes, or goes.
    comes: bool,
    /// What it says over the columns.
    over: Vec<Expr>,
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let mut said = frame(reader, field, tag)?;
    let dialect = reader.dialect;
    let named = said.table.take("name").and_then(|node| {
        reader.keep(node.text().and_then(|text| crate::moves::expr::column(dialect, text, node.span)))
    });
    let is_foreign = field.name == "add_foreign_key";
    let mut over = Vec::new();
    let (body, broken, default) = if is_foreign {
        let column = said.column(reader, "column");
        let target = said.table.take("references").and_then(|node| reader.name(node));
        let to = said.table.take("to").and_then(|node| {
            reader.keep(node.text().and_then(|text| crate::moves::expr::column(dialect, text, node.span)))
        });
        if target.is_none() {
            reader.required(&mut said.table, "references");
        }
        if to.is_none() {
            reader.required(&mut said.table, "to");
        }
        let on_delete = said.expr(reader, "on_delete");
        let (column, target, to) = (column?, target?, to?);
        said.hash("references", &format!("{}.{to}", target.name));
        said.frame.reads.push(path(dialect, &target, &to));
        let (own, there) = (dialect.quote(&column), dialect.quote(&to));
        let action = on_delete.map(|action| format!(" on delete {}", action.text)).unwrap_or_default();
        let points_at = target.quoted(dialect);
        let body = format!("foreign key ({own}) references {points_at} ({there}){action}");
        let orphan = format!(
            "{own} is not null and {own} not in (select {there} from {points_at} where {there} is not null)"
        );
        (body, orphan, own_name(&said.frame.table.name.clone(), &format!("{column}_fkey")))
    } else {
        let check = said.required_over(reader, "check")?;
        let read = names::of(dialect, &check.text).join("_");
        let default =
            own_name(&said.frame.table.name.clone(), format!("{read}_check").trim_start_matches('_'));
        over.push(check.clone());
        (format!("check {}", check.sql()), format!("not {}", check.sql()), default)
    };
    let known: &[&str] = if is_foreign { &FOREIGN } else { &["table", "name", "check"] };
    let name = named.unwrap_or(default);
    said.hash("name", &name);
    let frame = said.finish(reader, known);
    let step = |comes: bool| {
        let words = if comes { "rule" } else { "drop rule" };
        let rule = Rule { name: name.clone(), body: body.clone(), is_foreign, comes, over: over.clone() };
        frame.evolve(words, format!("{words} {name} of {}", frame.table.name), rule)
    };
    let rows = Rows { table: frame.table.clone(), filter: Some(Expr::written(dialect, &broken)), key: None };
    Some(vec![
        part(
            Phase::Verify,
            Nothing { dialect, rows, words: Some(format!("no row of {} breaks {name}", frame.table.name)) },
            nothing("it only looks"),
        ),
        part(Phase::Contract, step(true), back(step(false))),
    ])
}

impl Draw for Rule {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let (table, found) = (site.named(), site.table()?);
        let (name, body) = (site.quote(&self.name), &self.body);
        let is_there = self.is_there(found);
        let is_unchecked = found.constraints.iter().any(|rule| rule.name == self.name && rule.is_unchecked);
        if is_there == self.comes && !is_unchecked {
            return Ok(Vec::new());
        }
        Ok(match (site.dialect(), self.comes) {
            (Dialect::Sqlite, true) => {
                let text = declared::with_constraint(&found.text, &format!("constraint {name} {body}"));
                [edit(site, Some(text))?, bump().to_vec()].concat()
            }
            (Dialect::Sqlite, false) => {
                [edit(site, declared::without_constraint(&found.text, &self.name))?, bump().to_vec()].concat()
            }
            (Dialect::Postgres, true) => checked(site, &self.name, body),
            // Checked row by row a moment ago; the server would copy the table to do it again.
            (Dialect::MySql, true) if self.is_foreign => vec![
                "set foreign_key_checks = 0".to_owned(),
                format!("alter table {table} add constraint {name} {body}{ONLINE}"),
                "set foreign_key_checks = 1".to_owned(),
            ],
            (Dialect::MySql, true) => vec![format!("alter table {table} add constraint {name} {body}")],
            (Dialect::MySql, false) if self.is_foreign => {
                // The index that the server made for it goes with it.
                let index = found.index(&self.name).map(|_| format!(", drop index {name}"));
                vec![format!("alter table {table} drop foreign key {name}{}", index.unwrap_or_default())]
            }
            (_, false) => vec![format!("alter table {table} drop constraint {name}")],
        })
    }

    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let table = site.table()?;
        site.known(self.over.iter().map(|expr| &*expr.text), &[])?;
        if self.comes && self.is_there(table) {
            let message = format!("`{}` has a constraint `{}` already", site.name.name, self.name);
            return Err(Error::new(ErrorKind::Statement, message)
                .help("give the new one another `name`; nothing was changed"));
        }
        Ok(Some(json!({})))
    }
}

impl Rule {
    fn is_there(&self, table: &Table) -> bool {
        table.constraints.iter().any(|rule| rule.name == self.name)
            || declared::without_constraint(&table.text, &self.name).is_some()
    }
}
