//! Who still uses the old shape stands in the way of a contract, and of a purge.

use super::super::{Bench, says};
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] what_a_view_reads_is_removed_only_for_a_reason);

async fn what_a_view_reads_is_removed_only_for_a_reason(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table users (id integer primary key, email varchar(40))").await;
    bench.db.sql("insert into users values (1, 'a')").await;
    bench.db.sql("create view report as select id, email from users").await;
    let change =
        "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'email', to = 'mail' }\n";
    bench.write("1_change.toml", change);
    bench.up();

    let run = bench.run("contract 1 --yes").expect_code(3);
    says(&run, &["error[still-in-use]", "report reads users.email", "--force --reason"]);
    assert_eq!(bench.states().await, ["1 expanded"]);
    assert_eq!(bench.db.number("select count(email) from users").await, 1, "it is still there");
    says(&bench.run("contract 1 --yes --force").expect_code(2), &["--reason"]);
    assert_eq!(bench.states().await, ["1 expanded"]);

    bench.run("contract 1 --yes --force --reason \"the report moves on Monday\"").expect_code(0);
    assert_eq!(bench.states().await, ["1 done"]);
    let said = bench.run("history 1").expect_code(0);
    says(&said, &["removed although in use", "report reads users.email", "the report moves on Monday"]);

    if kind != Kind::Mysql {
        // MySQL lets a view point at nothing.
        let run = bench.run("purge --yes").expect_code(1);
        says(&run, &["report still reads the old column users.email"]);
        bench.run("down").expect_code(0);
        assert_eq!(bench.db.number("select count(email) from report").await, 1);
    }
}
