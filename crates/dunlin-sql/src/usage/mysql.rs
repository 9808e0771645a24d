//! What MySQL and MariaDB show.

use super::{Cell, Conn, Losing, Named, Param};

/// How often a table was read and written, where the server counts that.
pub(super) const COUNTERS: &str = "select cast(count_read + count_write as signed) from performance_schema.table_io_waits_summary_by_table \
    where object_schema = coalesce(?, database()) and object_name = ?";

/// Triggers, routines and events: what, its text, and whether it belongs to the table.
const PROGRAMS: &str = "select concat('trigger ', trigger_name), action_statement, cast(event_object_table = ? as signed) from information_schema.triggers \
    where trigger_schema = database() and trigger_name not like '~dunlin\\_%' \
    union all select concat(lower(routine_type), ' ', routine_name), routine_definition, 0 from information_schema.routines where routine_schema = database() \
    union all select concat('event ', event_name), event_definition, 0 from information_schema.events where event_schema = database() order by 1";

const VIEWS: &str = "select table_name, view_definition from information_schema.views where table_schema = database() order by 1";

const RUNNING: &str = "select concat('connection ', id, ' of ', user), info from information_schema.processlist \
    where id <> connection_id() and db = database() and info is not null order by id";

const DIGESTS: &str = "select digest_text from performance_schema.events_statements_summary_by_digest \
    where schema_name = database() and last_seen >= current_timestamp - interval 1 minute and digest_text like concat('%', ?, '%') order by last_seen desc";

pub(super) async fn programs(conn: &mut Conn, losing: &Losing<'_>) -> sqlx::Result<Vec<String>> {
    let rows = conn.rows(PROGRAMS, &[losing.table.name.as_str().into()]).await?;
    let of = |row: &Vec<Cell>| {
        let is_its = row[2].int() == Some(1);
        let column = losing.named_in(row[1].text()?, is_its)?;
        let goes_along = is_its && losing.taken.columns.is_empty();
        (!goes_along).then(|| losing.says(row[0].text().unwrap_or_default(), column))
    };
    let mut found: Vec<String> = rows.iter().filter_map(of).collect();
    if losing.taken.keeps_table {
        // A view finds the table by its name, and the one that stands for the new name goes.
        let rows = conn.rows(VIEWS, &[]).await?;
        let is_ours = |row: &&Vec<Cell>| losing.taken.coming.iter().any(|new| row[0].text() == Some(new));
        let others = rows.iter().filter(|row| !is_ours(row));
        found.extend(others.filter_map(|row| {
            losing.named_in(row[1].text()?, false)?;
            Some(losing.says(&format!("view {}", row[0].text()?), Named::Table))
        }));
    }
    Ok(found)
}

/// Statements of others. What this login may not see, or the server does not keep, is not seen.
pub(super) async fn statements(conn: &mut Conn, losing: &Losing<'_>) -> Vec<String> {
    let running = conn.rows(RUNNING, &[]).await.unwrap_or_default();
    let of = |row: &Vec<Cell>| losing.statement(row[0].text()?, row[1].text()?);
    let mut found: Vec<String> = running.iter().filter_map(of).collect();
    for name in losing.names() {
        let rows = conn.rows(DIGESTS, &[Param::from(name)]).await.unwrap_or_default();
        let of = |row: &Vec<Cell>| losing.statement("a statement of the last minute", row[0].text()?);
        found.extend(rows.iter().filter_map(of));
    }
    found
}
