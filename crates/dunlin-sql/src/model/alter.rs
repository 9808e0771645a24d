//! `alter table`, action by action, over the picture of a table.

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::inspect::{Column, Constraint, Index, Role, Rule, Table};
use crate::moves::expr;
use crate::{declared, rewrite};

/// Changes the picture; nothing where an action is not understood.
pub(super) fn apply(dialect: Dialect, table: &mut Table, actions: &str) -> Option<()> {
    expr::list(dialect, actions).into_iter().try_for_each(|action| one(dialect, table, action))
}

fn one(dialect: Dialect, table: &mut Table, action: &str) -> Option<()> {
    let mut cursor = Cursor::new(dialect, action);
    match &*cursor.word()? {
        "algorithm" | "lock" => Some(()),
        "add" => add(dialect, table, (action, cursor)),
        "validate" => {
            cursor.eat("constraint").then_some(())?;
            let name = cursor.identifier()?;
            table.constraints.iter_mut().find(|rule| rule.name == name)?.is_unchecked = false;
            Some(())
        }
        "drop" => remove(dialect, table, cursor),
        "rename" => {
            cursor.eat("column");
            let from = cursor.identifier()?;
            cursor.eat("to").then_some(())?;
            rename(dialect, table, &from, &cursor.identifier()?)
        }
        "alter" => alter(dialect, table, (action, cursor)),
        "modify" => {
            let name = cursor.identifier()?;
            define(dialect, table, &name, &action[cursor.at()?..])
        }
        "change" => {
            let (from, to) = (cursor.identifier()?, cursor.identifier()?);
            rename(dialect, table, &from, &to)?;
            define(dialect, table, &to, &action[cursor.at()?..])
        }
        _ => None,
    }
}

fn add(dialect: Dialect, table: &mut Table, (action, mut cursor): (&str, Cursor<'_>)) -> Option<()> {
    if cursor.eat("constraint") {
        let name = cursor.identifier()?;
        let body = action[cursor.at()?..].to_owned();
        if cursor.eat("unique") {
            if cursor.eat_all(&["using", "index"]) {
                let index = cursor.identifier()?;
                let found = table.indexes.iter_mut().find(|found| found.name == index)?;
                found.role = Role::Constraint;
            }
            return Some(());
        }
        let is_unchecked = body.to_lowercase().ends_with("not valid");
        let rule = if cursor.is("foreign") { Rule::Foreign } else { Rule::Check };
        let read = table.names().into_iter().filter(|column| rewrite::reads(dialect, &body, column));
        let columns = read.collect();
        let end = if is_unchecked { body.len() - "not valid".len() } else { body.len() };
        let body = body[..end].trim_end().to_owned();
        table.constraints.push(Constraint { name, rule, body, columns, is_unchecked });
        return Some(());
    }
    let is_unique = cursor.eat("unique");
    let word =
        ["fulltext", "spatial"].into_iter().find(|word| cursor.eat(word)).unwrap_or_default().to_owned();
    if cursor.eat_any(&["index", "key"]) {
        let name = cursor.identifier()?;
        let body = action[cursor.at()?..].to_owned();
        table.indexes.push(Index { name, is_unique, word, body, ..Index::default() });
        return Some(());
    }
    cursor.eat("column");
    let name = cursor.identifier()?;
    let definition = &action[cursor.at()?..];
    table.columns.push(Column { name: name.clone(), is_nullable: true, ..Column::default() });
    if dialect == Dialect::Sqlite {
        table.text =
            declared::with_constraint(&table.text, &format!("{} {definition}", dialect.quote(&name)));
    }
    define(dialect, table, &name, definition)
}

/// What a column's definition says.
fn define(dialect: Dialect, table: &mut Table, name: &str, definition: &str) -> Option<()> {
    let column = column(dialect, table, name)?;
    let mut cursor = Cursor::new(dialect, definition);
    let (mut end, mut default, mut is_needed, mut check) = (definition.len(), None, false, String::new());
    while let Some(at) = cursor.at() {
        if cursor.eat("default") {
            end = end.min(at);
            let start = cursor.at()?;
            if !cursor.eat_parentheses() {
                cursor.next();
                cursor.eat_parentheses();
            }
            default = Some(definition[start..cursor.at().unwrap_or(definition.len())].trim().to_owned());
        } else if cursor.eat("check") {
            end = end.min(at);
            let start = cursor.at()?;
            cursor.eat_parentheses();
            let said = definition[start..cursor.at().unwrap_or(definition.len())].trim();
            said.strip_prefix('(')?.strip_suffix(')')?.clone_into(&mut check);
        } else if cursor.eat_all(&["not", "null"]) {
            (end, is_needed) = (end.min(at), true);
        } else if cursor.eat_any(&["null", "comment", "on"]) {
            end = end.min(at);
        } else if !cursor.eat_parentheses() {
            cursor.next();
        }
    }
    definition[..end].trim().clone_into(&mut column.kind);
    column.default = default;
    column.is_nullable = !is_needed;
    if dialect == Dialect::MySql {
        column.check = check;
    }
    Some(())
}

fn column<'t>(dialect: Dialect, table: &'t mut Table, name: &str) -> Option<&'t mut Column> {
    table.columns.iter_mut().find(|column| rewrite::is_same(dialect, &column.name, name))
}

fn remove(dialect: Dialect, table: &mut Table, mut cursor: Cursor<'_>) -> Option<()> {
    if cursor.eat("constraint") || cursor.eat_all(&["foreign", "key"]) {
        let name = cursor.identifier()?;
        table.constraints.retain(|rule| rule.name != name);
        table.indexes.retain(|index| index.name != name || index.role != Role::Constraint);
        return Some(());
    }
    if cursor.eat("index") {
        let name = cursor.identifier()?;
        table.indexes.retain(|index| index.name != name);
        return Some(());
    }
    cursor.eat("column");
    let name = cursor.identifier()?;
    table.columns.retain(|column| !rewrite::is_same(dialect, &column.name, &name));
    table.indexes.retain(|index| !rewrite::reads(dialect, &index.body, &name));
    table
        .constraints
        .retain(|rule| rule.rule == Rule::PointedAt || !rewrite::reads(dialect, &rule.body, &name));
    if dialect == Dialect::Sqlite {
        let (parts, text) = (name, std::mem::take(&mut table.text));
        // Its name is kept, and what stands before the first parenthesis with it.
        let start = text.find('(').unwrap_or_default();
        let less = declared::without_column(&text, &parts, "t")?;
        table.text = format!("{}{}", &text[..start], &less[less.find('(').unwrap_or_default()..]);
    }
    Some(())
}

fn rename(dialect: Dialect, table: &mut Table, from: &str, to: &str) -> Option<()> {
    to.clone_into(&mut column(dialect, table, from)?.name);
    let renamed = |text: &str| rewrite::renamed(dialect, text, from, to);
    for column in &mut table.columns {
        column.check = renamed(&column.check);
    }
    for index in &mut table.indexes {
        index.body = renamed(&index.body);
    }
    for rule in table.constraints.iter_mut().filter(|rule| rule.rule != Rule::PointedAt) {
        rule.body = renamed(&rule.body);
        rule.columns
            .iter_mut()
            .filter(|name| rewrite::is_same(dialect, name, from))
            .for_each(|name| to.clone_into(name));
    }
    for (name, _) in table.readers.iter_mut().filter(|(name, _)| rewrite::is_same(dialect, name, from)) {
        to.clone_into(name);
    }
    table.text = renamed(&table.text);
    Some(())
}

fn alter(dialect: Dialect, table: &mut Table, (action, mut cursor): (&str, Cursor<'_>)) -> Option<()> {
    if cursor.eat("index") {
        return Some(());
    }
    cursor.eat("column");
    let name = cursor.identifier()?;
    let column = column(dialect, table, &name)?;
    let sets = cursor.eat("set");
    if !sets && !cursor.eat("drop") {
        return None;
    }
    if cursor.eat_all(&["not", "null"]) {
        column.is_nullable = !sets;
        return Some(());
    }
    if cursor.eat_any(&["statistics", "storage"]) {
        return Some(());
    }
    cursor.eat("default").then_some(())?;
    column.default = if sets { Some(action[cursor.at()?..].to_owned()) } else { None };
    Some(())
}
