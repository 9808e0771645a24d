//! `create_table`, `drop_table`, `rename_table`, and `sql` with its own way back.

use std::sync::Arc;

use dunlin_core::{Diagnostic, Error, ErrorKind, Field, Part, Phase, Result, Undo};

use serde_json::{Value, json};

use super::decode::{frame, path};
use super::{archived, back, part};
use crate::dialect::Dialect;
use crate::evolve::{Draw, Evolve, Site};
use crate::inspect::{Rule, Table};
use crate::moves::decode::Reader;
use crate::op::Name;
use crate::usage::Taken;

/// `sql = { up, down }`: both as the `sql` op takes them.
pub(super) fn script(dialect: Dialect, field: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let mut table = field.value.table().map_err(|fault| vec![fault])?;
    let (up, down) = (table.require("up"), table.require("down"));
    let mut faults = table.finish(&["up", "down"]);
    let mut read = |node: Result<&dunlin_core::Node, Diagnostic>| {
        let node = node.map_err(|fault| faults.push(fault)).ok()?;
        let field = Field { value: node, ..*field };
        crate::decode(dialect, Phase::Expand, &field).map_err(|more| faults.extend(more)).ok()
    };
    match (read(up), read(down)) {
        (Some(op), Some(down)) if faults.is_empty() => {
            Ok(vec![Part { phase: Phase::Expand, op, undo: Undo::Op(down) }])
        }
        _ => Err(faults),
    }
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let mut said = frame(reader, field, tag)?;
    said.frame.touches.push(path(reader.dialect, &said.frame.table, ""));
    match field.name {
        "create_table" => {
            let columns = said.required(reader, "columns");
            let options = said.expr(reader, "options");
            let frame = said.finish(reader, &["table", "columns", "options"]);
            let options = options.map(|options| format!(" {}", options.text)).unwrap_or_default();
            let make =
                Whole { what: What::Make(format!("({}){options}", columns?.text)), tag: frame.tag.clone() };
            let drop = Whole { what: What::Drop, tag: frame.tag.clone() };
            let name = &frame.table.name;
            let there = frame.evolve("create table", format!("create table {name}"), make);
            let undo = frame.evolve("drop table", format!("drop table {name}"), drop);
            let undo = Evolve { removes: vec![format!("table {name}")], ..undo };
            Some(vec![part(Phase::Expand, there, back(undo))])
        }
        "drop_table" => {
            let frame = said.finish(reader, &["table"]);
            let name = &frame.table.name;
            let aside = Name { name: archived(&frame.tag, name), ..frame.table.clone() };
            let step = |words: &str, what: What| {
                frame.evolve(words, format!("{words} {name}"), Whole { what, tag: frame.tag.clone() })
            };
            let there = step("set aside table", What::Move { to: aside.clone() });
            let undo =
                Evolve { table: aside, ..step("bring back table", What::Move { to: frame.table.clone() }) };
            Some(vec![part(Phase::Contract, there, back(undo))])
        }
        _ => rename(reader, said),
    }
}

/// Both names work until contract: the new one is a view first, and the old one is gone after.
fn rename(reader: &mut Reader, mut said: super::decode::Said<'_>) -> Option<Vec<Part>> {
    let to = reader.required(&mut said.table, "to").and_then(|node| reader.name(node));
    if let Some(to) = &to {
        said.hash("to", &to.name);
        said.frame.touches.push(path(reader.dialect, to, ""));
    }
    let (frame, to) = (said.finish(reader, &["table", "to"]), to?);
    let (from, dialect) = (frame.table.clone(), frame.dialect);
    let step = |words: &str, what: What, table: &Name| Evolve {
        table: table.clone(),
        other: Some(if table.name == from.name { to.clone() } else { from.clone() }),
        ..frame.evolve(
            words,
            format!("{words} {} to {}", from.name, to.name),
            Whole { what, tag: frame.tag.clone() },
        )
    };
    if dialect == Dialect::Sqlite {
        let fault = Diagnostic::error(
            "no-such-view",
            "SQLite cannot write through a view, so that both names could not live side by side",
        );
        let help = format!(
            "rename it while nobody writes: `sql = {{ up = 'alter table {} rename to {}', down = 'alter table {} rename to {}' }}`",
            from.name, to.name, to.name, from.name
        );
        reader.faults.push(fault.help(help));
        return None;
    }
    let (view, unview) = (What::View { name: to.clone() }, What::Unview { name: to.clone() });
    let (take, give) = (What::Take { name: to.clone() }, What::Give { name: from.clone() });
    Some(vec![
        part(Phase::Expand, step("view for", view, &from), back(step("no view for", unview, &from))),
        part(Phase::Contract, step("rename", take, &from), back(step("rename back", give, &to))),
    ])
}

/// A step about a whole table.
#[derive(Debug, Clone)]
struct Whole {
    what: What,
    tag: Arc<str>,
}

#[derive(Debug, Clone)]
enum What {
    Make(String),
    Drop,
    /// Under another name, where nobody looks for it.
    Move {
        to: Name,
    },
    View {
        name: Name,
    },
    Unview {
        name: Name,
    },
    /// The table takes the name of the view.
    Take {
        name: Name,
    },
    /// It takes its own name again, and leaves a view behind.
    Give {
        name: Name,
    },
}

impl Draw for Whole {
    fn draw(&self, site: &Site<'_>) -> Result<Vec<String>> {
        let (table, dialect) = (site.named(), site.dialect());
        Ok(match &self.what {
            What::Make(body) if !site.has_table() => vec![format!("create table {table} {body}")],
            What::Drop if site.has_table() => vec![format!("drop table {table}")],
            What::Make(_) | What::Drop => Vec::new(),
            What::Move { .. } if !site.has_table() && site.has_other => Vec::new(),
            What::Move { to } => {
                let rules = &site.table()?.constraints;
                if let Some(rule) = rules.iter().find(|rule| rule.rule == Rule::PointedAt) {
                    let message = format!("`{}` is what {} points at", site.name.name, rule.name);
                    return Err(Error::new(ErrorKind::Unsupported, message)
                        .help("drop that foreign key in a migration before this one; nothing was changed"));
                }
                vec![renamed(site, to)]
            }
            What::View { name } => {
                let shown = site.table()?;
                view(site, shown, (&name.quoted(dialect), &table))?
            }
            What::Unview { name } => vec![format!("drop view if exists {}", name.quoted(dialect))],
            What::Take { name } => self.take(site, name),
            What::Give { name } => {
                if !site.has_table() && site.has_other {
                    let shown = name.quoted(dialect);
                    return Ok(vec![format!("create or replace view {table} as select * from {shown}")]);
                }
                let view = view(site, site.table()?, (&table, &name.quoted(dialect)))?;
                std::iter::once(renamed(site, name)).chain(view).collect()
            }
        })
    }

    fn takes(&self) -> Option<Taken> {
        match &self.what {
            What::Move { .. } => Some(Taken::default()),
            What::Take { name } => {
                Some(Taken { coming: vec![name.name.clone()], keeps_table: true, ..Taken::default() })
            }
            _ => None,
        }
    }

    fn remember(&self, site: &Site<'_>) -> Result<Option<Value>> {
        let (What::Make(_), true) = (&self.what, site.has_table()) else {
            return Ok(matches!(self.what, What::Make(_)).then(|| json!({})));
        };
        let message = format!("there is a table `{}` already", site.name.name);
        Err(Error::new(ErrorKind::Statement, message)
            .help("the change would make another one of that name; nothing was changed"))
    }

    fn gone(&self, site: &Site<'_>) -> Vec<String> {
        match &self.what {
            What::Move { to } if !site.has_table() => vec![format!("table {}", to.name)],
            _ => Vec::new(),
        }
    }
}

/// A view that is the table under another name: to everybody who may use that, and with the rows that they see there.
fn view(site: &Site<'_>, table: &Table, (view, shown): (&str, &str)) -> Result<Vec<String>> {
    if site.dialect() != Dialect::Postgres {
        return Ok(vec![format!("create or replace view {view} as select * from {shown}")]);
    }
    let can_ask = site.server.version.0 >= 15;
    if table.is_secured && !can_ask {
        let message = format!(
            "`{}` has row level security, which a view goes round before PostgreSQL 15",
            site.name.name
        );
        return Err(Error::new(ErrorKind::Unsupported, message)
            .help("rename it while nobody writes, with `sql = { up, down }`; nothing was changed"));
    }
    let asks = if can_ask { " with (security_invoker = true)" } else { "" };
    let mut made = vec![format!("create or replace view {view}{asks} as select * from {shown}")];
    made.extend(table.grants.iter().map(|(right, whom)| format!("grant {right} on {view} to {whom}")));
    for column in &table.columns {
        let name = site.quote(&column.name);
        let own = column.grants.iter().filter(|(right, _)| right != "references");
        made.extend(own.map(|(right, whom)| format!("grant {right} ({name}) on {view} to {whom}")));
    }
    Ok(made)
}

fn renamed(site: &Site<'_>, to: &Name) -> String {
    let table = site.named();
    match site.dialect() {
        Dialect::MySql => format!("rename table {table} to {}", to.quoted(Dialect::MySql)),
        dialect => format!("alter table {table} rename to {}", dialect.quote(&to.name)),
    }
}

impl Whole {
    fn take(&self, site: &Site<'_>, name: &Name) -> Vec<String> {
        let (table, view) = (site.named(), name.quoted(site.dialect()));
        let spare = super::own_name(&format!("dunlin_{}", self.tag), "view");
        let spare = Name { name: spare, ..name.clone() }.quoted(site.dialect());
        if !site.has_table() && site.has_other {
            return vec![format!("drop view if exists {spare}")];
        }
        if site.dialect() != Dialect::MySql {
            return vec![format!("drop view if exists {view}"), renamed(site, name)];
        }
        // One statement for both names: no moment without either.
        vec![format!("rename table {view} to {spare}, {table} to {view}"), format!("drop view {spare}")]
    }
}
