//! `ALTER`: several actions are applied as one, so the first that can be looked up tells of all whether they were.

use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::lex::Kind;
use crate::op::{Effect, Name, Object};

pub(super) fn effects(dialect: Dialect, cursor: &mut Cursor<'_>) -> Option<Vec<Effect>> {
    cursor.eat_any(&["ignore", "online", "materialized", "foreign"]);
    let effect = match cursor.word()?.as_str() {
        "table" => return table(dialect, cursor),
        "view" => {
            let name = altered(cursor)?;
            renamed(cursor, &name).map(|name| appears(Object::Table(name)))
        }
        "index" if dialect == Dialect::Postgres => {
            let name = altered(cursor)?;
            renamed(cursor, &name).map(|name| appears(Object::Index { name, table: None }))
        }
        "type" if dialect == Dialect::Postgres => enum_label(cursor),
        "schema" if dialect == Dialect::Postgres => {
            let name = altered(cursor)?;
            renamed(cursor, &name).map(|name| appears(Object::Schema(name.name)))
        }
        _ => None,
    };
    effect.map(|effect| vec![effect])
}

fn appears(object: Object) -> Effect {
    Effect { object, appears: true }
}

fn disappears(object: Object) -> Effect {
    Effect { object, appears: false }
}

/// The name of what is altered.
fn altered(cursor: &mut Cursor<'_>) -> Option<Name> {
    cursor.eat_all(&["if", "exists"]);
    cursor.eat("only");
    let name = cursor.name()?;
    cursor.eat_symbol("*");
    Some(name)
}

/// The new name after `RENAME TO`, in the same schema unless it says another.
fn renamed(cursor: &mut Cursor<'_>, old: &Name) -> Option<Name> {
    cursor.eat_all(&["rename", "to"]).then(|| cursor.name()).flatten().map(|new| beside(new, old))
}

fn beside(new: Name, old: &Name) -> Name {
    Name { schema: new.schema.or_else(|| old.schema.clone()), name: new.name }
}

fn enum_label(cursor: &mut Cursor<'_>) -> Option<Effect> {
    let kind = cursor.name()?;
    if cursor.eat_all(&["add", "value"]) {
        cursor.eat_all(&["if", "not", "exists"]);
    } else if cursor.eat_all(&["rename", "value"]) {
        cursor.literal()?;
        cursor.eat("to");
    } else {
        return None;
    }
    Some(appears(Object::EnumLabel { kind, label: cursor.literal()? }))
}

fn table(dialect: Dialect, cursor: &mut Cursor<'_>) -> Option<Vec<Effect>> {
    let table = altered(cursor)?;
    let mut actions = vec![action(dialect, &table, cursor)];
    while next_action(cursor) {
        actions.push(action(dialect, &table, cursor));
    }
    // What may have been there before proves nothing about the other actions.
    let is_single = actions.len() == 1;
    let sure = |(effect, is_optional): (Effect, bool)| (is_single || !is_optional).then_some(effect);
    Some(actions.into_iter().flatten().filter_map(sure).collect())
}

/// Goes past the rest of an action and the comma behind it.
fn next_action(cursor: &mut Cursor<'_>) -> bool {
    while !cursor.is_at_end() {
        if cursor.eat_parentheses() {
            continue;
        }
        if let Some((Kind::Symbol, ",")) = cursor.next() {
            return true;
        }
    }
    false
}

/// The effect of one action, and whether it may have been there before (`IF NOT EXISTS`).
fn action(dialect: Dialect, table: &Name, cursor: &mut Cursor<'_>) -> Option<(Effect, bool)> {
    let mut action = Action { dialect, table, cursor, is_optional: false };
    let effect = match action.cursor.word()?.as_str() {
        "add" => action.add().map(appears),
        "drop" => action.drop().map(disappears),
        "rename" => action.rename().map(appears),
        "change" if dialect == Dialect::MySql => action.change().map(appears),
        _ => None,
    };
    let is_optional = action.is_optional;
    effect.map(|effect| (effect, is_optional))
}

struct Action<'a, 'c, 't> {
    dialect: Dialect,
    table: &'a Name,
    cursor: &'c mut Cursor<'t>,
    is_optional: bool,
}

impl Action<'_, '_, '_> {
    fn add(&mut self) -> Option<Object> {
        let is_mysql = self.dialect == Dialect::MySql;
        if self.cursor.eat("constraint") {
            self.optional(&["if", "not", "exists"]);
            let is_unnamed =
                ["primary", "unique", "foreign", "check"].iter().any(|word| self.cursor.is(word));
            let name = if is_unnamed { None } else { self.cursor.identifier() };
            let is_key = is_mysql && self.cursor.is("primary");
            return self.constraint(if is_key { Some("PRIMARY".to_owned()) } else { name });
        }
        if self.cursor.eat_all(&["primary", "key"]) {
            return self.constraint(is_mysql.then(|| "PRIMARY".to_owned()));
        }
        let kind = is_mysql && self.cursor.eat_any(&["unique", "fulltext", "spatial"]);
        if is_mysql && (self.cursor.eat_any(&["index", "key"]) || kind) {
            self.optional(&["if", "not", "exists"]);
            return self.index();
        }
        let others = ["unique", "check", "foreign", "exclude", "partition", "period", "system"];
        if others.iter().any(|word| self.cursor.is(word)) {
            return None;
        }
        self.cursor.eat("column");
        self.optional(&["if", "not", "exists"]);
        self.column()
    }

    fn drop(&mut self) -> Option<Object> {
        let is_mysql = self.dialect == Dialect::MySql;
        if self.cursor.eat_all(&["primary", "key"]) {
            return self.constraint(is_mysql.then(|| "PRIMARY".to_owned()));
        }
        let is_foreign = is_mysql && self.cursor.eat_all(&["foreign", "key"]);
        if is_foreign || self.cursor.eat("constraint") || (is_mysql && self.cursor.eat("check")) {
            self.optional(&["if", "exists"]);
            let name = self.cursor.identifier();
            return self.constraint(name);
        }
        if is_mysql && self.cursor.eat_any(&["index", "key"]) {
            self.optional(&["if", "exists"]);
            return self.index();
        }
        if ["partition", "system", "period"].iter().any(|word| self.cursor.is(word)) {
            return None;
        }
        self.cursor.eat("column");
        self.optional(&["if", "exists"]);
        self.column()
    }

    fn rename(&mut self) -> Option<Object> {
        let is_mysql = self.dialect == Dialect::MySql;
        if self.cursor.eat("to") || (is_mysql && self.cursor.eat_any(&["as"])) {
            return self.cursor.name().map(|name| Object::Table(beside(name, self.table)));
        }
        let is_index = is_mysql && self.cursor.eat_any(&["index", "key"]);
        let is_constraint = self.cursor.eat("constraint");
        self.cursor.eat("column");
        self.optional(&["if", "exists"]);
        let old = self.cursor.name()?;
        if !self.cursor.eat("to") {
            // `RENAME new_name`, as MySQL also has it.
            return is_mysql.then(|| Object::Table(beside(old, self.table)));
        }
        match (is_index, is_constraint) {
            (true, _) => self.index(),
            (_, true) => {
                let name = self.cursor.identifier();
                self.constraint(name)
            }
            _ => self.column(),
        }
    }

    /// `CHANGE old new …`: shows only where the name changes.
    fn change(&mut self) -> Option<Object> {
        self.cursor.eat("column");
        self.optional(&["if", "exists"]);
        let old = self.cursor.identifier()?;
        let new = self.cursor.identifier()?;
        let is_new = !old.eq_ignore_ascii_case(&new);
        is_new.then(|| Object::Column { table: self.table.clone(), column: new })
    }

    fn optional(&mut self, words: &[&str]) {
        self.is_optional |= self.cursor.eat_all(words);
    }

    fn column(&mut self) -> Option<Object> {
        self.cursor.eat_symbol("(");
        Some(Object::Column { table: self.table.clone(), column: self.cursor.identifier()? })
    }

    fn constraint(&mut self, name: Option<String>) -> Option<Object> {
        Some(Object::Constraint { table: self.table.clone(), name: name? })
    }

    fn index(&mut self) -> Option<Object> {
        if self.cursor.is("using") {
            return None;
        }
        let name = Name { schema: self.table.schema.clone(), name: self.cursor.identifier()? };
        Some(Object::Index { name, table: Some(self.table.clone()) })
    }
}
