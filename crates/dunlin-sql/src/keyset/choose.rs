//! Which key of a table it is gone through by: the one its author names, its primary key, or a unique one.

use dunlin_core::{Error, ErrorKind, Result, StoreUrl};

use super::{Column, Form, Key, mysql, postgres, sqlite};
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::error;
use crate::inspect;
use crate::moves::Rows;
use crate::op::Name;
use crate::rewrite;

/// An index of a table, as the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) is_primary: bool,
    pub(super) is_unique: bool,
    pub(super) columns: Vec<Part>,
}

/// A column of an index.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Empty for an expression.
    pub(super) name: String,
    pub(super) is_nullable: bool,
    /// How its values are kept, or why they cannot be.
    pub(super) form: Result<Form, String>,
}

/// What the catalogue says of a table.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) exists: bool,
    /// What has its name and is no table.
    pub(super) other: Option<String>,
    pub(super) indexes: Vec<Index>,
}

/// Finds the key of a table.
pub(crate) async fn find(
    conn: &mut Conn,
    table: &Name,
    wanted: Option<&[String]>,
    url: &StoreUrl,
) -> Result<Key> {
    choose(conn.dialect(), table, &list(conn, table, url).await?, wanted)
}

/// The key by which the rows would be gone through now; none where there is none yet: an earlier step may make it.
pub(crate) async fn look(conn: &mut Conn, rows: &Rows, url: &StoreUrl) -> Result<Option<Key>> {
    let listing = list(conn, &rows.table, url).await?;
    Ok(choose(conn.dialect(), &rows.table, &listing, rows.key.as_deref()).ok())
}

/// Refuses to do without the keys that these columns are in, where they are all that the rows could be gone through by.
pub(crate) async fn spare(conn: &mut Conn, rows: &Rows, columns: &[String], url: &StoreUrl) -> Result<()> {
    let (dialect, table, wanted) = (conn.dialect(), &rows.table, rows.key.as_deref());
    let mut listing = list(conn, table, url).await?;
    let Ok(key) = choose(dialect, table, &listing, wanted) else { return Ok(()) };
    let is_taken = |part: &Part| columns.iter().any(|name| rewrite::is_same(dialect, name, &part.name));
    let width = |index: &Index| wanted.map_or(index.columns.len(), <[String]>::len);
    listing.indexes.retain(|index| !index.columns.iter().take(width(index)).any(is_taken));
    if choose(dialect, table, &listing, wanted).is_ok() {
        return Ok(());
    }
    let names = key.names().join(", ");
    let message = format!(
        "{0} is gone through by its key {names} alone, which is none any more once {1} may be NULL or is set aside",
        table.name,
        columns.join(", ")
    );
    Err(Error::new(ErrorKind::Unsupported, message).help(format!(
        "{UNTOUCHED}; give {} a primary key, or a unique index over other columns that are NOT NULL, in a migration before this one",
        table.name
    )))
}

async fn list(conn: &mut Conn, table: &Name, url: &StoreUrl) -> Result<Listing> {
    let listing = match conn.dialect() {
        Dialect::Postgres => postgres::list(conn, table).await,
        Dialect::MySql => mysql::list(conn, table).await,
        Dialect::Sqlite => sqlite::list(conn, table).await,
    };
    let fail = |failure| error::own(&failure, "cannot read the catalogue", url);
    let mut listing = listing.map_err(fail)?;
    if !listing.exists {
        listing.other = inspect::other(conn, table).await.map_err(fail)?;
    }
    Ok(listing)
}

fn choose(dialect: Dialect, table: &Name, listing: &Listing, wanted: Option<&[String]>) -> Result<Key> {
    if let Some(other) = &listing.other {
        let why = format!("it is a {other}");
        let help = format!(
            "name the table that has the rows; a verify step may ask {} itself, with `none = \"select …\"`",
            table.name
        );
        return Err(refused(table, &why, &help));
    }
    if !listing.exists {
        let message = format!("there is no table {} that could be gone through", table.name);
        return Err(Error::new(ErrorKind::Statement, message).help("no row was changed; correct `table`"));
    }
    match wanted {
        Some(names) => named(dialect, table, listing, names),
        None => own(dialect, table, listing),
    }
}

/// What holds while a step has not begun to go through its rows.
pub(crate) const UNTOUCHED: &str = "no row was changed";

fn refused(table: &Name, why: &str, help: &str) -> Error {
    let message = format!("{} cannot be gone through in chunks: {why}", table.name);
    Error::new(ErrorKind::Unsupported, message).help(format!("{UNTOUCHED}; {help}"))
}

/// The key the author names. It need not be unique: all records with the same values are in one chunk.
fn named(dialect: Dialect, table: &Name, listing: &Listing, names: &[String]) -> Result<Key> {
    let is_same = |part: &Part, name: &String| match dialect {
        Dialect::Postgres => part.name == *name,
        Dialect::MySql | Dialect::Sqlite => part.name.eq_ignore_ascii_case(name),
    };
    let leads = |index: &&Index| {
        index.columns.len() >= names.len()
            && index.columns.iter().zip(names).all(|(part, name)| is_same(part, name))
    };
    let list = names.join(", ");
    let Some(index) = listing.indexes.iter().find(leads) else {
        return Err(refused(
            table,
            &format!("no index starts with {list}, so that every chunk would read the whole table"),
            &format!(
                "create one in an earlier step, or leave `key` out: create index on {} ({list})",
                table.name
            ),
        ));
    };
    let fault = fault(&index.columns[..names.len()]);
    if let Some(why) = fault {
        return Err(refused(table, &why, "name another key"));
    }
    Ok(key(dialect, index, names.len()))
}

/// The primary key, or else a unique one.
fn own(dialect: Dialect, table: &Name, listing: &Listing) -> Result<Key> {
    let mut whys = Vec::new();
    for index in listing.indexes.iter().filter(|index| index.is_primary || index.is_unique) {
        match fault(&index.columns) {
            None => return Ok(key(dialect, index, index.columns.len())),
            Some(why) => whys.push(why),
        }
    }
    let why = if whys.is_empty() {
        "it has neither a primary key nor a unique one".to_owned()
    } else {
        whys.join("; ")
    };
    let help = match dialect {
        Dialect::Sqlite => {
            "add a primary key, or a unique index over columns that are NOT NULL, in an earlier step; `update`, `delete` and the like may say `key = \"rowid\"` if no VACUUM runs meanwhile"
        }
        Dialect::Postgres | Dialect::MySql => {
            "add a primary key, or a unique index over columns that are NOT NULL, in an earlier step; `update`, `delete` and the like may name an indexed column with `key`"
        }
    };
    Err(refused(table, &why, help))
}

/// Why these columns are no key.
fn fault(columns: &[Part]) -> Option<String> {
    columns.iter().find_map(|part| match &part.form {
        _ if part.name.is_empty() => {
            Some("a unique index is over an expression or a part of a column".to_owned())
        }
        Err(why) => Some(format!("its key column {} is {why}", part.name)),
        Ok(_) if part.is_nullable => Some(format!("its key column {} may be NULL", part.name)),
        Ok(_) => None,
    })
}

fn key(dialect: Dialect, index: &Index, width: usize) -> Key {
    let column = |part: &Part| {
        let form = part.form.clone().unwrap_or(Form::Typed);
        Column { name: part.name.clone(), form }
    };
    let columns = index.columns[..width].iter().map(column).collect();
    Key::new(dialect, columns, (!index.name.is_empty()).then(|| index.name.clone()))
}
