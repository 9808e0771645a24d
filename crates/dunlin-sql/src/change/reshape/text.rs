//! What binds a column in the text of a SQLite table: silenced there while the column is aside. A UNIQUE has an index on disk;
//! that one becomes an index of its own, which can be dropped, and on the way back one that was built becomes that of the
//! constraint again: to SQLite the two are the same but for what the schema says.

use std::collections::BTreeSet;

use dunlin_core::Result;

use super::alter::edit_all;
use super::bonds::{Bonds, leaving};
use super::{Leaving, Reshape, When};
use crate::change::index::build::{build, drop};
use crate::change::own_name;
use crate::declared;
use crate::dialect::literal;
use crate::evolve::Site;
use crate::inspect::{Index, Role};

/// Gives the table this text, in which nothing more binds the columns that leave.
pub(super) fn loosen(change: &Reshape, site: &Site<'_>, mut text: String) -> Result<Vec<String>> {
    let bonds = Bonds::of(change, site)?;
    let names = leaving(change, site);
    for (old, name) in &names {
        let is_led_back = old.down.is_some();
        if is_led_back {
            text = declared::relaxed(&text, name).unwrap_or(text);
        }
        // It is kept in the names that it was written in.
        let written = |part: &str| {
            let back =
                |text: String, (old, name): &(&Leaving, String)| declared::renamed(&text, name, &old.column);
            names.iter().fold(part.to_owned(), back)
        };
        text = declared::silenced(&text, name, (&change.frame.tag, is_led_back), written);
    }
    let (own, plain): (Vec<&Index>, Vec<&Index>) =
        bonds.indexes.iter().partition(|index| index.role == Role::Constraint);
    let (freed, converted) = as_indexes(change, site, &own)?;
    let mut made = edit_all(site, Some(text), converted)?;
    made.extend(freed.iter().map(|name| format!("drop index {}", site.quote(name))));
    made.extend(plain.into_iter().map(|index| drop(site, index)));
    Ok(made)
}

/// Brings all of it back, for columns that are still aside.
pub(super) fn bind(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let aside = |part: &str| {
        let one = |text: String, old: &Leaving| {
            declared::renamed(&text, &old.column, &change.old_name(&old.column, When::After))
        };
        change.leaving.iter().fold(part.to_owned(), one)
    };
    let text = declared::spoken(&site.table()?.text, &change.frame.tag, aside);
    let found = of_constraints(site)?;
    let is_there = |index: &Index| found.iter().any(|found| found.body.eq_ignore_ascii_case(&index.body));
    let (own, plain): (Vec<Index>, Vec<Index>) =
        Bonds::kept(site)?.indexes_aside(change).partition(|index| index.role == Role::Constraint);
    let own: Vec<Index> = own.into_iter().filter(|index| !is_there(index)).collect();
    let mut made: Vec<String> = plain.iter().flat_map(|index| build(site, index)).collect();
    made.extend(own.iter().flat_map(|index| {
        build(site, &Index { name: spare(change, number(&index.name)), role: Role::Plain, ..index.clone() })
    }));
    made.extend(edit_all(site, Some(text), as_constraints(change, site, &own)?)?);
    Ok(made)
}

/// How SQLite counts the indexes of a table's constraints, in their order there.
fn number(name: &str) -> usize {
    name.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn numbered(name: &str, number: usize) -> String {
    format!("{}_{number}", name.rsplit_once('_').map_or(name, |(start, _)| start))
}

fn spare(change: &Reshape, number: usize) -> String {
    own_name(&format!("dunlin_{}", change.frame.tag), &number.to_string())
}

/// The indexes of all constraints.
fn of_constraints<'a>(site: &Site<'a>) -> Result<Vec<&'a Index>> {
    let is_one = |index: &&Index| index.name.starts_with("sqlite_autoindex_");
    let mut found: Vec<&Index> = site.table()?.indexes.iter().filter(is_one).collect();
    found.sort_by_key(|index| number(&index.name));
    Ok(found)
}

fn rename(from: &str, to: &str, sql: &str) -> String {
    let (from, to) = (literal(from), literal(to));
    format!("update sqlite_schema set name = {to}{sql} where type = 'index' and name = {from}")
}

/// What makes indexes of their own of those of constraints, and their names then.
fn as_indexes(change: &Reshape, site: &Site<'_>, own: &[&Index]) -> Result<(Vec<String>, Vec<String>)> {
    let (mut freed, mut made, mut count) = (Vec::new(), Vec::new(), 0);
    for index in of_constraints(site)? {
        if own.iter().any(|own| own.name == index.name) {
            let name = spare(change, number(&index.name));
            let (quoted, table) = (site.quote(&name), site.quote(&site.name.name));
            let text = format!("create unique index {quoted} on {table} {}", index.body);
            made.push(rename(&index.name, &name, &format!(", sql = {}", literal(&text))));
            freed.push(name);
            continue;
        }
        count += 1;
        let name = numbered(&index.name, count);
        if name != index.name {
            made.push(rename(&index.name, &name, ""));
        }
    }
    Ok((freed, made))
}

/// The reverse of [`as_indexes`].
fn as_constraints(change: &Reshape, site: &Site<'_>, own: &[Index]) -> Result<Vec<String>> {
    let taken: BTreeSet<usize> = own.iter().map(|index| number(&index.name)).collect();
    let free = (1..).filter(|number| !taken.contains(number));
    let mut made = Vec::new();
    for (index, number) in of_constraints(site)?.into_iter().zip(free) {
        let name = numbered(&index.name, number);
        if name != index.name {
            made.push(rename(&index.name, &name, ""));
        }
    }
    // The last first, so that no two have one name.
    made.reverse();
    let back = |index: &Index| rename(&spare(change, number(&index.name)), &index.name, ", sql = null");
    made.extend(own.iter().map(back));
    Ok(made)
}
