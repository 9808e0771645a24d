//! Migrations that have the same thing in hand, and those that only look like it.

use super::super::{Bench, says};
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite]
    what_an_expression_reads_is_not_changed_under_it,
    neighbours_live_side_by_side,
    what_only_removes_waits_like_everything_else,
);

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

async fn users(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    let columns = "id integer primary key, first varchar(9), last varchar(9), age integer, size integer";
    bench
        .db
        .sql(&format!("create table users ({columns}); insert into users values (1, 'a', 'b', 3, 4)"))
        .await;
    bench
}

async fn what_an_expression_reads_is_not_changed_under_it(kind: Kind) {
    let readers = [
        "add_column = { table = 'users', column = 'low', type = 'varchar(9)', backfill = 'lower(FIRST)', not_null = true }",
        "add_check = { table = 'users', check = 'length(first) > 0' }",
        "add_unique = { table = 'users', columns = 'age, first' }",
        "drop_column = { table = 'users', column = 'last', down = 'lower(first)' }",
        "set_not_null = { table = 'users', column = 'last', fill = 'first' }",
    ];
    for reader in readers {
        let bench = users(kind).await;
        bench.write("1_reads.toml", &change(reader));
        bench.up();
        bench.write(
            "2_renames.toml",
            &change("rename_column = { table = 'users', from = 'first', to = 'given' }"),
        );
        let run = bench.run("up");
        assert_ne!(run.code, Some(0), "{reader}\n{run}");
        says(&run, &["users.first"]);
        bench.run("up --contract").expect_code(0);
    }
}

async fn neighbours_live_side_by_side(kind: Kind) {
    let bench = users(kind).await;
    bench.write(
        "1_a.toml",
        &change("add_check = { table = 'users', name = 'grown', check = 'age > cast(2 as decimal(9, 1))' }"),
    );
    bench.write(
        "2_b.toml",
        &change("add_check = { table = 'users', name = 'tall', check = 'size > cast(3 as decimal(9, 1))' }"),
    );
    bench.write("3_c.toml", &change("rename_column = { table = 'users', from = 'first', to = 'given' }"));
    bench.write("4_d.toml", &change("add_check = { table = 'users', name = 'old', check = 'age < 200' }"));
    bench.up();
    assert_eq!(bench.states().await, ["1 expanded", "2 expanded", "3 expanded", "4 expanded"]);
    bench.run("contract 2 --yes").expect_code(0);
    bench.run("up --contract").expect_code(0);
    assert!(
        bench.db.connect().await.sql("insert into users (id, age, size) values (2, 1, 9)").await.is_err()
    );
    bench.run("down --to 0 --allow-data-loss").expect_code(0);
    bench.db.sql("insert into users (id, age, size) values (2, 1, 1)").await;
}

async fn what_only_removes_waits_like_everything_else(kind: Kind) {
    let bench = users(kind).await;
    bench.write(
        "1_renames.toml",
        &change("rename_column = { table = 'users', from = 'first', to = 'given' }"),
    );
    bench.write("2_drops.toml", &change("drop_table = { table = 'users' }"));
    bench.write("0_first.sql", "select 1;");
    bench.remove("1_renames.toml");
    says(
        &bench.run("contract 2 --yes").expect_code(10),
        &["2_drops waits for 0_first, which comes before it"],
    );
    bench.write(
        "1_renames.toml",
        &change("rename_column = { table = 'users', from = 'first', to = 'given' }"),
    );
    bench.run("up").expect_code(10);
    let waits = "2_drops waits for the contract of 1_renames, which has users";
    says(
        &bench.run("status --exit-code").expect_code(10),
        &[waits, "1 pending; `dunlin up` cannot apply it yet"],
    );
    says(&bench.run("contract 2 --yes").expect_code(10), &[waits, "nothing could be done"]);
    says(&bench.run("contract 2 --dry-run"), &[waits]);
    assert_eq!(bench.db.number("select count(*) from users").await, 1);
    bench.run("contract 1 --yes").expect_code(0);
    says(&bench.run("status --exit-code").expect_code(0), &["nothing is pending"]);
    // The other way round: what comes late and before what is in hand.
    let bench = users(kind).await;
    bench.write(
        "1_renames.toml",
        &change("rename_column = { table = 'users', from = 'first', to = 'given' }"),
    );
    bench.up();
    bench.write("0_drops.toml", &change("drop_table = { table = 'users' }"));
    for line in ["contract 0 --yes --out-of-order warn", "up --contract --out-of-order warn"] {
        says(&bench.run(line).expect_code(10), &["0_drops waits for the contract of 1_renames"]);
        assert_eq!(bench.db.number("select count(*) from users").await, 1);
    }
    assert_eq!(bench.states().await, ["1 done"]);
    bench.run("contract 0 --yes --out-of-order warn").expect_code(0);
}
