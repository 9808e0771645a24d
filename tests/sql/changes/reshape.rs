//! Columns that come and leave.

use super::super::{Bench, says};
use super::life::{Life, live};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] rename_column, change_type, transform, add_column, add_column_filled, drop_column, drop_column_filled, what_leads_to_nothing_is_taken_from_old_clients, a_default_is_derived_from_its_own_column_alone);

fn users(kind: Kind, columns: &str, rows: &str) -> String {
    let id = if kind == Kind::Sqlite { "integer" } else { "bigint" };
    format!("create table users (id {id} primary key, {columns}); {rows}")
}

async fn rename_column(kind: Kind) {
    let columns = "email varchar(40) not null, age integer default 3, constraint users_email unique (email)";
    live(
        kind,
        &Life {
            setup: users(kind, columns, "insert into users (id, email) values (1, 'a'), (2, 'b')"),
            change: "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'email', to = 'mail' }\n".to_owned(),
            old: "select id, email, age from users order by id",
            new: "select id, mail, age from users order by id",
            first: (&["1 a 3", "2 b 3"], &["1 a 3", "2 b 3"]),
            beside: (
                vec![
                    "insert into users (id, email) values (3, 'old')",
                    "insert into users (id, mail) values (4, 'new')",
                    "insert into users (id, email, mail) values (5, 'both', 'both')",
                    "update users set email = 'A' where id = 1",
                    "update users set mail = 'B' where id = 2",
                    "update users set age = 9 where id = 3",
                ],
                (
                    &["1 A 3", "2 B 3", "3 old 9", "4 new 3", "5 both 3"],
                    &["1 A 3", "2 B 3", "3 old 9", "4 new 3", "5 both 3"],
                ),
            ),
            after: (
                vec![
                    "insert into users (id, mail) values (6, 'later')",
                    "update users set mail = 'AA' where id = 1",
                    "delete from users where id = 5",
                ],
                (
                    &["1 AA 3", "2 B 3", "3 old 9", "4 new 3", "6 later 3"],
                    &["1 AA 3", "2 B 3", "3 old 9", "4 new 3", "6 later 3"],
                ),
            ),
            again: None,
        },
    )
    .await;
}

/// The column keeps its name; a client of the new shape reads numbers where the old one reads texts.
async fn change_type(kind: Kind) {
    let (int, text) = if kind == Kind::Mysql { ("signed", "char") } else { ("integer", "varchar(20)") };
    let change = format!(
        "[[change]]\nstore = 'app'\nchange_type = {{ table = 'users', column = 'age', type = 'integer', up = 'cast(age as {int})', down = 'cast(age as {text})' }}\n"
    );
    live(
        kind,
        &Life {
            setup: users(kind, "age varchar(20) not null", "insert into users values (1, '10'), (2, '20')"),
            change,
            old: "select id, age from users order by id",
            new: "select id, age from users order by id",
            first: (&["1 10", "2 20"], &["1 10", "2 20"]),
            beside: (
                vec![
                    "insert into users (id, age) values (3, '30')",
                    "update users set age = '11' where id = 1",
                ],
                (&["1 11", "2 20", "3 30"], &["1 11", "2 20", "3 30"]),
            ),
            after: (
                vec![
                    "insert into users (id, age) values (4, 40)",
                    "update users set age = age + 1 where id = 2",
                ],
                (&["1 11", "2 21", "3 30", "4 40"], &["1 11", "2 21", "3 30", "4 40"]),
            ),
            again: None,
        },
    )
    .await;
}

async fn transform(kind: Kind) {
    let (join, first, last) = match kind {
        Kind::Postgres => (
            "concat(first, ' ', last)",
            "split_part(name, ' ', 1)",
            "substr(name, strpos(name || ' ', ' ') + 1)",
        ),
        Kind::Mysql => (
            "concat(first, ' ', last)",
            "substring_index(name, ' ', 1)",
            "substr(name, locate(' ', concat(name, ' ')) + 1)",
        ),
        _ => (
            "first || ' ' || last",
            "substr(name, 1, instr(name || ' ', ' ') - 1)",
            "substr(name, instr(name || ' ', ' ') + 1)",
        ),
    };
    let change = format!(
        "[[change]]\nstore = 'app'\n[change.transform]\ntable = 'users'\nup = {{ name = {{ type = 'varchar(90)', as = \"{join}\", not_null = true }} }}\ndown = {{ first = \"{first}\", last = \"{last}\" }}\n"
    );
    live(
        kind,
        &Life {
            setup: users(
                kind,
                "first varchar(40) not null, last varchar(40) not null",
                "insert into users values (1, 'Ann', 'Lee'), (2, 'Bo', 'Van Dyk')",
            ),
            change,
            old: "select id, first, last from users order by id",
            new: "select id, name from users order by id",
            first: (&["1 Ann Lee", "2 Bo Van Dyk"], &["1 Ann Lee", "2 Bo Van Dyk"]),
            beside: (
                vec![
                    "insert into users (id, first, last) values (3, 'Old', 'Timer')",
                    "insert into users (id, name) values (4, 'New Comer')",
                    "update users set last = 'Li' where id = 1",
                    "update users set name = 'Beau Van Dyk' where id = 2",
                ],
                (
                    &["1 Ann Li", "2 Beau Van Dyk", "3 Old Timer", "4 New Comer"],
                    &["1 Ann Li", "2 Beau Van Dyk", "3 Old Timer", "4 New Comer"],
                ),
            ),
            after: (
                vec![
                    "insert into users (id, name) values (5, 'Late R')",
                    "update users set name = 'Anna Li' where id = 1",
                ],
                (
                    &["1 Anna Li", "2 Beau Van Dyk", "3 Old Timer", "4 New Comer", "5 Late R"],
                    &["1 Anna Li", "2 Beau Van Dyk", "3 Old Timer", "4 New Comer", "5 Late R"],
                ),
            ),
            again: None,
        },
    )
    .await;
}

async fn add_column(kind: Kind) {
    live(
        kind,
        &Life {
            setup: users(kind, "name varchar(40)", "insert into users values (1, 'a')"),
            change: "[[change]]\nstore = 'app'\nadd_column = { table = 'users', column = 'role', type = 'varchar(9)', default = \"'none'\", not_null = true }\n".to_owned(),
            old: "select id, name from users order by id",
            new: "select id, name, role from users order by id",
            first: (&["1 a"], &["1 a none"]),
            beside: (
                vec!["insert into users (id, name) values (2, 'b')", "insert into users (id, name, role) values (3, 'c', 'boss')"],
                (&["1 a", "2 b", "3 c"], &["1 a none", "2 b none", "3 c boss"]),
            ),
            after: (vec![], (&["1 a", "2 b", "3 c"], &["1 a none", "2 b none", "3 c boss"])),
            again: Some(&["1 a none", "2 b none", "3 c none"]),
        },
    )
    .await;
}

async fn add_column_filled(kind: Kind) {
    live(
        kind,
        &Life {
            setup: users(kind, "name varchar(40)", "insert into users values (1, 'A')"),
            change: "[[change]]\nstore = 'app'\nadd_column = { table = 'users', column = 'low', type = 'varchar(40)', backfill = 'lower(name)', not_null = true }\n".to_owned(),
            old: "select id, name from users order by id",
            new: "select id, name, low from users order by id",
            first: (&["1 A"], &["1 A a"]),
            beside: (
                vec!["insert into users (id, name) values (2, 'B')", "insert into users (id, name, low) values (3, 'C', 'x')"],
                (&["1 A", "2 B", "3 C"], &["1 A a", "2 B b", "3 C x"]),
            ),
            after: (
                vec!["insert into users (id, name, low) values (4, 'D', 'd')", "update users set low = 'c' where id = 3"],
                (&["1 A", "2 B", "3 C", "4 D"], &["1 A a", "2 B b", "3 C c", "4 D d"]),
            ),
            again: None,
        },
    )
    .await;
}

async fn drop_column(kind: Kind) {
    live(
        kind,
        &Life {
            setup: users(
                kind,
                "name varchar(40), fax varchar(9) default 'no'",
                "insert into users values (1, 'a', '11')",
            ),
            change: "[[change]]\nstore = 'app'\ndrop_column = { table = 'users', column = 'fax' }\n"
                .to_owned(),
            old: "select id, name, fax from users order by id",
            new: "select id, name from users order by id",
            first: (&["1 a 11"], &["1 a"]),
            beside: (
                vec![
                    "insert into users (id, name, fax) values (2, 'b', '22')",
                    "insert into users (id, name) values (3, 'c')",
                ],
                (&["1 a 11", "2 b 22", "3 c no"], &["1 a", "2 b", "3 c"]),
            ),
            after: (
                vec!["insert into users (id, name) values (4, 'd')", "delete from users where id = 2"],
                (&["1 a 11", "3 c no", "4 d no"], &["1 a", "3 c", "4 d"]),
            ),
            again: None,
        },
    )
    .await;
}

async fn drop_column_filled(kind: Kind) {
    live(
        kind,
        &Life {
            setup: users(kind, "name varchar(40), fax varchar(9) not null", "insert into users values (1, 'a', '11')"),
            change: "[[change]]\nstore = 'app'\ndrop_column = { table = 'users', column = 'fax', down = \"'none'\" }\n".to_owned(),
            old: "select id, name, fax from users order by id",
            new: "select id, name from users order by id",
            first: (&["1 a 11"], &["1 a"]),
            beside: (
                vec!["insert into users (id, name, fax) values (2, 'b', '22')", "insert into users (id, name) values (3, 'c')"],
                (&["1 a 11", "2 b 22", "3 c none"], &["1 a", "2 b", "3 c"]),
            ),
            after: (
                vec!["insert into users (id, name) values (4, 'd')"],
                (&["1 a 11", "2 b 22", "3 c none", "4 d none"], &["1 a", "2 b", "3 c", "4 d"]),
            ),
            again: None,
        },
    )
    .await;
}

/// A value that cannot be converted never fails the client that writes it; the proof names the row instead.
async fn what_leads_to_nothing_is_taken_from_old_clients(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql(&users(kind, "age varchar(20) not null", "insert into users values (1, '10')")).await;
    let (int, text) = match kind {
        Kind::Mysql => ("nullif(regexp_substr(age, '^[0-9]+$'), '')", "char"),
        Kind::Postgres => ("case when age ~ '^[0-9]+$' then cast(age as integer) end", "varchar(20)"),
        _ => ("case when age glob '[0-9]*' then cast(age as integer) end", "text"),
    };
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\nchange_type = {{ table = 'users', column = 'age', type = 'integer', up = \"{int}\", down = 'cast(age as {text})' }}\n[[change]]\nstore = 'app'\nadd_column = {{ table = 'users', column = 'twice', type = 'integer', backfill = \"{int}\", not_null = true }}\n"));
    bench.up();
    bench.db.sql("insert into users (id, age) values (2, 'ten')").await;
    bench.db.sql("update users set age = 'five' where id = 1").await;
    says(&bench.run("contract 1 --yes").expect_code(14), &["id = 1", "id = 2"]);
    bench.db.sql("update users set age = '5' where id = 1").await;
    bench.db.sql("update users set age = '6' where id = 2").await;
    bench.run("contract 1 --yes").expect_code(0);
    for row in ["3, null, 1", "4, 1, null"] {
        let statement = format!("insert into users (id, age, twice) values ({row})");
        assert!(bench.db.connect().await.sql(&statement).await.is_err(), "{row}");
    }
    bench.run("down --allow-data-loss").expect_code(0);
    bench.db.sql("insert into users (id, age) values (2000, 'ten')").await;
}

/// What is said of a column, who may use it, and what keeps its time belong to the new one as well.
#[tokio::test]
async fn a_renamed_column_keeps_what_is_said_of_it() {
    let bench = Bench::new(Kind::Postgres).await;
    bench.db.sql("create table users (id integer primary key, email text); comment on column users.email is 'it''s theirs'; grant select (email), update (email) on users to public").await;
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'email', to = 'mail' }\n",
    );
    bench.run("up --contract").expect_code(0);
    let said = "select count(*) from pg_attribute where attrelid = 'users'::regclass and attname = 'mail' and col_description(attrelid, attnum) = 'it''s theirs' and attacl::text like '%rw%'";
    assert_eq!(bench.db.number(said).await, 1);

    let bench = Bench::new(Kind::Mysql).await;
    bench.db.sql("create table users (id integer primary key, at timestamp null default null on update current_timestamp comment 'it''s the \\\\ time')").await;
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'at', to = 'changed' }\n",
    );
    bench.run("up --contract").expect_code(0);
    let said = "select count(*) from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'changed' and column_comment like 'it''s the % time' and extra like 'on update%'";
    assert_eq!(bench.db.number(said).await, 1);
}

/// What is made of several columns is no default of one.
async fn a_default_is_derived_from_its_own_column_alone(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(&users(kind, "a integer default 3, b varchar(9)", "insert into users values (1, 1, 'x')"))
        .await;
    let before = shape(&bench).await;
    let (up, down) = match kind {
        Kind::Postgres => ("concat(a, '-', b)", "cast(split_part(a, '-', 1) as integer)"),
        Kind::Mysql => ("concat(a, '-', b)", "cast(substring_index(a, '-', 1) as signed)"),
        _ => ("a || '-' || b", "cast(a as integer)"),
    };
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\nchange_type = {{ table = 'users', column = 'a', type = 'varchar(40)', up = \"{up}\", down = \"{down}\" }}\n"));
    bench.run("up --contract").expect_code(0);
    bench.db.sql("insert into users (id, b) values (2, 'y')").await;
    assert_eq!(bench.db.number("select count(*) from users where a = '1-x' or a is null").await, 2);
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before);
}

/// A row over which the way back fails is named, and is no end of the way.
#[tokio::test]
async fn what_does_not_lead_back_is_listed_and_given_up() {
    let table = "create table users (id integer primary key, s integer); insert into users values (1, 5)";
    let write = "insert into users (id, {}) values (2, 'abc'), (3, '7'), (4, null)";
    let bench = Bench::new(Kind::Postgres).await;
    bench.db.sql(table).await;
    bench.write("1_change.toml", "[[change]]\nstore = 'app'\nchange_type = { table = 'users', column = 's', type = 'text', up = 's::text', down = 's::int' }\n");
    bench.run("up --contract").expect_code(0);
    bench.db.sql(&write.replace("{}", "s")).await;
    let listed = bench.run("down").expect_code(3);
    says(&listed, &["id = 2"]);
    assert!(!listed.stderr.contains("id = 3"), "{listed}");
    bench.run("down --allow-data-loss").expect_code(0);
    let left =
        "select count(*) from users where coalesce(s, 0) = case id when 1 then 5 when 3 then 7 else 0 end";
    assert_eq!(bench.db.number(left).await, 4);

    let bench = Bench::new(Kind::Postgres).await;
    bench.db.sql(table).await;
    bench.write("1_change.toml", "[[change]]\nstore = 'app'\n[change.transform]\ntable = 'users'\nup = { t = { type = 'text', as = 's::text' } }\ndown = { s = 't::int' }\n");
    bench.up();
    bench.db.sql(&write.replace("{}", "t")).await;
    says(&bench.run("contract 1 --yes").expect_code(14), &["id = 2"]);
    says(&bench.run("down").expect_code(3), &["id = 2"]);
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.db.number(left).await, 4);
}
