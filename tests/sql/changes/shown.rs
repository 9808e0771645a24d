//! What a plan shows is what runs, and nothing of a user's tables is touched that was not shown: the statements of every
//! change, on every way, are compared with the log of a server of one's own.

use dunlin_core::StoreUrl;
use dunlin_testkit::private::Private;
use dunlin_testkit::scratch::Connection;
use dunlin_testkit::{Kind, private, process};
use serde_json::Value;

use crate::cli::Case;

over!([postgres, mysql] what_a_plan_shows_is_what_runs);

pub(super) const CHANGES: [&str; 17] = [
    "create_table = { table = 'more', columns = 'id bigint primary key' }",
    "drop_table = { table = 'users' }",
    "rename_table = { table = 'users', to = 'people' }",
    "add_column = { table = 'users', column = 'more', type = 'varchar(40)', backfill = 'lower(name)', not_null = true }",
    "drop_column = { table = 'users', column = 'age', down = \"'1'\" }",
    "rename_column = { table = 'users', from = 'name', to = 'title' }",
    "change_type = { table = 'users', column = 'age', type = 'integer', up = 'cast(age as integer)', down = 'cast(age as varchar(9))' }",
    "set_not_null = { table = 'users', column = 'town', fill = \"'none'\" }",
    "drop_not_null = { table = 'users', column = 'name', fill = \"'none'\" }",
    "set_default = { table = 'users', column = 'other', default = '5', down = '0' }",
    "add_index = { table = 'users', columns = ['name', 'id'] }",
    "drop_index = { table = 'users', name = 'users_town', columns = 'town' }",
    "add_unique = { table = 'users', columns = 'name' }",
    "add_check = { table = 'users', name = 'named', check = 'length(name) > 0' }",
    "add_foreign_key = { table = 'users', name = 'users_team', column = 'team', references = 'teams', to = 'id' }",
    "[change.transform]\ntable = 'users'\nup = { label = { type = 'varchar(40)', as = 'upper(name)', not_null = true } }\ndown = { name = 'lower(label)' }",
    "sql = { up = 'create table extra (id integer)', down = 'drop table extra' }",
];

const SETUP: &str = "\
    create table teams (id bigint primary key); insert into teams select generate_series(0, 6);
    create table users (id bigint primary key, name varchar(40) not null, age varchar(9) not null, town varchar(40), team bigint, other bigint default 0);
    insert into users select i, 'name' || i, (i % 90)::text, 'town' || i, i % 7, 0 from generate_series(1, 40) i;
    create index users_town on users (town)";

/// The commands that lead there and back, each with the one that shows its plan.
pub(super) const WAYS: [(&str, &str); 3] = [
    ("plan --json", "up"),
    ("contract 1 --dry-run --json", "contract 1 --yes"),
    ("down --dry-run --json", "down --allow-data-loss"),
];

/// A text without what is only layout, or differs from chunk to chunk.
fn plain(text: &str) -> String {
    text.replace("\"\"", "\"")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches(';')
        .to_owned()
}

/// The statements that a plan shows, without what only looks or is a number of a chunk.
fn statements(json: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(json).unwrap();
    let empty = Vec::new();
    let steps = answer["data"]["steps"].as_array().unwrap_or(&empty);
    let lines = steps.iter().flat_map(|step| step["statements"].as_array().unwrap());
    lines.map(|line| plain(line["text"].as_str().unwrap())).collect()
}

/// A statement up to the bounds of its chunk.
fn stem(statement: &str) -> &str {
    if [" :", "(:"].iter().any(|mark| statement.contains(mark)) {
        let end = [" where ", " order by "].iter().filter_map(|word| statement.find(word)).min();
        return &statement[..end.unwrap_or(statement.len())];
    }
    statement
}

/// A server that logs every statement.
async fn server(kind: Kind) -> Private {
    if kind == Kind::Mysql {
        return private::mariadb_with(&["--general-log=1", "--log-output=TABLE"]).await;
    }
    private::postgres(&[
        ("log_statement", "all"),
        ("logging_collector", "on"),
        ("log_destination", "csvlog"),
        ("log_filename", "all.log"),
        ("log_rotation_age", "0"),
        ("log_rotation_size", "0"),
    ])
    .await
}

struct Log {
    kind: Kind,
    connection: Connection,
    read: usize,
}

impl Log {
    /// What was logged since this was asked last.
    async fn more(&mut self) -> Vec<String> {
        if self.kind == Kind::Mysql {
            let sql = "select argument from mysql.general_log where command_type in ('Query', 'Execute') order by event_time";
            let rows = self.connection.rows(sql).await.unwrap();
            self.connection.sql("truncate mysql.general_log").await.unwrap();
            return rows.into_iter().map(|mut row| plain(&row.remove(0).unwrap())).collect();
        }
        // A process of the server's own writes the file, later.
        let mark = format!("select 'read up to {}'", self.read);
        self.connection.sql(&mark).await.unwrap();
        let more = loop {
            let rows = self.connection.rows("select pg_read_file('log/all.csv')").await.unwrap();
            let more = rows[0][0].as_ref().unwrap()[self.read..].to_owned();
            if more.contains(&mark) {
                break more;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        self.read += more.len();
        let messages = more.split("LOG,00000,\"").skip(1);
        let text = |message: &str| Some(plain(message.split_once(": ")?.1.split("\",,").next()?));
        // A transaction is opened together with its first statement, and some are sent together.
        messages
            .filter_map(text)
            .flat_map(|sent| sent.split(" ; ").map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

/// As the server writes it.
fn dialect(kind: Kind, text: &str) -> String {
    if kind == Kind::Postgres {
        return text.to_owned();
    }
    [
        ("generate_series(0, 6)", "seq from seq_0_to_6"),
        (
            "i, 'name' || i, (i % 90)::text, 'town' || i, i % 7, 0 from generate_series(1, 40) i",
            "seq, concat('name', seq), seq % 90, concat('town', seq), seq % 7, 0 from seq_1_to_40",
        ),
        ("cast(age as integer)", "cast(age as signed)"),
        ("cast(age as varchar(9))", "cast(age as char)"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

async fn what_a_plan_shows_is_what_runs(kind: Kind) {
    let server = server(kind).await;
    let mut amiss = Vec::new();
    let mut log = Log { kind, connection: Connection::open(kind, &server.url).await.unwrap(), read: 0 };
    for (number, change) in CHANGES.into_iter().enumerate() {
        log.connection.sql(&format!("create database d{number}")).await.unwrap();
        let place = server.url.expose().rsplit_once('/').unwrap().0;
        let options = if kind == Kind::Postgres { "?sslmode=disable" } else { "" };
        let url = StoreUrl::new(format!("{place}/d{number}{options}"));
        let setup = dialect(kind, SETUP);
        Connection::open(kind, &url).await.unwrap().sql(&setup).await.unwrap();
        let case =
            Case::new().file("dunlin.toml", "[stores.app]\nurl = \"${URL}\"\n").variable("URL", url.expose());
        let change = dialect(kind, change);
        let case = case.file("migrations/1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
        for (plan, run) in WAYS {
            let shown = statements(&process::run(&mut case.command(plan)).stdout);
            log.more().await;
            process::run(&mut case.command(run)).expect_code(0);
            let ran = log.more().await;
            let is_unmet = |shown: &&String| !ran.iter().any(|ran| ran.contains(stem(shown)));
            let unmet = shown.iter().filter(is_unmet);
            amiss.extend(unmet.map(|line| format!("{run}: shown, not run: {line}")));
            let is_unsaid = |ran: &&String| !shown.iter().any(|shown| ran.contains(stem(shown)));
            let unsaid = ran.iter().filter(|line| is_of_users(line)).filter(is_unsaid);
            amiss.extend(unsaid.map(|line| format!("{run}: run, not shown: {line}")));
        }
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
}

/// Whether a statement changes something that is not dunlin's own, as its history is, and its triggers are, which come and
/// go within a way.
fn is_of_users(statement: &str) -> bool {
    let changes = ["create ", "alter ", "drop ", "insert ", "update ", "delete ", "comment "];
    changes.iter().any(|verb| statement.to_lowercase().starts_with(verb))
        && !["\"~dunlin_", "`~dunlin_", "dunlin_history", "dunlin_journal", "dunlin_lock", "dunlin_files"]
            .iter()
            .any(|own| statement.contains(own))
}
