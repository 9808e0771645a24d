//! `dunlin mark`

use dunlin_testkit::Kind;
use dunlin_testkit::scratch::Scratch;
use insta::assert_snapshot;

use super::Case;
use super::shop::{shop, stall};

#[test]
fn a_person_knows_better_in_all_stores() {
    let case = shop();
    assert_snapshot!(case.said("mark 1 done --reason \"run by hand\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  pending  done (marked)
    audit  1_users  pending  done (marked)
    "#);
    assert_snapshot!(case.said("mark 1 done --reason \"run by hand\""), @r#"
    exit 0
    ---- stdout
    nothing to do: the history says so already
    "#);
    assert_snapshot!(case.said("mark 1 undone --store audit --reason \"not there\" --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.mark/1","ok":true,"data":{"run":"RUN","recorded":[{"store":"audit","version":"1","slug":"users","before":"done (marked)","now":"undone"}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("mark 1 undone --store audit --reason \"not there\""), @r#"
    exit 0
    ---- stdout
    nothing to do: the history says so already
    "#);
    assert_snapshot!(case.said("status -v"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  done (marked)  pending
    2  orders  pending  ·
    1_users in app: done AT by ann on HOST, 0 rows; run by hand
    1_users in audit: undone AT by ann on HOST, 0 rows; not there
    2 pending; `dunlin up` applies them
    ---- stderr
    configuration: dunlin.toml
    migrations: migrations
    store app: sqlite:app.db?create=true
    store audit: sqlite:audit.db?create=true
    "#);
}

#[test]
fn an_edited_file_is_accepted_as_it_is_now() {
    let case = stall();
    case.done("up");
    let case =
        case.file("migrations/1_users.sql", "create table users (id integer primary key, name text);\n");
    assert!(case.run("up").starts_with("exit 13\n"));
    assert_snapshot!(case.said("mark 1 done --reason \"all stores have it\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  done  done (marked)
    "#);
    case.done("check");
    assert!(case.run("history 1 --text").contains("name text"));
}

#[test]
fn the_stored_text_stays_where_the_file_is_gone() {
    let case = stall();
    case.done("up");
    std::fs::remove_file(case.path().join("migrations/1_users.sql")).unwrap();
    assert_snapshot!(case.said("mark 1 undone --reason \"dropped by hand\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  done  undone
    "#);
    assert!(case.run("history 1 --text").contains("create table users"));
    case.done("check");
}

#[test]
fn what_cannot_be_marked_is_refused() {
    let case = shop();
    assert_snapshot!(case.said("mark 9 done --reason x"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is neither a file nor a record of 9
      = help: `dunlin status` lists what there is; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
    assert_snapshot!(case.said("mark 2 done --reason x --store audit"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: 2_orders does not touch `audit`
      = help: `dunlin status` lists what there is; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
    case.done("up");
    assert_snapshot!(case.said("mark 2 statement-done --reason x"), @r#"
    exit 2
    ---- stderr
    error[bad-config]: 2_orders has no statement whose outcome is unknown
      = store: app
      = help: `dunlin up` goes on by itself

    `dunlin explain bad-config` says more
    "#);
}

#[test]
fn earlier_marks_keep_their_word() {
    let case = stall();
    case.done("mark 1 done --reason \"run by hand\"");
    case.done("mark 1 undone --reason \"it was: not\"");
    case.done("baseline 1 --reason \"before us\"");
    case.done("mark 1 undone --reason again");
    case.done("up");
    assert_snapshot!(case.said("history"), @r#"
    exit 0
    ---- stdout
    when  store  migration  what  by  rows  took
    AT  app  1_users  done  ann@HOST  TOOK
    AT  app  1_users  undone (marked): again  ann@HOST
    AT  app  1_users  done (baseline): before us  ann@HOST
    AT  app  1_users  undone (marked): it was: not  ann@HOST
    AT  app  1_users  done (marked): run by hand  ann@HOST
    "#);
    let json = case.run("history --json");
    assert!(json.contains("\"detail\":\"it was: not\"") && json.contains("\"outcome\":\"undone\""), "{json}");
}

/// The help of the error, followed.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_is_deleted_and_said_anew() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::Mysql, Kind::Mongo, Kind::Redis] {
        let scratch = Scratch::of(kind).await;
        let (name, up) = match kind {
            Kind::Mongo => {
                ("1_a.js", "// Up\ndb.a.insertOne({ _id: 1 });\n// Down\ndb.a.deleteOne({ _id: 1 });\n")
            }
            Kind::Redis => ("1_a.redis", "# Up\nSET a 1\n# Down\nDEL a\n"),
            _ => ("1_a.sql", "-- Up\ncreate table a (id int);\n-- Down\ndrop table a;\n"),
        };
        let config = format!("[stores.app]\nurl = \"{}\"\n", scratch.url.expose());
        let case = Case::new().file("dunlin.toml", &config).file(&format!("migrations/{name}"), up);
        case.done("up");
        match kind {
            Kind::Mongo => {
                let set = bson::doc! { "$set": { "state": "dirty" } };
                scratch.collection("dunlin_history").await.update_many(bson::doc! {}, set).await.unwrap();
            }
            Kind::Redis => {
                scratch.redis_command::<redis::Value>("hset {dunlin}:history 1 nonsense").await;
            }
            _ => {
                scratch.rows("update dunlin_history set state = 'dirty'").await;
            }
        }
        let said = case.run("status");
        assert!(said.starts_with("exit 13\n") && said.contains("delete this one entry"), "{said}");
        match kind {
            Kind::Mongo => {
                let all = scratch.collection("dunlin_history").await;
                all.delete_one(bson::doc! { "state": "dirty" }).await.unwrap();
            }
            Kind::Redis => {
                scratch.redis_command::<redis::Value>("hdel {dunlin}:history 1").await;
            }
            _ => {
                scratch.rows("delete from dunlin_history where state = 'dirty'").await;
            }
        }
        case.done("mark 1 done --reason \"the row was damaged\"");
        assert!(case.run("up").contains("nothing to do"));
        case.done("down --allow-data-loss");
        case.done("up");
    }
}
