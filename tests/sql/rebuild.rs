//! SQLite: tables built anew, foreign keys, and files that cannot be written.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([sqlite]
    a_rebuild_keeps_child_rows_by_default,
    a_rebuild_with_keys_on_is_stopped_before_it_takes_rows,
    a_rebuild_as_written_keeps_child_rows,
    broken_keys_are_found_before_the_commit,
    keys_that_were_broken_before_do_not_stop_a_rebuild,
    a_full_disk_is_said_and_nothing_stays,
    a_file_that_takes_no_writes_is_said,
);

const SEED: &str = "create table parent (id integer primary key, n integer);\ncreate table child (id integer primary key, parent integer not null references parent (id) on delete cascade);\ninsert into parent values (1, 1), (2, 2);\ninsert into child values (1, 1), (2, 1), (3, 2);";
const REBUILD: &str = "create table parent_new (id integer primary key, n integer not null);\ninsert into parent_new select * from parent;\ndrop table parent;\nalter table parent_new rename to parent;\n";

async fn seeded(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", SEED);
    bench.up();
    bench
}

async fn a_rebuild_keeps_child_rows_by_default(kind: Kind) {
    let bench = seeded(kind).await;
    bench.write("2_b.sql", REBUILD);
    bench.write("3_c.sql", "insert into child values (9, 77);");
    says(&bench.run("up").expect_code(1), &["3_c.sql:1:1", "FOREIGN KEY constraint failed"]);
    assert_eq!(bench.db.number("select count(*) from child").await, 3);
    assert_eq!(bench.states().await, ["1 done", "2 done"]);
}

async fn a_rebuild_with_keys_on_is_stopped_before_it_takes_rows(kind: Kind) {
    let bench = seeded(kind).await;
    bench.write("2_b.sql", &format!("-- dunlin: foreign-keys: on\n{REBUILD}"));
    says(&bench.run("up").expect_code(1), &["2_b.sql:4:1", "would take 3 rows of", "foreign-keys: off"]);
    assert_eq!(bench.db.number("select count(*) from child").await, 3);
    assert_eq!(bench.states().await, ["1 done"]);
    bench.write("2_b.sql", &format!("-- dunlin: foreign-keys: off\n{REBUILD}"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from child").await, 3);
}

async fn a_rebuild_as_written_keeps_child_rows(kind: Kind) {
    let bench = seeded(kind).await;
    bench.write("2_b.sql", &format!("PRAGMA foreign_keys = OFF;\nBEGIN;\n{REBUILD}PRAGMA foreign_key_check;\nCOMMIT;\nPRAGMA foreign_keys = ON;\n"));
    bench.write("3_c.sql", "insert into child values (9, 77);");
    says(&bench.run("up").expect_code(1), &["FOREIGN KEY constraint failed"]);
    assert_eq!(bench.db.number("select count(*) from child").await, 3);
    assert_eq!(bench.states().await, ["1 done", "2 done"]);
}

async fn broken_keys_are_found_before_the_commit(kind: Kind) {
    let bench = seeded(kind).await;
    let broken = REBUILD.replace("from parent;", "from parent where id = 1;");
    for way in [broken.clone(), format!("PRAGMA foreign_keys = OFF;\n{broken}PRAGMA foreign_keys = ON;\n")] {
        bench.write("2_b.sql", &way);
        says(&bench.run("up").expect_code(1), &["1 row of child points at no row of parent"]);
        assert_eq!(bench.db.number("select count(*) from parent").await, 2);
    }
}

async fn keys_that_were_broken_before_do_not_stop_a_rebuild(kind: Kind) {
    let bench = seeded(kind).await;
    bench.db.sql("pragma foreign_keys = off; insert into child values (9, 77)").await;
    bench.write("2_b.sql", REBUILD);
    bench.up();
    bench.write("3_c.sql", &REBUILD.replace("from parent;", "from parent where id = 1;"));
    says(&bench.run("up").expect_code(1), &["1 row of child points at no row of parent"]);
}

async fn a_full_disk_is_said_and_nothing_stays(kind: Kind) {
    let bench = seeded(kind).await;
    bench.write("2_b.sql", "create table big (b blob);\ninsert into big values (zeroblob(4000000));\n");
    let mut command = std::process::Command::new("sh");
    let program = bench.case.command("up").get_program().to_owned();
    command.arg("-c").arg("ulimit -f 1000; trap '' XFSZ; exec \"$0\" up").arg(program);
    command.current_dir(bench.case.path()).env("URL", bench.db.url.expose());
    let run = dunlin_testkit::process::run(&mut command);
    says(&run.expect_code(1), &["disk", "2_b.sql"]);
    assert_eq!(bench.states().await[0], "1 done");
    bench.up();
    assert_eq!(bench.db.number("select length(b) from big").await, 4_000_000);
}

async fn a_file_that_takes_no_writes_is_said(kind: Kind) {
    let bench = seeded(kind).await;
    bench.write("2_b.sql", "create table b (id integer);");
    let url = format!("{}?mode=ro", bench.db.url.expose());
    for line in super::READS {
        bench.run(&format!("{line} --url {url}")).expect_code(0);
    }
    says(&bench.run(&format!("up --url {url}")).expect_code(20), &["readonly", "cannot be written to"]);
    bench.up();
}
