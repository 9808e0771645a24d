//! Indexes go and come back as they were, whatever they are.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] an_index_comes_back_as_it_was, unique_takes_what_an_index_takes, names_that_begin_alike_stay_apart);

/// All that a server says of the indexes.
async fn defined(bench: &Bench) -> Vec<String> {
    let queries: &[&str] = match bench.db.kind {
        Kind::Postgres => &[
            "select indexdef || ' ' || coalesce(obj_description(format('%I.%I', schemaname, indexname)::regclass, 'pg_class'), '') \
             from pg_indexes where tablename = 'users' order by 1",
        ],
        Kind::Mysql => &["show create table users"],
        _ => &["select sql from sqlite_master where type = 'index' and sql is not null order by 1"],
    };
    let mut lines = Vec::new();
    for query in queries {
        let rows = bench.db.rows(query).await;
        lines.extend(rows.into_iter().flatten().flatten().map(|text| sorted(&text.replace('"', ""))));
    }
    lines.sort_unstable();
    lines
}

/// The keys of a table in an order of their own: one that was dropped comes back as the last one.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).collect();
    lines.sort_unstable();
    lines.join("\n")
}

async fn an_index_comes_back_as_it_was(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql("create table users (id integer primary key, name varchar(40), town varchar(40), note text)")
        .await;
    let indexes: &[&str] = match kind {
        Kind::Postgres => &[
            "create unique index i1 on users using btree (lower(name) text_pattern_ops desc nulls last, town collate \"C\") include (note) nulls not distinct with (fillfactor = 70) where town is not null",
            "create index i2 on users using hash (town)",
            "create index i3 on users using brin (id) with (pages_per_range = 16)",
        ],
        Kind::Mysql => &[
            "create unique index i1 on users (name(10) desc, town) comment 'it''s (ours), too'",
            "create fulltext index i2 on users (note)",
            "create index i3 on users (town) ignored",
        ],
        _ => &[
            "create unique index i1 on users (lower(name) desc, town collate nocase) where town is not null",
            "create index i2 on users (town)",
            "create index \"i3\" on users (id, note)",
        ],
    };
    for index in indexes {
        bench.db.sql(index).await;
    }
    if kind == Kind::Postgres {
        bench.db.sql("comment on index i1 is 'it''s ours'").await;
    }
    let before = defined(&bench).await;
    let drop = |name: &str| {
        format!("[[change]]\nstore = 'app'\ndrop_index = {{ table = 'users', name = '{name}' }}\n")
    };
    bench.write("1_change.toml", &["i1", "i2", "i3"].map(drop).concat());
    bench.up();
    bench.run("contract 1 --yes").expect_code(0);
    let without = defined(&bench).await.concat();
    assert!(!["i1", "i2", "i3"].iter().any(|name| without.contains(name)), "{without}");
    bench.run("down").expect_code(0);
    assert_eq!(defined(&bench).await, before);
    bench.up();
    bench.run("down").expect_code(0);
    assert_eq!(defined(&bench).await, before, "hidden and shown again");
}

async fn unique_takes_what_an_index_takes(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table users (id integer primary key, name varchar(40), age integer)").await;
    bench.db.sql("insert into users values (1, 'abcdef', 1), (2, 'abcxyz', 1)").await;
    // PostgreSQL makes no constraint of what is sorted the other way.
    let columns = match kind {
        Kind::Postgres => "name, age",
        Kind::Mysql => "name(3) desc, age asc",
        _ => "substr(name, 1, 3) desc, age asc",
    };
    let text =
        format!("[[change]]\nstore = 'app'\nadd_unique = {{ table = 'users', columns = '{columns}' }}\n");
    bench.write("1_change.toml", &text);
    if kind != Kind::Postgres {
        says(&bench.run("up --contract").expect_code(14), &["1"]);
        bench.db.sql("update users set age = 2 where id = 2").await;
    }
    bench.run("up --contract").expect_code(0);
    assert!(bench.db.connect().await.sql("insert into users values (3, 'abcdef', 1)").await.is_err());
    bench.run("down").expect_code(0);
    bench.db.sql("insert into users values (3, 'abcdef', 1)").await;
    if kind == Kind::Postgres {
        let index = "[[change]]\nstore = 'app'\nadd_index = { table = 'users', columns = 'lower(name) desc nulls last', unique = true, name = 'low' }\n";
        bench.write("1_change.toml", index);
        says(&bench.run("up --contract").expect_code(14), &["abcdef"]);
        bench.db.sql("delete from users where id = 3").await;
        bench.run("up --contract").expect_code(0);
        assert!(bench.db.connect().await.sql("insert into users values (3, 'ABCDEF', 1)").await.is_err());
    }
}

/// Two columns that share sixty letters are set aside, and come back, each as itself.
async fn names_that_begin_alike_stay_apart(kind: Kind) {
    let bench = Bench::new(kind).await;
    let start = "a".repeat(60);
    let (one, two) = (format!("{start}b1"), format!("{start}b2"));
    bench.db.sql(&format!("create table users (id integer primary key, {one} varchar(9) not null, {two} varchar(9) not null); create index one on users ({one}); create index two on users ({two}); insert into users values (1, 'x', 'y')")).await;
    let before = shape(&bench).await;
    let change = |column: &str| {
        format!(
            "[[change]]\nstore = 'app'\nchange_type = {{ table = 'users', column = '{column}', type = 'varchar(20)', up = '{column}', down = '{column}' }}\n"
        )
    };
    // Two in one migration, and all of them in another.
    bench.write("1_change.toml", &(change(&one) + &change(&two)));
    bench.run("up --contract").expect_code(0);
    bench.write("2_more.toml", &(change(&one) + &change(&two)));
    bench.run("up --contract").expect_code(0);
    bench.db.sql(&format!("insert into users (id, {one}, {two}) values (2, 'p', 'q')")).await;
    let rows = bench.db.rows(&format!("select id, {one}, {two} from users order by id")).await;
    let rows: Vec<String> = rows.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    assert_eq!(rows, ["1xy", "2pq"]);
    bench.run("down --to 0").expect_code(0);
    assert_eq!(shape(&bench).await, before);
    let rows = bench.db.rows(&format!("select id, {one}, {two} from users order by id")).await;
    let rows: Vec<String> = rows.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    assert_eq!(rows, ["1xy", "2pq"]);
}
