//! The indexes of a SQLite table, and its rowid.

use super::Form;
use super::choose::{Index, Listing, Part};
use crate::conn::Conn;
use crate::op::Name;

/// A column: its name, whether it is NOT NULL, its place in the primary key.
struct Field {
    name: String,
    is_not_null: bool,
    place: i64,
    form: Result<Form, String>,
}

pub(super) async fn list(conn: &mut Conn, table: &Name) -> sqlx::Result<Listing> {
    let name = table.name.as_str();
    let schema = table.schema.as_deref().unwrap_or("main");
    let kind = "select wr, strict from pragma_table_list where lower(name) = lower(?1) and lower(schema) = lower(?2) and type = 'table'";
    let found = conn.rows(kind, &[name.into(), schema.into()]).await?;
    let Some(facts) = found.first() else { return Ok(Listing::default()) };
    let (has_rowid, is_strict) = (facts[0].int() == Some(0), facts[1].int() == Some(1));
    let fields = fields(conn, (name, schema)).await?;
    let mut indexes = indexes(conn, (name, schema)).await?;
    let part = |column: &str| match fields.iter().find(|field| field.name == column) {
        // SQLite lets NULLs into primary keys, but for these two kinds of tables.
        Some(field) => Part {
            name: field.name.clone(),
            is_nullable: !(field.is_not_null || field.place > 0 && (is_strict || !has_rowid)),
            form: field.form.clone(),
        },
        None => Part { name: String::new(), is_nullable: true, form: Ok(Form::Typed) },
    };
    let mut listed: Vec<Index> = Vec::new();
    let key: Vec<&Field> = fields.iter().filter(|field| field.place > 0).collect();
    let rowid = |name: &str, is_primary: bool| Index {
        name: String::new(),
        is_primary,
        is_unique: false,
        columns: vec![Part { name: name.to_owned(), is_nullable: false, form: Ok(Form::Bare) }],
    };
    // A primary key without an index of its own is the rowid under another name.
    if let ([only], true, false) =
        (&key[..], has_rowid, indexes.iter().any(|(_, is_primary, ..)| *is_primary))
    {
        listed.push(rowid(&only.name, true));
    }
    indexes.sort_by_key(|(_, is_primary, is_unique, columns)| (!is_primary, !is_unique, columns.len()));
    for (name, is_primary, is_unique, columns) in indexes {
        let columns = columns.iter().map(|column| part(column)).collect();
        listed.push(Index { name, is_primary, is_unique, columns });
    }
    if has_rowid {
        let is_free = |name: &&&str| !fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        listed.extend(["rowid", "_rowid_", "oid"].iter().filter(is_free).map(|name| rowid(name, false)));
    }
    Ok(Listing { exists: true, indexes: listed, ..Listing::default() })
}

async fn fields(conn: &mut Conn, (table, schema): (&str, &str)) -> sqlx::Result<Vec<Field>> {
    let sql = "select name, \"notnull\", pk, upper(type) from pragma_table_xinfo(?1, ?2)";
    let rows = conn.rows(sql, &[table.into(), schema.into()]).await?;
    let field = |row: &Vec<crate::conn::Cell>| Field {
        name: row[0].text().unwrap_or_default().to_owned(),
        is_not_null: row[1].int() == Some(1),
        place: row[2].int().unwrap_or_default(),
        form: form(row[3].text().unwrap_or_default()),
    };
    Ok(rows.iter().map(field).collect())
}

/// What SQLite takes for a float.
fn form(kind: &str) -> Result<Form, String> {
    let is_float = !kind.contains("INT") && ["REAL", "FLOA", "DOUB"].iter().any(|word| kind.contains(word));
    if is_float { Err("a float, which is not kept exactly".to_owned()) } else { Ok(Form::Typed) }
}

type Found = (String, bool, bool, Vec<String>);

/// Every index over all rows: its name, whether it is the primary key, whether it is unique, its columns.
async fn indexes(conn: &mut Conn, (table, schema): (&str, &str)) -> sqlx::Result<Vec<Found>> {
    let sql = "select l.name, l.origin = 'pk', l.\"unique\", coalesce(x.name, '') from pragma_index_list(?1, ?2) l \
               join pragma_index_xinfo(l.name, ?2) x where l.partial = 0 and x.key = 1 order by l.seq, x.seqno";
    let mut found: Vec<Found> = Vec::new();
    for row in conn.rows(sql, &[table.into(), schema.into()]).await? {
        let (name, column) =
            (row[0].text().unwrap_or_default(), row[3].text().unwrap_or_default().to_owned());
        match found.last_mut().filter(|(known, ..)| known == name) {
            Some((.., columns)) => columns.push(column),
            None => {
                let (is_primary, is_unique) = (row[1].int() == Some(1), row[2].int() == Some(1));
                found.push((name.to_owned(), is_primary, is_unique, vec![column]));
            }
        }
    }
    Ok(found)
}
