//! Every kind of key that a table may have is gone through exactly once; what cannot be is refused with the reason.

use dunlin_testkit::Kind;

use super::super::{Bench, says};
use super::{SMALL, TWO, run, series};

over!([postgres, mysql, sqlite]
    every_kind_of_key_is_gone_through_exactly_once,
    what_is_no_key_is_refused_with_what_to_add,
    a_table_without_a_key_is_refused_before_anything_is_written,
    a_plan_names_the_key_that_the_table_has,
);
over!([postgres, mysql] two_workers_share_every_kind_of_key);

/// Tables: the columns of the key, what the table is after a `;`, and the key over `i`.
const POSTGRES: &[(&str, &str)] = &[
    ("id integer primary key", "i - 700"),
    ("id bigint primary key", "i::bigint * 7000003"),
    ("id numeric(30, 10) primary key", "i / 7.0"),
    ("id text collate \"C\" primary key", "chr(64 + i % 60) || i"),
    ("id text primary key", "md5(i::text) || 'äß' || i"),
    ("id varchar(40) primary key", "repeat('x', i % 5) || i"),
    ("id char(10) primary key", "i"),
    ("id uuid primary key", "md5(i::text)::uuid"),
    ("id date primary key", "date '0044-03-15 BC' + i * 400"),
    ("id timestamp primary key", "timestamp '2020-01-01' + i * interval '1 hour 0.000001 s'"),
    ("id timestamptz primary key", "timestamptz '2020-10-25 00:00+00' + i * interval '7 minutes'"),
    ("id time primary key", "time '00:00' + i * interval '20.5 s'"),
    ("id bytea primary key", "decode(md5(i::text), 'hex')"),
    ("id inet primary key", "'10.0.0.0'::inet + i"),
    ("id positive primary key", "i"),
    ("id integer not null unique", "i"),
    ("a boolean, b integer, primary key (a, b)", "i % 2 = 0, i"),
    ("a text, b integer, primary key (a, b)", "'g' || i % 3, i"),
    ("a integer, b integer, c integer, primary key (a, b, c)", "i % 3, i % 5, i"),
    ("\"Quoted \"\"id\" integer primary key", "i"),
];

const MYSQL: &[(&str, &str)] = &[
    ("id int primary key", "cast(i as signed) - 700"),
    ("id bigint unsigned primary key", "18446744073709551615 - i * 7000003"),
    ("id decimal(30, 10) primary key", "i / 7"),
    ("id varchar(60) collate utf8mb4_general_ci primary key", "concat(char(64 + i mod 26 using utf8mb4), i)"),
    ("id varchar(60) collate utf8mb4_bin primary key", "concat(char(60 + i mod 60 using utf8mb4), 'äß', i)"),
    ("id varchar(60) character set latin1 primary key", "concat('ä', i)"),
    ("id char(32) primary key", "md5(i)"),
    ("id binary(16) primary key", "unhex(md5(i))"),
    ("id varbinary(16) primary key", "concat(unhex('ff00'), i)"),
    ("id uuid primary key", "uuid()"),
    ("id date primary key", "date_add('1000-01-01', interval i day)"),
    ("id datetime(6) primary key", "date_add('2020-01-01', interval i * 7000003 microsecond)"),
    ("id time(3) primary key", "sec_to_time(i * 20.5)"),
    ("id int not null unique", "i"),
    ("a varchar(20), b int, primary key (a, b)", "concat('g', i mod 3), i"),
    ("a int, b int, c int, primary key (a, b, c)", "i mod 3, i mod 5, i"),
    ("`Quoted ``id` int primary key", "i"),
];

const SQLITE: &[(&str, &str)] = &[
    ("id integer primary key", "i - 700"),
    ("id bigint not null primary key", "i * 7000003"),
    ("id text not null primary key", "char(64 + i % 60) || 'äß' || i"),
    ("id text not null collate nocase primary key", "char(64 + i % 26) || i"),
    ("id blob primary key; without rowid", "cast('b' || i as blob)"),
    ("a text, b integer, primary key (a, b); without rowid", "'g' || i % 3, i"),
    ("a integer, b integer, c integer, primary key (a, b, c); strict", "i % 3, i % 5, i"),
    (
        "id not null primary key",
        "case i % 4 when 0 then i when 1 then 't' || i when 2 then cast('b' || i as blob) else i + 0.1 end",
    ),
    ("id integer not null unique", "i"),
    ("\"Quoted \"\"id\" integer not null primary key", "i"),
];

fn tables(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Postgres => POSTGRES,
        Kind::Mysql => MYSQL,
        _ => SQLITE,
    }
}

const COUNT: u32 = 900;

/// Adds one to each row of a table.
fn step(at: usize) -> String {
    format!("[[backfill]]\nstore = \"app\"\nupdate = {{ table = \"t{at}\", set = \"n = n + 1\" }}\n")
}

/// Makes all tables; the migration that goes through them.
async fn fill(bench: &Bench) -> usize {
    let kind = bench.db.kind;
    let mut db = bench.db.connect().await;
    if kind == Kind::Postgres {
        // Nobody else's style of dates must matter to what is kept.
        let name = bench.db.value("select current_database()").await.unwrap();
        db.sql(&format!("alter database {name} set datestyle = 'SQL, DMY'; alter database {name} set timezone = 'Europe/Berlin'")).await.unwrap();
        db.sql("create domain positive as integer check (value > 0)").await.unwrap();
    }
    let mut steps = String::new();
    let tables = tables(kind);
    for (at, (key, values)) in tables.iter().enumerate() {
        let (key, kind_of_table) = key.split_once("; ").unwrap_or((key, ""));
        db.sql(&format!("create table t{at} (n integer not null default 0, {key}) {kind_of_table}"))
            .await
            .unwrap_or_else(|error| panic!("{key}: {error}"));
        let columns = if key.contains("c int") {
            3
        } else if key.contains("b int") {
            2
        } else {
            1
        };
        let names = names(&mut db, kind, at, columns).await;
        let insert = format!("insert into t{at} ({names}) select {values} from {}", series(kind, COUNT));
        db.sql(&insert).await.unwrap_or_else(|error| panic!("{insert}: {error}"));
        steps.push_str(&step(at));
    }
    if kind != Kind::Sqlite {
        let parts = if kind == Kind::Postgres { "partition of" } else { "" };
        let at = tables.len();
        if kind == Kind::Postgres {
            db.sql(&format!("create table t{at} (id integer, day integer, n integer not null default 0, primary key (id, day)) partition by range (day); \
                             create table t{at}_a {parts} t{at} for values from (0) to (450); create table t{at}_b {parts} t{at} default")).await.unwrap();
        } else {
            db.sql(&format!("create table t{at} (id integer, day integer, n integer not null default 0, primary key (id, day)) \
                             partition by range (day) (partition a values less than (450), partition b values less than maxvalue)")).await.unwrap();
        }
        db.sql(&format!("insert into t{at} (id, day) select i, (i * 7) % 900 from {}", series(kind, COUNT)))
            .await
            .unwrap();
        steps.push_str(&step(at));
    }
    bench.write("1_all.toml", &steps);
    tables.len() + usize::from(kind != Kind::Sqlite)
}

/// The first columns of a table, quoted.
async fn names(db: &mut dunlin_testkit::scratch::Connection, kind: Kind, at: usize, count: usize) -> String {
    let sql = match kind {
        Kind::Postgres => format!(
            "select quote_ident(attname) from pg_attribute where attrelid = 't{at}'::regclass and attnum > 1 order by attnum limit {count}"
        ),
        Kind::Mysql => format!(
            "select concat('`', replace(column_name, '`', '``'), '`') from information_schema.columns where table_schema = database() and table_name = 't{at}' and ordinal_position > 1 order by ordinal_position limit {count}"
        ),
        _ => format!(
            "select '\"' || replace(name, '\"', '\"\"') || '\"' from pragma_table_info('t{at}') where cid > 0 order by cid limit {count}"
        ),
    };
    let rows = db.rows(&sql).await.unwrap();
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<_>>().join(", ")
}

async fn goes_through_all(kind: Kind, pace: &str) {
    let bench = Bench::new(kind).await;
    let count = fill(&bench).await;
    run(&bench, "up", pace, None).expect_code(0);
    let mut db = bench.db.connect().await;
    for at in 0..count {
        let sql = format!("select count(*), sum(n), max(n) from t{at}");
        let rows = db.rows(&sql).await.unwrap();
        let wanted = [Some(COUNT.to_string()), Some(COUNT.to_string()), Some("1".to_owned())];
        assert_eq!(rows[0], wanted, "t{at}: {:?}", tables(kind).get(at));
    }
    // Each in several chunks: what is kept between them was put to the test.
    let begun = bench.db.number("select count(*) from dunlin_journal where kind = 'begun'").await;
    assert!(begun >= i64::try_from(count).unwrap(), "{begun}");
}

async fn every_kind_of_key_is_gone_through_exactly_once(kind: Kind) {
    goes_through_all(kind, SMALL).await;
}

async fn two_workers_share_every_kind_of_key(kind: Kind) {
    goes_through_all(kind, TWO).await;
}

/// A table, the `key` of the step, and what is said.
type Refused = (&'static str, &'static str, &'static [&'static str]);

const REFUSED: &[Refused] = &[
    ("id integer, n integer", "", &["neither a primary key nor a unique one", "add a primary key"]),
    ("id integer unique, n integer", "", &["id may be NULL", "NOT NULL"]),
    ("id double precision not null primary key, n integer", "", &["a float, which is not kept exactly"]),
    (
        "id integer primary key, m integer not null, n integer",
        "m",
        &["no index starts with m", "create index"],
    ),
    ("id integer primary key, n integer not null unique", "n", &["cannot be set", "name another `key`"]),
];

/// What is refused on one engine alone.
fn own(kind: Kind) -> &'static [Refused] {
    match kind {
        Kind::Postgres => &[
            ("id mood primary key, n integer", "", &["an enum, whose order may be changed"]),
            ("id jsonb primary key, n integer", "", &["JSON"]),
        ],
        Kind::Mysql => &[
            ("id enum('a', 'b') primary key, n integer", "", &["of the type enum"]),
            ("id varchar(50), n integer, unique (id(10))", "", &["a part of a column"]),
            (
                "id integer primary key, n integer; engine = MyISAM",
                "",
                &["no transactions", "engine = InnoDB"],
            ),
        ],
        // SQLite lets NULLs into such a primary key.
        _ => &[("id text primary key, n integer", "", &["id may be NULL", "rowid"])],
    }
}

async fn what_is_no_key_is_refused_with_what_to_add(kind: Kind) {
    let bench = Bench::new(kind).await;
    if kind == Kind::Postgres {
        bench.db.sql("create type mood as enum ('a', 'b')").await;
    }
    for (columns, key, words) in REFUSED.iter().chain(own(kind)) {
        let (columns, table) = columns.split_once("; ").unwrap_or((columns, ""));
        bench.db.sql(&format!("drop table if exists t; create table t ({columns}) {table}")).await;
        let key = if key.is_empty() { String::new() } else { format!(", key = \"{key}\"") };
        bench.write(
            "1_n.toml",
            &format!(
                "[[backfill]]\nstore = \"app\"\nupdate = {{ table = \"t\", set = {{ n = \"1\" }}{key} }}\n"
            ),
        );
        let run = bench.run("up");
        assert_ne!(run.code, Some(0), "{columns}");
        says(&run, words);
    }
    bench.db.sql("drop table t").await;
    let run = bench.run("up").expect_code(1);
    says(&run, &["there is no table t", "no row was changed"]);
}

async fn a_plan_names_the_key_that_the_table_has(kind: Kind) {
    let bench = Bench::new(kind).await;
    let quote = |name: &str| if kind == Kind::Mysql { format!("`{name}`") } else { format!("\"{name}\"") };
    let order = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
        format!("order by {}", names.join(", "))
    };
    let table = "create table t (b integer not null, a integer not null, n integer not null default 0, primary key (b, a))";
    bench.write("1_table.sql", &format!("-- Up\n{table};\n-- Down\ndrop table t;\n"));
    bench.write(
        "2_count.toml",
        "[[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { n = \"n + 1\" } }\n\
         undo = { table = \"t\", set = { n = \"n - 1\" } }\n\
         [[verify]]\nstore = \"app\"\nnone = { table = \"t\", where = \"n = 0\" }\n\
         [[verify]]\nstore = \"app\"\nsame = { table = \"t\", expr = \"n\", with = { table = \"t\", expr = \"n\" } }\n",
    );
    // The table is made by a step before: nobody knows its key yet.
    says(&bench.run("plan").expect_code(0), &[&order(&["key"])]);
    bench.run("up --to 1").expect_code(0);
    for line in ["plan", "up --dry-run"] {
        let plan = bench.run(line).expect_code(0);
        let known = order(&["b", "a"]);
        assert!(plan.stdout.matches(&known).count() >= 3, "each op goes by it, {known}\n{plan}");
        assert!(!plan.stdout.contains(&quote("key")), "{plan}");
    }
    bench.up();
    let back = bench.run("plan --down 1").expect_code(0);
    says(&back, &[&order(&["b", "a"])]);
}

async fn a_table_without_a_key_is_refused_before_anything_is_written(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table bare (a integer, b integer not null); insert into bare values (1, 1)").await;
    let change = |text: &str| format!("[[change]]\nstore = \"app\"\n{text}\n");
    let rename = change("rename_column = { table = \"bare\", from = \"a\", to = \"c\" }");
    bench.write("1_rename.toml", &rename);
    says(&bench.run("plan"), &["would be refused", "neither a primary key nor a unique one"]);
    let refused = bench.run("up").expect_code(1);
    says(&refused, &["neither a primary key nor a unique one", "nothing was changed; add a primary key"]);
    assert!(bench.states().await.is_empty(), "nothing began");
    // A step before it may make one.
    let unique = if kind == Kind::Mysql {
        "alter table bare add unique (b)"
    } else {
        "create unique index u on bare (b)"
    };
    bench.write("0_key.sql", &format!("{unique};"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from bare where c = 1").await, 1);
}
