//! What counts as the same value, and what clients of any kind see of triggers and backfills: nothing.

use super::super::{Bench, says};
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] letters_of_another_case_are_brought_over);

/// Runs a change.
async fn bench(kind: Kind, setup: &str, change: &str) -> Bench {
    let bench = Bench::new(kind).await;
    bench.db.sql(setup).await;
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
    bench
}

async fn text(bench: &Bench, query: &str) -> String {
    let rows = bench.db.rows(query).await;
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    rows.into_iter()
        .map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}

async fn letters_of_another_case_are_brought_over(kind: Kind) {
    let (before, collate) = match kind {
        Kind::Postgres => (
            "create collation alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ",
            " collate alike",
        ),
        Kind::Mysql => ("", ""),
        _ => ("", " collate nocase"),
    };
    let setup = format!(
        "{before}create table users (id integer primary key, e varchar(40){collate}); insert into users values (1, 'Ada'), (2, 'Bo')"
    );
    let renamed = bench(kind, &setup, "rename_column = { table = 'users', from = 'e', to = 'n' }").await;
    renamed.up();
    renamed.db.sql("update users set e = 'ada' where id = 1").await;
    renamed.db.sql("update users set n = 'bo' where id = 2").await;
    assert_eq!(text(&renamed, "select e, n from users order by id").await, "ada ada, bo bo");
    renamed.db.sql("update users set e = 'x', n = 'X' where id = 1").await;
    says(&renamed.run("verify").expect_code(14), &["id = 1"]);
    renamed.db.sql("update users set n = 'x' where id = 1").await;
    renamed.run("contract 1 --yes").expect_code(0);
    renamed.db.sql("update users set n = 'BO' where id = 2").await;
    renamed.run("down --allow-data-loss").expect_code(0);
    assert_eq!(text(&renamed, "select e from users order by id").await, "x, BO");

    let change = format!(
        "change_type = {{ table = 'users', column = 'e', type = 'varchar(50){collate}', up = 'e', down = 'e' }}"
    );
    let wider = bench(kind, &setup, &change).await;
    wider.up();
    wider.db.sql("update users set e = 'ada' where id = 1").await;
    wider.run("contract 1 --yes").expect_code(0);
    assert_eq!(text(&wider, "select e from users order by id").await, "ada, Bo");
    wider.db.sql("update users set e = 'BO' where id = 2").await;
    wider.run("down --allow-data-loss").expect_code(0);
    assert_eq!(text(&wider, "select e from users order by id").await, "ada, BO");
}

/// A type without `=`, there and back, by each change that compares.
#[tokio::test]
async fn values_that_postgres_cannot_compare_are_compared() {
    let setup = "create table users (id integer primary key, j json, x xml, p point, g polygon); \
                 insert into users values (1, '{\"a\": 1}', '<a/>', '(1,2)', '((0,0),(1,1))'), (2, null, null, null, null)";
    for column in ["j", "x", "p", "g"] {
        let change = format!("rename_column = {{ table = 'users', from = '{column}', to = 'n' }}");
        let bench = bench(Kind::Postgres, setup, &change).await;
        bench.up();
        bench.db.sql(&format!("update users set {column} = null where id = 1")).await;
        bench.run("contract 1 --yes").expect_code(0);
        assert_eq!(bench.db.number("select count(n) from users").await, 0, "{column}");
        bench.run("down --allow-data-loss").expect_code(0);
    }
    let change =
        "change_type = { table = 'users', column = 'j', type = 'jsonb', up = 'j::jsonb', down = 'j::json' }";
    let bench = bench(Kind::Postgres, setup, change).await;
    bench.up();
    bench.db.sql("update users set j = '[2]' where id = 1").await;
    bench.run("contract 1 --yes").expect_code(0);
    assert_eq!(text(&bench, "select j from users order by id").await, "[2], -");
    bench.db.sql("update users set j = '[3]' where id = 2").await;
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(text(&bench, "select j from users order by id").await, "[2], [3]");
}

/// Types and functions are found by the triggers wherever the client looks for its own.
#[tokio::test]
async fn a_client_may_look_for_names_where_it_likes() {
    let setup = "create type mood as enum ('a', 'b'); create function norm(text) returns text language sql as 'select lower($1)'; \
                 create table users (id integer primary key, m mood, e text); insert into users values (1, 'a', 'A')";
    let change = "rename_column = { table = 'users', from = 'm', to = 'n' }\n[[change]]\nstore = 'app'\n[change.transform]\ntable = 'users'\n\
                  up = { low = { type = 'text', as = 'norm(e)' } }\ndown = { e = 'norm(low)' }";
    let bench = bench(Kind::Postgres, setup, change).await;
    bench.up();
    let mut client = bench.db.connect().await;
    client.sql("set search_path = ''").await.unwrap();
    client.sql("insert into public.users (id, m, e) values (2, 'b', 'B')").await.unwrap();
    client.sql("insert into public.users (id, n, low) values (3, 'b', 'c')").await.unwrap();
    let found = text(&bench, "select m, n, e, low from users order by id").await;
    assert_eq!(found, "a a A a, b b B b, b b c c");
    bench.run("contract 1 --yes").expect_code(0);
}

/// To the application nothing happens to a row whose columns are brought over.
#[tokio::test]
async fn what_keeps_the_time_of_an_update_keeps_it() {
    let time = "datetime(3) default '2020-01-01' on update current_timestamp(3)";
    let setup = format!(
        "create table users (id integer primary key, s varchar(9), upd {time}); insert into users (id, s) values (1, 'a'), (2, 'b')"
    );
    let untouched = "select count(*) from users where upd = '2020-01-01'";
    for change in [
        "rename_column = { table = 'users', from = 's', to = 'n' }",
        "add_column = { table = 'users', column = 'low', type = 'varchar(9)', backfill = 'lower(s)' }",
    ] {
        let bench = bench(Kind::Mysql, &setup, change).await;
        bench.run("up --contract").expect_code(0);
        assert_eq!(bench.db.number(untouched).await, 2, "{change}");
        bench.run("down --allow-data-loss").expect_code(0);
        assert_eq!(bench.db.number(untouched).await, 2, "{change}, and back");
    }
    let change = "rename_column = { table = 'users', from = 'upd', to = 'changed' }";
    let bench = bench(Kind::Mysql, &setup, change).await;
    bench.up();
    assert_eq!(bench.db.number(untouched).await, 2);
    let same = "select group_concat(upd = changed order by id), min(upd = '2021-01-01'), min(upd > '2025-01-01') from users";
    for (write, found) in [
        ("s = 'c'", "1,1 0 1"),
        ("upd = '2021-01-01'", "1,1 1 0"),
        ("s = 'd'", "1,1 0 1"),
        ("changed = '2021-01-01'", "1,1 1 0"),
    ] {
        bench.db.sql(&format!("update users set {write}")).await;
        assert_eq!(text(&bench, same).await, found, "{write}");
    }
    bench.run("contract 1 --yes").expect_code(0);
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.db.number("select count(*) from users where upd = '2021-01-01'").await, 2);
}
