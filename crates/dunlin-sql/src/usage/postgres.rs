//! What PostgreSQL shows.

use dunlin_core::words;

use super::{Cell, Conn, LOOK, Losing, Param};

/// How often a table was read, and how many rows were written.
pub(super) const COUNTERS: &str = "select (coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del)::bigint \
    from pg_stat_all_tables where relid = to_regclass($1)";

/// Functions as text, and whether one is called for the rows of the table. Those that came with extensions, and our own, are
/// none of ours to ask about.
const PROGRAMS: &str = "select p.oid::regprocedure::text, p.prosrc, exists (select from pg_trigger t where t.tgfoid = p.oid and t.tgrelid = to_regclass($1) \
    and not t.tgisinternal)::int::bigint from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang \
    where n.nspname not in ('pg_catalog', 'information_schema') and l.lanname not in ('c', 'internal') and p.proname not like '~dunlin\\_%' \
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') \
    and p.prosrc ilike any ($2::text[]) order by 1";

const ACTIVITY: &str = "select 'process ' || pid || ' of ' || coalesce(usename, '?') || coalesce(' (' || nullif(application_name, '') || ')', ''), query \
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name not like 'dunlin%' \
    and backend_type = 'client backend' and (state <> 'idle' or query_start > clock_timestamp() - interval '1 minute') and query ilike any ($1::text[]) order by pid";

pub(super) async fn programs(conn: &mut Conn, losing: &Losing<'_>) -> sqlx::Result<Vec<String>> {
    let named = losing.table.quoted(losing.dialect);
    let rows = conn.rows(PROGRAMS, &[named.as_str().into(), like(losing).as_str().into()]).await?;
    let of = |row: &Vec<Cell>| {
        let is_trigger = row[2].int() == Some(1);
        let column = losing.named_in(row[1].text()?, is_trigger)?;
        let goes_along = is_trigger && losing.taken.columns.is_empty();
        (!goes_along).then(|| losing.says(&format!("function {}", row[0].text().unwrap_or_default()), column))
    };
    Ok(rows.iter().filter_map(of).collect())
}

/// The names as patterns of an array.
fn like(losing: &Losing<'_>) -> String {
    let pattern = |name: &&str| {
        let name = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("\"{}\"", format!("%{name}%").replace('\\', "\\\\").replace('"', "\\\""))
    };
    format!("{{{}}}", losing.names().iter().map(pattern).collect::<Vec<_>>().join(","))
}

/// Statements of others. What this login may not see is not seen.
pub(super) async fn statements(conn: &mut Conn, losing: &Losing<'_>) -> Vec<String> {
    let like = like(losing);
    let param = [Param::from(like.as_str())];
    let rows = conn.rows(ACTIVITY, &param).await.unwrap_or_default();
    let of = |row: &Vec<Cell>| losing.statement(row[0].text()?, row[1].text()?);
    let mut found: Vec<String> = rows.iter().filter_map(of).collect();
    let Some(counted) = counted(conn).await else { return found };
    let Ok(before) = conn.rows(&counted, &param).await else { return found };
    tokio::time::sleep(LOOK).await;
    let after = conn.rows(&counted, &param).await.unwrap_or_default();
    for row in after {
        let (Some(id), Some(text), Some(calls)) = (row[0].text(), row[1].text(), row[2].int()) else {
            continue;
        };
        let earlier =
            before.iter().find(|other| other[0].text() == Some(id)).and_then(|other| other[2].int());
        let grew = calls - earlier.unwrap_or_default();
        if grew > 0 {
            found.extend(losing.statement(
                &format!("a statement that ran {} just now", words::counted(grew.unsigned_abs(), "time")),
                text,
            ));
        }
    }
    found
}

/// The question for how often statements ran, where the server counts that.
async fn counted(conn: &mut Conn) -> Option<String> {
    let schema = "select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'";
    let schema = conn.cell(schema, &[]).await.ok()?;
    Some(format!(
        "select concat_ws(' ', userid, queryid), query, calls::bigint from {}.pg_stat_statements \
         where dbid = (select oid from pg_database where datname = current_database()) and query ilike any ($1::text[])",
        schema.text()?
    ))
}
