//! MySQL exchanges columns in statements of their own, under the table's lock. A connection that breaks among them leaves a
//! table without triggers; what clients write until dunlin is back is brought over by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_testkit::Kind;
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};
use tokio::task::JoinHandle;

use super::super::Bench;

over!([mysql]
    what_is_written_while_a_type_changes_half_is_brought_over,
    what_is_written_while_a_name_changes_half_is_brought_over,
);

/// What a client wrote last, by id.
type Model = BTreeMap<i64, i64>;

/// A client that writes without a rest.
struct Writer {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Model>,
}

impl Writer {
    /// Writes the rows from `first` on; `row` says how the one with this number is written.
    async fn start(bench: &Bench, first: i64, row: fn(i64) -> (i64, String)) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut connection = bench.db.connect().await;
        let over = is_over.clone();
        let task = tokio::spawn(async move {
            let mut model = Model::new();
            for value in first.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let (id, sql) = row(value);
                match connection.sql(&sql).await {
                    Ok(()) => model.insert(id, value),
                    // Its shape is gone, and with it the client.
                    Err(error) if error.to_string().contains("Unknown column 'b'") => break,
                    Err(error) => panic!("{sql}: {error}"),
                };
            }
            model
        });
        Self { is_over, task }
    }

    async fn stop(self) -> Model {
        self.is_over.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// A way over a connection that breaks when the columns are renamed, while a client writes; what it wrote.
async fn broken(bench: &Bench, line: &str, loss: Loss, writer: Writer) -> Model {
    let proxy = Proxy::before(&bench.db.url);
    proxy.cut_at(Trigger::text(" change `"), loss);
    let mut command = bench.case.command(&format!("{line} --url {}", proxy.url.expose()));
    let run = tokio::task::spawn_blocking(move || dunlin_testkit::process::run(&mut command)).await.unwrap();
    assert_eq!(proxy.cuts(), 1, "{line}: {run}");
    if run.code != Some(0) {
        run.expect_code(20);
        let mut command = bench.case.command(line);
        let again = tokio::task::spawn_blocking(move || dunlin_testkit::process::run(&mut command)).await;
        again.unwrap().expect_code(0);
    }
    writer.stop().await
}

/// What `column` holds, by id.
async fn held(bench: &Bench, column: &str) -> Model {
    let rows = bench.db.rows(&format!("select id, {column} from users where id > 0 order by id")).await;
    let number = |cell: &Option<String>| cell.as_deref().map_or(-1, |text| text.parse().unwrap());
    rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}

async fn what_is_written_while_a_type_changes_half_is_brought_over(kind: Kind) {
    let write = |value: i64| {
        let id = value % 100 + 1;
        (
            id,
            format!(
                "insert into users (id, a) values ({id}, '{value}') on duplicate key update a = '{value}'"
            ),
        )
    };
    for loss in [Loss::Request, Loss::Reply] {
        let bench = Bench::new(kind).await;
        bench
            .db
            .sql(
                "create table users (id int primary key, a varchar(20)); insert into users values (0, '007')",
            )
            .await;
        bench.write("1_change.toml", "[[change]]\nstore = 'app'\nchange_type = { table = 'users', column = 'a', type = 'bigint', up = 'cast(a as signed)', down = 'cast(a as char)' }\n");
        bench.run("up").expect_code(0);

        let writer = Writer::start(&bench, 1, write).await;
        let mut model = broken(&bench, "contract 1 --yes", loss, writer).await;
        assert_eq!(held(&bench, "a").await, model, "there");

        let writer = Writer::start(&bench, 1_000_000, write).await;
        model.extend(broken(&bench, "down --allow-data-loss", loss, writer).await);
        assert_eq!(held(&bench, "a").await, model, "and back");
        let first = bench.db.rows("select a from users where id = 0").await;
        assert_eq!(first, [[Some("007".to_owned())]], "nobody wrote it");
    }
}

/// Old clients say one column, new ones the other; the old ones end when their column is aside.
async fn what_is_written_while_a_name_changes_half_is_brought_over(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table users (id int primary key, a bigint)").await;
    bench.write(
        "1_change.toml",
        "[[change]]\nstore = 'app'\nrename_column = { table = 'users', from = 'a', to = 'b' }\n",
    );
    bench.run("up").expect_code(0);
    let news = |value: i64| (value, format!("insert into users (id, b) values ({value}, {value})"));
    let writer = Writer::start(&bench, 1, news).await;
    let mut model = broken(&bench, "contract 1 --yes", Loss::Request, writer).await;
    assert_eq!(held(&bench, "b").await, model, "there");

    let writer = Writer::start(&bench, 1_000_000, news).await;
    model.extend(broken(&bench, "down --to 0 --allow-data-loss", Loss::Request, writer).await);
    assert_eq!(held(&bench, "a").await, model, "and back");
}
