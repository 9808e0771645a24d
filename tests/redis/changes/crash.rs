//! A process killed at any call to its store, on the way there and on the way back: the next one goes on to where an
//! undisturbed one leads, while the old application works on.

use dunlin::{Goal, Project, Summary};
use dunlin_engine::plan;
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_testkit::fault::{Fuse, When};
use dunlin_testkit::scratch;

use super::super::{STORE, ask, fill};
use super::names::{old, seen};
use super::{assert_same, change, down, picture, renamed};

/// Runs there or back in a process that is dead from its k-th call to the store on. Whether it came to that.
pub(super) async fn killed(project: &Project, is_back: bool, call: usize, when: When) -> bool {
    let fuse = Fuse::silencing(call, when);
    let stores = project.connect(&[]).await.unwrap();
    let behind = stores.iter().map(|(name, store)| (name.clone(), fuse.around(store.clone()))).collect();
    let (context, loaded) = (project.context(behind), project.load());
    let goal = Goal { contract: true, ..Goal::default() };
    let migrations: Vec<_> = loaded.migrations.values().cloned().collect();
    let back =
        |histories: &Histories, _: &mut Summary| plan::down(&migrations, histories).map_err(Stop::Failed);
    let there = run::forward(&loaded.migrations, project.policy, &goal);
    let planner: run::Planner<'_> = if is_back { &back } else { &there };
    let (_, result) = run::run(&context, planner, &mut |_| {}).await;
    assert_eq!(result.is_err(), fuse.is_burnt(), "{call} {when}: {result:?}");
    let store = &stores[&STORE.into()];
    if let Some(holder) = store.holder().await.unwrap() {
        store.unlock(holder.token).await.unwrap();
    }
    fuse.is_burnt()
}

#[tokio::test]
async fn killed_at_any_call_a_rename_is_whole_there_and_back() {
    let rename = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\", wins = \"old\" }";
    for when in When::ALL {
        for call in 1.. {
            let scratch = scratch::redis().await;
            fill(&scratch, 60).await;
            let project = change(&scratch.url, rename);
            let was_killed = killed(&project, false, call, when).await;
            if was_killed {
                ask::<()>(&scratch, &["SET", "user_5", "late"]).await;
            }
            assert!(!killed(&project, false, usize::MAX, when).await);
            // What was written when all was removed already stays, and is right.
            let there = picture(&scratch).await;
            let left = there.keys().filter(|key| key.starts_with("user_")).count();
            assert!(left <= usize::from(was_killed), "{when} {call}");
            let mut model = renamed(&seen(&there, true), old);
            assert_eq!(model.len(), 60, "{when} {call}");
            assert_eq!(model["user_5"].0.ends_with("late"), was_killed, "{when} {call}");
            let was_killed_back = killed(&project, true, call, when).await;
            if was_killed_back {
                ask::<()>(&scratch, &["SET", "user_11", "late"]).await;
                model.insert("user_11".to_owned(), ("string late".to_owned(), -1));
            }
            down(&project).await;
            assert_same(&picture(&scratch).await, &model, &format!("back, {when} {call}"));
            if !was_killed && !was_killed_back {
                assert!(call > 10, "steps and bouts are calls of their own: {call}");
                break;
            }
        }
    }
}
