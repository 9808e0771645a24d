//! What a column that is set aside would hold others to: its constraints, unique indexes and default. They go when it is
//! alone, for what nobody writes any more must be in nobody's way, and come back before the old shape does. The journal
//! keeps them meanwhile; SQLite's, but for indexes, stay in the text of the table, as comments.

use std::collections::BTreeMap;

use dunlin_core::history::damaged;
use dunlin_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alter::{COMMIT, ONLINE, drop_rule, needed};
use super::copy::make_rule;
use super::{Leaving, Reshape, When};
use crate::change::index::build::{build, constraint, drop};
use crate::change::index::unique::whole;
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::inspect::{Column, Constraint, Index, Role, Rule};
use crate::obstacle::{Obstacle, Place};
use crate::rewrite;

/// What bound columns, in the names that they had then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Bonds {
    pub(super) indexes: Vec<Index>,
    pub(super) rules: Vec<Constraint>,
    /// What columns declare of themselves.
    pub(super) columns: BTreeMap<String, Declared>,
}

/// What a column declares of itself, and a column set aside does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Declared {
    pub(super) default: Option<String>,
    pub(super) extra: String,
    pub(super) check: String,
}

/// What no column is called: where all of it is remembered.
pub(super) const BONDS: &str = "dunlin bonds";

impl Bonds {
    /// What binds the columns that leave.
    pub(super) fn of(change: &Reshape, site: &Site<'_>) -> Result<Self> {
        let (table, dialect) = (site.table()?, site.dialect());
        let mut bonds = Self::default();
        let leaving = leaving(change, site);
        let is_any = |reads: &dyn Fn(&str) -> bool| leaving.iter().any(|(_, name)| reads(name));
        let reads = |index: &Index| is_any(&|name| rewrite::reads(dialect, &index.body, name));
        let is_unique = |index: &&Index| index.is_unique && index.role != Role::Primary && reads(index);
        bonds.indexes = table.indexes.iter().filter(is_unique).cloned().collect();
        let is_about = |rule: &&Constraint| is_any(&|name| rule.is_about(dialect, name));
        bonds.rules = table.constraints.iter().filter(is_about).cloned().collect();
        for column in &table.columns {
            let leaves = leaving.iter().find(|(_, name)| rewrite::is_same(dialect, name, &column.name));
            let is_checked = is_any(&|name| rewrite::reads(dialect, &column.check, name));
            if leaves.is_none() && !is_checked {
                continue;
            }
            let name = leaves.map_or(&column.name, |(old, _)| &old.column);
            let (default, extra) = (column.default.clone(), column.extra.clone());
            bonds.columns.insert(name.clone(), Declared { default, extra, check: column.check.clone() });
        }
        Ok(bonds)
    }

    /// What is remembered.
    pub(super) fn kept(site: &Site<'_>) -> Result<Self> {
        match site.was(BONDS) {
            Value::Null => Ok(Self::default()),
            kept => {
                serde_json::from_value(kept.clone()).map_err(|_| damaged("journal line", &kept.to_string()))
            }
        }
    }

    pub(super) fn value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|failure| Error::unexpected(failure.to_string()))
    }

    /// The indexes in the names that the columns have aside.
    pub(super) fn indexes_aside(&self, change: &Reshape) -> impl Iterator<Item = Index> {
        self.indexes.iter().map(|index| Index { body: aside(change, &index.body), ..index.clone() })
    }

    /// A column as it was declared.
    pub(super) fn column(&self, found: &Column, name: &str) -> Column {
        let mut column = found.clone();
        if let Some(Declared { default, extra, check }) = self.columns.get(name).cloned() {
            (column.default, column.extra, column.check) = (default, extra, check);
        }
        column
    }
}

/// The columns that leave, and what they are called just now.
pub(super) fn leaving<'c>(change: &'c Reshape, site: &Site<'_>) -> Vec<(&'c Leaving, String)> {
    let named = |old: &'c Leaving| {
        let aside = change.old_name(&old.column, When::After);
        (old, if site.has(&aside) { aside } else { old.column.clone() })
    };
    change.leaving.iter().map(named).collect()
}

/// A text in the names that the columns have aside.
fn aside(change: &Reshape, text: &str) -> String {
    change.leaving.iter().fold(text.to_owned(), |text, old| {
        let name = change.old_name(&old.column, When::After);
        rewrite::renamed(change.frame.dialect, &text, &old.column, &name)
    })
}

/// Takes the constraints and unique indexes away.
pub(super) fn loosen(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let (table, dialect) = (site.table()?, site.dialect());
    let bonds = Bonds::of(change, site)?;
    let mut made = Vec::new();
    // MySQL keeps an index as long as a foreign key needs it.
    for rule in bonds.rules.iter().filter(|rule| rule.rule == Rule::Foreign) {
        made.extend([drop_rule(site, rule), COMMIT.to_owned()]);
    }
    for rule in bonds.rules.iter().filter(|rule| rule.rule == Rule::Check) {
        made.extend([drop_rule(site, rule), COMMIT.to_owned()]);
    }
    for index in &bonds.indexes {
        made.extend([plain(site, index, &bonds), COMMIT.to_owned()]);
    }
    let leaves = |column: &&Column| {
        leaving(change, site).iter().any(|(_, name)| rewrite::is_same(dialect, name, &column.name))
    };
    for column in table.columns.iter().filter(|column| !leaves(column)) {
        if bonds.columns.contains_key(&column.name) {
            let bare = Column { check: String::new(), ..column.clone() };
            made.push(needed(site, &bare, &column.name, !column.is_nullable));
        }
    }
    if dialect != Dialect::Postgres {
        made.retain(|statement| statement != COMMIT);
    }
    Ok(made)
}

/// Drops a unique index, or lets it be one that takes everything where a foreign key of another column needs it (MySQL).
fn plain(site: &Site<'_>, index: &Index, bonds: &Bonds) -> String {
    let dialect = site.dialect();
    let needs = |rule: &Constraint| {
        let first = rule.columns.first();
        rule.rule != Rule::Check
            && !bonds.rules.iter().any(|gone| gone.name == rule.name)
            && first.is_some_and(|first| index.body.starts_with(&format!("({}", dialect.quote(first))))
    };
    let is_needed = site.table().is_ok_and(|table| table.constraints.iter().any(needs));
    if dialect != Dialect::MySql || !is_needed {
        return drop(site, index);
    }
    let (table, name) = (site.named(), site.quote(&index.name));
    format!("alter table {table} drop index {name}, add index {name} {}{ONLINE}", index.body)
}

/// Takes away what a column says where nobody names it, and NOT NULL with that. Where nothing leads back to a column, its
/// default is what it is to hold for the rows that come.
pub(super) fn hush(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for (old, name) in leaving(change, site) {
        let column = site.column(&name)?;
        let aside = change.old_name(&old.column, When::After);
        let (is_led_back, has_check) = (old.down.is_some(), !column.check.is_empty());
        let says = column.default.is_some() || !column.is_nullable || !column.extra.is_empty();
        match site.dialect() {
            Dialect::MySql if is_led_back && says || has_check => {
                let mut bare = Column { check: String::new(), ..column.clone() };
                if is_led_back {
                    (bare.default, bare.extra) = (None, String::new());
                }
                made.push(needed(
                    site,
                    &bare,
                    &aside,
                    !is_led_back && !column.is_nullable && column.default.is_some(),
                ));
            }
            Dialect::Postgres if is_led_back && column.default.is_some() => {
                let (table, name) = (site.named(), site.quote(&aside));
                made.push(format!("alter table {table} alter column {name} drop default"));
                made.push(format!("alter table {table} alter column {name} drop not null"));
            }
            _ => {}
        }
    }
    Ok(made)
}

/// Brings all of it back, for columns that are still aside.
pub(super) fn bind(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let bonds = Bonds::kept(site)?;
    let dialect = site.dialect();
    let mut made = Vec::new();
    for index in bonds.indexes_aside(change) {
        let found = site.table()?.index(&index.name);
        if let Some(found) = found.filter(|found| index.is_unique && !found.is_unique) {
            let (table, name) = (site.named(), site.quote(&found.name));
            made.push(format!(
                "alter table {table} drop index {name}, add unique index {name} {}{ONLINE}",
                index.body
            ));
            continue;
        }
        made.extend(build(site, &index));
        made.extend(constraint(site, &index));
    }
    for rule in &bonds.rules {
        let mut rule = rule.clone();
        let (own, target) = rule.own_part();
        rule.body = format!("{}{target}", aside(change, own));
        made.extend(make_rule(site, &rule));
    }
    for (name, declared) in &bonds.columns {
        let is_other = !change.leaving.iter().any(|old| old.column == *name);
        let column = if is_other { site.column(name)? } else { change.old_column(site, name)? };
        match dialect {
            Dialect::MySql if is_other && column.check.is_empty() => {
                let column = Column { check: aside(change, &declared.check), ..column.clone() };
                made.push(needed(site, &column, name, !column.is_nullable));
            }
            Dialect::Postgres if column.default != declared.default => {
                let default = declared.default.as_deref().unwrap_or("null");
                let (table, name) = (site.named(), site.quote(&column.name));
                made.push(COMMIT.to_owned());
                made.push(format!("alter table {table} alter column {name} set default {default}"));
            }
            _ => {}
        }
    }
    Ok(made)
}

/// What finds the rows that would not meet what comes back, by what the old columns will hold then.
pub(super) fn obstacles(change: &Reshape, site: &Site<'_>) -> Result<Vec<Obstacle>> {
    let (dialect, bonds) = (site.dialect(), Bonds::kept(site)?);
    let rows = led_back(change, site)?;
    let held: Vec<String> = leaving(change, site).iter().map(|(_, name)| format!("`{name}`")).collect();
    let way_out = format!(
        "what they hold of it is in {} just now: mend these rows, and run this again",
        held.join(" and ")
    );
    let place = Place { dialect, rows: &rows, table: &site.name.name, help: &way_out };
    let needed = change.leaving.iter().filter(|old| site.was(&old.column) == true);
    let mut found: Vec<Obstacle> = needed.map(|old| place.missing(&old.column)).collect();
    found.extend(bonds.indexes.iter().filter_map(|index| place.twice(index, |item| whole(dialect, item))));
    found.extend(bonds.rules.iter().filter_map(|rule| place.broken(rule)));
    Ok(found)
}

/// The rows with the old columns as the way back will fill them.
fn led_back(change: &Reshape, site: &Site<'_>) -> Result<String> {
    let (dialect, names) = (site.dialect(), leaving(change, site));
    let is_aside = names.iter().all(|(old, name)| old.column != *name);
    let when = if is_aside { When::After } else { When::Before };
    // Before contract the triggers keep in step what has two shapes.
    let filter = change.is_behind(when).filter(|_| is_aside || !change.has_forth());
    let is_old = |name: &str| names.iter().any(|(old, _)| rewrite::is_same(dialect, &old.column, name));
    let others = site.table()?.columns.iter().filter(|column| !is_old(&column.name));
    let mut columns: Vec<String> = others.map(|column| site.quote(&column.name)).collect();
    for (old, name) in &names {
        let now = site.quote(name);
        let led = match (&old.down, &filter) {
            (Some(down), Some(filter)) => {
                let kind = &site.column(name)?.kind;
                let kind = kind.split(" collate ").next().unwrap_or(kind);
                let value = format!("({})", change.expr(down, when));
                let is_cast = dialect == Dialect::Postgres;
                let value = if is_cast { format!("cast({value} as {kind})") } else { value };
                format!("case when {filter} then {value} else {now} end")
            }
            _ => now,
        };
        columns.push(format!("{led} as {}", site.quote(&old.column)));
    }
    Ok(format!("(select {} from {}) dunlin_row", columns.join(", "), site.named()))
}
