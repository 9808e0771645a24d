//! Rows of the user's own queries, as a person reads them.

use std::fmt::Write as _;

use futures_util::{Stream, TryStreamExt};
use sqlx::{Column, Database, Decode, Row, TypeInfo, ValueRef};

/// The first rows as `column=value` texts, and how many more there are.
pub(super) async fn describe<R, S>(mut rows: S, limit: usize) -> sqlx::Result<(Vec<String>, u64)>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
    S: Stream<Item = sqlx::Result<R>> + Unpin,
{
    let (mut found, mut more) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if found.len() < limit {
            found.push(describe_row(&row)?);
        } else {
            more += 1;
        }
    }
    Ok((found, more))
}

fn describe_row<R>(row: &R) -> sqlx::Result<String>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
{
    let mut text = String::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let value = if raw.is_null() { "NULL".to_owned() } else { shown::<R::Database>(raw)? };
        let separator = if index == 0 { "" } else { " " };
        let _ = write!(text, "{separator}{}={value}", column.name());
    }
    Ok(text)
}

/// A value in the text protocol is its own text; SQLite, which has no such protocol, converts.
fn shown<'r, D: Database>(raw: D::ValueRef<'r>) -> sqlx::Result<String>
where
    String: Decode<'r, D>,
{
    let kind = raw.type_info().name().to_owned();
    let value = <String as Decode<D>>::decode(raw);
    value.map_err(|source| sqlx::Error::ColumnDecode { index: kind, source })
}
