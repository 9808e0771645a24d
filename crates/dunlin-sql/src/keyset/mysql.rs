//! The indexes of a MySQL or MariaDB table.

use super::Form;
use super::choose::{Index, Listing, Part};
use crate::conn::{Cell, Conn, Param};
use crate::op::Name;

const INDEXES: &str = "select s.index_name, cast(s.non_unique as signed), s.column_name, cast(s.sub_part as signed), c.is_nullable, lower(c.data_type), \
    lower(c.column_type), cast(c.numeric_precision as signed), cast(c.numeric_scale as signed) \
    from information_schema.statistics s left join information_schema.columns c \
    on c.table_schema = s.table_schema and c.table_name = s.table_name and c.column_name = s.column_name \
    where s.table_schema = coalesce(?, database()) and s.table_name = ? and s.index_type = 'BTREE' \
    order by s.index_name <> 'PRIMARY', s.non_unique, s.index_name, s.seq_in_index";

pub(super) async fn list(conn: &mut Conn, table: &Name) -> sqlx::Result<Listing> {
    let params: [Param; 2] = [table.schema.as_deref().into(), table.name.as_str().into()];
    let kind = "select table_name from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ? \
                and table_type <> 'VIEW'";
    let exists = conn.cell(kind, &params).await?.text().is_some();
    let zone = "select concat(@@session.time_zone, ' ', @@system_time_zone)";
    let zone = conn.cell(zone, &[]).await?.text().unwrap_or_default().to_owned();
    let mut listing = Listing { exists, ..Listing::default() };
    for row in conn.rows(INDEXES, &params).await? {
        let name = row[0].text().unwrap_or_default().to_owned();
        if listing.indexes.last().is_none_or(|index| index.name != name) {
            let (is_primary, is_unique) = (name == "PRIMARY", row[1].int() == Some(0));
            listing.indexes.push(Index { name, is_primary, is_unique, columns: Vec::new() });
        }
        listing.indexes.last_mut().into_iter().for_each(|index| index.columns.push(part(&row, &zone)));
    }
    Ok(listing)
}

fn part(row: &[Cell], zone: &str) -> Part {
    let text = |index: usize| row[index].text().unwrap_or_default();
    // An index of the first letters says nothing about the order of the rest.
    let name = if row[3] == Cell::Null { text(2).to_owned() } else { String::new() };
    Part { name, is_nullable: text(4) != "NO", form: form(text(5), text(6), (&row[7], &row[8]), zone) }
}

fn form(kind: &str, full: &str, (digits, scale): (&Cell, &Cell), zone: &str) -> Result<Form, String> {
    let cast = |kind: &str| Ok(Form::Cast(kind.to_owned()));
    match kind {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year"
            if full.contains("unsigned") || kind == "year" =>
        {
            cast("unsigned")
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => cast("signed"),
        "decimal" => {
            let (digits, scale) = (digits.int().unwrap_or(65), scale.int().unwrap_or(0));
            cast(&format!("decimal({digits}, {scale})"))
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "uuid" | "inet4" | "inet6" => {
            Ok(Form::Plain)
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Ok(Form::Hex),
        "date" => cast("date"),
        "datetime" => cast("datetime(6)"),
        "time" => cast("time(6)"),
        "timestamp" if is_steady(zone) => cast("datetime(6)"),
        "timestamp" => Err(format!(
            "a timestamp, and one hour of the year comes twice in the session's time zone ({zone})"
        )),
        "float" | "double" => Err("a float, which is not kept exactly".to_owned()),
        "enum" | "set" => Err(format!("of the type {kind}, whose order is not that of its text")),
        _ => Err(format!("of the type {full}, whose values are not known to be kept exactly as text")),
    }
}

/// Whether a time zone never turns its clocks back.
fn is_steady(zone: &str) -> bool {
    let (session, system) = zone.split_once(' ').unwrap_or((zone, ""));
    let zone = if session.eq_ignore_ascii_case("system") { system } else { session };
    zone.starts_with(['+', '-']) || matches!(zone.to_ascii_uppercase().as_str(), "UTC" | "GMT" | "ETC/UTC")
}
