//! What each server is told, so that its columns come and go without a rewrite and without a long lock.

use dunlin_core::Result;

use super::{Coming, Kind, Leaving, Reshape, When};
use crate::change::own_name;
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::inspect::{Column, Constraint, Index, Role, Rule};
use crate::{declared, rewrite};

/// MySQL is told what it may cost: it refuses where it cannot.
pub(crate) const ONLINE: &str = ", algorithm=inplace, lock=none";

/// Ends a transaction, where the next statement should not hold the locks of the last.
const COMMIT: &str = "commit";

/// Another text of a SQLite table.
pub(crate) fn edit(site: &Site<'_>, text: Option<String>) -> Result<Vec<String>> {
    let table = site.table()?;
    let Some(text) = text.filter(|text| *text != table.text) else { return Ok(Vec::new()) };
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(vec![
        "pragma writable_schema = on".to_owned(),
        format!(
            "update sqlite_schema set sql = {} where type = 'table' and lower(name) = lower({})",
            literal(&text),
            literal(&site.name.name)
        ),
        "pragma writable_schema = reset".to_owned(),
    ])
}

/// A column as MySQL wants it said whole.
pub(crate) fn definition(column: &Column, is_needed: bool) -> String {
    let mut words = vec![column.kind.clone(), if is_needed { "not null" } else { "null" }.to_owned()];
    words.extend(column.default.as_ref().map(|default| format!("default {default}")));
    words.extend(Some(column.extra.clone()).filter(|extra| !extra.is_empty()));
    let comment = column.comment.replace('\\', "\\\\").replace('\'', "''");
    words.extend((!comment.is_empty()).then(|| format!("comment '{comment}'")));
    words.join(" ")
}

/// Whether a client that leaves a column out cannot write a row.
fn must_be_said(column: &Column) -> bool {
    !column.is_nullable && column.default.is_none()
}

/// Lets clients of the new shape leave the old columns out, where no trigger can say them in time.
pub(super) fn relax(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let mut text = site.table()?.text.clone();
    for Leaving { column, down } in &change.leaving {
        let found = site.column(column)?;
        if !must_be_said(found) {
            continue;
        }
        match site.dialect() {
            Dialect::Sqlite => text = declared::relaxed(&text, column).unwrap_or(text),
            _ if down.is_some() => {}
            _ => made.push(needed(site, found, column, false)),
        }
    }
    if site.dialect() == Dialect::Sqlite {
        made.extend(edit(site, Some(text))?);
    }
    Ok(made)
}

/// The reverse of [`relax`].
pub(super) fn tighten(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let mut text = site.table()?.text.clone();
    for Leaving { column, .. } in &change.leaving {
        let found = site.column(column)?;
        if site.dialect() == Dialect::Sqlite {
            if found.is_relaxed {
                text = declared::tightened(&text, column).unwrap_or(text);
            }
        } else if found.is_nullable && site.was(column) == true {
            made.push(needed(site, found, column, true));
        }
    }
    if site.dialect() == Dialect::Sqlite {
        made.extend(edit(site, Some(text))?);
    }
    Ok(made)
}

/// NOT NULL, or not.
pub(crate) fn needed(site: &Site<'_>, column: &Column, name: &str, is_needed: bool) -> String {
    let (table, quoted) = (site.named(), site.quote(name));
    match site.dialect() {
        Dialect::MySql => {
            format!("alter table {table} modify {quoted} {}{ONLINE}", definition(column, is_needed))
        }
        _ => format!(
            "alter table {table} alter column {quoted} {} not null",
            if is_needed { "set" } else { "drop" }
        ),
    }
}

/// NOT NULL on PostgreSQL, proven under a lock that lets everybody work: the check that is valid saves the scan under the
/// one that does not.
pub(crate) fn proven_needed(site: &Site<'_>, tag: &str, name: &str) -> Vec<String> {
    let (table, quoted) = (site.named(), site.quote(name));
    let plain = own_name(&format!("dunlin_needed_{tag}"), name);
    let rule = site.quote(&plain);
    if site.server.version.0 >= 18 {
        return checked(site, &plain, &format!("not null {quoted}"));
    }
    let mut made = checked(site, &plain, &format!("check ({quoted} is not null)"));
    made.extend([
        COMMIT.to_owned(),
        format!("alter table {table} alter column {quoted} set not null"),
        format!("alter table {table} drop constraint {rule}"),
    ]);
    made
}

/// A constraint on PostgreSQL that holds for what is written at once, and for the rows that are there once they were
/// looked at, in a transaction of its own. What another run did of it is not done again.
pub(crate) fn checked(site: &Site<'_>, name: &str, body: &str) -> Vec<String> {
    let (table, quoted) = (site.named(), site.quote(name));
    let found = site.table().ok().and_then(|table| table.constraints.iter().find(|rule| rule.name == name));
    let add = format!("alter table {table} add constraint {quoted} {body} not valid");
    let validate = format!("alter table {table} validate constraint {quoted}");
    match found {
        None => vec![add, COMMIT.to_owned(), validate],
        Some(rule) if rule.is_unchecked => vec![validate],
        Some(_) => Vec::new(),
    }
}

/// Adds a column that nobody must say yet.
pub(super) fn add_column(change: &Reshape, site: &Site<'_>, new: &Coming) -> Result<String> {
    let kind = change.kind_of(site, new)?;
    let default = change.default_of(site, new).map(|default| format!(" default {default}"));
    // With a default of its own every row has a value at once, and NOT NULL costs nothing.
    let is_needed = new.is_needed && new.up.is_none() && default.is_some();
    let needed = if is_needed { " not null" } else { "" };
    let fast = match (site.dialect(), site.server.is_mariadb, site.server.version) {
        (Dialect::MySql, true, version) if version >= (10, 3) => ", algorithm=instant",
        (Dialect::MySql, false, version) if version >= (8, 0) => ", algorithm=instant",
        (Dialect::MySql, ..) => ONLINE,
        _ => "",
    };
    let (table, column) = (site.named(), site.quote(&new.column));
    Ok(format!("alter table {table} add column {column} {kind}{}{needed}{fast}", default.unwrap_or_default()))
}

/// Drops a column, and first what would keep it.
pub(crate) fn drop_column(site: &Site<'_>, column: &str) -> Result<Vec<String>> {
    let table = site.table()?;
    let reads = |body: &str| rewrite::reads(site.dialect(), body, column);
    let named = site.named();
    let mut made = Vec::new();
    match site.dialect() {
        Dialect::Postgres => {}
        Dialect::MySql => {
            let rules =
                table.constraints.iter().filter(|rule| rule.rule != Rule::PointedAt && reads(&rule.body));
            for rule in rules {
                let kind = if rule.rule == Rule::Foreign { "foreign key" } else { "constraint" };
                made.push(format!("alter table {named} drop {kind} {}", site.quote(&rule.name)));
            }
            // An index over several columns would stay, over the others alone.
            let indexes =
                table.indexes.iter().filter(|index| index.role != Role::Primary && reads(&index.body));
            made.extend(indexes.map(|index| format!("drop index {} on {named}", site.quote(&index.name))));
        }
        Dialect::Sqlite => {
            let own = table.indexes.iter().filter(|index| index.role == Role::Plain && reads(&index.body));
            made.extend(own.map(|index| format!("drop index {}", site.quote(&index.name))));
        }
    }
    made.push(format!("alter table {named} drop column {}", site.quote(column)));
    Ok(made)
}

/// Renames the old columns aside, or back, and the new one with it where it takes the name.
pub(super) fn rename(change: &Reshape, site: &Site<'_>, to: When) -> Result<Vec<String>> {
    let from = if to == When::After { When::Before } else { When::After };
    // One statement, or one transaction, renames all of them or none.
    let is_aside = change.leaving.iter().all(|old| site.has(&change.old_name(&old.column, When::After)));
    if is_aside == (to == When::After) {
        return Ok(Vec::new());
    }
    let mut pairs: Vec<(String, String, bool)> = Vec::new();
    for Leaving { column, .. } in &change.leaving {
        let is_needed = match to {
            When::After => !must_be_said(site.column(column)?) && !site.column(column)?.is_nullable,
            When::Before => site.was(column) == true,
        };
        pairs.push((change.old_name(column, from), change.old_name(column, to), is_needed));
    }
    let takers = change.coming.iter().filter(|_| change.takes_name);
    for new in takers {
        let name = change.new_name(&new.column, from);
        let is_needed = !site.column(&name)?.is_nullable;
        pairs.push((name, change.new_name(&new.column, to), is_needed));
    }
    if to == When::Before {
        // The name must be free before it is taken again.
        pairs.reverse();
    }
    let table = site.named();
    let (mut made, mut clauses) = (Vec::new(), Vec::new());
    for (old, new, is_needed) in &pairs {
        let column = site.column(old)?;
        let (from, to) = (site.quote(old), site.quote(new));
        match site.dialect() {
            Dialect::MySql => clauses.push(format!("change {from} {to} {}", definition(column, *is_needed))),
            Dialect::Postgres => {
                if !column.is_nullable && !is_needed {
                    made.push(format!("alter table {table} alter column {from} drop not null"));
                }
                made.push(format!("alter table {table} rename column {from} to {to}"));
            }
            Dialect::Sqlite => made.push(format!("alter table {table} rename column {from} to {to}")),
        }
    }
    if !clauses.is_empty() {
        made.push(format!("alter table {table} {}{ONLINE}", clauses.join(", ")));
    }
    Ok(made)
}

/// The old columns take no NULL again (PostgreSQL; MySQL is told when they are renamed, and SQLite when the triggers are
/// gone).
pub(super) fn needed_again(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    if site.dialect() != Dialect::Postgres {
        return Ok(made);
    }
    for Leaving { column, .. } in &change.leaving {
        let is_nullable = change.old_column(site, column)?.is_nullable;
        if is_nullable && site.was(column) == true {
            made.push(COMMIT.to_owned());
            made.extend(proven_needed(site, &change.frame.tag, column));
        }
    }
    Ok(made)
}

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
    // SQLite's triggers come after the row: there NOT NULL waits for them to go.
    for name in needed_names(change, site, When::Before)? {
        let column = site.column(&name)?;
        match dialect {
            Dialect::Postgres => {
                made.push(COMMIT.to_owned());
                made.extend(proven_needed(site, &change.frame.tag, &name));
            }
            Dialect::MySql => made.push(needed(site, column, &name, true)),
            Dialect::Sqlite => {}
        }
    }
    Ok(made)
}

/// The new columns that are to take no NULL and still do.
fn needed_names(change: &Reshape, site: &Site<'_>, when: When) -> Result<Vec<String>> {
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
    let (dialect, table) = (site.dialect(), site.named());
    let body = rewrite::renamed(dialect, &index.body, from, to);
    let plain = |text: &str| text.replace(['"', '`'], "");
    let is_copy = |other: &&Index| plain(&other.body) == plain(&body) && other.is_unique == index.is_unique;
    let found = site.table().ok().and_then(|table| table.indexes.iter().find(is_copy));
    let name = match found {
        Some(found) => found.name.clone(),
        None => renamed(site, &index.name.replace("sqlite_autoindex_", ""), (from, to)),
    };
    let unique = if index.is_unique { "unique " } else { "" };
    let quoted = site.quote(&name);
    let mut made = Vec::new();
    if found.is_none_or(|found| found.is_invalid) {
        made.push(match dialect {
            Dialect::Postgres => {
                let is_whole = site.table().is_ok_and(|table| !table.is_partitioned);
                let concurrently = if is_whole { "concurrently " } else { "" };
                format!("create {unique}index {concurrently}{quoted} on {table} {body}")
            }
            Dialect::MySql => {
                let (using, columns) = body.split_at(body.find('(').unwrap_or(0));
                format!("alter table {table} add {unique}index {quoted} {using}{columns}{ONLINE}")
            }
            Dialect::Sqlite => format!("create {unique}index {quoted} on {table} {body}"),
        });
    }
    let is_rule = index.role != Role::Plain && index.is_unique && dialect == Dialect::Postgres;
    if is_rule && !found.is_some_and(|found| found.role != Role::Plain) {
        made.push(format!("alter table {table} add constraint {quoted} unique using index {quoted}"));
    }
    made
}

/// What a constraint says of this table's columns, and the rest: what a foreign key points at has columns of its own.
fn own_part(rule: &Constraint) -> (&str, &str) {
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

/// What waited for the triggers to go: defaults that are computed, and in SQLite all that a row must meet.
pub(super) fn settle(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (dialect, table) = (site.dialect(), site.named());
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    let default = late_default(change, site)?;
    if dialect != Dialect::Sqlite {
        let set = |(name, default): (String, String)| {
            format!("alter table {table} alter column {} set default {default}", site.quote(&name))
        };
        return Ok(default.map(set).into_iter().collect());
    }
    let mut text = site.table()?.text.clone();
    for name in needed_names(change, site, when)? {
        text = declared::tightened(&text, &name).unwrap_or(text);
    }
    if let Some((name, default)) = default {
        text = declared::with_default(&text, &name, Some(&default)).unwrap_or(text);
    }
    if let Some((old, new)) = change.twin() {
        let (from, to) = (change.old_name(&old.column, when), change.new_name(&new.column, when));
        let rules = &site.table()?.constraints;
        for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.rule != Rule::PointedAt) {
            let (own, target) = own_part(rule);
            if rewrite::reads(dialect, own, &from) {
                let name = site.quote(&rule_name(change, at));
                let body = format!("{}{target}", rewrite::renamed(dialect, own, &from, &to));
                text = declared::with_constraint(&text, &format!("constraint {name} {body}"));
            }
        }
    }
    edit(site, Some(text))
}

/// The reverse of [`settle`].
pub(super) fn unsettle(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (dialect, table) = (site.dialect(), site.named());
    let when = if change.leaving.is_empty() { When::Before } else { When::After };
    let default = late_default(change, site)?;
    if dialect != Dialect::Sqlite {
        let drop = |(name, _): (String, String)| {
            format!("alter table {table} alter column {} drop default", site.quote(&name))
        };
        return Ok(default.map(drop).into_iter().collect());
    }
    let mut text = site.table()?.text.clone();
    for new in &change.coming {
        text = declared::relaxed(&text, &change.new_name(&new.column, when)).unwrap_or(text);
    }
    if let Some((name, _)) = default {
        text = declared::with_default(&text, &name, None).unwrap_or(text);
    }
    for at in 0..site.table()?.constraints.len() {
        text = declared::without_constraint(&text, &rule_name(change, at)).unwrap_or(text);
    }
    edit(site, Some(text))
}

fn rule_name(change: &Reshape, at: usize) -> String {
    own_name(&format!("dunlin_{}", change.frame.tag), &at.to_string())
}

/// The default that the new column gets when the old one is aside: what the old one's leads to.
fn late_default(change: &Reshape, site: &Site<'_>) -> Result<Option<(String, String)>> {
    let Some((old, new)) = change.twin() else { return Ok(None) };
    let aside = change.old_column(site, &old.column)?;
    let is_like = matches!(new.kind, Kind::Like(_));
    let (Some(default), Some(up)) = (&aside.default, &new.up) else { return Ok(None) };
    if is_like && aside.constant().is_some() {
        return Ok(None);
    }
    let led = rewrite::columns(site.dialect(), &up.text, |name| {
        rewrite::is_same(site.dialect(), name, &old.column).then(|| default.clone())
    });
    let default = if is_like { default.clone() } else { format!("({led})") };
    Ok(Some((change.new_name(&new.column, When::After), default)))
}
