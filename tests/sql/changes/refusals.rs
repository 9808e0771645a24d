//! What is in the way of a change, or said wrong in it, is known before anything is written.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite]
    what_is_there_already_is_in_the_way,
    what_a_server_cannot_read_is_said_before_anything_is_written,
    an_index_that_is_not_there_cannot_be_dropped,
    a_view_is_no_table,
    the_only_key_is_not_taken_from_under_a_change,
);

async fn users(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(
            "create table users (id integer primary key, email varchar(40), mail varchar(40), age integer, \
             constraint grown check (age > 0)); create index users_email_idx on users (email); \
             insert into users values (1, 'a', 'b', 5)",
        )
        .await;
    bench
}

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

/// Runs a change that is refused, and sees that the table is what it was.
async fn refused(bench: &Bench, text: &str, words: &[&str]) {
    let before = shape(bench).await;
    bench.write("1_change.toml", &change(text));
    let run = bench.run("up --contract");
    assert_eq!(run.code, Some(1), "{text}\n{run}");
    says(&run, words);
    assert_eq!(shape(bench).await, before, "{text}");
    bench.run("down").expect_code(0);
    assert_eq!(shape(bench).await, before, "{text}, and back");
}

async fn what_is_there_already_is_in_the_way(kind: Kind) {
    let bench = users(kind).await;
    let cases = [
        (
            "rename_column = { table = 'users', from = 'email', to = 'mail' }",
            "`users` has a column `mail` already",
        ),
        (
            "add_column = { table = 'users', column = 'mail', type = 'integer' }",
            "`users` has a column `mail` already",
        ),
        (
            "add_index = { table = 'users', columns = 'email' }",
            "`users` has an index `users_email_idx` already",
        ),
        (
            "add_check = { table = 'users', name = 'grown', check = 'age > 1' }",
            "`users` has a constraint `grown` already",
        ),
        ("create_table = { table = 'users', columns = 'id integer' }", "there is a table `users` already"),
    ];
    for (text, words) in cases {
        refused(&bench, text, &[words, "nothing was changed"]).await;
    }
    assert_eq!(bench.db.number("select count(mail) from users").await, 1);
}

async fn what_a_server_cannot_read_is_said_before_anything_is_written(kind: Kind) {
    let bench = users(kind).await;
    let wrong = [
        "add_column = { table = 'users', column = 'low', type = 'varchar(40)', backfill = 'lower(emial)' }",
        "set_not_null = { table = 'users', column = 'mail', fill = 'lower(emial)' }",
        "drop_column = { table = 'users', column = 'mail', down = 'lower(emial)' }",
        "change_type = { table = 'users', column = 'mail', type = 'varchar(50)', up = 'mail', down = 'lower(emial)' }",
    ];
    for text in wrong {
        refused(&bench, text, &["emial", "nothing was changed"]).await;
    }
    if kind != Kind::Sqlite {
        return;
    }
    // SQLite takes it for a text.
    let quoted = [
        "add_column = { table = 'users', column = 'low', type = 'text', backfill = 'lower(\"emial\")' }",
        "set_not_null = { table = 'users', column = 'mail', fill = '\"emial\"' }",
        "add_unique = { table = 'users', columns = '\"emial\"' }",
        "add_index = { table = 'users', columns = 'age, \"emial\"' }",
        "add_check = { table = 'users', check = '\"emial\" > 1' }",
    ];
    for text in quoted {
        refused(&bench, text, &["`users` has no column \"emial\"", "single ones"]).await;
    }
}

async fn an_index_that_is_not_there_cannot_be_dropped(kind: Kind) {
    let bench = users(kind).await;
    refused(&bench, "drop_index = { table = 'users', name = 'other' }", &["`users` has no index `other`"])
        .await;
}

/// What has to go through the rows, or will have to on the way back, asks for a key that stays.
async fn the_only_key_is_not_taken_from_under_a_change(kind: Kind) {
    let bench = Bench::new(kind).await;
    let fresh = "create table keyed (code varchar(9) not null unique, name varchar(9)); insert into keyed values ('a', 'x'), ('b', 'y')";
    bench.db.sql(fresh).await;
    let told = ["keyed", "by its key code alone", "nothing was changed", "unique index over other columns"];
    let rename = "rename_column = { table = 'keyed', from = 'code', to = 'sign' }";
    let retype = "change_type = { table = 'keyed', column = 'code', type = 'varchar(20)', up = 'code', down = 'code' }";
    let drop = "drop_column = { table = 'keyed', column = 'code', down = 'name' }";
    let free = "drop_not_null = { table = 'keyed', column = 'code' }";
    let fill = "drop_not_null = { table = 'keyed', column = 'code', fill = 'name' }";
    let split = "[change.transform]\ntable = 'keyed'\nup = { sign = { type = 'varchar(20)', as = 'code' }, more = { type = 'varchar(9)', as = 'name' } }\n\
                 down = { code = 'sign', name = 'more' }";
    let beside = "drop_column = { table = 'keyed', column = 'code' }\n[[backfill]]\nstore = 'app'\nupdate = { table = 'keyed', set = { name = \"'z'\" } }";
    let mut lost = vec![drop, free, fill, split, beside];
    match kind {
        Kind::Postgres => {}
        Kind::Mysql => lost.extend([rename, retype, "drop_column = { table = 'keyed', column = 'code' }"]),
        _ => lost.extend([rename, retype]),
    }
    for text in lost {
        refused(&bench, text, &told).await;
    }
    bench.remove("1_change.toml");
    if kind != Kind::Postgres {
        // The way out.
        let count = if kind == Kind::Sqlite { "rowid" } else { "ascii(code)" };
        bench.write(
            "1_key.sql",
            &format!(
                "alter table keyed add column n integer not null default 0;\nupdate keyed set n = {count};\ncreate unique index keyed_n on keyed (n);"
            ),
        );
        bench.up();
    }
    let before = shape(&bench).await;
    for text in [rename, retype] {
        bench.write("2_change.toml", &change(text));
        bench.run("up --contract").expect_code(0);
        bench.run("down").expect_code(0);
        assert_eq!(shape(&bench).await, before, "{text}");
    }
    assert_eq!(bench.db.number("select count(*) from keyed where code in ('a', 'b')").await, 2);
}

async fn a_view_is_no_table(kind: Kind) {
    let bench = users(kind).await;
    let view = "create view seen as select id, email from users";
    bench.db.sql(view).await;
    let told = ["seen", "is a view", "name the table that has the rows", "nothing was changed"];
    for change in [
        "add_column = { table = 'seen', column = 'n', type = 'integer' }",
        "rename_column = { table = 'seen', from = 'email', to = 'mail' }",
        "add_index = { table = 'seen', columns = 'email' }",
        "set_not_null = { table = 'seen', column = 'email' }",
    ] {
        bench.write("1_change.toml", &self::change(change));
        let run = bench.run("up --contract").expect_code(1);
        says(&run, &told);
    }
    for step in [
        "[[backfill]]\nstore = 'app'\nupdate = { table = 'seen', set = { email = \"'x'\" } }",
        "[[verify]]\nstore = 'app'\nnone = { table = 'seen', where = 'email is null' }",
        "[[verify]]\nstore = 'app'\nsame = { table = 'users', expr = 'email', with = { table = 'seen', expr = 'email' } }",
    ] {
        bench.write("1_change.toml", step);
        let run = bench.run("up").expect_code(1);
        says(
            &run,
            &[
                "seen cannot be gone through in chunks: it is a view",
                "none = \"select …\"",
                "nothing was changed",
            ],
        );
    }
    // The way out.
    bench.write("1_change.toml", "[[verify]]\nstore = 'app'\nnone = \"select id from seen where id < 0\"");
    bench.up();
}

/// It would copy the table while nobody writes, and is asked before it is half done.
#[tokio::test]
async fn mariadb_keeps_not_null_where_a_stored_column_is() {
    let bench = Bench::new(Kind::Mysql).await;
    bench.db.sql("create table users (id integer primary key, email varchar(40) not null, note varchar(9), twice integer as (id * 2) stored)").await;
    let told = ["MariaDB changes NOT NULL only by copying", "`users.twice`", "nothing was changed"];
    refused(&bench, "rename_column = { table = 'users', from = 'email', to = 'mail' }", &told).await;
    refused(&bench, "drop_not_null = { table = 'users', column = 'email' }", &told).await;
    bench
        .write("1_change.toml", &change("rename_column = { table = 'users', from = 'note', to = 'remark' }"));
    bench.run("up --contract").expect_code(0);
    bench
        .db
        .sql("create table days (id integer primary key, at timestamp not null default current_timestamp)")
        .await;
    bench.run("down").expect_code(0);
    refused(&bench, "rename_column = { table = 'days', from = 'at', to = 'born' }", &["for a TIMESTAMP"])
        .await;
    bench.db.sql("create table notes (id integer primary key, body text, fulltext key words (body))").await;
    let told = ["FULLTEXT index `words`", "nothing was changed"];
    refused(&bench, "rename_column = { table = 'notes', from = 'body', to = 'text' }", &told).await;
    bench.db.sql("create table old (id integer primary key, a integer) with system versioning").await;
    let told = ["`old` is system-versioned", "nothing was changed"];
    refused(&bench, "rename_column = { table = 'old', from = 'a', to = 'b' }", &told).await;
}

/// No trigger of SQLite catches what fails in it.
#[tokio::test]
async fn sqlite_computes_in_triggers_what_cannot_fail() {
    let bench = Bench::new(Kind::Sqlite).await;
    bench.db.sql("create table users (id integer primary key, j text)").await;
    let add = |expr: &str| {
        format!("add_column = {{ table = 'users', column = 'a', type = 'text', backfill = \"{expr}\" }}")
    };
    for expr in ["json_extract(j, '$.a')", "j ->> 'a'"] {
        refused(
            &bench,
            &add(expr),
            &["fails where the text is no JSON", "json_valid", "nothing was changed"],
        )
        .await;
    }
    bench.write("1_change.toml", &change(&add("case when json_valid(j) then j ->> 'a' end")));
    bench.up();
    bench.db.sql("insert into users (id, j) values (1, 'no json'), (2, '{\"a\": \"b\"}')").await;
    assert_eq!(bench.db.number("select id from users where a = 'b'").await, 2);
}

/// A trigger sees no rows of tables that inherit.
#[tokio::test]
async fn tables_that_others_inherit_from_are_not_kept_in_step() {
    let bench = Bench::new(Kind::Postgres).await;
    bench
        .db
        .sql("create table users (id integer primary key, a text); create table heirs () inherits (users)")
        .await;
    for text in [
        "rename_column = { table = 'users', from = 'a', to = 'b' }",
        "set_not_null = { table = 'users', column = 'a', fill = \"'x'\" }",
    ] {
        refused(&bench, text, &["`heirs` inherits from `users`", "by hand", "nothing was changed"]).await;
    }
}
