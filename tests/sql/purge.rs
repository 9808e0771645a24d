//! `dunlin purge`: what contracts set aside goes for good, and the way back with it.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql, sqlite]
    what_was_set_aside_goes_and_so_does_the_way_back,
    only_what_is_done_is_purged,
    a_column_goes_with_what_hangs_on_it,
    a_whole_table_goes,
    what_was_removed_by_hand_is_missed_before_anything_runs,
);
over!([postgres, mysql] a_purge_gives_way_and_names_who_is_in_the_way);

const RENAME: &str =
    "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'email', to = 'mail' }\n";

async fn contracted(kind: Kind, setup: &str, change: &str) -> Bench {
    let bench = Bench::with(kind, "lock_timeout = \"1s\"").await;
    bench.db.sql(setup).await;
    bench.write("1_change.toml", change);
    bench.up();
    bench.run("contract 1 --yes").expect_code(0);
    bench
}

async fn users(kind: Kind) -> Bench {
    let setup =
        "create table users (id integer primary key, email varchar(40)); insert into users values (1, 'a')";
    contracted(kind, setup, RENAME).await
}

/// What there is in the catalogue that begins with the name of an archive.
async fn archives(bench: &Bench) -> i64 {
    let query = match bench.db.kind {
        Kind::Postgres => {
            "select (select count(*) from information_schema.columns where column_name like 'dunlin_archive%' and table_schema = current_schema()) \
             + (select count(*) from information_schema.tables where table_name like 'dunlin_archive%' and table_schema = current_schema())"
        }
        Kind::Mysql => {
            "select (select count(*) from information_schema.columns where column_name like 'dunlin_archive%' and table_schema = database()) \
             + (select count(*) from information_schema.tables where table_name like 'dunlin_archive%' and table_schema = database())"
        }
        _ => {
            "select count(*) from sqlite_master where sql like '%dunlin_archive%' and name not in ('dunlin_history', 'dunlin_journal')"
        }
    };
    bench.db.number(query).await
}

async fn what_was_set_aside_goes_and_so_does_the_way_back(kind: Kind) {
    let bench = users(kind).await;
    assert_eq!(archives(&bench).await, 1);
    says(&bench.run("purge --dry-run").expect_code(0), &["column users.email", "1_change"]);
    says(&bench.run("purge --older-than 30d --yes").expect_code(0), &["nothing to purge"]);
    says(&bench.run("purge").expect_code(3), &["column users.email of 1_change in `app`", "--yes"]);
    assert_eq!(archives(&bench).await, 1, "nothing went unasked");

    says(&bench.run("purge 1 --yes").expect_code(0), &["purged column users.email of 1_change in `app`"]);
    assert_eq!(archives(&bench).await, 0);
    assert_eq!(bench.db.rows("select id, mail from users").await[0][1].as_deref(), Some("a"));
    says(&bench.run("history 1").expect_code(0), &["purged column users.email (dunlin_archive_1_1_email)"]);
    says(&bench.run("purge --yes").expect_code(0), &["nothing to purge"]);

    for line in ["down", "down --dry-run", "down --allow-data-loss", "redo --allow-data-loss"] {
        says(&bench.run(line).expect_code(1), &["the old column users.email was purged by", "error[purged]"]);
    }
    assert_eq!(bench.states().await, ["1 done"]);
    says(&bench.run("up").expect_code(0), &["nothing to do"]);
}

async fn only_what_is_done_is_purged(kind: Kind) {
    let bench = users(kind).await;
    let second = RENAME.replace("email", "mail").replace("to = 'mail'", "to = 'post'");
    bench.write("2_again.toml", &second);
    bench.up();
    says(&bench.run("purge 2 --yes").expect_code(1), &["error[not-done]", "it is expanded in `app`"]);
    says(&bench.run("purge 3 --yes").expect_code(2), &["error[unknown-version]"]);
    bench.run("contract 2 --yes").expect_code(0);
    assert_eq!(archives(&bench).await, if kind == Kind::Sqlite { 1 } else { 2 });
    says(&bench.run("purge --yes").expect_code(0), &["users.email of 1_change", "users.mail of 2_again"]);
    assert_eq!(archives(&bench).await, 0);
}

/// Indexes, a unique rule, a check and a foreign key were on the column that left.
async fn a_column_goes_with_what_hangs_on_it(kind: Kind) {
    let counted = match kind {
        Kind::Sqlite => "id integer primary key autoincrement",
        Kind::Mysql => "id integer auto_increment primary key",
        _ => "id serial primary key",
    };
    let setup = format!(
        "create table owners (email varchar(40) primary key); insert into owners values ('a'), ('b'), ('c'); \
         create table users ({counted}, n integer, email varchar(40) not null, constraint one unique (email), constraint set_up check (email <> ''), \
         constraint owner foreign key (email) references owners (email)); create index both_of on users (n, email); create index n_of on users (n); \
         insert into users (n, email) values (1, 'a'), (2, 'b'); create table logs (id integer primary key, who integer references users (id)); \
         insert into logs values (1, 2)"
    );
    let bench = contracted(kind, &setup, RENAME).await;
    bench.db.sql("delete from users where id = 1").await;
    let view = "create view names as select id, mail from users";
    bench.db.sql(view).await;
    if kind == Kind::Sqlite {
        bench.db.sql("create trigger told after insert on users begin insert into logs values (new.id + 100, new.id); end").await;
    }
    bench.run("purge --yes").expect_code(0);
    assert_eq!(archives(&bench).await, 0);
    bench.db.sql("insert into users (n, mail) values (2, 'c')").await;
    let rows = bench.db.rows("select id, mail from names order by id").await;
    let rows: Vec<String> =
        rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows, ["2 b", "3 c"], "no row is lost, and the count goes on");
    let mut client = bench.db.connect().await;
    for (refused, why) in [
        ("insert into users (n, mail) values (2, 'c')", "the new column is unique"),
        ("insert into users (n, mail) values (2, '')", "and checked"),
        ("insert into users (n, mail) values (2, 'x')", "and points at owners"),
    ] {
        let refusal = async {
            if kind == Kind::Sqlite {
                client.sql("pragma foreign_keys = on").await.unwrap();
            }
            client.sql(refused).await
        };
        assert!(refusal.await.is_err(), "{why}");
    }
    if kind == Kind::Sqlite {
        assert_eq!(
            bench.db.number("select count(*) from logs where id = 103").await,
            1,
            "the trigger stayed"
        );
        assert_eq!(bench.db.number("select count(*) from sqlite_master where name = 'n_of'").await, 1);
        assert_eq!(bench.db.rows("pragma integrity_check").await[0][0].as_deref(), Some("ok"));
    }
}

async fn a_whole_table_goes(kind: Kind) {
    let setup = "create table users (id integer primary key); insert into users values (1)";
    let bench =
        contracted(kind, setup, "[[change]]\nstore = 'app'\ndrop_table = { table = 'users' }\n").await;
    assert!(archives(&bench).await > 0);
    says(&bench.run("purge --yes").expect_code(0), &["purged table users of 1_change"]);
    assert_eq!(archives(&bench).await, 0);
    says(&bench.run("down").expect_code(1), &["the old table users was purged by"]);
}

async fn what_was_removed_by_hand_is_missed_before_anything_runs(kind: Kind) {
    let bench = users(kind).await;
    bench.db.sql("alter table users drop column dunlin_archive_1_1_email").await;
    says(
        &bench.run("down").expect_code(1),
        &["is no longer there, and the journal does not say who removed it"],
    );
    assert_eq!(bench.states().await, ["1 done"]);
}

async fn a_purge_gives_way_and_names_who_is_in_the_way(kind: Kind) {
    let bench = users(kind).await;
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.rows("select * from users").await.unwrap();
    let mut purge = bench.start("purge --yes");
    purge.wait_for("blocked by");
    purge.interrupt();
    let run = purge.wait();
    says(&run, &["app 1_change", "still there: column users.email"]);
    assert_eq!(run.code, Some(130), "{run}");
    assert_eq!(archives(&bench).await, 1);
    let mut purge = bench.start("purge --yes");
    purge.wait_for("blocked by");
    application.sql("commit").await.unwrap();
    purge.wait().expect_code(0);
    assert_eq!(archives(&bench).await, 0);
}
