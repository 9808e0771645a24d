//! What each server is told, so that its columns come and go without a rewrite and without a long lock.

use dunlin_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::bonds::Bonds;
use super::{Coming, Kind, Leaving, Reshape, When, copy};
use crate::change::own_name;
use crate::dialect::{Dialect, literal};
use crate::evolve::Site;
use crate::inspect::{Column, Constraint, Index, Role, Rule};
use crate::{declared, rewrite};

/// MySQL is told what it may cost: it refuses where it cannot.
pub(crate) const ONLINE: &str = ", algorithm=inplace, lock=none";

/// Ends a transaction, where the next statement should not hold the locks of the last.
pub(super) const COMMIT: &str = "commit";

/// Another text of a SQLite table.
pub(crate) fn edit(site: &Site<'_>, text: Option<String>) -> Result<Vec<String>> {
    edit_all(site, text, Vec::new())
}

/// Another text of a SQLite table, and what else becomes of the schema together with it.
pub(super) fn edit_all(site: &Site<'_>, text: Option<String>, more: Vec<String>) -> Result<Vec<String>> {
    let table = site.table()?;
    let text = text.filter(|text| *text != table.text);
    if text.is_none() && more.is_empty() {
        return Ok(Vec::new());
    }
    let edited = text.map(|text| {
        format!(
            "update sqlite_schema set sql = {} where type = 'table' and lower(name) = lower({})",
            literal(&text),
            literal(&site.name.name)
        )
    });
    let mut made = vec!["pragma writable_schema = on".to_owned()];
    made.extend(edited);
    made.extend(more);
    made.push("pragma writable_schema = reset".to_owned());
    Ok(made)
}

/// A column as MySQL wants it said whole.
pub(crate) fn definition(column: &Column, is_needed: bool) -> String {
    let mut words = vec![column.kind.clone(), if is_needed { "not null" } else { "null" }.to_owned()];
    words.extend(column.default.as_ref().map(|default| format!("default {default}")));
    words.extend(Some(column.extra.clone()).filter(|extra| !extra.is_empty()));
    let check = Some(&column.check).filter(|check| !check.is_empty());
    words.join(" ")
        + &comment(&column.comment)
        + &check.map(|check| format!(" check ({check})")).unwrap_or_default()
}

/// Whether a client that leaves a column out cannot write a row.
fn must_be_said(column: &Column) -> bool {
    !column.is_nullable && column.default.is_none()
}

/// Lets clients leave columns out before the triggers go that say them, where the two cannot be one transaction: MySQL
/// would refuse what is written in between.
pub(super) fn unsaid<'a>(site: &Site<'_>, columns: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for name in columns.filter(|name| site.dialect() == Dialect::MySql && site.has(name)) {
        let column = site.column(name)?;
        if must_be_said(column) {
            made.push(needed(site, column, name, false));
        }
    }
    Ok(made)
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

/// Refuses a table in which words are indexed: neither MySQL nor MariaDB adds a column to it, or rebuilds it, beside those
/// who write.
pub(crate) fn unworded(site: &Site<'_>) -> Result<()> {
    let is_worded = |index: &&Index| index.word == "fulltext";
    let Some(index) = site.table()?.indexes.iter().find(is_worded) else { return Ok(()) };
    let message = format!(
        "the server changes the columns of `{}` only while nobody writes, because of its FULLTEXT index `{}`",
        site.name.name, index.name
    );
    Err(Error::new(ErrorKind::Unsupported, message).help(
        "drop that index in a migration before this one, or write the steps by hand; nothing was changed",
    ))
}

/// Refuses what MariaDB would do by copying the whole table while nobody writes: NOT NULL for a point in time, and for
/// whatever where a column is computed and kept.
pub(crate) fn in_place(site: &Site<'_>, kind: &str) -> Result<()> {
    let table = site.table()?;
    unworded(site)?;
    if !site.server.is_mariadb {
        return Ok(());
    }
    let kept = table.columns.iter().find(|column| column.is_generated && column.extra == "stored");
    let why = match kept {
        Some(kept) => {
            format!("where a column is computed and stored, as `{}.{}` is", site.name.name, kept.name)
        }
        None if kind.to_lowercase().starts_with("timestamp") => "for a TIMESTAMP".to_owned(),
        None => return Ok(()),
    };
    let message = format!("MariaDB changes NOT NULL only by copying the table while nobody writes, {why}");
    Err(Error::new(ErrorKind::Unsupported, message)
        .help("write the steps by hand under `[[expand]]` to `[[contract]]`; nothing was changed"))
}

/// NOT NULL on PostgreSQL, proven under a lock that lets everybody work: the check that is valid saves the scan under the
/// one that does not.
pub(crate) fn proven_needed(site: &Site<'_>, tag: &str, (name, found): (&str, &Column)) -> Vec<String> {
    let (table, quoted) = (site.named(), site.quote(name));
    let plain = own_name(&format!("dunlin_needed_{tag}"), name);
    if site.server.version.0 >= 18 {
        let validate = |rule: &str| format!("alter table {table} validate constraint {}", site.quote(rule));
        return match &found.rule {
            Some(rule) if rule.is_checked => Vec::new(),
            Some(rule) => vec![validate(&rule.name)],
            None => {
                let rule = rule_name(site, name).unwrap_or(plain);
                let add = format!(
                    "alter table {table} add constraint {} not null {quoted} not valid",
                    site.quote(&rule)
                );
                vec![add, COMMIT.to_owned(), validate(&rule)]
            }
        };
    }
    let rule = site.quote(&plain);
    let mut made = checked(site, &plain, &format!("check ({quoted} is not null)"));
    made.extend([
        COMMIT.to_owned(),
        format!("alter table {table} alter column {quoted} set not null"),
        format!("alter table {table} drop constraint {rule}"),
    ]);
    made
}

/// What a NOT NULL is called from PostgreSQL 18 on: as it was before, or as the server would call it.
fn rule_name(site: &Site<'_>, column: &str) -> Option<String> {
    if let Some(before) = site.was(RULES)[column].as_str() {
        return Some(before.to_owned());
    }
    let name = format!("{}_{column}_not_null", site.name.name);
    let table = site.table().ok()?;
    let of_columns = table.columns.iter().filter_map(|column| column.rule.as_ref()).map(|rule| &rule.name);
    let is_taken =
        of_columns.chain(table.constraints.iter().map(|rule| &rule.name)).any(|other| *other == name);
    (!is_taken && name == own_name(&format!("{}_{column}", site.name.name), "not_null")).then_some(name)
}

/// What no column is called: where the names of constraints are remembered.
pub(crate) const RULES: &str = "";

/// What is remembered of columns: whether each takes no NULL, and what says so.
pub(crate) fn remembered<'c>(columns: impl Iterator<Item = (&'c str, bool, &'c Column)>) -> Value {
    let (mut was, mut rules) = (Map::new(), Map::new());
    for (name, flag, column) in columns {
        was.insert(name.to_owned(), flag.into());
        if let Some(rule) = &column.rule {
            rules.insert(name.to_owned(), rule.name.clone().into());
        }
    }
    if !rules.is_empty() {
        was.insert(RULES.to_owned(), rules.into());
    }
    was.into()
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
    let rest = like(change, site, new)?;
    Ok(format!(
        "alter table {table} add column {column} {kind}{}{needed}{rest}{fast}",
        default.unwrap_or_default()
    ))
}

/// What else the column that a new one is like says of itself (MySQL).
fn like(change: &Reshape, site: &Site<'_>, new: &Coming) -> Result<String> {
    let (Kind::Like(old), Dialect::MySql) = (&new.kind, site.dialect()) else { return Ok(String::new()) };
    let old = change.old_column(site, old)?;
    let extra = Some(&old.extra).filter(|extra| !extra.is_empty());
    Ok(format!("{}{}", extra.map(|extra| format!(" {extra}")).unwrap_or_default(), comment(&old.comment)))
}

/// A column's comment, as MySQL takes it.
fn comment(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    if text.is_empty() { text } else { format!(" comment '{text}'") }
}

/// Drops a column, and first what would keep it.
pub(crate) fn drop_column(site: &Site<'_>, column: &str) -> Result<Vec<String>> {
    let (table, dialect) = (site.table()?, site.dialect());
    let reads = |body: &str| rewrite::reads(dialect, body, column);
    let named = site.named();
    let mut made = Vec::new();
    match site.dialect() {
        Dialect::Postgres => {}
        Dialect::MySql => {
            let rules = table.constraints.iter().filter(|rule| rule.is_about(dialect, column));
            made.extend(rules.map(|rule| drop_rule(site, rule)));
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

/// Drops a constraint.
pub(super) fn drop_rule(site: &Site<'_>, rule: &Constraint) -> String {
    let is_key = rule.rule == Rule::Foreign && site.dialect() == Dialect::MySql;
    let kind = if is_key { "foreign key" } else { "constraint" };
    format!("alter table {} drop {kind} {}", site.named(), site.quote(&rule.name))
}

/// Whether the columns have these names. One statement, or one transaction, renames all of them or none.
pub(super) fn is_renamed(change: &Reshape, site: &Site<'_>, to: When) -> bool {
    let is_aside = change.leaving.iter().all(|old| site.has(&change.old_name(&old.column, When::After)));
    is_aside == (to == When::After)
}

/// Renames the old columns aside, or back, and the new one with it where it takes the name.
pub(super) fn rename(change: &Reshape, site: &Site<'_>, to: When) -> Result<Vec<String>> {
    let from = if to == When::After { When::Before } else { When::After };
    if is_renamed(change, site, to) {
        return Ok(Vec::new());
    }
    let mut pairs: Vec<(String, String, bool)> = Vec::new();
    for Leaving { column, .. } in &change.leaving {
        let is_needed = match to {
            When::After => !must_be_said(site.column(column)?) && !site.column(column)?.is_nullable,
            // MySQL would look at every row for it; it is told afterwards.
            When::Before => false,
        };
        pairs.push((change.old_name(column, from), change.old_name(column, to), is_needed));
    }
    let takers = change.coming.iter().filter(|_| change.takes_name);
    for new in takers {
        let name = change.new_name(&new.column, from);
        // NOT NULL since a moment ago, and no more once old clients write again.
        let is_needed = to == When::After
            && (!site.column(&name)?.is_nullable
                || copy::needed_names(change, site, When::Before)?.contains(&new.column));
        pairs.push((name, change.new_name(&new.column, to), is_needed));
    }
    if to == When::Before {
        // The name must be free before it is taken again.
        pairs.reverse();
    }
    let table = site.named();
    let bonds = if to == When::Before { Bonds::kept(site)? } else { Bonds::default() };
    let (mut made, mut clauses) = (Vec::new(), Vec::new());
    for (old, new, is_needed) in &pairs {
        let column = site.column(old)?;
        let (from, to) = (site.quote(old), site.quote(new));
        match site.dialect() {
            Dialect::MySql => {
                let check = rewrite::renamed(Dialect::MySql, &column.check, old, new);
                let column = bonds.column(&Column { check, ..column.clone() }, new);
                clauses.push(format!("change {from} {to} {}", definition(&column, *is_needed)));
            }
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

/// The old columns take no NULL again (SQLite is told when the triggers are gone).
pub(super) fn needed_again(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (bonds, mut made) = (Bonds::kept(site)?, Vec::new());
    for Leaving { column, .. } in &change.leaving {
        let found = &bonds.column(change.old_column(site, column)?, column);
        if !found.is_nullable || site.was(column) != true {
            continue;
        }
        match site.dialect() {
            Dialect::Postgres => {
                made.push(COMMIT.to_owned());
                made.extend(proven_needed(site, &change.frame.tag, (column, found)));
            }
            Dialect::MySql => made.push(needed(site, found, column, true)),
            Dialect::Sqlite => {}
        }
    }
    Ok(made)
}

/// Whether a column goes without a copy of the table.
pub(super) fn is_quick_to_drop(site: &Site<'_>) -> bool {
    match (site.dialect(), site.server.is_mariadb) {
        (Dialect::MySql, true) => site.server.version >= (10, 4),
        // 8.0 learned it late, and does not say so in the numbers that are looked at.
        (Dialect::MySql, false) => site.server.version >= (8, 1),
        _ => true,
    }
}
