//! The life of a change, from its first step to its last, back, and forth again.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

/// A change, and the clients that live beside it.
pub(super) struct Life {
    /// Makes the table and its first rows.
    pub(super) setup: String,
    /// The migration.
    pub(super) change: String,
    /// What a client of each shape reads.
    pub(super) old: &'static str,
    pub(super) new: &'static str,
    /// What each reads of the first rows once both shapes are there.
    pub(super) first: Rows,
    /// What clients write while both shapes live, and what is read then.
    pub(super) beside: (Vec<&'static str>, Rows),
    /// What a client of the new shape writes after contract, and what is read then; the old shape reads it after the way
    /// back.
    pub(super) after: (Vec<&'static str>, Rows),
    /// What the new shape reads in the end, where something was lost on the way back.
    pub(super) again: Option<&'static [&'static str]>,
}

/// What the old client reads, and what the new client reads.
pub(super) type Rows = (&'static [&'static str], &'static [&'static str]);

async fn read(bench: &Bench, query: &str) -> Vec<String> {
    let rows = bench.db.rows(query).await;
    let text = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    rows.into_iter().map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

async fn write(bench: &Bench, statements: &[&str]) {
    for statement in statements {
        bench.db.sql(statement).await;
    }
}

/// expand → down → expand → backfill → verify → contract → down → up --contract.
pub(super) async fn live(kind: Kind, life: &Life) {
    let bench = Bench::new(kind).await;
    bench.db.sql(&life.setup).await;
    let (before, rows) = (shape(&bench).await, read(&bench, life.old).await);
    bench.write("1_change.toml", &life.change);

    bench.up();
    assert_eq!(read(&bench, life.old).await, life.first.0, "the old client, expanded");
    assert_eq!(read(&bench, life.new).await, life.first.1, "the new client, expanded");
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before, "the shape after the first way back");
    assert_eq!(read(&bench, life.old).await, rows, "the rows after the first way back");

    bench.up();
    write(&bench, &life.beside.0).await;
    assert_eq!(read(&bench, life.old).await, life.beside.1.0, "the old client beside the new one");
    assert_eq!(read(&bench, life.new).await, life.beside.1.1, "the new client beside the old one");
    bench.run("verify").expect_code(0);
    bench.run("contract 1 --yes").expect_code(0);
    assert_eq!(read(&bench, life.new).await, life.beside.1.1, "the new client after contract");
    write(&bench, &life.after.0).await;
    assert_eq!(read(&bench, life.new).await, life.after.1.1, "the new client, writing after contract");
    says(&bench.run("status").expect_code(0), &["done"]);

    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(shape(&bench).await, before, "the shape after the last way back");
    assert_eq!(read(&bench, life.old).await, life.after.1.0, "the old client after the way back");
    bench.run("up --contract").expect_code(0);
    let again = life.again.unwrap_or(life.after.1.1);
    assert_eq!(read(&bench, life.new).await, again, "the new client, forth again");
    says(&bench.run("up --contract").expect_code(0), &["nothing to do"]);
}
