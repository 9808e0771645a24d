//! The way back touches what the way there made, and leaves alone what was there before.

use dunlin::{Goal, Phase, Project, RunEvent};
use dunlin_engine::{plan, run};
use dunlin_testkit::scratch;
use tokio_util::sync::CancellationToken;

use super::changes::{losses, picture, scratches};
use super::{COPY, PACES, SAME, ask, down, failure, fill, must_up, named, project, step};
use crate::steer::{back, up_before};

const RENAME: &str = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }";

/// Runs forward by one advance or two.
async fn advance(project: &Project) {
    let mut project = project.clone();
    project.cancel = CancellationToken::new();
    let cancel = project.cancel.clone();
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Advanced { .. } = event {
            cancel.cancel();
        }
    };
    dunlin::up(&project, &Goal::default(), &mut report).await.unwrap();
}

fn with(step: &str, more: &str) -> String {
    step.replace(" }", &format!("{more} }}"))
}

#[tokio::test]
async fn names_that_were_there_before_stay_when_keys_are_renamed_or_copied_and_taken_back() {
    for (pace, scratch) in PACES.into_iter().zip(scratches().await) {
        fill(&scratch, 300).await;
        for words in [["SET", "user:9999:profile", "alone"], ["SET", "user:5:profile", "taken"]] {
            ask::<()>(&scratch, &words).await;
        }
        let before = picture(&scratch).await;
        for text in [RENAME, COPY.1] {
            let project = pace(&scratch.url, &[("backfill", &with(text, ", existing = \"skip\""))]);
            must_up(&project).await;
            ask::<()>(&scratch, &["SET", "user:7777:profile", "of the new application"]).await;
            assert_eq!(losses(&project).await, [""; 0], "{text}");
            down(&project).await;
            let late = if text == RENAME { "user_7777" } else { "user:7777:profile" };
            assert_eq!(ask::<i64>(&scratch, &["DEL", late]).await, 1, "{text}");
            assert_eq!(picture(&scratch).await, before, "{text}");
        }
        // The same where nothing is in the way.
        ask::<()>(&scratch, &["DEL", "user:5:profile"]).await;
        let before = picture(&scratch).await;
        for text in [RENAME, COPY.1] {
            let project = pace(&scratch.url, &[("backfill", text)]);
            must_up(&project).await;
            down(&project).await;
            assert_eq!(picture(&scratch).await, before, "{text}");
        }
        assert_eq!(super::count(&scratch, "{dunlin}:before:*").await, 0, "nothing needs to be remembered");
    }
}

#[tokio::test]
async fn a_name_that_was_taken_and_is_not_any_more_is_made_and_taken_back_like_any_other() {
    for scratch in scratches().await {
        fill(&scratch, 60).await;
        let before = picture(&scratch).await;
        for (text, existing) in [(RENAME, "fail"), (COPY.1, "fail"), (RENAME, "skip")] {
            ask::<()>(&scratch, &["SET", "user:5:profile", "taken"]).await;
            let existing = format!(", existing = \"{existing}\"");
            let project = project(&scratch.url, &[("backfill", &with(text, &existing))]);
            if existing.contains("fail") {
                failure(&project).await;
                ask::<()>(&scratch, &["DEL", "user:5:profile"]).await;
                must_up(&project).await;
            } else {
                while super::count(&scratch, "{dunlin}:before:*").await == 0 {
                    advance(&project).await;
                }
                // It goes once it was seen.
                ask::<()>(&scratch, &["DEL", "user:5:profile"]).await;
                must_up(&project).await;
            }
            let made = picture(&scratch).await;
            assert_eq!(
                made.get("user:5:profile").map(|(value, _)| value),
                Some(&before["user_5"].0),
                "{text}"
            );
            down(&project).await;
            assert_eq!(picture(&scratch).await, before, "{text}");
        }
    }
}

#[tokio::test]
async fn who_renames_does_not_make_one_key_of_two_that_are_the_same() {
    let scratch = scratch::redis().await;
    fill(&scratch, 12).await;
    step(&scratch.url, "backfill", &format!("{}\nno_op = \"x\"", COPY.1)).await;
    let said = failure(&project(&scratch.url, &[("backfill", RENAME)])).await;
    assert!(said.contains("12 names are taken") && said.contains("holds what user_11 holds"), "{said}");
}

#[tokio::test]
async fn a_change_leaves_alone_what_was_there_before_at_every_station() {
    for scratch in scratches().await {
        fill(&scratch, 120).await;
        ask::<()>(&scratch, &["SET", "user:9999:profile", "alone"]).await;
        ask::<()>(&scratch, &["SET", "user:11:profile", "value of 11"]).await;
        let before = picture(&scratch).await;
        for wins in ["", ", wins = \"old\"", ", wins = \"new\""] {
            for until in [Some(Phase::Contract), None] {
                let project = project(&scratch.url, &[("change", &with(RENAME, wins))]);
                up_before(&project, until).await.unwrap();
                assert_eq!(losses(&project).await, [""; 0], "{wins} {until:?}");
                down(&project).await;
                assert_eq!(picture(&scratch).await, before, "{wins} {until:?}");
            }
        }
    }
}

#[tokio::test]
async fn where_the_new_one_wins_the_way_back_takes_nothing_away() {
    let scratch = scratch::redis().await;
    fill(&scratch, 30).await;
    for (wins, wanted) in [("old", 0), ("new", 0)] {
        let project = project(&scratch.url, &[("change", &with(RENAME, &format!(", wins = \"{wins}\"")))]);
        must_up(&project).await;
        let stores = project.connect(&[]).await.unwrap();
        let histories = run::histories(&stores).await.unwrap();
        let migrations: Vec<_> = project.load().migrations.into_values().collect();
        let plan = plan::down(&migrations, &histories).unwrap();
        let removed: Vec<String> =
            plan.items.iter().flat_map(|item| item.op.iter().flat_map(|op| op.removes())).collect();
        assert_eq!(removed.len(), wanted, "{wins}: {removed:?}");
        down(&project).await;
    }
}

#[tokio::test]
async fn a_field_that_is_there_before_is_refused_or_skipped_or_replaced_and_stays_on_the_way_back() {
    for (pace, scratch) in PACES.into_iter().zip(scratches().await) {
        for (key, fields) in
            [("user_1", "name a"), ("user_2", "name b mail x"), ("user_3", "mail y"), ("user_4", "age 1")]
        {
            ask::<()>(&scratch, &[&["HSET", key], &fields.split(' ').collect::<Vec<_>>()[..]].concat()).await;
        }
        let before = picture(&scratch).await;
        let rename = "rename_hash_field = { keys = \"user_{id}\", from = \"name\", to = \"mail\" }";
        let of = |more: &str| pace(&scratch.url, &[("backfill", &with(rename, more))]);
        let said = failure(&of("")).await;
        assert!(said.contains("1 hash has both name and mail: user_2"), "{said}");
        assert!(said.contains("existing = \\\"replace\\\""), "{said}");
        assert_eq!(picture(&scratch).await, before);
        let skipping = of(", existing = \"skip\"");
        must_up(&skipping).await;
        let after = picture(&scratch).await;
        assert_eq!(after["user_1"].0, "hash mail=a");
        assert_eq!((&after["user_2"], &after["user_3"]), (&before["user_2"], &before["user_3"]));
        down(&skipping).await;
        assert_eq!(picture(&scratch).await, before);
        let replacing = format!("{}\nno_op = \"x\"", with(rename, ", existing = \"replace\""));
        must_up(&pace(&scratch.url, &[("backfill", &replacing)])).await;
        assert_eq!(picture(&scratch).await["user_2"].0, "hash mail=b");
    }
}

#[tokio::test]
async fn stale_copies_are_made_anew_by_the_verify_that_is_told_which_side_is_right() {
    for (pace, scratch) in PACES.into_iter().zip(scratches().await) {
        fill(&scratch, 300).await;
        let copied = pace(&scratch.url, &[COPY]);
        must_up(&copied).await;
        let late =
            [&["SET", "user_5", "late"][..], &["SET", "user_900", "made late"], &["PERSIST", "user_10"]];
        for words in late {
            ask::<()>(&scratch, words).await;
        }
        let said = failure(&pace(&scratch.url, &[SAME])).await;
        assert!(said.contains("`wins = \\\"old\\\"`"), "{said}");
        must_up(&pace(&scratch.url, &[("verify", &with(SAME.1, ", wins = \"old\""))])).await;
        assert_eq!(ask::<String>(&scratch, &["GET", "user:5:profile"]).await, "late");
        assert_eq!(ask::<i64>(&scratch, &["PTTL", "user:10:profile"]).await, -1);
        must_up(&pace(&scratch.url, &[SAME])).await;
        ask::<()>(&scratch, &["SET", "user:5:profile", "later"]).await;
        must_up(&pace(&scratch.url, &[("verify", &with(SAME.1, ", wins = \"new\""))])).await;
        assert_eq!(ask::<String>(&scratch, &["GET", "user_5"]).await, "later");
    }
}

#[tokio::test]
async fn a_verify_that_failed_is_told_half_way_and_the_same_migration_goes_on() {
    let scratch = scratch::redis().await;
    fill(&scratch, 60).await;
    let of = |same: &str| named("000777_copy.toml", &scratch.url, &[COPY, ("verify", same)]);
    up_before(&of(SAME.1), Some(Phase::Verify)).await.unwrap();
    ask::<()>(&scratch, &["SET", "user_5", "late"]).await;
    failure(&of(SAME.1)).await;
    must_up(&of(&with(SAME.1, ", wins = \"old\""))).await;
    assert_eq!(ask::<String>(&scratch, &["GET", "user:5:profile"]).await, "late");
    ask::<()>(&scratch, &["SET", "user_5", "later"]).await;
    // Or all of it once more.
    let again = of(SAME.1);
    back(&again, &dunlin_engine::Extent::Count(1), &mut |_| {}).await.unwrap();
    must_up(&again).await;
    assert_eq!(ask::<String>(&scratch, &["GET", "user:5:profile"]).await, "later");
}
