//! Values of our own statements: bound, and read back.

use std::sync::Arc;

use sqlx::{Arguments, Decode, Row, Type, TypeInfo, ValueRef};

/// A value bound to a statement of ours.
#[derive(Debug, Clone)]
pub(crate) enum Param {
    Null,
    Int(i64),
    /// SQLite's keys alone are bound as what they are.
    Real(f64),
    Text(Arc<str>),
    Blob(Arc<[u8]>),
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Option<&str>> for Param {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// A value read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
}

impl Cell {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
            Self::Null => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Values as a driver takes them.
pub(super) fn bind<A>(params: &[Param]) -> sqlx::Result<A>
where
    A: Arguments + Default,
    for<'q> i64: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> f64: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Vec<u8>: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> String: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<String>: sqlx::Encode<'q, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for param in params {
        match param {
            Param::Null => arguments.add(None::<String>),
            Param::Int(value) => arguments.add(*value),
            Param::Real(value) => arguments.add(*value),
            Param::Text(text) => arguments.add(text.to_string()),
            Param::Blob(bytes) => arguments.add(bytes.to_vec()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A row of whole numbers and texts.
pub(crate) fn cells<R>(row: &R) -> sqlx::Result<Vec<Cell>>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let cell = |index: usize| {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        let kind = raw.type_info();
        // MySQL counts connections and rows without a sign.
        if <i64 as Type<R::Database>>::compatible(&kind) || kind.name() == "BIGINT UNSIGNED" {
            return row.try_get_unchecked::<i64, _>(index).map(Cell::Int);
        }
        row.try_get_unchecked::<String, _>(index).map(Cell::Text)
    };
    (0..row.len()).map(cell).collect()
}
