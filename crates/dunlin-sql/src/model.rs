//! The catalogue as the statements of a plan will leave it, so that what a plan shows of a later step is drawn for what the
//! earlier ones make. Nothing is sent. Knows the statements that changes are made of and the plainest of others; what it does
//! not know makes a table uncertain, and whoever draws for that says so.

mod alter;

use std::collections::{BTreeMap, btree_map};

use dunlin_core::{Result, StoreUrl};

use crate::conn::Conn;
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::inspect::{self, Index, Role, Table};
use crate::op::{Name, Statement};
use crate::{declared, rewrite};

/// Tables by their names.
pub(crate) struct Model {
    dialect: Dialect,
    tables: BTreeMap<String, Entry>,
    /// Whether anything at all may be otherwise by now.
    is_adrift: bool,
}

/// A table as it will be.
#[derive(Debug, Clone, Default)]
struct Entry {
    table: Option<Table>,
    /// What has its name and is no table.
    other: Option<String>,
    /// Whether something happens to it that is not understood.
    is_adrift: bool,
}

/// The table that a statement changes.
pub(crate) fn about(dialect: Dialect, text: &str) -> Option<Name> {
    let mut cursor = Cursor::new(dialect, text);
    if cursor.eat_any(&["alter", "drop"]) && cursor.eat("table") {
        cursor.eat_all(&["if", "exists"]);
        cursor.eat("only");
        return cursor.name();
    }
    if !cursor.eat("create") {
        return None;
    }
    cursor.eat_any(&["unique", "fulltext", "spatial"]);
    if !cursor.eat_any(&["index", "trigger"]) {
        return None;
    }
    while !cursor.eat("on") {
        cursor.next()?;
    }
    cursor.eat("only");
    cursor.name()
}

impl Model {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, tables: BTreeMap::new(), is_adrift: false }
    }

    fn key(&self, name: &Name) -> String {
        let name = name.quoted(self.dialect);
        if self.dialect == Dialect::Postgres { name } else { name.to_lowercase() }
    }

    /// Looks a table up, unless that was done.
    pub(crate) async fn fetch(&mut self, conn: &mut Conn, name: &Name, url: &StoreUrl) -> Result<()> {
        let key = self.key(name);
        if let btree_map::Entry::Vacant(place) = self.tables.entry(key) {
            let (table, other) = inspect::named(conn, name, url).await?;
            place.insert(Entry { table, other, is_adrift: false });
        }
        Ok(())
    }

    pub(crate) fn table(&self, name: &Name) -> Option<&Table> {
        self.tables.get(&self.key(name))?.table.as_ref()
    }

    /// What has the name of a table and is none.
    pub(crate) fn other(&self, name: &Name) -> Option<&str> {
        self.tables.get(&self.key(name))?.other.as_deref()
    }

    /// Whether a table may be otherwise than it is known.
    pub(crate) fn is_adrift(&self, name: &Name) -> bool {
        self.is_adrift || self.tables.get(&self.key(name)).is_some_and(|entry| entry.is_adrift)
    }

    /// Nothing is known any more of a table.
    pub(crate) fn lose(&mut self, name: &Name) {
        self.tables.entry(self.key(name)).or_default().is_adrift = true;
    }

    /// Takes a statement for run.
    pub(crate) fn take(&mut self, statement: &Statement) {
        if self.apply(&statement.text).is_some() {
            return;
        }
        match (about(self.dialect, &statement.text), statement.effect()) {
            (Some(name), _) => self.lose(&name),
            (None, Some(_)) => {}
            (None, None) => self.is_adrift = true,
        }
    }

    /// Nothing where the statement is not understood.
    fn apply(&mut self, text: &str) -> Option<()> {
        let mut cursor = Cursor::new(self.dialect, text);
        let word = cursor.word()?;
        match &*word {
            "update" if cursor.is("sqlite_schema") => self.retype(cursor),
            "select" | "insert" | "update" | "delete" | "with" | "pragma" | "set" | "commit" | "comment"
            | "grant" | "lock" | "unlock" => Some(()),
            "create" => self.create(text, cursor),
            "drop" => self.drop(cursor),
            "rename" => self.rename(cursor),
            "alter" if cursor.eat("table") => {
                cursor.eat("only");
                let name = cursor.name()?;
                let rest = &text[cursor.at()?..];
                if cursor.eat_all(&["rename", "to"]) {
                    let to = Name { name: cursor.identifier()?, ..name.clone() };
                    self.pass(&name, &to);
                    return Some(());
                }
                let (dialect, key) = (self.dialect, self.key(&name));
                let table = self.tables.get_mut(&key)?.table.as_mut()?;
                alter::apply(dialect, table, rest)
            }
            "alter" if cursor.eat_any(&["index", "sequence", "statistics"]) => Some(()),
            _ => None,
        }
    }

    fn pass(&mut self, from: &Name, to: &Name) {
        let entry = self.tables.insert(self.key(from), Entry::default()).unwrap_or_default();
        self.tables.insert(self.key(to), entry);
    }

    fn rename(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eat("table");
        loop {
            let from = cursor.name()?;
            cursor.eat("to").then_some(())?;
            let to = cursor.name()?;
            self.pass(&from, &to);
            if !cursor.eat_symbol(",") {
                return Some(());
            }
        }
    }

    fn create(&mut self, text: &str, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eat_all(&["or", "replace"]);
        if cursor.eat_any(&["view", "function", "statistics"]) {
            return Some(());
        }
        if cursor.eat("table") {
            let name = cursor.name()?;
            self.tables.insert(self.key(&name), Entry { is_adrift: true, ..Entry::default() });
            return Some(());
        }
        if cursor.eat("trigger") {
            let name = cursor.name()?.name;
            while !cursor.eat("on") {
                cursor.next()?;
            }
            let table = cursor.name()?;
            self.known(&table)?.triggers.push(name);
            return Some(());
        }
        let is_unique = cursor.eat("unique");
        cursor.eat("index").then_some(())?;
        cursor.eat("concurrently");
        let name = cursor.name()?.name;
        cursor.eat("on").then_some(())?;
        cursor.eat("only");
        let table = cursor.name()?;
        let body = text[cursor.at()?..].to_owned();
        let indexes = &mut self.known(&table)?.indexes;
        indexes.retain(|index| index.name != name);
        indexes.push(Index { name, is_unique, body, ..Index::default() });
        Some(())
    }

    fn known(&mut self, name: &Name) -> Option<&mut Table> {
        let key = self.key(name);
        self.tables.get_mut(&key)?.table.as_mut()
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.values_mut().filter_map(|entry| entry.table.as_mut())
    }

    fn drop(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let kind = cursor.word()?;
        cursor.eat("concurrently");
        cursor.eat_all(&["if", "exists"]);
        let name = cursor.name()?;
        match &*kind {
            "view" | "function" => {}
            "trigger" => self.all().for_each(|table| table.triggers.retain(|other| *other != name.name)),
            "index" => self.all().for_each(|table| {
                table.indexes.retain(|index| index.name != name.name || index.role == Role::Primary);
            }),
            "table" => drop(self.tables.insert(self.key(&name), Entry::default())),
            _ => return None,
        }
        Some(())
    }

    /// An index of SQLite under another name: that of a constraint, or not.
    fn call(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eat_symbol("=").then_some(())?;
        let to = cursor.literal()?;
        while !cursor.eat("and") {
            cursor.next()?;
        }
        cursor.eat_all(&["name"]);
        cursor.eat_symbol("=").then_some(())?;
        let from = cursor.literal()?;
        let found = self.all().flat_map(|table| &mut table.indexes).find(|index| index.name == from)?;
        let is_bound = to.starts_with("sqlite_autoindex_");
        (found.name, found.role) = (to, if is_bound { Role::Constraint } else { Role::Plain });
        Some(())
    }

    /// Another text of a SQLite table.
    fn retype(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eat("sqlite_schema");
        cursor.eat("set");
        if cursor.eat("name") {
            return self.call(cursor);
        }
        while !cursor.eat("sql") {
            cursor.next()?;
        }
        cursor.eat_symbol("=").then_some(())?;
        let text = cursor.literal()?;
        while !cursor.eat("lower") || !cursor.eat_symbol("(") || cursor.eat("name") {
            cursor.next()?;
        }
        let name = cursor.literal()?;
        let table = self.known(&Name { schema: None, name })?;
        for column in &mut table.columns {
            column.is_relaxed = declared::is_relaxed(&text, &column.name);
            // What is tight already stays as it is.
            column.is_nullable = declared::tightened(&text, &column.name).is_none_or(|tight| tight != text);
            column.default = declared::default(&text, &column.name);
        }
        table.constraints.retain(|rule| rule.rule != inspect::Rule::Check);
        for body in declared::checks(&text) {
            let read = table.names().into_iter().filter(|name| rewrite::reads(Dialect::Sqlite, &body, name));
            let columns = read.collect();
            table.constraints.push(inspect::Constraint { body, columns, ..inspect::Constraint::default() });
        }
        table.text = text;
        Some(())
    }
}
