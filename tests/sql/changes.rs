//! `[[change]]`: each goes through its whole life on every engine, forth and back, with a client of the old shape and one
//! of the new shape writing in between. At every station both read what a model says, and after the way back the table
//! is what it was.

mod alike;
mod bonds;
mod exchange;
mod gate;
mod indexes;
mod kills;
mod life;
mod locks;
mod obstacles;
mod others;
mod overlap;
mod plan;
mod refusals;
mod replayed;
mod reshape;
mod shown;
mod usage;
mod writers;

use dunlin_testkit::{Kind, Scratch};

use super::Bench;

/// The tables, indexes, constraints, triggers and views of a database that are not dunlin's history, as text.
async fn shape(bench: &Bench) -> Vec<String> {
    shape_of(&bench.db).await
}

/// The same of a database that has no project.
pub(crate) async fn shape_of(db: &Scratch) -> Vec<String> {
    let queries: &[&str] = match db.kind {
        Kind::Postgres => &[
            "select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') \
             from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
             where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped and c.relname not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') order by 1",
            "select indexdef from pg_indexes where schemaname = current_schema() and tablename not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') order by 1",
            "select conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated from pg_constraint where connamespace = current_schema()::regnamespace and conrelid::regclass::text not like '%dunlin_%' order by 1",
            "select tgname || ' ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1",
            "select proname::text from pg_proc where pronamespace = current_schema()::regnamespace order by 1",
        ],
        Kind::Mysql => &[
            "select concat(table_name, '.', column_name, ' ', column_type, ' ', is_nullable, ' ', coalesce(column_default, ''), ' ', extra) from information_schema.columns \
             where table_schema = database() and table_name not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') order by table_name, ordinal_position",
            "select concat(table_name, ' ', index_name, ' ', non_unique, ' ', group_concat(column_name order by seq_in_index)) from information_schema.statistics \
             where table_schema = database() and table_name not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') group by table_name, index_name, non_unique order by 1",
            "select concat(table_name, ' ', constraint_name, ' ', constraint_type) from information_schema.table_constraints \
             where table_schema = database() and table_name not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') order by 1",
            "select trigger_name from information_schema.triggers where trigger_schema = database() order by 1",
            "select table_name from information_schema.views where table_schema = database() order by 1",
        ],
        _ => &[
            "select replace(replace(replace(replace(lower(sql), '\"', ''), ' ', ''), char(10), ''), '`', '') from sqlite_master \
                where sql is not null and name not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock') order by 1",
        ],
    };
    let mut lines = Vec::new();
    let mut connection = db.connect().await;
    for query in queries {
        let rows = connection.rows(query).await.unwrap();
        lines.extend(rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")));
    }
    lines
}
