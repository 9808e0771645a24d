//! Looking at the catalogue: did a statement take effect?

use crate::conn::{Cell, Conn, Param};
use crate::dialect::Dialect;
use crate::op::{Effect, Name, Object};

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    Present,
    /// An index whose concurrent build did not come to its end.
    Invalid,
}

impl Presence {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Present => "present",
            Self::Invalid => "invalid",
        }
    }

    /// The reverse of [`Presence::word`].
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Absent, Self::Present, Self::Invalid].into_iter().find(|presence| presence.word() == word)
    }

    /// Whether this is what the effect leads to.
    pub(crate) fn fulfils(self, effect: &Effect) -> bool {
        if effect.appears { self == Self::Present } else { self == Self::Absent }
    }
}

/// Whether a thing is there; `None` where this server's catalogue does not say.
pub(crate) async fn look(conn: &mut Conn, object: &Object) -> sqlx::Result<Option<Presence>> {
    let question = match conn.dialect() {
        Dialect::Postgres => Some(postgres(object)),
        Dialect::MySql => mysql(object),
        Dialect::Sqlite => sqlite(object),
    };
    let Some((sql, params)) = question else { return Ok(None) };
    Ok(Some(match conn.cell(&sql, &params).await? {
        Cell::Null => Presence::Absent,
        Cell::Int(0) => Presence::Invalid,
        _ => Presence::Present,
    }))
}

/// A name as `to_regclass` and its relatives read it.
fn qualified(dialect: Dialect, name: &Name) -> String {
    let own = dialect.quote(&name.name);
    name.schema.as_ref().map_or(own.clone(), |schema| format!("{}.{own}", dialect.quote(schema)))
}

fn postgres(object: &Object) -> (String, Vec<Param>) {
    let text = |name: &Name| Param::from(qualified(Dialect::Postgres, name));
    match object {
        Object::Table(name) => ("select 1::bigint where to_regclass($1) is not null".to_owned(), vec![text(name)]),
        Object::Index { name, .. } => (
            "select case when indisvalid and indisready then 1 else 0 end::bigint from pg_index where indexrelid = to_regclass($1)".to_owned(),
            vec![text(name)],
        ),
        Object::Column { table, column } => (
            "select 1::bigint from pg_attribute where attrelid = to_regclass($1) and attname = $2 and not attisdropped".to_owned(),
            vec![text(table), column.as_str().into()],
        ),
        Object::Constraint { table, name } => (
            "select 1::bigint from pg_constraint where conrelid = to_regclass($1) and conname = $2".to_owned(),
            vec![text(table), name.as_str().into()],
        ),
        Object::Trigger { name } => ("select 1::bigint from pg_trigger where tgname = $1 limit 1".to_owned(), vec![name.name.as_str().into()]),
        Object::Routine { name } => ("select 1::bigint from pg_proc where proname = $1 limit 1".to_owned(), vec![name.name.as_str().into()]),
        Object::Schema(name) => ("select 1::bigint from pg_namespace where nspname = $1".to_owned(), vec![name.as_str().into()]),
        Object::Database(name) => ("select 1::bigint from pg_database where datname = $1".to_owned(), vec![name.as_str().into()]),
        Object::EnumLabel { kind, label } => (
            "select 1::bigint from pg_enum where enumtypid = to_regtype($1) and enumlabel = $2".to_owned(),
            vec![text(kind), label.as_str().into()],
        ),
    }
}

fn mysql(object: &Object) -> Option<(String, Vec<Param>)> {
    let schema = |name: &Name| Param::from(name.schema.as_deref());
    let own = |name: &Name| Param::from(name.name.as_str());
    let one = |from: &str, condition: &str| {
        format!("select 1 from information_schema.{from} where {condition} limit 1")
    };
    Some(match object {
        Object::Table(name) => (
            one("tables", "table_schema = coalesce(?, database()) and table_name = ?"),
            vec![schema(name), own(name)],
        ),
        Object::Index { name, table } => {
            let table = table.as_ref().unwrap_or(name);
            let condition = "table_schema = coalesce(?, database()) and table_name = ? and index_name = ?";
            (one("statistics", condition), vec![schema(table), own(table), own(name)])
        }
        Object::Column { table, column } => {
            let condition = "table_schema = coalesce(?, database()) and table_name = ? and column_name = ?";
            (one("columns", condition), vec![schema(table), own(table), column.as_str().into()])
        }
        Object::Constraint { table, name } => {
            let condition =
                "table_schema = coalesce(?, database()) and table_name = ? and constraint_name = ?";
            (one("table_constraints", condition), vec![schema(table), own(table), name.as_str().into()])
        }
        Object::Trigger { name } => (
            one("triggers", "trigger_schema = coalesce(?, database()) and trigger_name = ?"),
            vec![schema(name), own(name)],
        ),
        Object::Routine { name } => (
            one("routines", "routine_schema = coalesce(?, database()) and routine_name = ?"),
            vec![schema(name), own(name)],
        ),
        Object::Schema(name) | Object::Database(name) => {
            (one("schemata", "schema_name = ?"), vec![name.as_str().into()])
        }
        Object::EnumLabel { .. } => return None,
    })
}

fn sqlite(object: &Object) -> Option<(String, Vec<Param>)> {
    let master = |kinds: &str| {
        format!("select 1 from sqlite_master where type in ({kinds}) and name = ?1 collate nocase")
    };
    Some(match object {
        Object::Table(name) => (master("'table', 'view'"), vec![name.name.as_str().into()]),
        Object::Index { name, .. } => (master("'index'"), vec![name.name.as_str().into()]),
        Object::Trigger { name } => (master("'trigger'"), vec![name.name.as_str().into()]),
        Object::Column { table, column } => (
            "select 1 from pragma_table_info(?1) where name = ?2 collate nocase".to_owned(),
            vec![table.name.as_str().into(), column.as_str().into()],
        ),
        Object::Constraint { .. }
        | Object::Routine { .. }
        | Object::Schema(_)
        | Object::Database(_)
        | Object::EnumLabel { .. } => {
            return None;
        }
    })
}
