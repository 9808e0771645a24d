//! A history that somebody edited by hand, or a newer dunlin wrote: said, with the row, and left alone.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql, sqlite]
    a_damaged_record_is_named_and_nothing_is_written,
    a_damaged_checkpoint_is_named,
    a_history_from_the_future_is_left_alone,
    a_column_that_is_gone_is_named,
    tables_dropped_by_hand_are_missed,
);

const COMMANDS: [&str; 6] = ["status", "plan", "up", "check", "history", "down"];

async fn seeded(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "-- Up\ncreate table a (id integer primary key);\n-- Down\ndrop table a;\n");
    bench.write("2_b.sql", "create table b (id integer primary key);");
    bench.up();
    bench.write("3_c.sql", "create table c (id integer primary key);");
    bench
}

async fn is_untouched(bench: &Bench) {
    assert!(bench.db.connect().await.rows("select * from c").await.is_err());
    assert_eq!(bench.db.number("select count(*) from dunlin_lock where who is not null").await, 0);
}

async fn a_damaged_record_is_named_and_nothing_is_written(kind: Kind) {
    for (set, words) in [
        ("state = 'dirty'", "dirty"),
        ("phase = 'soon'", "soon"),
        ("origin = 'moon'", "moon"),
        ("steps = 'seven'", "seven"),
        ("text_sum = 'eight'", "eight"),
        ("rows_changed = -1", "rows_changed"),
        ("version = '2x'", "2x"),
    ] {
        let bench = seeded(kind).await;
        bench.db.sql(&format!("update dunlin_history set {set} where version = '2'")).await;
        for command in COMMANDS {
            says(&bench.run(command).expect_code(13), &[words, "row: 2"]);
        }
        is_untouched(&bench).await;
    }
}

async fn a_damaged_checkpoint_is_named(kind: Kind) {
    for checkpoint in ["{bad", "[]", "{\"at\": -1}", "{\"at\": 1, \"new\": 2}"] {
        let bench = seeded(kind).await;
        bench.db.sql(&format!("update dunlin_history set state = 'applying', steps = '', checkpoint = '{checkpoint}' where version = '2'")).await;
        let run = bench.run("up").expect_code(13);
        says(&run, &["checkpoint", "2_b"]);
        is_untouched(&bench).await;
    }
}

async fn a_history_from_the_future_is_left_alone(kind: Kind) {
    for table in ["dunlin_history", "dunlin_lock"] {
        let bench = seeded(kind).await;
        bench.db.sql(&format!("update {table} set format = 2")).await;
        let lines: &[&str] = if table == "dunlin_lock" { &["up"] } else { &COMMANDS };
        for line in lines {
            says(&bench.run(line).expect_code(13), &["format 2", "newer"]);
        }
        is_untouched(&bench).await;
        assert_eq!(bench.db.number(&format!("select min(format) from {table}")).await, 2);
    }
}

async fn a_column_that_is_gone_is_named(kind: Kind) {
    let bench = seeded(kind).await;
    bench.db.sql("alter table dunlin_history drop column text_sum").await;
    for command in COMMANDS {
        says(&bench.run(command).expect_code(13), &["text_sum", "_history"]);
    }
    is_untouched(&bench).await;
}

async fn tables_dropped_by_hand_are_missed(kind: Kind) {
    // The journal and the lock come back by themselves; fencing tokens go on rising.
    for table in ["dunlin_journal", "dunlin_lock"] {
        let bench = seeded(kind).await;
        let token = bench.db.number("select token from dunlin_lock").await;
        bench.db.sql(&format!("drop table {table}")).await;
        bench.run("status").expect_code(0);
        bench.up();
        assert_eq!(bench.states().await, ["1 done", "2 done", "3 done"]);
        assert!(bench.db.number("select token from dunlin_lock").await > token, "{table}");
        assert!(bench.db.number("select count(*) from dunlin_journal").await > 0);
    }
    // Without its history dunlin would run everything again.
    let bench = seeded(kind).await;
    bench.db.sql("drop table dunlin_history").await;
    for command in COMMANDS {
        says(&bench.run(command).expect_code(13), &["is gone, and"]);
    }
    is_untouched(&bench).await;
    // All gone is a database that dunlin never saw.
    bench.db.sql("drop table dunlin_journal").await;
    bench.db.sql("drop table dunlin_lock").await;
    says(&bench.run("status").expect_code(0), &["pending"]);
}
