//! A column that is set aside holds what it held and binds nobody: what was declared of it comes back with it.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite]
    a_foreign_key_deletes_no_row_by_a_column_that_is_aside,
    nothing_unique_is_asked_of_a_column_that_is_aside,
    checks_ask_nothing_of_a_column_that_is_aside,
    columns_that_are_dropped_bind_nobody,
    columns_that_became_another_bind_nobody,
);

async fn users(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(
            "create table par (id integer primary key); insert into par values (1), (2); \
             create table users (id integer primary key, t varchar(9) unique, p integer not null default 1, s varchar(9) default 'x' unique not null, \
             e varchar(9) unique, a integer, b integer, n integer check (n < 1000), constraint less check (a < b), constraint two unique (a, b), \
             constraint of_par foreign key (p) references par (id) on delete cascade); \
             create unique index n_of on users (n, e); insert into users values (1, 't', 1, 'a', 'e', 1, 2, 5), (2, 'u', 2, 'b', 'f', 3, 4, 6)",
        )
        .await;
    bench
}

async fn life(bench: &Bench, change: &str, after: &[&str], before_down: &[&str]) {
    let before = shape(bench).await;
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
    bench.up();
    let run = bench.run("contract 1 --yes");
    assert_eq!(run.code, Some(0), "{change}\n{run}");
    write(bench, after).await;
    assert_eq!(bench.db.number("select count(*) from users where id < 3").await, 2, "{change}");
    write(bench, before_down).await;
    let run = bench.run("down --allow-data-loss");
    assert_eq!(run.code, Some(0), "{change}\n{run}");
    assert_eq!(shape(bench).await, before, "{change}");
    if bench.db.kind == Kind::Sqlite {
        assert_eq!(bench.db.rows("pragma integrity_check").await[0][0].as_deref(), Some("ok"), "{change}");
    }
}

async fn write(bench: &Bench, statements: &[&str]) {
    let mut client = bench.db.connect().await;
    if bench.db.kind == Kind::Sqlite {
        client.sql("pragma foreign_keys = on").await.unwrap();
    }
    for statement in statements {
        client.sql(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

async fn a_foreign_key_deletes_no_row_by_a_column_that_is_aside(kind: Kind) {
    let bench = users(kind).await;
    let rename = "rename_column = { table = 'users', from = 'p', to = 'q' }";
    let after = ["update users set q = 2 where id = 1", "delete from par where id = 1"];
    life(&bench, rename, &after, &["insert into par values (1)"]).await;
    assert_eq!(bench.db.number("select p from users where id = 1").await, 2);
    // The rules are as strict as before, and the default is what it was.
    bench.db.sql("insert into users (id, s) values (3, 'c')").await;
    assert_eq!(bench.db.number("select p from users where id = 3").await, 1);
    write(&bench, &["delete from par where id = 2"]).await;
    assert_eq!(bench.db.number("select count(*) from users").await, 1);
}

async fn nothing_unique_is_asked_of_a_column_that_is_aside(kind: Kind) {
    let bench = users(kind).await;
    let rename = "rename_column = { table = 'users', from = 's', to = 'nw' }";
    let after = ["insert into users (id, nw) values (3, 'c')", "insert into users (id, nw) values (4, 'd')"];
    life(&bench, rename, &after, &[]).await;
    let twice = bench.db.connect().await.sql("insert into users (id, s) values (5, 'd')").await;
    assert!(twice.is_err(), "it is unique again");
    bench.db.sql("insert into users (id) values (6)").await;
    assert_eq!(bench.db.number("select count(*) from users where s = 'x'").await, 1);
}

async fn checks_ask_nothing_of_a_column_that_is_aside(kind: Kind) {
    let bench = users(kind).await;
    let rename = "rename_column = { table = 'users', from = 'a', to = 'c' }";
    life(&bench, rename, &["update users set c = 0, b = 1 where id = 1"], &[]).await;
    let rename = "rename_column = { table = 'users', from = 'n', to = 'm' }";
    life(&bench, rename, &["update users set m = 7 where id = 1"], &[]).await;
    for broken in ["a = 1, b = 1", "a = 3, b = 4", "n = 1000", "n = 6, e = 'f'"] {
        let statement = format!("update users set {broken} where id = 1");
        assert!(bench.db.connect().await.sql(&statement).await.is_err(), "{broken}");
    }
}

async fn columns_that_are_dropped_bind_nobody(kind: Kind) {
    let bench = users(kind).await;
    let drop = |column: &str| format!("drop_column = {{ table = 'users', column = '{column}' }}");
    let gone = ["delete from par where id = 1"];
    life(&bench, &drop("p"), &gone, &["insert into par values (1)"]).await;
    let closer = ["update users set b = 1 where id = 1", "update users set b = 9"];
    life(&bench, &drop("a"), &closer, &[]).await;
    let many = ["insert into users (id, e) values (3, 'g')", "insert into users (id, e) values (4, 'h')"];
    life(&bench, &drop("s"), &many, &["delete from users where id > 2"]).await;
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{}\n", drop("a")));
    bench.run("up --contract").expect_code(0);
    says(&bench.run("purge --yes").expect_code(0), &["purged column users.a"]);
    assert!(!shape(&bench).await.join("\n").contains("dunlin"), "nothing is left of it");
}

async fn columns_that_became_another_bind_nobody(kind: Kind) {
    let bench = users(kind).await;
    let (text, up) = if kind == Kind::Mysql { ("char", "signed") } else { ("varchar(9)", "integer") };
    let retype = format!(
        "change_type = {{ table = 'users', column = 'p', type = 'bigint', up = 'p', down = 'p' }}\n[[change]]\nstore = 'app'\n\
         change_type = {{ table = 'users', column = 'a', type = 'varchar(9)', up = 'cast(a as {text})', down = 'cast(a as {up})' }}"
    );
    let after = ["update users set a = '0', b = 1 where id = 1", "update users set b = 20, p = 2"];
    match kind {
        // A check over numbers reads no texts.
        Kind::Postgres => bench.db.sql("alter table users drop constraint less").await,
        Kind::Mysql => {
            bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{retype}\n"));
            let run = bench.run("up").expect_code(1);
            says(&run, &["foreign key `of_par`", "same type on both sides", "nothing was changed"]);
            bench.run("down").expect_code(0);
            bench.db.sql("alter table users drop foreign key of_par, drop key of_par").await;
        }
        _ => {}
    }
    life(&bench, &retype, &after, &[]).await;
    let merge = format!(
        "[change.transform]\ntable = 'users'\nup = {{ w = {{ type = 'varchar(20)', as = \"{}\" }} }}\ndown = {{ e = 'w', n = '1' }}",
        if kind == Kind::Mysql { "concat(e, n)" } else { "e || n" }
    );
    let after = [
        "update users set w = 'h1' where id = 1",
        "insert into users (id, s, w, t) values (3, 'z', 'i1', 'w')",
    ];
    life(&bench, &merge, &after, &[]).await;
}

/// What MariaDB and MySQL say of a column in its declaration, as they show it.
#[tokio::test]
async fn a_declaration_comes_back_as_it_was() {
    let bench = Bench::new(Kind::Mysql).await;
    let setup = "create table users (id integer primary key, n integer not null default 5 comment 'n' check (n < 1000 and n > 0), j json not null, \
                 s varchar(20) invisible default 'x', o integer check (o < n), e varchar(20), unique key uk (s(5), e)); \
                 insert into users (id, n, j, s, e) values (1, 1, '{}', 'abcdef', 'e')";
    bench.db.sql(setup).await;
    let declared = async || bench.db.rows("show create table users").await[0][1].clone().unwrap();
    let before = declared().await;
    for change in [
        "rename_column = { table = 'users', from = 'n', to = 'm' }",
        "rename_column = { table = 'users', from = 's', to = 'nw' }",
        "rename_column = { table = 'users', from = 'j', to = 'doc' }",
        "drop_column = { table = 'users', column = 'n' }",
        "drop_column = { table = 'users', column = 'j', down = \"'{}'\" }",
        "drop_column = { table = 'users', column = 's' }",
        "change_type = { table = 'users', column = 'n', type = 'bigint', up = 'n', down = 'n' }",
        "drop_not_null = { table = 'users', column = 'n' }",
    ] {
        bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
        let run = bench.run("up --contract");
        assert_eq!(run.code, Some(0), "{change}\n{run}");
        if change.contains("'nw'") {
            bench.db.sql("insert into users (id, j, nw, e) values (2, '{}', 'abcdefg', 'f')").await;
            let twice = "insert into users (id, j, nw, e) values (3, '{}', 'abcdefg', 'e')";
            assert!(bench.db.connect().await.sql(twice).await.is_err(), "what begins alike is the same");
            bench.db.sql("delete from users where id = 2").await;
        }
        if change.contains("'m'") {
            let checked = bench.db.connect().await.sql("update users set m = 1000").await;
            assert!(checked.is_err(), "the new one is checked as well");
        }
        let run = bench.run("down --allow-data-loss");
        assert_eq!(run.code, Some(0), "{change}\n{run}");
        assert_eq!(declared().await, before, "{change}");
    }
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 's', to = 'nw' }\n[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'j', to = 'doc' }\n",
    );
    bench.run("up --contract").expect_code(0);
    bench.run("purge --yes").expect_code(0);
    assert!(!declared().await.contains("dunlin"));
}

/// A sequence goes on with the column that counts by it, and so does what the server is told of the column.
#[tokio::test]
async fn a_sequence_goes_on_with_the_new_column() {
    let bench = Bench::new(Kind::Postgres).await;
    let setup = "create table t (id integer primary key, n serial, t text, constraint other_t_key unique (t)); \
                 alter table t alter column t set storage external, alter column t set statistics 500; insert into t (id) values (1)";
    bench.db.sql(setup).await;
    let before = shape(&bench).await;
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 't', from = 'n', to = 'm' }\n[[change]]\nstore = 'app'\nrename_column = { table = 't', from = 't', to = 'tt' }\n",
    );
    bench.run("up --contract").expect_code(0);
    bench.db.sql("insert into t (id) values (2)").await;
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    assert_eq!(
        bench.db.number("select count(*) from pg_class where pg_get_serial_sequence('t', 'n') is not null and relname = 't'").await,
        1
    );
    bench.run("up --contract").expect_code(0);
    bench.run("purge --yes").expect_code(0);
    bench.db.sql("insert into t (id) values (3)").await;
    assert_eq!(bench.db.number("select m from t where id = 3").await, 3);
    let told = "select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'tt' and attstorage = 'e' and attstattarget = 500";
    assert_eq!(bench.db.number(told).await, 1);
    assert_eq!(bench.db.number("select count(*) from pg_constraint where conname = 'other_tt_key'").await, 1);
}

/// What is counted over several columns together is counted over those with the new column as well.
#[tokio::test]
async fn statistics_are_made_for_the_new_column() {
    let bench = Bench::new(Kind::Postgres).await;
    let setup = "create table t (id integer primary key, town text not null, zip text, n integer); \
                 insert into t select i, 'town ' || i % 7, 'z' || i % 7, i from generate_series(1, 100) i; \
                 create statistics t_town_zip (dependencies, ndistinct) on town, zip from t; comment on statistics t_town_zip is 'it''s'; \
                 alter statistics t_town_zip set statistics 300; create statistics plain on lower(town), zip, n from t; \
                 create statistics apart on zip, n from t";
    bench.db.sql(setup).await;
    let counted = async || {
        let sql = "select pg_get_statisticsobjdef(oid) || ' ' || stxstattarget || coalesce(obj_description(oid, 'pg_statistic_ext'), '') \
                   from pg_statistic_ext where stxnamespace = current_schema()::regnamespace order by stxname";
        let rows = bench.db.rows(sql).await;
        rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<_>>()
    };
    let before = counted().await;
    for change in [
        "rename_column = { table = 't', from = 'town', to = 'city' }",
        "change_type = { table = 't', column = 'town', type = 'varchar(40)', up = 'town', down = 'town' }",
    ] {
        bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
        let plan = bench.run("plan").expect_code(0);
        assert!(!plan.stdout.contains("as far as is known"), "{plan}");
        bench.run("up --contract").expect_code(0);
        assert_eq!(counted().await.len(), 5, "{change}");
        bench.run("down").expect_code(0);
        assert_eq!(counted().await, before, "{change}");
    }
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 't', from = 'town', to = 'city' }\n",
    );
    bench.run("up --contract").expect_code(0);
    bench.run("purge --yes").expect_code(0);
    let schema = bench.db.rows("select current_schema()::text").await.remove(0).remove(0).unwrap();
    let expected = [
        format!("CREATE STATISTICS {schema}.apart ON zip, n FROM t -1"),
        format!("CREATE STATISTICS {schema}.plain_city ON zip, n, lower(city) FROM t -1"),
        format!(
            "CREATE STATISTICS {schema}.t_city_zip (ndistinct, dependencies) ON zip, city FROM t 300it's"
        ),
    ];
    assert_eq!(counted().await, expected);
}

/// Nothing keeps two columns from overlapping together, as an exclusion constraint does with one.
#[tokio::test]
async fn what_must_not_overlap_stays_as_it_is() {
    let bench = Bench::new(Kind::Postgres).await;
    let setup = "create table stays (id integer primary key, room int4range, during int4range, is_off boolean, guest text, \
                 exclude using gist (room with &&, during with &&) where (not is_off)); \
                 insert into stays values (1, '[1,2)', '[1,5)', false, 'a'), (2, '[1,2)', '[5,9)', false, 'b'), (3, '[1,2)', '[2,3)', true, 'c')";
    bench.db.sql(setup).await;
    let before = shape(&bench).await;
    for (column, kind) in [("during", "int4range"), ("room", "int4range"), ("is_off", "boolean")] {
        for change in [
            format!("rename_column = {{ table = 'stays', from = '{column}', to = 'other' }}"),
            format!(
                "change_type = {{ table = 'stays', column = '{column}', type = '{kind}', up = '{column}', down = '{column}' }}"
            ),
            format!("drop_column = {{ table = 'stays', column = '{column}' }}"),
        ] {
            bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
            let run = bench.run("up --contract").expect_code(1);
            says(
                &run,
                &[
                    &format!("`stays.{column}` is in an exclusion constraint"),
                    "by hand",
                    "nothing was changed",
                ],
            );
            assert_eq!(shape(&bench).await, before, "{change}");
            bench.run("down").expect_code(0);
        }
    }
    // Beside it everything goes on, and it holds.
    let rename = "rename_column = { table = 'stays', from = 'guest', to = 'who' }";
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{rename}\n"));
    bench.run("up --contract").expect_code(0);
    let overlapping = "insert into stays (id, room, during, is_off) values (4, '[1,2)', '[4,6)', false)";
    assert!(bench.db.connect().await.sql(overlapping).await.is_err());
    bench.run("down").expect_code(0);
    assert_eq!(shape(&bench).await, before);
}
