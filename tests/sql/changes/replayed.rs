//! What a plan shows of SQLite is what runs: the statements of every change, on every way, are sent to a copy of the file by
//! somebody else, and the two are the same afterwards, letter by letter and in the number of times that the schema changed.

use dunlin_core::StoreUrl;
use dunlin_testkit::scratch::Connection;
use dunlin_testkit::{Kind, process};
use serde_json::Value;

use super::super::Bench;
use super::shown::{CHANGES, WAYS};

const SETUP: &str = "\
    create table teams (id integer primary key); insert into teams values (0), (1), (2), (3), (4), (5), (6);
    create table users (id integer primary key, name varchar(40) not null, age varchar(9) not null unique check (age <> ''), town varchar(40), team integer,
      other integer default 0, constraint lived check (town <> name));
    insert into users with recursive s (i) as (select 1 union all select i + 1 from s where i < 40) select i, 'name' || i, i % 90, 'town' || i, i % 7, 0 from s;
    create index users_town on users (town);
    create trigger told after update of town on users for each row begin update users set other = other + 1 where id = new.id; end";

/// The statements that a plan shows and that change something, with bounds that take in all rows.
fn statements(json: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(json).unwrap();
    let steps = answer["data"]["steps"].as_array().unwrap();
    let lines = steps.iter().flat_map(|step| step["statements"].as_array().unwrap());
    let texts = lines.map(|line| line["text"].as_str().unwrap().to_owned());
    texts
        .filter(|text| !text.starts_with("select "))
        .map(|text| text.replace(":after", "-1").replace(":until", "1000000"))
        .collect()
}

/// All that is in a file and is not the history.
async fn content(connection: &mut Connection) -> Vec<String> {
    let mut lines = Vec::new();
    let mut take =
        |rows: Vec<Vec<Option<String>>>| lines.extend(rows.into_iter().map(|row| format!("{row:?}")));
    take(connection.rows("pragma schema_version").await.unwrap());
    let schema = "select type, name, tbl_name, sql from sqlite_master where tbl_name not in ('dunlin_history', 'dunlin_journal', 'dunlin_lock', 'dunlin_files') order by 1, 2";
    let schema = connection.rows(schema).await.unwrap();
    take(schema.clone());
    for row in schema.iter().filter(|row| row[0].as_deref() == Some("table")) {
        let table = row[1].as_deref().unwrap();
        take(connection.rows(&format!("select * from \"{table}\" order by 1")).await.unwrap());
    }
    take(connection.rows("pragma integrity_check").await.unwrap());
    lines
}

async fn open(path: &std::path::Path) -> Connection {
    let url = StoreUrl::new(format!("sqlite://{}", path.display()));
    Connection::open(Kind::Sqlite, &url).await.unwrap()
}

#[tokio::test]
async fn what_a_plan_of_sqlite_shows_is_what_runs() {
    let mut amiss = Vec::new();
    for change in CHANGES.into_iter().filter(|change| !change.starts_with("rename_table")) {
        let bench = Bench::new(Kind::Sqlite).await;
        bench.db.sql(SETUP).await;
        bench.write("0_first.sql", "select 1;");
        bench.up();
        bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
        let path =
            bench.db.url.expose().trim_start_matches("sqlite://").split('?').next().unwrap().to_owned();
        let copy = bench.case.path().join("copy.db");
        for (plan, run) in WAYS {
            let shown = statements(&process::run(&mut bench.case.command(plan)).stdout);
            std::fs::copy(&path, &copy).unwrap();
            let mut other = open(&copy).await;
            for statement in &shown {
                if let Err(failure) = other.sql(statement).await {
                    amiss.push(format!("{change}, {run}: {statement}: {failure:?}"));
                }
            }
            let steps = shown.len();
            bench.run(run).expect_code(0);
            let (ran, replayed) = (content(&mut open(path.as_ref()).await).await, content(&mut other).await);
            if ran != replayed {
                let only = |one: &[String], two: &[String]| {
                    one.iter().filter(|line| !two.contains(line)).cloned().collect::<Vec<_>>().join("\n  ")
                };
                amiss.push(format!(
                    "{change}, {run}, {steps} shown\n ran\n  {}\n shown\n  {}",
                    only(&ran, &replayed),
                    only(&replayed, &ran)
                ));
            }
        }
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
}
