//! The whole walk of a change, forth, back and forth again, while applications of both shapes never stop writing: none of
//! their statements fails, and at every station both read what they wrote.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_testkit::Kind;
use dunlin_testkit::scratch::Connection;
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinHandle;

use super::super::Bench;
use super::shape;

over!([postgres, mysql, sqlite] rename_column, change_type, transform, add_column, drop_column, add_check, set_not_null);
over!([postgres, mysql] rename_table);

/// How many rows there are at first: some chunks of a backfill.
const ROWS: i64 = 2500;
/// How long both applications work beside one another at a station.
const WHILE: Duration = Duration::from_millis(150);
/// Longer than a statement of dunlin's may wait for a lock with others behind it, and a little for what it does then.
const PATIENCE: &str = "set lock_timeout = '5s'";

/// The statements of an application of one shape, over a number under an id.
#[derive(Clone, Copy)]
struct Client {
    insert: fn(i64, i64) -> String,
    update: fn(i64, i64) -> String,
    delete: fn(i64) -> String,
    /// Ids and numbers.
    read: &'static str,
}

/// A change and its applications.
struct Trial {
    /// The columns beside the id, and a row of the old shape, by its id and number.
    columns: &'static str,
    change: String,
    old: Client,
    new: Client,
}

fn delete(id: i64) -> String {
    format!("delete from users where id = {id}")
}

/// An application at work: it owns the ids of one remainder, so that it knows what is in them.
struct Worker {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Worker {
    /// Lets the statement under way end, and starts none any more. It must have done something.
    async fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        assert!(self.task.await.unwrap() > 0, "it wrote nothing");
    }
}

/// What was written last, by id; the lock is held to write while a station is looked at.
type Model = Arc<Mutex<BTreeMap<i64, i64>>>;

struct Walk {
    bench: Bench,
    trial: Trial,
    model: Model,
    gate: Arc<RwLock<()>>,
}

async fn connect(bench: &Bench) -> Connection {
    let mut connection = bench.db.connect().await;
    match bench.db.kind {
        Kind::Postgres => connection.sql(PATIENCE).await.unwrap(),
        Kind::Sqlite => connection.sql("pragma busy_timeout = 20000").await.unwrap(),
        _ => {}
    }
    connection
}

impl Walk {
    async fn begin(kind: Kind, trial: Trial) -> Self {
        let bench = Bench::new(kind).await;
        let id = if kind == Kind::Sqlite { "integer" } else { "bigint" };
        bench.db.sql(&format!("create table users (id {id} primary key, {})", trial.columns)).await;
        let mut model = BTreeMap::new();
        let mut connection = bench.db.connect().await;
        connection.sql("begin").await.unwrap();
        for id in 0..ROWS {
            connection.sql(&(trial.old.insert)(id, id)).await.unwrap();
            model.insert(id, id);
        }
        connection.sql("commit").await.unwrap();
        bench.write("1_change.toml", &trial.change);
        Self { bench, trial, model: Arc::new(Mutex::new(model)), gate: Arc::default() }
    }

    /// Starts an application that owns every other id.
    async fn start(&self, client: Client, remainder: i64) -> Worker {
        let is_over = Arc::new(AtomicBool::new(false));
        let (model, gate, over) = (self.model.clone(), self.gate.clone(), is_over.clone());
        let mut connection = connect(&self.bench).await;
        let task = tokio::spawn(async move {
            let (mut turn, mut count) = (0_i64, 0);
            while !over.load(Ordering::SeqCst) {
                let open = gate.read().await;
                turn += 1;
                let id = 2 * (turn * 7919 % (ROWS * 3 / 5)) + remainder;
                let value = turn % 100_000;
                let is_there = model.lock().await.contains_key(&id);
                let statement = match (is_there, turn % 5) {
                    (true, 0) => (client.delete)(id),
                    (true, _) => (client.update)(id, value),
                    (false, _) => (client.insert)(id, value),
                };
                let done = connection.sql(&statement).await;
                done.unwrap_or_else(|error| panic!("an application's {statement} failed: {error}"));
                let mut model = model.lock().await;
                if is_there && turn % 5 == 0 {
                    model.remove(&id);
                } else {
                    model.insert(id, value);
                }
                count += 1;
                drop((model, open));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            count
        });
        Worker { is_over, task }
    }

    /// Everybody holds their breath, and what these read is compared.
    async fn station(&self, station: &str, clients: &[Client]) {
        tokio::time::sleep(WHILE).await;
        let closed = self.gate.write().await;
        let model = self.model.lock().await;
        for client in clients {
            let rows = self.bench.db.rows(client.read).await;
            let number = |cell: &Option<String>| {
                let cell = cell.as_deref().unwrap_or("NULL");
                cell.parse::<i64>().unwrap_or_else(|_| panic!("{station}: {cell} by {}", client.read))
            };
            let found: BTreeMap<i64, i64> =
                rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
            let wrong = found.iter().filter(|(id, value)| model.get(*id) != Some(*value));
            let wrong: Vec<_> = wrong.take(5).map(|(id, value)| (id, value, model.get(id))).collect();
            assert!(wrong.is_empty(), "{station}: {} reads {wrong:?}", client.read);
            assert_eq!(found.len(), model.len(), "{station}: {}", client.read);
        }
        drop(closed);
    }

    /// A command of dunlin's beside the applications; on a thread of its own, since it is waited for.
    async fn run(&self, line: &str) {
        let mut command = self.bench.case.command(line);
        let run = tokio::task::spawn_blocking(move || dunlin_testkit::process::run(&mut command)).await;
        run.unwrap().expect_code(0);
    }
}

/// expand → down → expand, backfill, verify → contract → down → up --contract. The old application stops before a
/// contract, the new one before a way back, as deployments do.
async fn walk(kind: Kind, trial: Trial) {
    let walk = Walk::begin(kind, trial).await;
    let (old, new) = (walk.trial.old, walk.trial.new);
    let before = shape(&walk.bench).await;

    let olds = walk.start(old, 0).await;
    walk.run("up").await;
    let news = walk.start(new, 1).await;
    walk.station("expanded", &[old, new]).await;
    news.stop().await;
    walk.run("down --allow-data-loss").await;
    walk.station("taken back", &[old]).await;
    assert_eq!(shape(&walk.bench).await, before, "taken back");

    walk.run("up").await;
    let news = walk.start(new, 1).await;
    walk.station("expanded again", &[old, new]).await;
    walk.run("verify").await;
    olds.stop().await;
    walk.run("contract 1 --yes").await;
    walk.station("contracted", &[new]).await;
    news.stop().await;
    walk.run("down --allow-data-loss").await;
    let olds = walk.start(old, 0).await;
    walk.station("all the way back", &[old]).await;
    assert_eq!(shape(&walk.bench).await, before, "all the way back");

    walk.run("up").await;
    let news = walk.start(new, 1).await;
    walk.station("once more", &[old, new]).await;
    olds.stop().await;
    walk.run("up --contract").await;
    walk.station("in the end", &[new]).await;
    news.stop().await;
}

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

async fn rename_column(kind: Kind) {
    let old = Client {
        insert: |id, value| format!("insert into users (id, a) values ({id}, {value})"),
        update: |id, value| format!("update users set a = {value} where id = {id}"),
        delete,
        read: "select id, a from users",
    };
    let new = Client {
        insert: |id, value| format!("insert into users (id, b) values ({id}, {value})"),
        update: |id, value| format!("update users set b = {value} where id = {id}"),
        delete,
        read: "select id, b from users",
    };
    let change = change("rename_column = { table = 'users', from = 'a', to = 'b' }");
    walk(kind, Trial { columns: "a bigint not null", change, old, new }).await;
}

async fn change_type(kind: Kind) {
    let client = Client {
        insert: |id, value| format!("insert into users (id, a) values ({id}, '{value}')"),
        update: |id, value| format!("update users set a = '{value}' where id = {id}"),
        delete,
        read: "select id, a from users",
    };
    let (int, text) = if kind == Kind::Mysql { ("signed", "char") } else { ("bigint", "varchar(20)") };
    let change = change(&format!(
        "change_type = {{ table = 'users', column = 'a', type = 'bigint', up = 'cast(a as {int})', down = 'cast(a as {text})' }}"
    ));
    walk(kind, Trial { columns: "a varchar(20) not null", change, old: client, new: client }).await;
}

async fn transform(kind: Kind) {
    let old = Client {
        insert: |id, value| {
            format!("insert into users (id, high, low) values ({id}, {}, {})", value / 100, value % 100)
        },
        update: |id, value| {
            format!("update users set high = {}, low = {} where id = {id}", value / 100, value % 100)
        },
        delete,
        read: "select id, high * 100 + low from users",
    };
    let new = Client {
        insert: |id, value| format!("insert into users (id, b) values ({id}, {value})"),
        update: |id, value| format!("update users set b = {value} where id = {id}"),
        delete,
        read: "select id, b from users",
    };
    let high = if kind == Kind::Mysql { "b div 100" } else { "b / 100" };
    let change = format!(
        "[[change]]\nstore = 'app'\n[change.transform]\ntable = 'users'\nup = {{ b = {{ type = 'bigint', as = 'high * 100 + low', not_null = true }} }}\ndown = {{ high = '{high}', low = 'b % 100' }}\n"
    );
    walk(kind, Trial { columns: "high bigint not null, low bigint not null", change, old, new }).await;
}

async fn add_column(kind: Kind) {
    let old = Client {
        insert: |id, value| format!("insert into users (id, name) values ({id}, 'V{value}')"),
        update: |id, value| format!("update users set name = 'V{value}' where id = {id}"),
        delete,
        read: "select id, substr(name, 2) from users",
    };
    let new = Client {
        insert: |id, value| {
            format!("insert into users (id, name, low) values ({id}, 'V{value}', 'v{value}')")
        },
        update: |id, value| format!("update users set name = 'V{value}', low = 'v{value}' where id = {id}"),
        delete,
        // What it is made of may have been written since, by an application that does not know it.
        read: "select id, case when low is not null then substr(name, 2) end from users",
    };
    let change = change(
        "add_column = { table = 'users', column = 'low', type = 'varchar(40)', backfill = 'lower(name)', not_null = true }",
    );
    walk(kind, Trial { columns: "name varchar(40)", change, old, new }).await;
}

async fn drop_column(kind: Kind) {
    let old = Client {
        insert: |id, value| format!("insert into users (id, name, fax) values ({id}, 'V{value}', 'F{id}')"),
        update: |id, value| format!("update users set name = 'V{value}', fax = 'F{id}' where id = {id}"),
        delete,
        // Nobody but the old application says anything else than the default.
        read: "select id, case when fax in ('no', concat('F', id)) then substr(name, 2) else fax end from users",
    };
    let new = Client {
        insert: |id, value| format!("insert into users (id, name) values ({id}, 'V{value}')"),
        update: |id, value| format!("update users set name = 'V{value}' where id = {id}"),
        delete,
        read: "select id, substr(name, 2) from users",
    };
    let change = change("drop_column = { table = 'users', column = 'fax' }");
    walk(kind, Trial { columns: "name varchar(40), fax varchar(20) default 'no'", change, old, new }).await;
}

/// What both read alike: the rule comes and goes under the feet of their writing.
fn alike() -> Client {
    Client {
        insert: |id, value| format!("insert into users (id, a) values ({id}, {value})"),
        update: |id, value| format!("update users set a = {value} where id = {id}"),
        delete,
        read: "select id, a from users",
    }
}

async fn add_check(kind: Kind) {
    let change = change("add_check = { table = 'users', name = 'positive', check = 'a >= 0' }");
    walk(kind, Trial { columns: "a bigint not null", change, old: alike(), new: alike() }).await;
}

async fn set_not_null(kind: Kind) {
    let change = change("set_not_null = { table = 'users', column = 'a', fill = '0' }");
    walk(kind, Trial { columns: "a bigint", change, old: alike(), new: alike() }).await;
}

async fn rename_table(kind: Kind) {
    let old = alike();
    let new = Client {
        insert: |id, value| format!("insert into people (id, a) values ({id}, {value})"),
        update: |id, value| format!("update people set a = {value} where id = {id}"),
        delete: |id| format!("delete from people where id = {id}"),
        read: "select id, a from people",
    };
    let change = change("rename_table = { table = 'users', to = 'people' }");
    walk(kind, Trial { columns: "a bigint not null", change, old, new }).await;
}
