//! Where a walk starts and ends, and where it is cut into lanes.

use dunlin_core::{Error, ErrorKind, Position, Result, Work};

use super::{Lane, Place, position};
use crate::clause::Clause;
use crate::conn::{Conn, Param};
use crate::dialect::Dialect;
use crate::keyset::{Key, Value, Values};
use crate::moves::{Move, Verb};
use crate::op::Name;
use crate::session::Session;

/// Refuses tables that MySQL keeps without transactions: a chunk and its position would not be one.
pub(super) async fn check_engine(session: &mut Session, op: &Move) -> Result<()> {
    if session.tables.dialect != Dialect::MySql {
        return Ok(());
    }
    let into = match &op.verb {
        Verb::Insert { into, .. } => Some(into),
        Verb::Update { .. } | Verb::Delete => None,
    };
    let sql = "select t.engine from information_schema.tables t join information_schema.engines e on e.engine = t.engine \
               where t.table_schema = coalesce(?, database()) and t.table_name = ? and coalesce(e.transactions, 'NO') <> 'YES'";
    for table in [&op.rows.table].into_iter().chain(into) {
        let found =
            session.conn.cell(sql, &[table.schema.as_deref().into(), table.name.as_str().into()]).await;
        let found = found.map_err(|failure| session.fail(&failure, "cannot read the catalogue"))?;
        if let Some(engine) = found.text() {
            let message = format!("{} is kept by {engine}, which has no transactions", table.name);
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error
                .help(format!("nothing was changed; `alter table {} engine = InnoDB` first", table.name)));
        }
    }
    Ok(())
}

/// A key that moves under the cursor would have rows met twice.
pub(super) fn check(op: &Move, key: &Key) -> Result<()> {
    let Verb::Update { set } = &op.verb else { return Ok(()) };
    let names = key.names();
    let is_key = |column: &&String| names.iter().any(|name| name.eq_ignore_ascii_case(column));
    let Some(column) = set.iter().map(|(column, _)| column).find(is_key) else { return Ok(()) };
    let message =
        format!("{column} is what the rows of {} are gone through by, and cannot be set", op.rows.table.name);
    Err(Error::new(ErrorKind::Unsupported, message).help("nothing was changed; name another `key`"))
}

/// The columns that the server sets to the time of an update (MySQL), and that an op leaves as they are.
pub(crate) async fn kept(conn: &mut Conn, op: &Move) -> sqlx::Result<Vec<String>> {
    let Verb::Update { set } = &op.verb else { return Ok(Vec::new()) };
    if op.dialect != Dialect::MySql || !op.is_silent {
        return Ok(Vec::new());
    }
    let table = &op.rows.table;
    let sql = "select column_name from information_schema.columns where table_schema = coalesce(?, database()) and table_name = ? \
               and extra like '%on update%' order by ordinal_position";
    let rows = conn.rows(sql, &[table.schema.as_deref().into(), table.name.as_str().into()]).await?;
    let names = rows.iter().filter_map(|row| row[0].text());
    let is_set = |name: &&str| set.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    Ok(names.filter(|name| !is_set(name)).map(str::to_owned).collect())
}

/// From the first row to what is the last one now.
pub(super) async fn fresh(
    session: &mut Session,
    op: &Move,
    work: &Work<'_>,
    key: &Key,
) -> Result<Position<Place>> {
    let failed = |session: &Session, failure| session.fail(&failure, "cannot read the key");
    let last = match last(&mut session.conn, &op.rows.table, key).await {
        Ok(last) => last,
        Err(failure) => return Err(failed(session, failure)),
    };
    let Some(last) = last else { return Ok(position(op, work, key, Vec::new())) };
    let total = match estimate(&mut session.conn, &op.rows.table, key).await {
        Ok(total) => total,
        Err(failure) => return Err(failed(session, failure)),
    };
    let jobs = u64::from(work.pace.jobs.get());
    let cuts = match cuts(&mut session.conn, &op.rows.table, key, jobs, total).await {
        Ok(cuts) => cuts,
        Err(failure) => return Err(failed(session, failure)),
    };
    let mut lanes: Vec<Lane> = Vec::new();
    for to in cuts.into_iter().chain([last]) {
        let from = lanes.last().map(|lane| lane.to.clone());
        if from.as_ref() != Some(&to) {
            lanes.push(Lane { at: from.clone(), from, to });
        }
    }
    Ok(Position { total, ..position(op, work, key, lanes) })
}

/// The way back from `there`, over what was come past and no further; none where it goes by another key or through
/// another table.
pub(super) fn back(op: &Move, work: &Work<'_>, key: &Key, there: Position<Place>) -> Option<Position<Place>> {
    let whole = position(op, work, key, Vec::new());
    if there.place.table != whole.place.table || there.place.key != whole.place.key {
        return None;
    }
    let turned = |lane: Lane| {
        let to = lane.at.clone().filter(|_| lane.at != lane.from)?;
        Some(Lane { at: lane.from.clone(), from: lane.from, to })
    };
    let lanes = there.place.lanes.into_iter().filter_map(turned).collect();
    Some(Position { total: Some(there.scanned), ..position(op, work, key, lanes) })
}

/// The last key of a table.
pub(crate) async fn last(conn: &mut Conn, table: &Name, key: &Key) -> sqlx::Result<Option<Values>> {
    let sql = format!(
        "select {} from {}{} order by {} limit 1",
        key.read(),
        table.quoted(key.dialect),
        key.hint(),
        key.order(" desc")
    );
    Ok(conn.planned(&sql, &[]).await?.first().and_then(|row| key.values(row)))
}

/// About how many rows there are, as far as that costs nothing.
pub(crate) async fn estimate(conn: &mut Conn, table: &Name, key: &Key) -> sqlx::Result<Option<u64>> {
    let (sql, params): (String, Vec<Param>) = match key.dialect {
        Dialect::Postgres => (
            // The server's own count of what is alive, where it once counted all and follows what is written since: a table
            // full of dead rows is no longer one. Else the density that was found, where one was (-1: never); then what was
            // written since a start without a count, and at last the size, at a density that is as good a guess as any.
            "with recursive part (oid) as (select to_regclass($1)::oid union all select inhrelid from pg_inherits join part on inhparent = oid) \
             select sum(case when greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid), \
             pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) is not null then pg_stat_get_live_tuples(c.oid) \
             when reltuples > 0 and relpages > 0 then reltuples * pg_relation_size(c.oid) / current_setting('block_size')::numeric / relpages \
             when pg_stat_get_live_tuples(c.oid) > 0 then pg_stat_get_live_tuples(c.oid) else pg_relation_size(c.oid) / 100 end)::bigint \
             from pg_class c join part on part.oid = c.oid where c.relkind in ('r', 'f')"
                .to_owned(),
            vec![table.quoted(key.dialect).into()],
        ),
        Dialect::MySql => (
            "select cast(table_rows as signed) from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?"
                .to_owned(),
            vec![table.schema.as_deref().into(), table.name.as_str().into()],
        ),
        Dialect::Sqlite => {
            let [column] = &key.quoted()[..] else { return Ok(None) };
            let table = table.quoted(key.dialect);
            let edge = |way: &str| format!("(select {column} from {table} where typeof({column}) = 'integer' order by 1{way} limit 1)");
            (format!("select {} - {} + 1", edge(" desc"), edge("")), Vec::new())
        }
    };
    let found = conn.cell(&sql, &params).await?.int();
    Ok(found.and_then(|rows| u64::try_from(rows).ok()))
}

/// The keys that part a table into about equal shares.
async fn cuts(
    conn: &mut Conn,
    table: &Name,
    key: &Key,
    jobs: u64,
    total: Option<u64>,
) -> sqlx::Result<Vec<Values>> {
    let total = total.unwrap_or_default();
    if jobs < 2 || total < 2 * jobs || key.dialect == Dialect::Sqlite {
        return Ok(Vec::new());
    }
    match key.dialect {
        Dialect::Postgres => sampled(conn, table, key, jobs, total).await,
        Dialect::MySql | Dialect::Sqlite => walked(conn, table, key, jobs, total).await,
    }
}

/// Out of some pages of the table (PostgreSQL).
async fn sampled(
    conn: &mut Conn,
    table: &Name,
    key: &Key,
    jobs: u64,
    total: u64,
) -> sqlx::Result<Vec<Values>> {
    // Some thousand keys tell the shares well enough; the percentage is a number of ours.
    let hundredths = (5_000 * 10_000 / total.max(1)).clamp(1, 10_000);
    let (names, whole) = (key.order(""), table.quoted(key.dialect));
    let sql = format!(
        "select {} from (select distinct on (tile) tile, {names} from (select {names}, ntile({jobs}) over (order by {names}) as tile \
         from {whole} tablesample system ({}.{:02})) sample order by tile, {names}) tiles where tile > 1 order by tile",
        key.read(),
        hundredths / 100,
        hundredths % 100,
    );
    Ok(conn.planned(&sql, &[]).await?.iter().filter_map(|row| key.values(row)).collect())
}

/// By counting along the index.
async fn walked(
    conn: &mut Conn,
    table: &Name,
    key: &Key,
    jobs: u64,
    total: u64,
) -> sqlx::Result<Vec<Values>> {
    let mut found: Vec<Values> = Vec::new();
    for _ in 1..jobs {
        let after: Option<&[Value]> = found.last().map(Vec::as_slice);
        let mut clause = Clause::new(key.dialect);
        clause.push(&format!(
            "select {} from {}{} where ",
            key.read(),
            table.quoted(key.dialect),
            key.hint()
        ));
        key.range(&mut clause, after, None);
        let share = clause.mark("share", i64::try_from(total / jobs).unwrap_or(i64::MAX).into());
        clause.push(&format!(" order by {} limit 1 offset {share}", key.order("")));
        let rows = conn.planned(&clause.text, &clause.params).await?;
        let Some(values) = rows.first().and_then(|row| key.values(row)) else { break };
        found.push(values);
    }
    Ok(found)
}
