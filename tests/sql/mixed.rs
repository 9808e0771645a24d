//! Files in which some statements cannot be in a transaction.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres]
    concurrent_builds_stand_among_other_statements,
    an_invalid_index_is_dropped_and_built_anew,
    an_invalid_index_is_not_taken_for_one_that_exists,
    a_new_label_is_used_in_the_same_file,
    vacuum_runs_alone,
);
over!([mysql] data_among_ddl_runs_once);

const SEED: &str = "create table a (id int primary key, n int not null);\ninsert into a select g, g from generate_series(1, 100) g;\n";

async fn concurrent_builds_stand_among_other_statements(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        &format!("-- Up\n{SEED}create index concurrently a_n on a (n);\nupdate a set n = n + 1;\ncreate unique index concurrently a_m on a (n);\n-- Down\ndrop index concurrently a_m;\nupdate a set n = n - 1;\ndrop index concurrently a_n;\ndrop table a;\n"),
    );
    says(&bench.run("plan").expect_code(0), &["CREATE INDEX CONCURRENTLY"]);
    bench.up();
    assert_eq!(bench.db.number("select sum(n) from a").await, 5150);
    assert_eq!(
        bench.db.number("select count(*) from pg_index where indrelid = 'a'::regclass and indisvalid").await,
        3
    );
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.db.value("select to_regclass('a')::text").await, None);
}

/// A unique build that meets duplicates fails and leaves an index that no query uses.
async fn leftover(bench: &Bench, statement: &str) {
    bench.write("1_a.sql", SEED);
    bench.up();
    bench.db.sql("update a set n = 1 where id = 2").await;
    bench.write("2_i.sql", &format!("create table b (id int);\n{statement}\ninsert into b values (1);\n"));
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/2_i.sql:2:1", "could not create unique index", "stayed"]);
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(bench.db.number(invalid).await, 1);
    // As long as the data is wrong it fails in the same way.
    bench.run("up").expect_code(1);
    bench.db.sql("update a set n = 2 where id = 2").await;
    says(&bench.up(), &["dropped the invalid index"]);
    assert_eq!(bench.db.number(invalid).await, 0);
    assert_eq!(bench.db.number("select count(*) from pg_index where indexrelid = 'a_n'::regclass").await, 1);
    assert_eq!(bench.db.number("select count(*) from b").await, 1);
}

async fn an_invalid_index_is_dropped_and_built_anew(kind: Kind) {
    leftover(&Bench::new(kind).await, "create unique index concurrently a_n on a (n);").await;
}

async fn an_invalid_index_is_not_taken_for_one_that_exists(kind: Kind) {
    leftover(&Bench::new(kind).await, "create unique index concurrently if not exists a_n on a (n);").await;
}

async fn a_new_label_is_used_in_the_same_file(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create type mood as enum ('sad');\ncreate table a (m mood);\nalter type mood add value 'glad';\ninsert into a values ('glad');\n");
    bench.up();
    assert_eq!(bench.db.value("select m::text from a").await.unwrap(), "glad");
}

async fn vacuum_runs_alone(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", &format!("{SEED}vacuum analyze a;\ndelete from a where id = 1;\nvacuum a;\n"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a").await, 99);
}

async fn data_among_ddl_runs_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "create table a (id int primary key, n int not null);\ninsert into a values (1, 1);\nalter table a add column m int;\nupdate a set n = n + 1;\nalter table a add column broken nothing;\nupdate a set n = n + 10;\n";
    bench.write("1_a.sql", text);
    says(&bench.run("up").expect_code(1), &["migrations/1_a.sql:5:", "the 4 statements before it stayed"]);
    bench.run("up").expect_code(1);
    assert_eq!(bench.db.number("select n from a").await, 2);
    bench.write("1_a.sql", &text.replace("broken nothing", "whole int"));
    bench.up();
    assert_eq!(bench.db.number("select n from a").await, 12);
}
