//! PostgreSQL's catalogue.

use super::{Column, Constraint, Index, NotNull, Part, Role, Rule, Statistics, Table, text};
use crate::conn::{Cell, Conn, Param};
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::op::Name;

/// The owner needs no grant, and is named here all the same: of a view made for the table it may be another one.
const TABLE: &str = "select (c.relkind = 'p')::int::bigint, case when c.relkind = 'r' then (select min(inhrelid::regclass::text) from pg_inherits where inhparent = c.oid) end, \
    c.relrowsecurity::int::bigint, (select string_agg(lower(x.privilege_type) || chr(10) || coalesce(quote_ident(r.rolname), 'public') \
    || case when x.is_grantable then ' with grant option' else '' end, chr(10) order by x.privilege_type, r.rolname) \
    from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x left join pg_roles r on r.oid = x.grantee \
    where x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) \
    from pg_class c where c.oid = to_regclass($1) and c.relkind in ('r', 'p')";

const COLUMNS: &str = "select a.attname::text, format_type(a.atttypid, a.atttypmod) || case when a.attcollation <> t.typcollation \
    then ' collate ' || a.attcollation::regcollation::text else '' end, pg_get_expr(d.adbin, d.adrelid), \
    (not a.attnotnull or coalesce(not k.convalidated, false))::int::bigint, (a.attidentity <> '' or a.attgenerated <> '')::int::bigint, col_description(a.attrelid, a.attnum), \
    (select string_agg(lower(x.privilege_type) || chr(10) || coalesce(quote_ident(r.rolname), 'public') || case when x.is_grantable then ' with grant option' else '' end, \
    chr(10) order by x.privilege_type, r.rolname) from aclexplode(a.attacl) x left join pg_roles r on r.oid = x.grantee), \
    k.conname::text, k.convalidated::int::bigint, \
    (select string_agg(s.objid::regclass::text, chr(10) order by s.objid) from pg_depend s join pg_class q on q.oid = s.objid and q.relkind = 'S' \
    where s.classid = 'pg_class'::regclass and s.refclassid = 'pg_class'::regclass and s.refobjid = a.attrelid and s.refobjsubid = a.attnum and s.deptype = 'a'), \
    concat_ws(chr(10), case when a.attstattarget >= 0 then 'set statistics ' || a.attstattarget end, case when a.attstorage <> t.typstorage then 'set storage ' || \
    case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end) \
    from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
    left join pg_constraint k on k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum] \
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum";

const INDEXES: &str = "select c.relname::text, i.indisunique::int::bigint, i.indisprimary::int::bigint, \
    exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))::int::bigint, \
    pg_get_indexdef(i.indexrelid), (not i.indisvalid)::int::bigint, obj_description(i.indexrelid, 'pg_class'), s.spcname::text, \
    (select case when k.condeferrable then ' deferrable' || case when k.condeferred then ' initially deferred' else '' end end \
    from pg_constraint k where k.conindid = i.indexrelid and k.contype = 'u') from pg_index i join pg_class c on c.oid = i.indexrelid left join pg_tablespace s on s.oid = c.reltablespace \
    where i.indrelid = to_regclass($1) order by c.relname";

const CONSTRAINTS: &str = "select k.conname::text, case when k.confrelid = to_regclass($1) and k.conrelid <> k.confrelid then 'r' else k.contype::text end, \
    pg_get_constraintdef(k.oid), (select string_agg(a.attname, chr(10) order by x.place) from unnest(case when k.confrelid = to_regclass($1) \
    and k.conrelid <> k.confrelid then k.confkey else k.conkey end) with ordinality x (number, place) \
    join pg_attribute a on a.attrelid = to_regclass($1) and a.attnum = x.number), k.conrelid::regclass::text, (not k.convalidated)::int::bigint \
    from pg_constraint k where k.contype in ('c', 'f') and to_regclass($1) in (k.conrelid, k.confrelid) order by k.conname";

/// Views and rules, policies, triggers that name a column, functions whose body is SQL, and columns computed from others. The
/// policy of another table is named with that.
const READERS: &str = "select distinct a.attname::text, case when d.classid = 'pg_rewrite'::regclass then 'view ' || r.ev_class::regclass::text \
    when g.attnum is not null then 'generated column ' || g.attname when d.classid = 'pg_proc'::regclass then 'function ' || d.objid::regprocedure::text \
    when d.classid = 'pg_policy'::regclass then (select case when polrelid = d.refobjid then 'policy ' || polname else polrelid::regclass::text || '''s policy ' || polname end from pg_policy where oid = d.objid) \
    else 'trigger ' || (select tgname from pg_trigger where oid = d.objid) end from pg_depend d \
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid \
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid \
    left join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid \
    left join pg_attribute g on g.attrelid = f.adrelid and g.attnum = f.adnum and g.attgenerated <> '' \
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass($1) and d.refobjsubid > 0 \
    and (r.oid is not null and r.ev_class <> d.refobjid or g.attnum is not null and g.attnum <> a.attnum \
    or d.classid in ('pg_proc'::regclass, 'pg_policy'::regclass) or d.classid = 'pg_trigger'::regclass and d.objid in \
    (select oid from pg_trigger where tgname not like '~dunlin\\_%')) order by 1, 2";

/// The parts of a table of parts, those above before those below.
const PARTS: &str = "select n.nspname::text, c.relname::text, case when t.parentrelid <> to_regclass($1) then pn.nspname::text end, p.relname::text, \
    t.isleaf::int::bigint, (select string_agg(x.relname, chr(10)) from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = t.relid and i.indisvalid), \
    (select string_agg(w.relname || chr(10) || x.relname, chr(10)) from pg_index i join pg_class x on x.oid = i.indexrelid \
    join pg_inherits h on h.inhrelid = i.indexrelid join pg_class w on w.oid = h.inhparent where i.indrelid = t.relid) \
    from pg_partition_tree(to_regclass($1)) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class p on p.oid = t.parentrelid join pg_namespace pn on pn.oid = p.relnamespace where t.level > 0 and c.relkind <> 'f' order by t.level, 1, 2";

/// How much is looked at may be said from PostgreSQL 13 on.
const STATISTICS: &str = "select n.nspname::text, s.stxname::text, pg_get_statisticsobjdef(s.oid), to_jsonb(s) ->> 'stxstattarget', \
    obj_description(s.oid, 'pg_statistic_ext') from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace \
    where s.stxrelid = to_regclass($1) order by n.nspname, s.stxname";

const TRIGGERS: &str = "select tgname::text from pg_trigger where tgrelid = to_regclass($1) and not tgisinternal order by tgname";

pub(super) async fn table(conn: &mut Conn, name: &Name) -> sqlx::Result<Option<Table>> {
    let named = name.quoted(Dialect::Postgres);
    let param = [named.as_str().into()];
    let found = conn.rows(TABLE, &param).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let is = |cell: &Cell| cell.int() == Some(1);
    let mut table = Table {
        has_rowid: true,
        is_partitioned: is(&row[0]),
        heir: row[1].text().map(str::to_owned),
        is_secured: is(&row[2]),
        grants: pairs(&row[3]),
        ..Table::default()
    };
    table.columns = conn.rows(COLUMNS, &param).await?.iter().map(|row| column(row)).collect();
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
            body: after_using(&made),
            comment: text(&row[6]),
            place: text(&row[7]),
            timing: text(&row[8]),
            ..Index::default()
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
    if table.is_partitioned {
        table.parts = parts(conn, &param).await?;
    }
    table.readers =
        conn.rows(READERS, &param).await?.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
    table.statistics =
        conn.rows(STATISTICS, &param).await?.iter().filter_map(|row| statistics(row)).collect();
    table.triggers = conn.rows(TRIGGERS, &param).await?.iter().map(|row| text(&row[0])).collect();
    Ok(Some(table))
}

fn column(row: &[Cell]) -> Column {
    Column {
        name: text(&row[0]),
        kind: text(&row[1]),
        default: row[2].text().map(str::to_owned),
        is_nullable: row[3].int() == Some(1),
        is_generated: row[4].int() == Some(1),
        comment: text(&row[5]),
        grants: pairs(&row[6]),
        rule: row[7]
            .text()
            .map(|name| NotNull { name: name.to_owned(), is_checked: row[8].int() == Some(1) }),
        sequences: text(&row[9]).lines().map(str::to_owned).collect(),
        tuning: text(&row[10]).lines().map(str::to_owned).collect(),
        ..Column::default()
    }
}

/// Lines, two by two.
fn pairs(cell: &Cell) -> Vec<(String, String)> {
    let lines = text(cell);
    let lines: Vec<&str> = lines.lines().collect();
    lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

async fn parts(conn: &mut Conn, param: &[Param]) -> sqlx::Result<Vec<Part>> {
    let name =
        |schema: &Cell, name: &Cell| Name { schema: schema.text().map(str::to_owned), name: text(name) };
    let part = |row: &Vec<Cell>| Part {
        table: name(&row[0], &row[1]),
        of: row[2].text().map(|_| name(&row[2], &row[3])),
        is_leaf: row[4].int() == Some(1),
        indexes: text(&row[5]).lines().map(str::to_owned).collect(),
        attached: pairs(&row[6]),
    };
    Ok(conn.rows(PARTS, param).await?.iter().map(part).collect())
}

/// Out of the statement that makes them: `CREATE STATISTICS name (kinds) ON items FROM table`.
fn statistics(row: &[Cell]) -> Option<Statistics> {
    let made = text(&row[2]);
    let mut cursor = Cursor::new(Dialect::Postgres, &made);
    cursor.eat_all(&["create", "statistics"]).then_some(())?;
    cursor.name()?;
    let kinds = cursor.at()?;
    cursor.eat_parentheses();
    let on = cursor.at()?;
    cursor.eat("on").then_some(())?;
    let (items, mut end) = (cursor.at()?, made.len());
    while let Some(at) = cursor.at() {
        if cursor.is("from") {
            end = at;
        }
        if !cursor.eat_parentheses() {
            cursor.next();
        }
    }
    Some(Statistics {
        name: Name { schema: Some(text(&row[0])), name: text(&row[1]) },
        kinds: made[kinds..on].trim().to_owned(),
        items: made[items..end].trim().to_owned(),
        target: row[3].text().filter(|target| *target != "-1").map(str::to_owned),
        comment: text(&row[4]),
    })
}

/// What follows the names in the statement that makes an index.
fn after_using(made: &str) -> String {
    let mut cursor = Cursor::new(Dialect::Postgres, made);
    while let Some(at) = cursor.at() {
        if cursor.is("using") {
            return format!("using{}", &made[at + "using".len()..]);
        }
        cursor.next();
    }
    String::new()
}
