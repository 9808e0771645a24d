//! Logins that may only read, that may too little, or that are wrong; servers that are not there. No secret is shown.

use std::time::{Duration, Instant};

use dunlin_core::StoreUrl;
use dunlin_testkit::process::Run;
use dunlin_testkit::proxy::Proxy;
use dunlin_testkit::{Kind, private};

use super::{Bench, says};

over!([postgres, mysql]
    a_login_that_may_only_read_runs_every_read_command,
    a_login_that_may_too_little_is_told_what,
    a_wrong_password_is_said_and_shown_nowhere,
    a_dead_host_is_said,
    a_server_that_is_silent_is_given_up,
    a_missing_database_is_said,
    a_login_is_told_whether_it_may_create_tables,
    a_server_that_starts_late_is_waited_for,
);
over!([sqlite] a_missing_file_is_said, a_file_that_takes_no_writes_is_told_so);
over!([postgres] a_server_that_is_starting_is_waited_for);

const SECRET: &str = "p@s/w%o:rd?";
const ENCODED: &str = "p%40s%2Fw%25o%3Ard%3F";

/// A login of this bench's own.
async fn login(bench: &Bench, may: &str) -> String {
    if bench.db.kind == Kind::Postgres {
        let name = bench.db.value("select 'u' || substr(current_database(), 3, 20)").await.unwrap();
        let grant = if may == "select" {
            "grant select on all tables in schema public to"
        } else {
            "grant select, insert, update on all tables in schema public to"
        };
        bench.db.sql(&format!("create role {name} login password '{SECRET}'; {grant} {name}")).await;
        return name;
    }
    let name = bench.db.value("select concat('u', substr(database(), 3, 20))").await.unwrap();
    bench.db.sql(&format!("create user '{name}'@'%' identified by '{SECRET}'")).await;
    let database = bench.db.value("select database()").await.unwrap();
    bench.db.sql(&format!("grant {may} on {database}.* to '{name}'@'%'")).await;
    name
}

async fn drop_login(bench: &Bench, name: &str) {
    let drop = if bench.db.kind == Kind::Postgres {
        format!("drop owned by {name}; drop role {name}")
    } else {
        format!("drop user '{name}'@'%'")
    };
    bench.db.sql(&drop).await;
}

#[track_caller]
fn keeps_secret(run: &Run) {
    for secret in [SECRET, ENCODED, "p@s/w", "p%40s"] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run}");
    }
}

fn with_url(bench: &Bench, line: &str, url: &StoreUrl) -> Run {
    let run = dunlin_testkit::process::run(bench.case.command(line).env("URL", url.expose()));
    keeps_secret(&run);
    run
}

async fn a_login_that_may_only_read_runs_every_read_command(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    let name = login(&bench, "select").await;
    let url = bench.db.url_as(&name, ENCODED);
    let fresh: Vec<Run> = super::READS.iter().map(|line| with_url(&bench, line, &url)).collect();
    bench.up();
    if kind == Kind::Postgres {
        bench.db.sql(&format!("grant select on all tables in schema public to {name}")).await;
    }
    let applied: Vec<Run> =
        super::READS.iter().chain(&["up"]).map(|line| with_url(&bench, line, &url)).collect();
    bench.write("2_b.sql", "create table b (id int primary key);");
    let refused = with_url(&bench, "up", &url);
    drop_login(&bench, &name).await;
    for run in fresh.into_iter().chain(applied) {
        run.expect_code(0);
    }
    says(&refused.expect_code(20), &["denied", "grant the login the right it lacks"]);
    assert_eq!(bench.states().await, ["1 done"]);
}

#[track_caller]
fn may_create(run: &Run, answer: &str) {
    let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix("may create tables"));
    assert!(line.is_some_and(|said| said.trim().starts_with(answer)), "{answer}\n{run}");
}

async fn a_login_is_told_whether_it_may_create_tables(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    bench.up();
    may_create(&bench.run("doctor").expect_code(0), "yes");
    let name = login(&bench, "select").await;
    let url = bench.db.url_as(&name, ENCODED);
    let reads = with_url(&bench, "doctor", &url);
    let may = if kind == Kind::Postgres {
        bench.db.sql(&format!("grant create on schema public to {name}")).await;
        let may = with_url(&bench, "doctor", &url);
        bench.db.sql(&format!("alter role {name} set default_transaction_read_only = on")).await;
        may_create(&with_url(&bench, "doctor", &url), "no: its transactions are read-only");
        may
    } else {
        // By a role, and in all databases whose names begin alike.
        let pattern = bench.db.value("select replace(left(database(), 20), '_', '\\\\_')").await.unwrap();
        let grant =
            format!("grant create, insert on `{pattern}%`.* to '{name}r'; grant '{name}r' to '{name}'@'%'");
        bench
            .db
            .sql(&format!("create role '{name}r'; {grant}; set default role '{name}r' for '{name}'@'%'"))
            .await;
        let may = with_url(&bench, "doctor", &url);
        bench.db.sql(&format!("drop role '{name}r'")).await;
        may
    };
    drop_login(&bench, &name).await;
    may_create(&reads.expect_code(0), "no");
    may_create(&may.expect_code(0), "yes");
}

async fn a_file_that_takes_no_writes_is_told_so(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    bench.up();
    let url = bench.db.url.expose().split('?').next().unwrap().to_owned();
    let run = with_url(&bench, "doctor", &StoreUrl::new(format!("{url}?mode=ro"))).expect_code(0);
    may_create(&run, "no: it may only read");
    // Another one who writes does not make it so, and is not waited for.
    let mut writer = bench.db.connect().await;
    writer.sql("begin immediate").await.unwrap();
    let asked = Instant::now();
    may_create(&bench.run("doctor").expect_code(0), "yes");
    assert!(asked.elapsed() < Duration::from_secs(5));
}

async fn a_login_that_may_too_little_is_told_what(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    bench.up();
    let name = login(&bench, "select, insert, update").await;
    bench.write("2_b.sql", "insert into a values (1);\ncreate table b (id int primary key);");
    let run = with_url(&bench, "up", &bench.db.url_as(&name, ENCODED));
    drop_login(&bench, &name).await;
    let lacking =
        if kind == Kind::Postgres { "permission denied for schema public" } else { "CREATE command denied" };
    says(&run.expect_code(20), &[lacking, "2_b.sql:2:1"]);
    bench.up();
}

async fn a_wrong_password_is_said_and_shown_nowhere(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    let user = if kind == Kind::Postgres { "postgres" } else { "root" };
    for line in ["status", "up", "up --json", "status -v", "plan"] {
        let run = with_url(&bench, line, &bench.db.url_as(user, ENCODED));
        says(&run.expect_code(20), &["check user and password"]);
    }
}

async fn a_dead_host_is_said(kind: Kind) {
    let bench = Bench::new(kind).await;
    let scheme = bench.db.url.scheme();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in [format!("127.0.0.1:{port}"), "no-such-host.invalid".to_owned()] {
        let url = StoreUrl::new(format!("{scheme}://me:{ENCODED}@{host}/db"));
        for line in ["status", "up", "plan --json"] {
            says(&with_url(&bench, line, &url).expect_code(20), &["cannot connect"]);
        }
    }
}

async fn a_server_that_is_silent_is_given_up(kind: Kind) {
    let bench = Bench::with(kind, "connect_timeout = \"1s\"").await;
    let proxy = Proxy::before(&bench.db.url);
    proxy.pause();
    let began = Instant::now();
    says(&with_url(&bench, "status", &proxy.url).expect_code(20), &["no answer within 1s"]);
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn a_missing_database_is_said(kind: Kind) {
    let bench = Bench::new(kind).await;
    let (base, _) = bench.db.url.expose().rsplit_once('/').unwrap();
    let url = StoreUrl::new(format!("{base}/no_such_database"));
    says(
        &with_url(&bench, "status", &url).expect_code(20),
        &["no_such_database", "create the database first"],
    );
}

async fn a_server_that_starts_late_is_waited_for(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    let proxy = Proxy::before(&bench.db.url);
    proxy.refuse(true);
    with_url(&bench, "up", &proxy.url).expect_code(20);
    let runner =
        dunlin_testkit::process::spawn(bench.case.command("up --wait 60s").env("URL", proxy.url.expose()));
    while proxy.connections() < 4 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.refuse(false);
    runner.wait().expect_code(0);
    assert_eq!(bench.states().await, ["1 done"]);
}

async fn a_server_that_is_starting_is_waited_for(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key);");
    let mut server = private::postgres(&[]).await;
    server.kill();
    let runner =
        dunlin_testkit::process::spawn(bench.case.command("up --wait 60s").env("URL", server.url.expose()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().await;
    runner.wait().expect_code(0);
}

async fn a_missing_file_is_said(kind: Kind) {
    let bench = Bench::new(kind).await;
    let run = with_url(&bench, "up", &StoreUrl::new("sqlite://none.db"));
    says(&run.expect_code(20), &["does not exist", "?create=true"]);
    says(&with_url(&bench, "status", &StoreUrl::new("sqlite:///no/such/folder/a.db?create=true")), &[""]);
    with_url(&bench, "up", &StoreUrl::new("sqlite://migrations")).expect_code(20);
    std::fs::write(
        bench.case.path().join("text.db"),
        "this is no database, but long enough to look like one".repeat(99),
    )
    .unwrap();
    says(
        &with_url(&bench, "status", &StoreUrl::new("sqlite://text.db")).expect_code(20),
        &["not a database"],
    );
}
