//! Whole tables of ours, row by row. SQLite's come as JSON texts of many rows: each row by itself would be allocated
//! column by column on the thread of its library, and cross to ours alone.

use std::fmt;

use futures_util::TryStreamExt;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::conn::{Cell, Conn, cells};

/// So many of SQLite's rows are one text.
const PAGE: usize = 250;

impl Conn {
    /// Hands over every row of a table of ours. The columns are whole numbers and texts, the first is the key, a text that is not empty.
    pub(crate) async fn each(
        &mut self,
        columns: &[String],
        table: &str,
        mut row: impl FnMut(&[Cell]) + Send,
    ) -> sqlx::Result<()> {
        let columns = columns.join(", ");
        let select = AssertSqlSafe(format!("select {columns} from {table}"));
        match self {
            Self::Postgres(conn) => {
                let mut rows = sqlx::query(select).fetch(conn);
                while let Some(next) = rows.try_next().await? {
                    row(&cells(&next)?);
                }
            }
            Self::MySql(conn) => {
                let mut rows = sqlx::query(select).fetch(conn);
                while let Some(next) = rows.try_next().await? {
                    row(&cells(&next)?);
                }
            }
            Self::Sqlite(conn, _) => {
                // One look at the whole, so that no page tells of a later moment than another.
                let read = pages(conn, &columns, table, &mut row).await;
                let ended = sqlx::raw_sql("commit").execute(conn).await;
                read?;
                ended?;
            }
        }
        Ok(())
    }
}

async fn pages(
    conn: &mut SqliteConnection,
    columns: &str,
    table: &str,
    row: &mut (impl FnMut(&[Cell]) + Send),
) -> sqlx::Result<()> {
    let (key, _) = columns.split_once(", ").unwrap_or((columns, ""));
    let select = format!(
        "select json_group_array(json_array({columns})) from (select * from {table} where {key} > $1 order by {key} limit {PAGE})"
    );
    let first = format!("begin; {select}");
    let mut last = String::new();
    loop {
        let text = if last.is_empty() { &first } else { &select };
        let page = sqlx::query(AssertSqlSafe(&**text)).bind(last.clone()).fetch_one(&mut *conn).await?;
        let mut count = 0;
        let mut json = serde_json::Deserializer::from_str(page.try_get_unchecked(0)?);
        let read = Rows(&mut |cells: &[Cell]| {
            row(cells);
            count += 1;
            if let Some(key) = cells[0].text().filter(|key| **key > *last) {
                key.clone_into(&mut last);
            }
        });
        read.deserialize(&mut json).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if count < PAGE {
            return Ok(());
        }
    }
}

/// An array of rows, none of which is kept.
struct Rows<'a, F>(&'a mut F);

impl<'de, F: FnMut(&[Cell])> DeserializeSeed<'de> for Rows<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&[Cell])> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Vec<Cell>>()? {
            (self.0)(&row);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyCell)
    }
}

/// Anything that a column can hold: somebody may have written into the table by hand.
struct AnyCell;

impl Visitor<'_> for AnyCell {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, a text or null")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Cell, E> {
        i64::try_from(value).map(Cell::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }
}
