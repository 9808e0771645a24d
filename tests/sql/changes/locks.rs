//! The locks that a change takes on a big table of PostgreSQL while applications read and write it, looked at every two
//! milliseconds through its whole life: none that keeps them out is held while rows are looked at or moved.
//!
//! What is done with a row takes its time here, so that whoever does it with all of them under one lock is seen to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_testkit::Kind;
use dunlin_testkit::scratch::Connection;
use tokio::task::JoinHandle;

use super::super::Bench;

const ROWS: u32 = 50_000;
/// How long statements of dunlin's wait for locks, and how long such a lock may be held: all rows take some times as long.
const LIMIT: Duration = Duration::from_millis(500);

const SETUP: &str = "\
    create function slowly(value text) returns text language plpgsql immutable as
        $$ begin perform md5(repeat(value || 'dunlin', 1500)); return value; end $$;
    create table teams (id bigint primary key); insert into teams select generate_series(0, 6);
    create table users (id bigint primary key, name varchar(40) not null, age varchar(9) not null, town varchar(40), team bigint, other bigint default 0);
    insert into users select i, 'name' || i, (i % 90)::text, 'town' || i, i % 7, 0 from generate_series(1, 50000) i;
    create index users_town on users (town); analyze users;";

/// Locks that keep writers out, or everybody, on what applications use.
const LOCKS: &str = "\
    select l.pid::text, a.xact_start::text, l.mode, c.relname::text, (extract(epoch from clock_timestamp()) * 1000)::bigint::text, a.query
    from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
    where l.database = (select oid from pg_database where datname = current_database()) and l.granted and l.pid <> pg_backend_pid()
      and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      and c.relname in ('users', 'people', 'teams')";

/// A lock that was seen: by whom and in which transaction, of which mode and on what.
type Lock = (String, String, String, String);

/// When it was seen first and last, and the statements that ran meanwhile.
#[derive(Debug)]
struct Span {
    from: u64,
    to: u64,
    statements: Vec<String>,
}

struct Watch {
    is_over: Arc<AtomicBool>,
    sampler: JoinHandle<(BTreeMap<Lock, Span>, u64)>,
    load: Vec<JoinHandle<u64>>,
}

/// A task that does something again and again, as often as it can say.
async fn again(
    bench: &Bench,
    is_over: &Arc<AtomicBool>,
    statement: fn(u64) -> [String; 2],
) -> JoinHandle<u64> {
    let (mut connection, is_over) = (bench.db.connect().await, is_over.clone());
    tokio::spawn(async move {
        let (mut turn, mut done) = (0, 0);
        while !is_over.load(Ordering::SeqCst) {
            turn += 1;
            for statement in statement(turn * 7919 % u64::from(ROWS)) {
                // Under the other name it is there, or it was dropped.
                match connection.sql(&statement).await {
                    Ok(()) => {
                        done += 1;
                        break;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("does not exist"), "{statement}: {error}");
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        done
    })
}

async fn sample(connection: &mut Connection, seen: &mut BTreeMap<Lock, Span>) {
    for row in connection.rows(LOCKS).await.unwrap() {
        let [pid, begun, mode, table, at, statement] =
            <[Option<String>; 6]>::try_from(row).unwrap().map(Option::unwrap_or_default);
        let at = at.parse().unwrap();
        let span = seen.entry((pid, begun, mode, table)).or_insert(Span {
            from: at,
            to: at,
            statements: Vec::new(),
        });
        span.to = at;
        if span.statements.last() != Some(&statement) {
            span.statements.push(statement);
        }
    }
}

impl Watch {
    async fn begin(bench: &Bench) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut connection = bench.db.connect().await;
        let over = is_over.clone();
        let sampler = tokio::spawn(async move {
            let (mut seen, mut samples) = (BTreeMap::new(), 0);
            while !over.load(Ordering::SeqCst) {
                sample(&mut connection, &mut seen).await;
                samples += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (seen, samples)
        });
        let reader: fn(u64) -> [String; 2] = |id| {
            ["users", "people"]
                .map(|table| format!("select sum(other) from {table} where id between {id} and {}", id + 50))
        };
        let writer: fn(u64) -> [String; 2] = |id| {
            ["users", "people"].map(|table| format!("update {table} set other = other + 1 where id = {id}"))
        };
        let load = vec![again(bench, &is_over, reader).await, again(bench, &is_over, writer).await];
        Self { is_over, sampler, load }
    }

    /// What was seen. Whoever was to be in the way was, and nobody slept.
    async fn end(self) -> BTreeMap<Lock, Span> {
        self.is_over.store(true, Ordering::SeqCst);
        for task in self.load {
            assert!(task.await.unwrap() > 10, "nobody was there to be kept out");
        }
        let (seen, samples) = self.sampler.await.unwrap();
        assert!(samples > 10, "nobody looked: {samples}");
        seen
    }
}

/// The whole life of a change, under watch.
async fn watched(change: &str) -> BTreeMap<Lock, Span> {
    let bench = Bench::with(Kind::Postgres, &format!("lock_timeout = \"{}ms\"", LIMIT.as_millis())).await;
    bench.db.sql(SETUP).await;
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
    let watch = Watch::begin(&bench).await;
    // The load uses the old shape to the end, and is seen to.
    for line in ["up", "contract 1 --yes --force --reason applications-go-on", "down --allow-data-loss"] {
        let mut command = bench.case.command(line);
        let run = tokio::task::spawn_blocking(move || dunlin_testkit::process::run(&mut command)).await;
        let run = run.unwrap();
        // Some changes are done after `up`.
        let has_no_contract = line.starts_with("contract") && run.code == Some(2);
        assert!(run.code == Some(0) || has_no_contract, "{line}: {run}");
    }
    watch.end().await
}

/// Those that were held for too long, or that no change of ours takes at all.
fn amiss(seen: &BTreeMap<Lock, Span>) -> Vec<String> {
    let is_amiss = |((_, _, mode, _), span): &(&Lock, &Span)| {
        mode == "ShareLock" || u128::from(span.to - span.from) > LIMIT.as_millis()
    };
    let line = |((_, _, mode, table), span): (&Lock, &Span)| {
        format!("{mode} on {table} for {} ms: {:?}", span.to - span.from, span.statements)
    };
    seen.iter().filter(is_amiss).map(line).collect()
}

macro_rules! watch {
    ($($name:ident: $change:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let seen = watched($change).await;
            assert_eq!(amiss(&seen), Vec::<String>::new());
        })+
    };
}

watch! {
    create_table: "create_table = { table = 'more', columns = 'id bigint primary key' }";
    drop_table: "drop_table = { table = 'users' }";
    rename_table: "rename_table = { table = 'users', to = 'people' }";
    add_column: "add_column = { table = 'users', column = 'more', type = 'varchar(40)', backfill = 'slowly(name)', not_null = true }";
    drop_column: "drop_column = { table = 'users', column = 'age', down = \"'1'\" }";
    rename_column: "rename_column = { table = 'users', from = 'name', to = 'title' }";
    change_type: "change_type = { table = 'users', column = 'age', type = 'integer', up = 'cast(slowly(age) as integer)', down = 'cast(age as varchar(9))' }";
    set_not_null: "set_not_null = { table = 'users', column = 'town', fill = \"'none'\" }";
    drop_not_null: "drop_not_null = { table = 'users', column = 'name', fill = \"'none'\" }";
    set_default: "set_default = { table = 'users', column = 'other', default = '5', down = '0' }";
    add_index: "add_index = { table = 'users', columns = ['name', 'id'] }";
    drop_index: "drop_index = { table = 'users', name = 'users_town', columns = 'town' }";
    add_unique: "add_unique = { table = 'users', columns = 'name' }";
    add_check: "add_check = { table = 'users', name = 'named', check = 'length(slowly(name)) > 0' }";
    add_foreign_key: "add_foreign_key = { table = 'users', name = 'users_team', column = 'team', references = 'teams', to = 'id' }";
    transform: "[change.transform]\ntable = 'users'\nup = { label = { type = 'varchar(40)', as = 'slowly(name)', not_null = true } }\ndown = { name = 'slowly(label)' }";
    sql: "sql = { up = 'create table extra (id integer)', down = 'drop table extra' }";
}

/// What nobody should write is what the watch is for: it sees a table that is written anew under a lock, and an index that
/// is built in the way of writers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_a_lock_while_it_goes_through_the_rows_is_seen() {
    let seen = watched(
        "lock_timeout = '9s'\nsql = { up = 'alter table users alter age type integer using cast(slowly(age) as integer)', down = 'alter table users alter age type varchar(9)' }",
    )
    .await;
    let found = amiss(&seen);
    assert!(found.iter().any(|line| line.starts_with("AccessExclusiveLock on users")), "{found:?} {seen:?}");
    let seen = watched(
        "sql = { up = 'create index users_age on users (age, slowly(name))', down = 'drop index users_age' }",
    )
    .await;
    let found = amiss(&seen);
    assert!(found.iter().any(|line| line.starts_with("ShareLock on users")), "{found:?} {seen:?}");
}
