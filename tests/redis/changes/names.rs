//! Keys that get other names: both applications at every station.

use dunlin::Phase;
use dunlin_testkit::scratch::{self, Scratch};

use super::super::{ask, fill};
use super::{Picture, assert_same, change, down, losses, picture, renamed, scratches, up_before, up_to};

fn rename(wins: &str) -> String {
    let wins = if wins.is_empty() { String::new() } else { format!(", wins = \"{wins}\"") };
    format!("rename_keys = {{ from = \"user_{{id}}\", to = \"user:{{id}}:profile\"{wins} }}")
}

fn new(key: &str) -> Option<String> {
    Some(format!("user:{}:profile", key.strip_prefix("user_")?))
}

pub(super) fn old(key: &str) -> Option<String> {
    Some(format!("user_{}", key.strip_prefix("user:")?.strip_suffix(":profile")?))
}

/// What an application does with keys of its shape; `round` makes each time another.
async fn write(scratch: &Scratch, round: u32, name: impl Fn(u32) -> String) {
    ask::<()>(scratch, &["RPUSH", &name(1), "more", &round.to_string()]).await;
    ask::<()>(scratch, &["SET", &name(5), &format!("round {round}")]).await;
    ask::<()>(scratch, &["PEXPIRE", &name(11), &(70_000_000 + round * 100_000).to_string()]).await;
    ask::<()>(scratch, &["SET", &name(1000 + round), "new", "PX", "60000000"]).await;
    ask::<()>(scratch, &["DEL", &name(12)]).await;
    ask::<()>(scratch, &["SADD", &name(12), &round.to_string()]).await;
}

/// What both applications see: the shape that is right, and beside it what is only there in the other.
pub(super) fn seen(all: &Picture, is_old_right: bool) -> Picture {
    let (olds, news) = (renamed(all, new), renamed(all, |key| old(key).map(|_| key.to_owned())));
    let (mut seen, over) = if is_old_right { (news, olds) } else { (olds, news) };
    seen.extend(over);
    seen
}

async fn lives(scratch: &Scratch, wins: &str) {
    fill(scratch, 240).await;
    let is_old = wins == "old";
    let write = async |round: u32| {
        if is_old {
            write(scratch, round, |id| format!("user_{id}")).await;
        } else {
            write(scratch, round, |id| format!("user:{id}:profile")).await;
        }
    };
    let before = picture(scratch).await;
    let project = change(&scratch.url, &rename(wins));
    up_to(&project, Some(Phase::Verify)).await;
    let both = picture(scratch).await;
    assert_eq!(both.len(), 480);
    assert_same(&renamed(&both, new), &renamed(&before, new), "the old application, while it is filled");
    assert_same(&renamed(&both, old), &before, "the new one");
    down(&project).await;
    assert_same(&picture(scratch).await, &before, "down before anything was verified");

    up_to(&project, Some(Phase::Verify)).await;
    write(1).await;
    let model = seen(&picture(scratch).await, is_old);
    up_to(&project, Some(Phase::Contract)).await;
    assert_same(&seen(&picture(scratch).await, is_old), &model, "verify changed what they see");
    write(2).await;
    let model = seen(&picture(scratch).await, is_old);
    up_to(&project, None).await;
    assert_same(&picture(scratch).await, &model, "contracted");

    // Whoever was told to write the new shape does, and somebody was not told.
    self::write(scratch, 3, |id| format!("user:{id}:profile")).await;
    ask::<()>(scratch, &["SET", "user_5", "late"]).await;
    let mut model = picture(scratch).await;
    let late = model.remove("user_5").unwrap();
    if is_old {
        model.insert("user:5:profile".to_owned(), late);
    }
    down(&project).await;
    assert_same(&picture(scratch).await, &renamed(&model, old), "rebuilt");

    up_to(&project, Some(Phase::Contract)).await;
    write(4).await;
    let model = seen(&picture(scratch).await, is_old);
    up_to(&project, None).await;
    assert_same(&picture(scratch).await, &model, "contracted again");
}

#[tokio::test]
async fn renamed_keys_live_through_all_stations_while_the_old_application_writes() {
    for scratch in scratches().await {
        lives(&scratch, "old").await;
    }
}

#[tokio::test]
async fn renamed_keys_live_through_all_stations_while_the_new_application_writes() {
    for scratch in scratches().await {
        lives(&scratch, "new").await;
    }
}

#[tokio::test]
async fn where_nobody_wins_what_differs_is_listed_and_stops_the_contract() {
    for scratch in scratches().await {
        fill(&scratch, 120).await;
        let project = change(&scratch.url, &rename(""));
        up_to(&project, Some(Phase::Contract)).await;
        ask::<()>(&scratch, &["SET", "user_5", "old"]).await;
        ask::<()>(&scratch, &["SET", "user_7000", "of the old one"]).await;
        ask::<()>(&scratch, &["SET", "user:8000:profile", "of the new one"]).await;
        let before = picture(&scratch).await;
        let failure = up_before(&project, None).await.unwrap_err();
        let said = format!("{failure:?}");
        assert!(said.contains("user_5") && !said.contains("user_7000"), "{said}");
        let mut after = picture(&scratch).await;
        assert_eq!(after.remove("user:7000:profile"), before.get("user_7000").cloned(), "it was caught up");
        assert_eq!(after, before);
        assert_eq!(losses(&project).await.len(), 1);
        ask::<()>(&scratch, &["DEL", "user:5:profile"]).await;
        assert_eq!(losses(&project).await, [""; 0]);
        up_to(&project, None).await;
        let all = picture(&scratch).await;
        assert!(all.keys().all(|key| old(key).is_some()) && all.contains_key("user:8000:profile"));
    }
}

#[tokio::test]
async fn taken_names_are_refused_before_anything_is_written() {
    let scratch = scratch::redis().await;
    fill(&scratch, 60).await;
    ask::<()>(&scratch, &["SET", "user:5:profile", "x"]).await;
    let before = picture(&scratch).await;
    let said = format!("{:?}", up_before(&change(&scratch.url, &rename("")), None).await.unwrap_err());
    assert!(said.contains("1 name is taken"), "{said}");
    assert_eq!(picture(&scratch).await, before);
}
