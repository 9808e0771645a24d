//! The indexes of a PostgreSQL table.

use super::Form;
use super::choose::{Index, Listing, Part};
use crate::conn::{Cell, Conn};
use crate::dialect::Dialect;
use crate::op::Name;

/// Every index that a range can be read by, primary first, then the unique ones, the narrow before the wide.
const INDEXES: &str = "select i.indexrelid::bigint, i.indisprimary::int::bigint, i.indisunique::int::bigint, ic.relname::text, \
    a.attname::text, a.attnotnull::int::bigint, format_type(a.atttypid, a.atttypmod), b.typname::text, b.typtype::text, \
    (c.collation_ = a.attcollation)::int::bigint \
    from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am m on m.oid = ic.relam and m.amname = 'btree' \
    cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, place) \
    join lateral unnest(i.indcollation::oid[]) with ordinality c (collation_, place) on c.place = k.place \
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum > 0 \
    left join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end \
    where i.indrelid = to_regclass($1) and i.indisvalid and i.indpred is null and k.place <= i.indnkeyatts \
    order by i.indisprimary desc, i.indisunique desc, i.indnkeyatts, i.indexrelid, k.place";

pub(super) async fn list(conn: &mut Conn, table: &Name) -> sqlx::Result<Listing> {
    let name = table.quoted(Dialect::Postgres);
    let kind = "select relkind::text from pg_class where oid = to_regclass($1) and relkind in ('r', 'p')";
    let exists = conn.cell(kind, &[name.as_str().into()]).await?.text().is_some();
    let mut listing = Listing { exists, ..Listing::default() };
    let mut last = None;
    for row in conn.rows(INDEXES, &[name.as_str().into()]).await? {
        if last != row[0].int() {
            last = row[0].int();
            listing.indexes.push(Index {
                name: row[3].text().unwrap_or_default().to_owned(),
                is_primary: row[1].int() == Some(1),
                is_unique: row[2].int() == Some(1),
                columns: Vec::new(),
            });
        }
        listing.indexes.last_mut().into_iter().for_each(|index| index.columns.push(part(&row)));
    }
    Ok(listing)
}

fn part(row: &[Cell]) -> Part {
    let text = |index: usize| row[index].text().unwrap_or_default();
    // An index in another order than the column's own cannot serve it.
    let name = if row[9].int() == Some(1) { text(4).to_owned() } else { String::new() };
    Part { name, is_nullable: row[5].int() != Some(1), form: form(text(6), text(7), text(8)) }
}

fn form(full: &str, base: &str, sort: &str) -> Result<Form, String> {
    match base {
        "int2" | "int4" | "int8" | "numeric" | "text" | "varchar" | "bpchar" | "name" | "citext" | "uuid"
        | "bool" | "bytea" | "inet" | "cidr" | "macaddr" | "macaddr8" | "oid" | "timetz" => {
            Ok(Form::Cast(full.to_owned()))
        }
        "date" | "time" | "timestamp" | "timestamptz" => Ok(Form::Iso(full.to_owned())),
        "float4" | "float8" => Err("a float, which is not kept exactly".to_owned()),
        "jsonb" | "json" => Err("JSON, whose order nobody relies on".to_owned()),
        _ if sort == "e" => Err("an enum, whose order may be changed".to_owned()),
        _ => Err(format!("of the type {full}, whose values are not known to be kept exactly as text")),
    }
}
