//! How often a server whose statements are transactions of their own is made to wait for its disk to keep the records.

use dunlin_testkit::scratch::Connection;
use dunlin_testkit::{Kind, private, process};

use crate::cli::Case;

const MIGRATIONS: i64 = 20;

const COMMITS: &str =
    "select variable_value from information_schema.global_status where variable_name = 'COM_COMMIT'";

async fn number(server: &mut Connection, sql: &str) -> i64 {
    let rows = server.rows(sql).await.expect("an answer");
    rows[0][0].as_deref().expect("a value").parse().expect("a number")
}

/// Each completion goes along with the announcement of what comes next, there and back, and all are in the journal.
#[tokio::test]
async fn a_completion_is_kept_together_with_the_next_announcement() {
    let server = private::mariadb().await;
    let mut conn = Connection::open(Kind::Mysql, &server.url).await.expect("the server answers");
    let mut case = Case::new()
        .file("dunlin.toml", "[stores.app]\nurl = \"${URL}\"\n")
        .variable("URL", server.url.expose());
    for at in 1..=MIGRATIONS {
        let text = format!("-- Up\ncreate table t{at} (n int);\n-- Down\ndrop table t{at};\n");
        case = case.file(&format!("migrations/{at:02}_t.sql"), &text);
    }
    for (command, ended) in [("up", "step-done"), ("down 20 --yes --allow-data-loss", "step-undone")] {
        let before = number(&mut conn, COMMITS).await;
        process::run(&mut case.command(command)).expect_code(0);
        let after = number(&mut conn, COMMITS).await;
        assert!(after - before < MIGRATIONS + 8, "{command}: {} commits", after - before);
        let sql = format!("select count(*) from dunlin_journal where kind = '{ended}'");
        assert_eq!(number(&mut conn, &sql).await, MIGRATIONS);
    }
    let sql = "select count(*) from dunlin_history where state = 'undone' and checkpoint is null";
    assert_eq!(number(&mut conn, sql).await, MIGRATIONS);
}
