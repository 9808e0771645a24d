//! What hangs on a column, made for the one that comes: indexes, checks, foreign keys, NOT NULL.

use dunlin_core::Result;

use super::alter::{COMMIT, ONLINE, checked, needed, proven_needed};
use super::{Reshape, When};
use crate::change::index::build::{build, constraint};
use crate::change::own_name;
use crate::dialect::{Dialect, literal};
use crate::evolve::Site;
use crate::inspect::{Column, Constraint, Index, Role, Rule, Statistics};
use crate::moves::expr;
use crate::op::Name;
use crate::rewrite;

/// Makes for the new column what the old one has: indexes, checks, foreign keys, NOT NULL.
pub(super) fn finish(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (dialect, table) = (site.dialect(), site.table()?);
    let mut made = Vec::new();
    if let Some((old, new)) = change.twin() {
        let (from, to) = (old.column.as_str(), new.column.as_str());
        let reads = |body: &str| rewrite::reads(dialect, body, from);
        for index in table.indexes.iter().filter(|index| index.role != Role::Primary && reads(&index.body)) {
            made.extend(copy_index(site, index, (from, to)));
        }
        let rules = table.constraints.iter().filter(|rule| rule.is_about(dialect, from));
        for rule in rules.filter(|_| dialect != Dialect::Sqlite) {
            made.extend(copy_rule(site, rule, (from, to)));
        }
        made.extend(copy_checks(change, site, (from, to))?);
        for counted in table.statistics.iter().filter(|counted| reads(&counted.items)) {
            made.extend(copy_statistics(site, counted, (from, to)));
        }
    }
    made.extend(said(change, site)?);
    if !change.is_plain() {
        return Ok(made);
    }
    // SQLite's triggers come after the row: there NOT NULL waits for them to go.
    for name in needed_names(change, site, When::Before)? {
        let column = site.column(&name)?;
        match dialect {
            Dialect::Postgres => {
                made.push(COMMIT.to_owned());
                made.extend(proven_needed(site, &change.frame.tag, (&name, column)));
            }
            Dialect::MySql => {
                let check = own_check(change, site)?;
                made.push(needed(site, &Column { check, ..column.clone() }, &name, true));
            }
            Dialect::Sqlite => {}
        }
    }
    Ok(made)
}

/// What is said of the old column, and who may use it (PostgreSQL).
fn said(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let Some((old, new)) = change.twin().filter(|_| site.dialect() == Dialect::Postgres) else {
        return Ok(Vec::new());
    };
    let (old, new) = (site.column(&old.column)?, site.column(&new.column)?);
    let (table, name) = (site.named(), site.quote(&new.name));
    let mut made = Vec::new();
    if !old.comment.is_empty() && old.comment != new.comment {
        made.push(format!("comment on column {table}.{name} is {}", literal(&old.comment)));
    }
    // How a value is kept hangs on its type.
    let is_told = |tuning: &&String| {
        !new.tuning.contains(tuning) && (change.is_plain() || tuning.starts_with("set statistics"))
    };
    let tuning = old.tuning.iter().filter(is_told);
    made.extend(tuning.map(|tuning| format!("alter table {table} alter column {name} {tuning}")));
    let missing = old.grants.iter().filter(|grant| !new.grants.contains(grant));
    made.extend(missing.map(|(right, whom)| format!("grant {right} ({name}) on {table} to {whom}")));
    Ok(made)
}

/// The new columns that are to take no NULL and still do.
pub(super) fn needed_names(change: &Reshape, site: &Site<'_>, when: When) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for new in &change.coming {
        let name = change.new_name(&new.column, when);
        let is_needed = match change.twin() {
            Some((old, _)) => change.old_column(site, &old.column)?.is_needed() || new.is_needed,
            None => new.is_needed,
        };
        if is_needed && site.column(&name)?.is_nullable {
            names.push(name);
        }
    }
    Ok(names)
}

/// A name for the copy of what was named after a column.
fn renamed(site: &Site<'_>, name: &str, (from, to): (&str, &str)) -> String {
    // The name of the table, which may begin like the column's, stays.
    let start = Some(site.name.name.len() + 1).filter(|_| name.starts_with(&format!("{}_", site.name.name)));
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    let is_word = |at: &usize| {
        is_end(name[..*at].chars().next_back()) && is_end(name[at + from.len()..].chars().next())
    };
    let mut places = name.match_indices(from).map(|(at, _)| at).filter(|at| *at >= start.unwrap_or_default());
    let new = match places.find(is_word) {
        Some(at) => format!("{}{to}{}", &name[..at], &name[at + from.len()..]),
        None => format!("{name}_{to}"),
    };
    let mut new = if new.len() > 63 { own_name("dunlin", &new) } else { new };
    let is_taken = |name: &str| {
        site.table().is_ok_and(|table| {
            table.index(name).is_some()
                || table.constraints.iter().any(|rule| rule.name == name)
                || table.statistics.iter().any(|counted| counted.name.name == name)
        })
    };
    while is_taken(&new) {
        new.push('_');
    }
    new
}

fn copy_index(site: &Site<'_>, index: &Index, (from, to): (&str, &str)) -> Vec<String> {
    let dialect = site.dialect();
    let body = rewrite::renamed(dialect, &index.body, from, to);
    let plain = |text: &str| text.replace(['"', '`'], "");
    let is_copy = |other: &&Index| {
        plain(&other.body) == plain(&body) && (other.is_unique, &other.word) == (index.is_unique, &index.word)
    };
    let found = site.table().ok().and_then(|table| table.indexes.iter().find(is_copy));
    let name = match found {
        Some(found) => found.name.clone(),
        None => renamed(site, &index.name.replace("sqlite_autoindex_", ""), (from, to)),
    };
    let index = Index { name, body, ..index.clone() };
    let mut made = build(site, &index);
    made.extend(constraint(site, &index));
    made
}

/// What is counted over several columns is counted over those with the new one (PostgreSQL). What another run made is there.
fn copy_statistics(site: &Site<'_>, old: &Statistics, (from, to): (&str, &str)) -> Vec<String> {
    let items = rewrite::renamed(Dialect::Postgres, &old.items, from, to);
    // The server lists them in an order of its own.
    let plain = |text: &str| {
        let text = text.replace('"', "");
        let mut items: Vec<String> =
            expr::list(Dialect::Postgres, &text).into_iter().map(str::to_owned).collect();
        items.sort_unstable();
        items
    };
    let Ok(table) = site.table() else { return Vec::new() };
    let is_copy = |other: &&Statistics| plain(&other.items) == plain(&items) && other.kinds == old.kinds;
    let found = table.statistics.iter().find(is_copy);
    let own = || Name { name: renamed(site, &old.name.name, (from, to)), ..old.name.clone() };
    let name = found.map_or_else(own, |found| found.name.clone()).quoted(Dialect::Postgres);
    let mut made = Vec::new();
    if found.is_none() {
        let kinds = if old.kinds.is_empty() { String::new() } else { format!(" {}", old.kinds) };
        made.push(format!("create statistics {name}{kinds} on {items} from {}", site.named()));
    }
    if let Some(target) = old.target.as_ref().filter(|_| found.is_none_or(|found| found.target != old.target))
    {
        made.push(format!("alter statistics {name} set statistics {target}"));
    }
    if !old.comment.is_empty() && found.is_none_or(|found| found.comment != old.comment) {
        made.push(format!("comment on statistics {name} is {}", literal(&old.comment)));
    }
    made
}

/// The check that the old column's declaration has, for the new one (MariaDB).
fn own_check(change: &Reshape, site: &Site<'_>) -> Result<String> {
    let Some((old, new)) = change.twin() else { return Ok(String::new()) };
    let check = &site.column(&old.column)?.check;
    Ok(rewrite::renamed(site.dialect(), check, &old.column, &new.column))
}

/// The checks of columns' declarations (MariaDB): that of the old one is the new one's as well, and what others say of it
/// becomes a rule of the table.
fn copy_checks(change: &Reshape, site: &Site<'_>, (from, to): (&str, &str)) -> Result<Vec<String>> {
    let (dialect, mut made) = (site.dialect(), Vec::new());
    let (new, check) = (site.column(to)?, own_check(change, site)?);
    // Where it is to take no NULL, its declaration is said once more, and whole.
    let is_said = change.is_plain() && !needed_names(change, site, When::Before)?.is_empty();
    if new.check != check && !is_said {
        made.push(needed(site, &Column { check, ..new.clone() }, to, !new.is_nullable));
    }
    let is_about = |column: &&Column| {
        !rewrite::is_same(dialect, &column.name, from) && rewrite::reads(dialect, &column.check, from)
    };
    for column in site.table()?.columns.iter().filter(is_about) {
        let (name, columns) = (format!("{}_check", column.name), vec![from.to_owned()]);
        let body = format!("check ({})", column.check);
        let rule = Constraint { name, rule: Rule::Check, body, columns, ..Constraint::default() };
        made.extend(copy_rule(site, &rule, (from, to)));
    }
    Ok(made)
}

fn copy_rule(site: &Site<'_>, rule: &Constraint, (from, to): (&str, &str)) -> Vec<String> {
    let body = rule.of(site.dialect(), from, to);
    let plain = |text: &str| text.replace(['"', '`'], "");
    let is_copy = |other: &&Constraint| plain(&other.body) == plain(&body);
    let found = site.table().ok().and_then(|table| table.constraints.iter().find(is_copy));
    let name = found.map_or_else(|| renamed(site, &rule.name, (from, to)), |found| found.name.clone());
    make_rule(site, &Constraint { name, body, is_unchecked: false, ..rule.clone() })
}

/// Makes a constraint that is not there yet, for rows that meet it.
pub(super) fn make_rule(site: &Site<'_>, rule: &Constraint) -> Vec<String> {
    let (table, body, quoted) = (site.named(), &rule.body, site.quote(&rule.name));
    let is_there =
        site.table().is_ok_and(|table| table.constraints.iter().any(|other| other.name == rule.name));
    match site.dialect() {
        Dialect::Postgres if rule.is_unchecked && is_there => Vec::new(),
        Dialect::Postgres => {
            let mut made = checked(site, &rule.name, body);
            made.truncate(if rule.is_unchecked { 1 } else { made.len() });
            [vec![COMMIT.to_owned()], made].concat()
        }
        _ if is_there => Vec::new(),
        _ if rule.rule == Rule::Foreign => vec![
            "set foreign_key_checks = 0".to_owned(),
            format!("alter table {table} add constraint {quoted} {body}{ONLINE}"),
            "set foreign_key_checks = 1".to_owned(),
        ],
        _ => vec![format!("alter table {table} add constraint {quoted} {body}")],
    }
}
