//! What is refused, before anything is written.

use dunlin_testkit::{private, scratch};

use super::{COPY, ask, count, failure, fill, must_up, project, step, up};

#[tokio::test]
async fn targets_that_could_be_taken_for_sources_are_refused_when_loaded() {
    let scratch = scratch::redis().await;
    for (code, step) in [
        ("target-is-source", "copy_keys = { from = \"user_{id}\", to = \"user_v2_{id}\" }"),
        ("target-is-source", "rename_keys = { from = \"{id}\", to = \"x{id}\" }"),
        ("unknown-capture", "copy_keys = { from = \"user_{id}\", to = \"user:{ID}\" }"),
        ("names-collide", "copy_keys = { from = \"{a}:{b}\", to = \"x:y:{a}\" }"),
        ("bad-pattern", "delete_keys = { keys = \"{a}{b}\" }"),
        ("own-keys", "delete_keys = { keys = \"{{dunlin}}:{x}\" }"),
        ("unknown-key", "delete_keys = { keys = \"a_{b}\", if_same = \"b\" }"),
        ("bad-duration", "expire_keys = { keys = \"a_{b}\", ttl = \"keep\" }"),
        ("wrong-phase", "same = { from = \"a_{b}\", to = \"a:{b}\" }"),
    ] {
        let loaded = project(&scratch.url, &[("backfill", step)]).load();
        let said = format!("{:?}", loaded.diagnostics);
        assert!(said.contains(code), "{step}: {said}");
    }
    let loaded = project(&scratch.url, &[("verify", "delete_keys = { keys = \"a_{b}\" }")]).load();
    assert!(format!("{:?}", loaded.diagnostics).contains("wrong-phase"));
}

#[tokio::test]
async fn names_that_are_taken_are_listed_and_nothing_is_written() {
    let scratch = scratch::redis().await;
    fill(&scratch, 900).await;
    for words in [
        ["SET", "user:4:profile", "x"],
        ["SET", "user:5:profile", "value of 5"],
        ["SET", "user:9999:profile", "y"],
    ] {
        ask::<()>(&scratch, &words).await;
    }
    ask::<()>(&scratch, &["PERSIST", "user_5"]).await;
    let said = failure(&project(&scratch.url, &[COPY])).await;
    assert!(said.contains("1 name is taken") && said.contains("user:4:profile"), "{said}");
    assert_eq!(count(&scratch, "user:*:profile").await, 3);
    // Once it is out of the way, the same migration goes through.
    ask::<()>(&scratch, &["DEL", "user:4:profile"]).await;
    must_up(&project(&scratch.url, &[COPY])).await;
    assert_eq!(count(&scratch, "user:*:profile").await, 901);
}

#[tokio::test]
async fn taken_names_are_skipped_or_replaced_as_it_is_said() {
    for (existing, kept) in [("skip", "x"), ("replace", "value of 5")] {
        let scratch = scratch::redis().await;
        fill(&scratch, 300).await;
        ask::<()>(&scratch, &["SET", "user:5:profile", "x"]).await;
        let copy = COPY.1.replace(" }", &format!(", existing = \"{existing}\" }}\nno_op = \"y\""));
        step(&scratch.url, "backfill", &copy).await;
        assert_eq!(ask::<String>(&scratch, &["GET", "user:5:profile"]).await, kept);
        assert_eq!(count(&scratch, "user:*:profile").await, 300);
    }
}

#[tokio::test]
async fn copies_that_would_not_fit_are_refused_with_figures() {
    let server = private::redis(&["--maxmemory", "20mb"]).await;
    let mut connection = dunlin_testkit::scratch::redis_connection(&server.url).await.unwrap();
    let mut pipe = redis::pipe();
    for number in 0..130 {
        pipe.cmd("SET").arg(format!("user_{number}")).arg("x".repeat(100_000));
    }
    pipe.exec_async(&mut connection).await.unwrap();
    let said = failure(&project(&server.url, &[COPY])).await;
    assert!(said.contains("130 keys need about") && said.contains("MB"), "{said}");
    let keys: Vec<String> = redis::cmd("KEYS").arg("user:*").query_async(&mut connection).await.unwrap();
    assert!(keys.is_empty());
}

#[tokio::test]
async fn a_server_that_fills_up_on_the_way_stops_the_step_and_more_room_continues_it() {
    let server = private::redis(&[]).await;
    let mut connection = dunlin_testkit::scratch::redis_connection(&server.url).await.unwrap();
    let mut pipe = redis::pipe();
    for number in 0..2000 {
        pipe.cmd("SET").arg(format!("user_{number}")).arg("x".repeat(5000));
    }
    pipe.exec_async(&mut connection).await.unwrap();
    let copy = "copy_keys = { from = \"user_{id}\", to = \"user:{id}:profile\", existing = \"skip\" }";
    let project = project(&server.url, &[("backfill", copy)]);
    let writer = tokio::spawn({
        let mut connection = connection.clone();
        async move {
            loop {
                let keys: i64 = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
                if keys > 2100 {
                    break;
                }
                tokio::task::yield_now().await;
            }
            redis::cmd("CONFIG")
                .arg("SET")
                .arg("maxmemory")
                .arg("12mb")
                .exec_async(&mut connection)
                .await
                .unwrap();
        }
    });
    let first = up(&project).await;
    writer.await.unwrap();
    let said = format!("{:?}", first.unwrap_err());
    assert!(said.contains("OOM") && said.contains("COPY user_"), "{said}");
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0").exec_async(&mut connection).await.unwrap();
    must_up(&project).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("user:*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 2000);
}
