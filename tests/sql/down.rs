//! The way back.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql, sqlite]
    a_down_works_from_the_stored_text,
    a_down_passes_over_what_is_not_there,
    a_down_that_fails_in_the_middle_continues,
);
over!([mysql] a_half_applied_migration_goes_back, a_plan_shows_what_is_left_of_a_begun_step);
over!([postgres] one_of_several_that_is_not_there_excuses_nothing);

async fn a_down_works_from_the_stored_text(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "-- Up\ncreate table a (id integer primary key);\n-- Down\ndrop table a;\n");
    bench.write("2_b.sql", "-- Up\ncreate table b (id integer primary key);\ninsert into b values (1);\n-- Down\ndrop table b;\n");
    bench.up();
    bench.remove("2_b.sql");
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.states().await, ["1 done", "2 undone"]);
    assert!(bench.db.connect().await.rows("select * from b").await.is_err());
    says(&bench.up(), &["nothing to do"]);
}

async fn a_down_passes_over_what_is_not_there(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "-- Up\ncreate table a (id integer primary key, n integer);\ncreate table b (id integer primary key);\n-- Down\nalter table a drop column n;\ndrop table b;\ndrop table a;\n");
    bench.up();
    bench.db.sql("drop table b").await;
    says(
        &bench.run("down --allow-data-loss").expect_code(0),
        &["passed over, its effect already holds: drop table b"],
    );
    assert!(bench.db.connect().await.rows("select * from a").await.is_err());
    bench.up();
    assert_eq!(bench.db.number("select count(*) from b").await, 0);
}

async fn a_down_that_fails_in_the_middle_continues(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        "-- Up\ncreate table a (id integer primary key);\ncreate table n (n integer not null);\ninsert into n values (0);\n\
         -- Down\ndrop table a;\nupdate n set n = n + 1;\ninsert into obstacle values (1);\nupdate n set n = n + 10;\n",
    );
    bench.up();
    let run = bench.run("down --allow-data-loss").expect_code(1);
    says(&run, &["1_a.sql:8:"]);
    let is_kept = kind == Kind::Mysql;
    assert_eq!(bench.db.connect().await.rows("select * from a").await.is_err(), is_kept);
    bench.run("down --allow-data-loss").expect_code(1);
    bench.db.sql("create table obstacle (id integer primary key)").await;
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.db.number("select n from n").await, 11);
    assert_eq!(bench.states().await, ["1 undone"]);
}

async fn a_half_applied_migration_goes_back(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        "-- Up\ncreate table a (id int primary key);\ncreate table b (id nothing);\ncreate table c (id int);\n-- Down\ndrop table c;\ndrop table b;\ndrop table a;\n",
    );
    bench.run("up").expect_code(1);
    let run = bench.run("down --allow-data-loss").expect_code(0);
    says(
        &run,
        &[
            "passed over, its effect already holds: drop table c",
            "passed over, its effect already holds: drop table b",
        ],
    );
    assert_eq!(bench.states().await, ["1 undone"]);
    assert_eq!(bench.db.number("select count(*) from information_schema.tables where table_schema = database() and table_name in ('a', 'b', 'c')").await, 0);
}

async fn one_of_several_that_is_not_there_excuses_nothing(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "-- Up\ncreate table a (id int, n int);\ncreate table b (id int);\n-- Down\nalter table a drop column m, drop column n;\ndrop table a, b, c;\n");
    bench.up();
    let run = bench.run("down --allow-data-loss").expect_code(1);
    says(&run, &["1_a.sql:5:", "column \"m\""]);
    bench.db.sql("alter table a drop column n").await;
    let run = bench.run("down --allow-data-loss").expect_code(1);
    says(&run, &["1_a.sql:6:", "table \"c\" does not exist"]);
    assert_eq!(bench.db.number("select count(*) from a, b").await, 0);
    bench.db.sql("drop table a; drop table b").await;
    says(
        &bench.run("down --allow-data-loss").expect_code(0),
        &["passed over, its effect already holds: drop table a, b, c"],
    );
    assert_eq!(bench.states().await, ["1 undone"]);
}

async fn a_plan_shows_what_is_left_of_a_begun_step(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        "-- Up\ncreate table a (id int);\ncreate table b (id int);\ninsert into obstacle values (1);\n-- Down\ndrop table b;\ninsert into obstacle values (2);\ndrop table a;\n",
    );
    bench.run("up").expect_code(1);
    let plan = bench.run("plan").expect_code(0).stdout;
    assert!(plan.contains("insert into obstacle") && !plan.contains("create table"), "{plan}");
    bench.run("down --allow-data-loss").expect_code(1);
    let plan = bench.run("down --dry-run --allow-data-loss").stdout;
    assert!(plan.contains("insert into obstacle") && !plan.contains("drop table b"), "{plan}");
}
