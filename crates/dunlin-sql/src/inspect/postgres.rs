//! PostgreSQL's catalogue.

use super::{Column, Constraint, Index, Role, Rule, Table, text};
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::op::Name;

const COLUMNS: &str = "select a.attname::text, format_type(a.atttypid, a.atttypmod) || case when a.attcollation <> t.typcollation \
    then ' collate ' || a.attcollation::regcollation::text else '' end, pg_get_expr(d.adbin, d.adrelid), \
    (not a.attnotnull)::int::bigint, (a.attidentity <> '' or a.attgenerated <> '')::int::bigint \
    from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum";

const INDEXES: &str = "select c.relname::text, i.indisunique::int::bigint, i.indisprimary::int::bigint, \
    exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))::int::bigint, \
    pg_get_indexdef(i.indexrelid), (not i.indisvalid)::int::bigint from pg_index i join pg_class c on c.oid = i.indexrelid \
    where i.indrelid = to_regclass($1) order by c.relname";

const CONSTRAINTS: &str = "select k.conname::text, case when k.confrelid = to_regclass($1) and k.conrelid <> k.confrelid then 'r' else k.contype::text end, \
    pg_get_constraintdef(k.oid), (select string_agg(a.attname, chr(10) order by x.place) from unnest(case when k.confrelid = to_regclass($1) \
    and k.conrelid <> k.confrelid then k.confkey else k.conkey end) with ordinality x (number, place) \
    join pg_attribute a on a.attrelid = to_regclass($1) and a.attnum = x.number), k.conrelid::regclass::text, (not k.convalidated)::int::bigint \
    from pg_constraint k where k.contype in ('c', 'f') and to_regclass($1) in (k.conrelid, k.confrelid) order by k.conname";

/// Views and rules, and columns computed from others.
const READERS: &str = "select distinct a.attname::text, case when d.classid = 'pg_rewrite'::regclass then 'view ' || r.ev_class::regclass::text \
    else 'generated column ' || g.attname end from pg_depend d \
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid \
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid \
    left join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid \
    left join pg_attribute g on g.attrelid = f.adrelid and g.attnum = f.adnum and g.attgenerated <> '' \
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass($1) and d.refobjsubid > 0 \
    and (r.oid is not null and r.ev_class <> d.refobjid or g.attnum is not null and g.attnum <> a.attnum) order by 1, 2";

const TRIGGERS: &str = "select tgname::text from pg_trigger where tgrelid = to_regclass($1) and not tgisinternal order by tgname";

pub(super) async fn table(conn: &mut Conn, name: &Name) -> sqlx::Result<Option<Table>> {
    let named = name.quoted(Dialect::Postgres);
    let param = [named.as_str().into()];
    let kind = "select relkind::text from pg_class where oid = to_regclass($1) and relkind in ('r', 'p')";
    let kind = conn.cell(kind, &param).await?;
    let Some(kind) = kind.text() else { return Ok(None) };
    let mut table = Table { has_rowid: true, is_partitioned: kind == "p", ..Table::default() };
    for row in conn.rows(COLUMNS, &param).await? {
        table.columns.push(Column {
            name: text(&row[0]),
            kind: text(&row[1]),
            default: row[2].text().map(str::to_owned),
            is_nullable: row[3].int() == Some(1),
            is_generated: row[4].int() == Some(1),
            ..Column::default()
        });
    }
    for row in conn.rows(INDEXES, &param).await? {
        let made = text(&row[4]);
        table.indexes.push(Index {
            name: text(&row[0]),
            is_unique: row[1].int() == Some(1),
            role: match (row[2].int(), row[3].int()) {
                (Some(1), _) => Role::Primary,
                (_, Some(1)) => Role::Constraint,
                _ => Role::Plain,
            },
            is_invalid: row[5].int() == Some(1),
            body: made.split_once(" USING ").map(|(_, body)| format!("using {body}")).unwrap_or_default(),
        });
    }
    for row in conn.rows(CONSTRAINTS, &param).await? {
        let rule = match row[1].text() {
            Some("c") => Rule::Check,
            Some("f") => Rule::Foreign,
            _ => Rule::PointedAt,
        };
        let of = if rule == Rule::PointedAt { format!(" of {}", text(&row[4])) } else { String::new() };
        table.constraints.push(Constraint {
            name: text(&row[0]) + &of,
            rule,
            body: text(&row[2]).trim_end_matches(" NOT VALID").to_owned(),
            columns: text(&row[3]).lines().map(str::to_owned).collect(),
            is_unchecked: row[5].int() == Some(1),
        });
    }
    table.readers =
        conn.rows(READERS, &param).await?.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
    table.triggers = conn.rows(TRIGGERS, &param).await?.iter().map(|row| text(&row[0])).collect();
    Ok(Some(table))
}
