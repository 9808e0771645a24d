//! Tables, indexes, rules, and what a column must hold.

use super::super::{Bench, says};
use super::life::{Life, live};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] what_held_before_holds_after, set_not_null, drop_not_null, set_default, add_index, drop_index, add_unique, add_check, add_foreign_key, create_table, drop_table, sql);
over!([postgres, mysql] rename_table);

const READ: &str = "select id, name from users order by id";

fn users(columns: &str, rows: &str) -> String {
    format!("create table users (id integer primary key, {columns}); {rows}")
}

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

/// A change that both clients read alike.
async fn plain(
    kind: Kind,
    setup: String,
    text: &str,
    beside: &'static [&'static str],
    after: &'static [&'static str],
) {
    let writes = |rows: &'static [&'static str]| rows.to_vec();
    let read: [&'static [&'static str]; 3] = match (beside.len(), after.len()) {
        (0, 0) => [&["1 a"], &["1 a"], &["1 a"]],
        (_, 0) => [&["1 a"], &["1 a", "2 b"], &["1 a", "2 b"]],
        (0, _) => [&["1 a"], &["1 a"], &["1 a", "3 c"]],
        _ => [&["1 a"], &["1 a", "2 b"], &["1 a", "2 b", "3 c"]],
    };
    let life = Life {
        setup,
        change: change(text),
        old: READ,
        new: READ,
        first: (read[0], read[0]),
        beside: (writes(beside), (read[1], read[1])),
        after: (writes(after), (read[2], read[2])),
        again: None,
    };
    live(kind, &life).await;
}

async fn set_not_null(kind: Kind) {
    let setup = users("name varchar(9)", "insert into users values (1, null)");
    let life = Life {
        setup,
        change: change("set_not_null = { table = 'users', column = 'name', fill = \"'none'\" }"),
        old: READ,
        new: READ,
        first: (&["1 none"], &["1 none"]),
        beside: (
            vec![
                "insert into users values (2, null)",
                "insert into users (id, name) values (3, 'x')",
                "update users set name = null where id = 3",
            ],
            (&["1 none", "2 none", "3 none"], &["1 none", "2 none", "3 none"]),
        ),
        after: (
            vec!["insert into users values (4, 'd')"],
            (&["1 none", "2 none", "3 none", "4 d"], &["1 none", "2 none", "3 none", "4 d"]),
        ),
        again: None,
    };
    // What was filled stays filled on the way back.
    let bench = Bench::new(kind).await;
    bench.db.sql(&life.setup).await;
    let before = shape(&bench).await;
    bench.write("1_change.toml", &life.change);
    bench.up();
    for statement in &life.beside.0 {
        bench.db.sql(statement).await;
    }
    bench.run("contract 1 --yes").expect_code(0);
    assert!(
        bench.db.connect().await.sql("insert into users values (9, null)").await.is_err(),
        "NULL is refused now"
    );
    bench.db.sql("insert into users values (4, 'd')").await;
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    bench.db.sql("insert into users values (9, null)").await;
    bench.run("up --contract").expect_code(0);
    assert_eq!(bench.db.number("select count(*) from users where name is null").await, 0);
}

/// SQLite keeps the text of a table: none of ours stays in it.
#[tokio::test]
async fn nothing_of_dunlin_stays_in_a_table() {
    let bench = Bench::new(Kind::Sqlite).await;
    let made = "CREATE TABLE u (id integer primary key, /* who */ name varchar(40) CONSTRAINT named NOT NULL ON CONFLICT FAIL DEFAULT 'x' -- a\n, age INT not null, town text not null default 'a')";
    bench.db.sql(made).await;
    let text =
        async || bench.db.rows("select sql from sqlite_master where name = 'u'").await[0][0].clone().unwrap();
    bench.write(
        "1_free.toml",
        "[[change]]\nstore = 'app'\ndrop_not_null = { table = 'u', column = 'name' }\n[[change]]\nstore = 'app'\ndrop_not_null = { table = 'u', column = 'age', fill = '0' }",
    );
    bench.up();
    let free = text().await;
    assert!(!free.contains("dunlin") && !free.contains("NOT NULL"), "{free}");
    bench.db.sql("insert into u (id, name) values (1, null)").await;
    // What takes NULL takes it under its new name as well.
    bench.write("2_more.toml", "[[change]]\nstore = 'app'\nrename_column = { table = 'u', from = 'name', to = 'title' }\n[[change]]\nstore = 'app'\nrename_column = { table = 'u', from = 'town', to = 'city' }");
    bench.run("up --contract").expect_code(0);
    bench.db.sql("insert into u (id, title) values (2, null)").await;
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(text().await.replace('"', ""), free);
    bench.run("up --contract").expect_code(0);
    bench.run("purge --yes").expect_code(0);
    let purged = text().await;
    assert!(!purged.contains("dunlin"), "{purged}");
    bench.db.sql("drop table u; delete from dunlin_history; delete from dunlin_journal").await;
    bench.db.sql(made).await;
    bench.remove("2_more.toml");
    bench.up();
    bench.run("down").expect_code(0);
    assert_eq!(text().await, made);
}

async fn drop_not_null(kind: Kind) {
    let setup = users("name varchar(9) not null", "insert into users values (1, 'a')");
    let text = "drop_not_null = { table = 'users', column = 'name', fill = \"'none'\" }";
    let bench = Bench::new(kind).await;
    bench.db.sql(&setup).await;
    let before = shape(&bench).await;
    bench.write("1_change.toml", &change(text));
    bench.up();
    bench.db.sql("insert into users values (2, null)").await;
    assert_eq!(bench.db.number("select count(*) from users where name is null").await, 1, "it may be");
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    assert_eq!(bench.db.number("select count(*) from users where name = 'none'").await, 1);
    bench.up();
    bench.db.sql("insert into users values (3, null)").await;
}

async fn set_default(kind: Kind) {
    let setup = users("name varchar(9) default 'a'", "insert into users (id) values (1)");
    let text = "set_default = { table = 'users', column = 'name', default = \"'b'\", down = \"'a'\" }";
    plain(kind, setup, text, &["insert into users (id) values (2)"], &[]).await;
    let bench = Bench::new(kind).await;
    bench.db.sql(&users("name varchar(9) default 'a'", "")).await;
    bench.write(
        "1_change.toml",
        &change("set_default = { table = 'users', column = 'name', default = \"'b'\" }"),
    );
    says(&bench.run("up").expect_code(1), &["has the default", "write `down"]);
}

async fn add_index(kind: Kind) {
    let setup = users("name varchar(9)", "insert into users values (1, 'a')");
    let text = "add_index = { table = 'users', columns = ['name', 'id'] }";
    plain(kind, setup, text, &["insert into users values (2, 'b')"], &["insert into users values (3, 'c')"])
        .await;
}

async fn drop_index(kind: Kind) {
    let setup = users(
        "name varchar(9)",
        "create index users_name on users (name); insert into users values (1, 'a')",
    );
    let text = "drop_index = { table = 'users', name = 'users_name', columns = 'name' }";
    plain(kind, setup, text, &["insert into users values (2, 'b')"], &["insert into users values (3, 'c')"])
        .await;
}

async fn add_unique(kind: Kind) {
    let setup = || users("name varchar(9)", "insert into users values (1, 'a')");
    let text = "add_unique = { table = 'users', columns = 'name' }";
    plain(
        kind,
        setup(),
        text,
        &["insert into users values (2, 'b')"],
        &["insert into users values (3, 'c')"],
    )
    .await;
    let bench = Bench::new(kind).await;
    bench.db.sql(&setup()).await;
    bench.db.sql("insert into users values (2, 'a'), (3, null), (4, null)").await;
    bench.write("1_change.toml", &change(text));
    says(&bench.run("up").expect_code(14), &["times=2"]);
    bench.db.sql("delete from users where id = 2").await;
    bench.run("up --contract").expect_code(0);
    assert!(bench.db.connect().await.sql("insert into users values (5, 'a')").await.is_err());
}

async fn add_check(kind: Kind) {
    let setup = || users("name varchar(9)", "insert into users values (1, 'a')");
    let text = "add_check = { table = 'users', name = 'no_x', check = \"name <> 'x'\" }";
    plain(
        kind,
        setup(),
        text,
        &["insert into users values (2, 'b')"],
        &["insert into users values (3, 'c')"],
    )
    .await;
    let bench = Bench::new(kind).await;
    bench.db.sql(&setup()).await;
    bench.db.sql("insert into users values (2, 'x')").await;
    bench.write("1_change.toml", &change(text));
    says(&bench.run("up").expect_code(14), &["id = 2"]);
    bench.db.sql("delete from users where id = 2").await;
    bench.run("up --contract").expect_code(0);
    assert!(bench.db.connect().await.sql("insert into users values (5, 'x')").await.is_err());
}

async fn add_foreign_key(kind: Kind) {
    let setup = || {
        format!(
            "create table teams (id integer primary key); insert into teams values (7); {}",
            users("name varchar(9), team integer", "insert into users values (1, 'a', 7)")
        )
    };
    let text = "add_foreign_key = { table = 'users', name = 'users_team', column = 'team', references = 'teams', to = 'id' }";
    plain(
        kind,
        setup(),
        text,
        &["insert into users values (2, 'b', null)"],
        &["insert into users values (3, 'c', 7)"],
    )
    .await;
    let bench = Bench::new(kind).await;
    bench.db.sql(&setup()).await;
    bench.db.sql("insert into users values (2, 'x', 9)").await;
    bench.write("1_change.toml", &change(text));
    says(&bench.run("up").expect_code(14), &["id = 2"]);
    bench.db.sql("delete from users where id = 2").await;
    bench.run("up --contract").expect_code(0);
    if kind != Kind::Sqlite {
        assert!(bench.db.connect().await.sql("insert into users values (5, 'x', 9)").await.is_err());
    }
}

async fn create_table(kind: Kind) {
    let bench = Bench::new(kind).await;
    let before = shape(&bench).await;
    let text = "create_table = { table = 'users', columns = 'id integer primary key, name varchar(9)' }";
    bench.write("1_change.toml", &change(text));
    bench.up();
    bench.db.sql("insert into users values (1, 'a')").await;
    says(&bench.run("down").expect_code(3), &["table users"]);
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    bench.up();
}

async fn drop_table(kind: Kind) {
    let setup = users(
        "name varchar(9)",
        "create index users_name on users (name); insert into users values (1, 'a')",
    );
    let bench = Bench::new(kind).await;
    bench.db.sql(&setup).await;
    let before = shape(&bench).await;
    bench.write("1_change.toml", &change("drop_table = { table = 'users' }"));
    bench.up();
    bench.db.sql("insert into users values (2, 'b')").await;
    bench.run("contract 1 --yes").expect_code(0);
    assert!(
        bench.db.connect().await.sql("insert into users values (3, 'c')").await.is_err(),
        "nobody finds it any more"
    );
    bench.run("down").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    assert_eq!(bench.db.number("select count(*) from users").await, 2);
}

async fn rename_table(kind: Kind) {
    let life = Life {
        setup: users("name varchar(9)", "insert into users values (1, 'a')"),
        change: change("rename_table = { table = 'users', to = 'people' }"),
        old: READ,
        new: "select id, name from people order by id",
        first: (&["1 a"], &["1 a"]),
        beside: (
            vec![
                "insert into users values (2, 'b')",
                "insert into people values (3, 'c')",
                "update people set name = 'A' where id = 1",
            ],
            (&["1 A", "2 b", "3 c"], &["1 A", "2 b", "3 c"]),
        ),
        after: (
            vec!["insert into people values (4, 'd')"],
            (&["1 A", "2 b", "3 c", "4 d"], &["1 A", "2 b", "3 c", "4 d"]),
        ),
        again: None,
    };
    live(kind, &life).await;
}

async fn sql(kind: Kind) {
    let setup = users("name varchar(9)", "insert into users values (1, 'a')");
    let text = "sql = { up = 'create table extra (id integer)', down = 'drop table extra' }";
    plain(kind, setup, text, &["insert into users values (2, 'b')"], &["insert into users values (3, 'c')"])
        .await;
}

/// A column that takes no NULL already, or takes it already, is not changed by the way back from what changed nothing.
async fn what_held_before_holds_after(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(&users("name varchar(9) not null, town varchar(9)", "insert into users values (1, 'a', 'b')"))
        .await;
    let before = shape(&bench).await;
    let already = "set_not_null = { table = 'users', column = 'name' }\n[[change]]\nstore = 'app'\ndrop_not_null = { table = 'users', column = 'town' }";
    bench.write("1_change.toml", &change(already));
    bench.run("up --contract").expect_code(0);
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
}

/// MySQL has no index over some of the rows, and says so before anything runs.
#[tokio::test]
async fn a_filter_is_refused_where_no_index_can_have_one() {
    let bench = Bench::new(Kind::Mysql).await;
    bench.write(
        "1_change.toml",
        &change("add_index = { table = 'users', columns = 'name', where = 'id > 1' }"),
    );
    says(&bench.run("check").expect_code(13), &["unknown key `where`"]);
}

/// The view under the new name is for those who may use the table, and shows them the rows that they see there.
#[tokio::test]
async fn a_table_under_two_names_shows_everybody_the_same() {
    let bench = Bench::new(Kind::Postgres).await;
    let role = bench.db.value("select 'r' || substr(current_database(), 3, 20)").await.unwrap();
    bench
        .db
        .sql(&format!(
            "create role {role}; {}; grant select, insert (id, name) on users to {role}; grant update (name) on users to public; \
             alter table users enable row level security; create policy few on users using (id < 3)",
            users("name varchar(9)", "insert into users select n, 'a' from generate_series(1, 5) n")
        ))
        .await;
    bench.write("1_change.toml", &change("rename_table = { table = 'users', to = 'people' }"));
    bench.up();
    let mut client = bench.db.connect().await;
    client.sql(&format!("set role {role}")).await.unwrap();
    for name in ["users", "people"] {
        let seen = client.rows(&format!("select count(*)::text from {name}")).await.unwrap();
        assert_eq!(seen, [[Some("2".to_owned())]], "{name}");
        client
            .sql(&format!("update {name} set name = 'b'; insert into {name} (id, name) values (0, 'c')"))
            .await
            .unwrap();
        assert!(client.sql(&format!("delete from {name}")).await.is_err(), "{name}");
        bench.db.sql("delete from users where id = 0").await;
    }
    bench.run("contract 1 --yes").expect_code(0);
    bench.run("down").expect_code(0);
    bench.db.sql(&format!("drop owned by {role}; drop role {role}")).await;
}
