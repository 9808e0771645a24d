//! What hangs on a column, made for the one that comes: indexes, checks, foreign keys, NOT NULL.

use dunlin_core::Result;

use super::alter::{COMMIT, ONLINE, checked, needed, proven_needed};
use super::{Reshape, When};
use crate::change::index::build::build;
use crate::change::own_name;
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::inspect::{Constraint, Index, Role, Rule};
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
        let rules = table.constraints.iter().filter(|rule| rule.rule != Rule::PointedAt && reads(&rule.body));
        for rule in rules.filter(|_| dialect != Dialect::Sqlite) {
            made.extend(copy_rule(site, rule, (from, to)));
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
            Dialect::MySql => made.push(needed(site, column, &name, true)),
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
        made.push(format!("comment on column {table}.{name} is '{}'", old.comment.replace('\'', "''")));
    }
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
    let new = if name.contains(from) { name.replacen(from, to, 1) } else { format!("{name}_{to}") };
    let mut new = if new.len() > 63 { own_name("dunlin", &new) } else { new };
    let is_taken = |name: &str| {
        site.table().is_ok_and(|table| {
            table.index(name).is_some() || table.constraints.iter().any(|rule| rule.name == name)
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
    let mut made = build(site, &Index { name: name.clone(), body, ..index.clone() });
    let is_rule = index.role != Role::Plain && index.is_unique && dialect == Dialect::Postgres;
    let is_whole = site.table().is_ok_and(|table| !table.is_partitioned);
    if is_rule && is_whole && !found.is_some_and(|found| found.role != Role::Plain) {
        let (table, quoted) = (site.named(), site.quote(&name));
        made.push(format!("alter table {table} add constraint {quoted} unique using index {quoted}"));
    }
    made
}

/// What a constraint says of this table's columns, and the rest: what a foreign key points at has columns of its own.
pub(super) fn own_part(rule: &Constraint) -> (&str, &str) {
    match rule.body.to_lowercase().find(" references ") {
        Some(at) if rule.rule == Rule::Foreign => rule.body.split_at(at),
        _ => (&rule.body, ""),
    }
}

fn copy_rule(site: &Site<'_>, rule: &Constraint, (from, to): (&str, &str)) -> Vec<String> {
    let (dialect, table) = (site.dialect(), site.named());
    let (own, target) = own_part(rule);
    let body = format!("{}{target}", rewrite::renamed(dialect, own, from, to));
    let plain = |text: &str| text.replace(['"', '`'], "");
    let is_copy = |other: &&Constraint| plain(&other.body) == plain(&body);
    let found = site.table().ok().and_then(|table| table.constraints.iter().find(is_copy));
    let name = found.map_or_else(|| renamed(site, &rule.name, (from, to)), |found| found.name.clone());
    let quoted = site.quote(&name);
    match dialect {
        Dialect::Postgres => [vec![COMMIT.to_owned()], checked(site, &name, &body)].concat(),
        _ if found.is_some() => Vec::new(),
        // What the copy points at is what the original points at, and was checked there.
        _ if rule.rule == Rule::Foreign => vec![
            "set foreign_key_checks = 0".to_owned(),
            format!("alter table {table} add constraint {quoted} {body}{ONLINE}"),
            "set foreign_key_checks = 1".to_owned(),
        ],
        _ => vec![format!("alter table {table} add constraint {quoted} {body}")],
    }
}
