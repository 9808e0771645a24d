//! What a script sets on the connection is gone for the next one; dumps of the servers' own tools apply.

use std::process::Command;

use dunlin_testkit::{Kind, server};

use super::{Bench, says};

over!([postgres]
    a_search_path_does_not_leak,
    a_role_does_not_leak,
    a_role_without_rights_on_the_history_does_not_stop_it,
    a_dump_applies_whole,
);
over!([mysql]
    server_variables_do_not_leak,
    another_database_in_use_does_not_leak,
    settings_are_made_again_after_a_fault,
    locked_tables_do_not_keep_the_history_out,
    a_mysqldump_applies_whole,
);
over!([sqlite]
    pragmas_do_not_leak,
    the_rollback_journal_is_gone_after_a_run_and_its_mode_is_as_it_was,
);

async fn a_search_path_does_not_leak(kind: Kind) {
    for set in [
        "set search_path = side;",
        "select pg_catalog.set_config('search_path', 'side', false);",
        "do $$ begin perform set_config('search_path', 'side', false); end $$;",
        "set session search_path to side;",
        "set time zone 'Asia/Tokyo'; set statement_timeout = 5000; set search_path = side;",
    ] {
        let bench = Bench::new(kind).await;
        bench.write("1_a.sql", &format!("create schema side;\n{set}\ncreate table a (id int);"));
        bench.write("2_b.sql", "create table b (id int);");
        bench.write("3_c.sql", &format!("-- dunlin: no-transaction\n{set}\ncreate table c (id int);"));
        bench.write("4_d.sql", "create table d (z text);\ninsert into d values (current_setting('timezone')), (current_setting('statement_timeout'));");
        bench.up();
        let of = async |table: &str| {
            bench
                .db
                .value(&format!(
                    "select table_schema::text from information_schema.tables where table_name = '{table}'"
                ))
                .await
        };
        assert_eq!(of("a").await.unwrap(), "side", "{set}");
        assert_eq!(of("b").await.unwrap(), "public", "{set}");
        assert_eq!(of("c").await.unwrap(), "side", "{set}");
        assert_eq!(of("dunlin_history").await.unwrap(), "public", "{set}");
        assert_eq!(
            bench.db.number("select count(*) from d where z in ('Asia/Tokyo', '5s')").await,
            0,
            "{set}"
        );
        says(&bench.up(), &["nothing to do"]);
    }
}

/// A role that everybody else's tests do not know, gone with the database.
async fn role(bench: &Bench) -> String {
    let name = bench.db.value("select 'r_' || current_database()").await.unwrap();
    bench.db.sql(&format!("create role {name}; grant create, usage on schema public to {name}")).await;
    name
}

async fn drop_role(bench: &Bench, name: &str) {
    bench.db.sql(&format!("drop owned by {name} cascade; drop role {name}")).await;
}

async fn a_role_does_not_leak(kind: Kind) {
    let bench = Bench::new(kind).await;
    let role = role(&bench).await;
    bench.write(
        "1_a.sql",
        &format!("set role {role};\ncreate table a (id int);\nvacuum a;\ncreate table aa (id int);"),
    );
    bench.write("2_b.sql", "create table b (id int);");
    bench.write("3_c.sql", &format!("set session authorization {role};\ncreate table c (id int);"));
    bench.write("4_d.sql", "create table d (id int);");
    let run = bench.up();
    let owners = bench.db.rows("select relname::text, relowner::regrole::text from pg_class where relname in ('a', 'aa', 'b', 'c', 'd') order by 1").await;
    drop_role(&bench, &role).await;
    let owners: Vec<String> =
        owners.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
    let (own, other) = (format!("a {role}"), format!("aa {role}"));
    assert_eq!(
        owners,
        [own, other, "b postgres".to_owned(), format!("c {role}"), "d postgres".to_owned()],
        "{run}"
    );
}

async fn a_role_without_rights_on_the_history_does_not_stop_it(kind: Kind) {
    let bench = Bench::new(kind).await;
    let role = role(&bench).await;
    bench.write("1_a.sql", &format!("set role {role};\ncreate table a (id int);\ncreate index concurrently i on a (id);\nselect wrong;"));
    let run = bench.run("up");
    bench.write("1_a.sql", &format!("set role {role};\ncreate table a (id int);\ncreate index concurrently i on a (id);\ncreate table b (id int);"));
    let mended = bench.run("up");
    let owner = bench.db.value("select relowner::regrole::text from pg_class where relname = 'b'").await;
    drop_role(&bench, &role).await;
    says(&run.expect_code(1), &["1_a.sql:4:8"]);
    mended.expect_code(0);
    assert_eq!(owner.unwrap(), role);
}

async fn a_dump_applies_whole(kind: Kind) {
    let source = Bench::new(kind).await;
    source.db.sql("create schema s; create table s.a (id serial primary key, t text default 'a;b', j jsonb); insert into s.a (t, j) values (E'x\\ty', '{\"k\": 1}'), ('--no comment', null); create view s.v as select * from s.a where j ? 'k'; create function s.f() returns int language plpgsql as $$ begin return 1; end $$; create index on s.a (t); create table b (id int references s.a (id)); insert into b values (1)").await;
    let program = std::path::Path::new(&server::program(Kind::Postgres)).join("pg_dump");
    for extra in [&[][..], &["--inserts"]] {
        let dump = Command::new(&program).arg(source.db.url.expose()).args(extra).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        // Newer versions frame a dump with a meta command of psql that dunlin refuses by name.
        let text = String::from_utf8(dump.stdout).unwrap();
        let is_kept = |line: &&str| !line.starts_with('\\') || line.starts_with("\\.");
        let text = text.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
        let bench = Bench::new(kind).await;
        bench.write("1_dump.sql", &text);
        bench.write("2_b.sql", "insert into b values (2);");
        bench.up();
        assert_eq!(bench.db.number("select count(*) from s.a").await, 2);
        assert_eq!(bench.db.number("select count(*) from b").await, 2);
        assert_eq!(bench.db.number("select s.f()").await, 1);
        assert_eq!(bench.states().await, ["1 done", "2 done"]);
    }
}

async fn server_variables_do_not_leak(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "set foreign_key_checks = 0;\nset sql_mode = 'ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO', @x = 1;\nset time_zone = '+05:00', timestamp = 1000;\nset names latin1;\ncreate table a (id int primary key, p int, foreign key (p) references a (id));\ninsert into a values (1, 99);");
    bench.write("2_b.sql", "create table b (k varchar(40), v text);\ninsert into b values ('fk', @@foreign_key_checks), ('mode', @@sql_mode), ('zone', @@time_zone), ('names', @@character_set_client), ('now', now() > '2020-01-01'), ('timeout', @@lock_wait_timeout);");
    bench.up();
    let value =
        async |key: &str| bench.db.value(&format!("select v from b where k = '{key}'")).await.unwrap();
    assert_eq!(value("fk").await, "1");
    assert!(!value("mode").await.contains("ANSI_QUOTES"));
    assert_ne!(value("zone").await, "+05:00");
    assert_eq!(value("names").await, "utf8mb4");
    assert_eq!(value("now").await, "1");
    assert_eq!(value("timeout").await, "3");
}

async fn another_database_in_use_does_not_leak(kind: Kind) {
    let bench = Bench::new(kind).await;
    let other = format!("{}_other", bench.db.value("select database()").await.unwrap());
    bench.write("1_a.sql", &format!("create database {other};\nuse {other};\ncreate table a (id int);\ninsert into a values (1);\ncreate table aa (id int);"));
    bench.write("2_b.sql", "create table b (id int);");
    let run = bench.run("up");
    let places = bench
        .db
        .rows(&format!(
            "select table_name from information_schema.tables where table_schema = '{other}' order by 1"
        ))
        .await;
    bench.db.sql(&format!("drop database if exists {other}")).await;
    run.expect_code(0);
    assert_eq!(places, [[Some("a".to_owned())], [Some("aa".to_owned())]]);
    assert_eq!(bench.states().await, ["1 done", "2 done"]);
    assert_eq!(bench.db.number("select count(*) from b").await, 0);
}

async fn settings_are_made_again_after_a_fault(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "set foreign_key_checks = 0;\ncreate table a (id int primary key, p int, foreign key (p) references a (id));\ncreate table b (id nothing);\ninsert into a values (1, 99);";
    bench.write("1_a.sql", text);
    bench.run("up").expect_code(1);
    bench.write("1_a.sql", &text.replace("nothing", "int"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a").await, 1);
}

async fn locked_tables_do_not_keep_the_history_out(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);\nlock tables a write;\ninsert into a values (1);\nunlock tables;\ninsert into a values (2);");
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a").await, 2);
}

async fn a_mysqldump_applies_whole(kind: Kind) {
    let source = Bench::new(kind).await;
    source.db.sql("create table a (id int auto_increment primary key, t varchar(40) default 'a;b', b blob, p int, foreign key (p) references a (id))").await;
    source
        .db
        .sql("insert into a (t, b, p) values ('it''s \\\\ ;', x'00ff27', 1), ('-- none', null, 1)")
        .await;
    source.db.sql("create view v as select * from a").await;
    source
        .db
        .sql("create trigger g before insert on a for each row begin set new.t = concat(new.t, ';'); end")
        .await;
    let url = source.db.url.expose();
    let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let name = url.rsplit_once('/').unwrap().1;
    let program = ["mariadb-dump", "mysqldump"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("a dump program beside the server");
    let dump = Command::new(program)
        .args(["-h127.0.0.1", &format!("-P{port}"), "-uroot", "-pdunlin", "--hex-blob", "--routines", name])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let bench = Bench::new(kind).await;
    bench.write("1_dump.sql", &String::from_utf8(dump.stdout).unwrap());
    bench.write("2_b.sql", "insert into a (t) values ('x');");
    bench.up();
    assert_eq!(
        bench.db.value("select group_concat(t order by id separator '|') from v").await.unwrap(),
        "it's \\ ;|-- none|x;"
    );
    assert_eq!(bench.states().await, ["1 done", "2 done"]);
}

async fn pragmas_do_not_leak(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "pragma foreign_keys = off;\ncreate table a (id integer primary key, p references a (id));\ninsert into a values (1, 1);\npragma recursive_triggers = on;\npragma ignore_check_constraints = on;\npragma case_sensitive_like = on;");
    bench.write("2_b.sql", "create table b (k text, v integer, check (v < 5));\ninsert into b select 'fk', foreign_keys from pragma_foreign_keys;\ninsert into b select 'triggers', recursive_triggers from pragma_recursive_triggers;\ninsert into b values ('like', 'a' like 'A');");
    bench.write("3_c.sql", "insert into b values ('check', 9);");
    bench.run("up").expect_code(1);
    let rows = bench.db.rows("select k, cast(v as text) from b order by k").await;
    let rows: Vec<String> =
        rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows, ["fk 1", "like 1", "triggers 0"]);
}

async fn the_rollback_journal_is_gone_after_a_run_and_its_mode_is_as_it_was(kind: Kind) {
    let bench = Bench::new(kind).await;
    let file = bench.db.url.expose().trim_start_matches("sqlite://").split('?').next().unwrap().to_owned();
    let journal = std::path::PathBuf::from(format!("{file}-journal"));
    let mode = async || bench.db.rows("select journal_mode from pragma_journal_mode").await[0][0].clone();
    bench.write("1_a.sql", "create table a (id integer primary key, n int);");
    bench.up();
    assert!(!journal.exists());
    // Long enough to be killed in, with the journal on the disk.
    let rows = "with recursive r(i) as (select 1 union all select i + 1 from r where i < 3000000) select i, i from r";
    bench.write("2_b.sql", &format!("insert into a {rows};"));
    let runner = bench.start("up");
    while std::fs::metadata(&file).unwrap().len() < 1 << 20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    runner.kill();
    assert!(std::fs::metadata(&journal).unwrap().len() > 0, "the kill struck in the transaction");
    bench.write("2_b.sql", "insert into a values (1, 1);");
    bench.up();
    assert!(!journal.exists());
    assert_eq!(bench.db.number("select count(*) from a").await, 1);
    assert_eq!(mode().await.as_deref(), Some("delete"));
    // What a script chooses for the file stays.
    bench.write("3_c.sql", "pragma journal_mode = wal;\ncreate table c (id int);");
    bench.up();
    assert_eq!(mode().await.as_deref(), Some("wal"));
    bench.write("4_d.sql", "create table d (id int);");
    bench.up();
    assert_eq!(mode().await.as_deref(), Some("wal"));
}
