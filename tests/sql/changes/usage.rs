//! What a server shows of those who still use the old shape.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_testkit::Kind;
use dunlin_testkit::private::{self, Private};
use dunlin_testkit::process;
use dunlin_testkit::scratch::Connection;

use super::super::{Bench, says};
use crate::cli::Case;

over!([postgres, mysql, sqlite] a_program_in_the_database_that_names_the_column_is_seen);
over!([postgres, mysql] a_table_that_is_dropped_while_programs_name_it);

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

const RENAME: &str = "rename_column = { table = 'users', from = 'email', to = 'mail' }";

async fn a_program_in_the_database_that_names_the_column_is_seen(kind: Kind) {
    let programs: &[(&str, &str)] = match kind {
        Kind::Postgres => &[
            (
                "create function low() returns trigger language plpgsql as $$ begin new.email := lower(new.email); return new; end $$; create trigger low before insert on users for each row execute function low()",
                "function low() reads users.email",
            ),
            (
                "create function mails() returns bigint language sql as 'select count(email) from users'",
                "function mails() reads users.email",
            ),
            ("create policy own on users using (email = current_user)", "policy own reads users.email"),
            ("create materialized view report as select email from users", "report reads users.email"),
            (
                "create function nothing() returns trigger language plpgsql as 'begin return new; end'; create trigger heard before update of email on users for each row execute function nothing()",
                "trigger heard reads users.email",
            ),
        ],
        Kind::Mysql => &[
            (
                "create trigger low before insert on users for each row set new.email = lower(new.email)",
                "trigger low reads users.email",
            ),
            ("create procedure mails() select count(email) from users", "procedure mails reads users.email"),
            ("create view report as select email from users", "report reads users.email"),
        ],
        _ => &[
            (
                "create trigger low after insert on users begin update users set email = lower(new.email) where id = new.id; end",
                "trigger low reads users.email",
            ),
            ("create view report as select email from users", "report reads users.email"),
        ],
    };
    for (program, words) in programs {
        let bench = Bench::new(kind).await;
        bench.db.sql("create table users (id integer primary key, email varchar(40)); create table teams (id integer primary key, email varchar(40))").await;
        bench.write("1_change.toml", &change(RENAME));
        bench.up();
        for statement in program.split("; create trigger").enumerate() {
            let (at, text) = statement;
            bench.db.sql(&if at == 0 { text.to_owned() } else { format!("create trigger{text}") }).await;
        }
        says(&bench.run("contract 1 --yes").expect_code(3), &["error[still-in-use]", words]);
        bench.run("contract 1 --yes --force --reason test").expect_code(0);
    }
    let bench = Bench::new(kind).await;
    bench.db.sql("create table users (id integer primary key, email varchar(40)); create table teams (id integer primary key, email varchar(40))").await;
    bench.db.sql("create view others as select email from teams").await;
    bench.write("1_change.toml", &change(RENAME));
    bench.run("up --contract").expect_code(0);
}

async fn a_table_that_is_dropped_while_programs_name_it(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table users (id integer primary key, email varchar(40))").await;
    let (program, words) = match kind {
        Kind::Postgres => (
            "create function mails() returns bigint language sql as 'select count(email) from users'",
            "function mails() reads users",
        ),
        _ => ("create procedure mails() select count(email) from users", "procedure mails reads users"),
    };
    bench.db.sql(program).await;
    for text in ["drop_table = { table = 'users' }", "rename_table = { table = 'users', to = 'people' }"] {
        bench.write("1_change.toml", &change(text));
        bench.up();
        says(&bench.run("contract 1 --yes").expect_code(3), &["error[still-in-use]", words]);
        bench.run("down").expect_code(0);
    }
}

/// A client that runs a statement again and again until it is dropped.
struct Client(Arc<AtomicBool>);

impl Client {
    async fn start(kind: Kind, server: &Private, statement: &'static str) -> Self {
        let mut conn = Connection::open(kind, &server.url).await.expect("the server answers");
        let goes_on = Arc::new(AtomicBool::new(true));
        let until = goes_on.clone();
        tokio::spawn(async move {
            while until.load(Ordering::Relaxed) {
                conn.rows(statement).await.ok();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self(goes_on)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

async fn expanded(kind: Kind, server: &Private, text: &str) -> Case {
    let mut conn = Connection::open(kind, &server.url).await.expect("the server answers");
    conn.sql(
        "create table users (id integer primary key, email varchar(40)); insert into users values (1, 'a')",
    )
    .await
    .unwrap();
    let case = Case::new()
        .file("dunlin.toml", "[stores.app]\nurl = \"${URL}\"\n")
        .variable("URL", server.url.expose())
        .file("migrations/1_change.toml", &change(text));
    process::run(&mut case.command("up")).expect_code(0);
    case
}

/// Who reads the old column stands in the way; who reads the new one does not.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_postgres_counts_are_seen() {
    let server = private::postgres(&[("shared_preload_libraries", "pg_stat_statements")]).await;
    let mut conn = Connection::open(Kind::Postgres, &server.url).await.unwrap();
    conn.sql("create extension pg_stat_statements").await.unwrap();
    let case = expanded(Kind::Postgres, &server, RENAME).await;
    let other = Client::start(Kind::Postgres, &server, "select u.mail from users u").await;
    let client = Client::start(Kind::Postgres, &server, "select u.email from users u").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let run = process::run(&mut case.command("contract 1 --yes")).expect_code(3);
    says(&run, &["error[still-in-use]", "times just now reads users.email (`select u.email from users u`)"]);
    drop(client);
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The connection's last statement is remembered for a minute; it did something else since.
    conn.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%u.email%' and pid <> pg_backend_pid()").await.unwrap();
    process::run(&mut case.command("contract 1 --yes")).expect_code(0);
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_reads_is_not_dropped() {
    let server = private::postgres(&[]).await;
    let case = expanded(Kind::Postgres, &server, "drop_table = { table = 'users' }").await;
    // What is hidden in a function that names nothing cannot be read off a text.
    let client = Client::start(
        Kind::Postgres,
        &server,
        "select query_to_xml('select 1 from us' || 'ers', true, true, '')::text",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let run = process::run(&mut case.command("contract 1 --yes")).expect_code(3);
    says(&run, &["error[still-in-use]", "somebody reads or writes users"]);
    drop(client);
    tokio::time::sleep(Duration::from_millis(300)).await;
    process::run(&mut case.command("contract 1 --yes")).expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_mariadb_counts_are_seen() {
    let server = private::mariadb_with(&[
        "--performance-schema=on",
        "--performance-schema-consumer-statements-digest=on",
        "--performance-schema-instrument=statement/%=ON",
    ])
    .await;
    let case = expanded(Kind::Mysql, &server, RENAME).await;
    let client = Client::start(Kind::Mysql, &server, "select u.email from users u").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let run = process::run(&mut case.command("contract 1 --yes")).expect_code(3);
    says(&run, &["error[still-in-use]", "a statement of the last minute reads users.email"]);
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut conn = Connection::open(Kind::Mysql, &server.url).await.unwrap();
    conn.sql("truncate table performance_schema.events_statements_summary_by_digest").await.unwrap();
    process::run(&mut case.command("contract 1 --yes")).expect_code(0);

    let case = case.file("migrations/2_drop.toml", &change("drop_table = { table = 'users' }"));
    process::run(&mut case.command("up")).expect_code(0);
    let client = Client::start(Kind::Mysql, &server, "call hidden()").await;
    conn.sql("create procedure hidden() execute immediate concat('select 1 from us', 'ers')").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    says(
        &process::run(&mut case.command("contract 2 --yes")).expect_code(3),
        &["error[still-in-use]", "users"],
    );
    drop(client);
}

/// What is part of a table goes with it; the policy of another one does not.
#[tokio::test]
async fn a_table_does_not_use_itself() {
    let bench = Bench::new(Kind::Postgres).await;
    bench
        .db
        .sql(
            "create table users (id integer primary key, email text, low text generated always as (lower(email)) stored); \
             create policy own on users using (email = current_user); create table teams (id integer primary key); \
             create function nothing() returns trigger language plpgsql as 'begin return new; end'; \
             create trigger heard before update of email on users for each row execute function nothing(); \
             create policy theirs on teams using (exists (select from users where users.id = teams.id))",
        )
        .await;
    bench.write("1_change.toml", &change("drop_table = { table = 'users' }"));
    bench.up();
    let refused = bench.run("contract 1 --yes");
    says(&refused, &["teams's policy theirs reads users"]);
    assert!(!refused.stderr.contains("own reads") && !refused.stderr.contains("heard"), "{refused}");
    bench.db.sql("drop policy theirs on teams").await;
    bench.run("contract 1 --yes").expect_code(0);
}
