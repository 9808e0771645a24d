//! A way back that needs what an archive does not have any more is refused before any of it runs, and says so.

use std::time::Duration;

use dunlin::Project;
use dunlin_engine::run;
use dunlin_engine::{plan, purge};
use dunlin_testkit::Kind;
use dunlin_testkit::scratch::Scratch;

use super::super::{ask, fill};
use super::{assert_same, change, down, picture, scratches, set, up_to};

/// What stands in the way of going back; empty where nothing does.
pub(super) async fn refusal(project: &Project) -> String {
    let stores = project.connect(&[]).await.unwrap();
    let context = project.context(stores);
    let histories = run::histories(&context.stores).await.unwrap();
    let migrations: Vec<_> = project.load().migrations.into_values().collect();
    let plan = plan::down(&migrations, &histories).unwrap();
    purge::possible(&context.stores, &histories, &plan)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

/// Removes for good what the newest migration set aside, as `dunlin purge` does.
async fn purge_all(project: &Project) {
    let stores = project.connect(&[]).await.unwrap();
    let context = project.context(stores);
    let histories = run::histories(&context.stores).await.unwrap();
    let found = purge::find(&context.stores, &histories, &purge::Choice::default()).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    purge::purge(&context, found, &histories, &mut |_| {}).await.1.unwrap();
}

async fn archived(scratch: &Scratch) -> Vec<String> {
    let mut keys: Vec<String> = match scratch.kind {
        Kind::RedisCluster => {
            redis::cmd("KEYS").arg("*:archive:*").query_async(&mut scratch.cluster().await).await.unwrap()
        }
        _ => ask(scratch, &["KEYS", "*:archive:*"]).await,
    };
    keys.sort();
    keys
}

const DELETE: &str = "delete_keys = { keys = \"user_{id}\", keep = \"7d\" }";
const HASH: &str = "change_encoding = { from = \"a_{x}\", to = \"b:{x}\", into = \"hash\" }";

#[tokio::test]
async fn what_was_purged_or_removed_by_hand_is_missed_before_anything_runs() {
    for scratch in scratches().await {
        fill(&scratch, 30).await;
        let project = change(&scratch.url, DELETE);
        up_to(&project, None).await;
        assert_eq!(refusal(&project).await, "");
        let keys = archived(&scratch).await;
        let own: Vec<_> = keys.iter().filter(|key| key.contains(":0:")).collect();
        assert_eq!((keys.len(), own.len()), (30, 6), "some end by themselves");
        ask::<()>(&scratch, &["DEL", own[0]]).await;
        assert_eq!(refusal(&project).await, "");
        let stays = keys.iter().find(|key| key.contains(":-1:")).unwrap();
        ask::<()>(&scratch, &["DEL", stays]).await;
        let said = refusal(&project).await;
        assert!(said.contains("the old archive of 24 keys, of which 23 are there"), "{said}");
        assert!(said.contains("the journal does not say who removed it"), "{said}");
        purge_all(&project).await;
        let said = refusal(&project).await;
        assert!(
            said.contains("the old archive of 28 keys, such as ") && said.contains("was purged by"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn what_the_archive_kept_long_enough_is_missed() {
    for scratch in scratches().await {
        fill(&scratch, 30).await;
        // One that ends by itself before the archive forgets it is not missed.
        ask::<()>(&scratch, &["PEXPIRE", "user_7", "1"]).await;
        let project = change(&scratch.url, &DELETE.replace("7d", "300ms"));
        up_to(&project, None).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let said = refusal(&project).await;
        assert!(said.contains("the old archive of ") && said.contains("of which 0 are there"), "{said}");
    }
}

#[tokio::test]
async fn a_way_back_that_needs_nothing_is_not_refused() {
    for scratch in scratches().await {
        let project = change(&scratch.url, DELETE);
        set(&scratch, "other", "stays").await;
        up_to(&project, None).await;
        assert_eq!(refusal(&project).await, "", "there was no key");
        down(&project).await;
        // Those that end by themselves may have ended.
        ask::<()>(&scratch, &["SET", "user_1", "x", "PX", "60"]).await;
        up_to(&project, None).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(refusal(&project).await, "");
        down(&project).await;
    }
}

#[tokio::test]
async fn a_string_that_would_not_come_back_letter_by_letter_is_missed() {
    for scratch in scratches().await {
        set(&scratch, "a_1", "{\"n\":1.50}").await;
        set(&scratch, "a_2", "{\"n\":\"text\"}").await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, HASH);
        up_to(&project, None).await;
        let keys = archived(&scratch).await;
        assert_eq!((keys.len(), refusal(&project).await.as_str()), (1, ""));
        down(&project).await;
        assert_same(&picture(&scratch).await, &before, "brought back");
        up_to(&project, None).await;
        ask::<()>(&scratch, &["DEL", &keys[0]]).await;
        let said = refusal(&project).await;
        assert!(said.contains("the old archive of 1 key"), "{said}");
    }
}

#[tokio::test]
async fn ends_that_are_forgotten_are_missed_while_their_keys_live() {
    for scratch in scratches().await {
        fill(&scratch, 30).await;
        let project = change(&scratch.url, "set_ttl = { keys = \"user_{id}\", ttl = \"2s\" }");
        up_to(&project, None).await;
        assert_eq!(refusal(&project).await, "");
        for key in archived(&scratch).await {
            ask::<()>(&scratch, &["DEL", &key]).await;
        }
        let said = refusal(&project).await;
        assert!(said.contains("of which 0 are there"), "{said}");
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(refusal(&project).await, "", "they ended with what was known of them");
    }
}
