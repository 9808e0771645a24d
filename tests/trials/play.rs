//! Plays a schedule over real stores.

use std::sync::Arc;
use std::time::Instant;

use dunlin::{Context, Goal, Migration, Outcome, Project, RunEvent, Summary};
use dunlin_engine::lock::Sessions;
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_engine::{plan, verify};
use dunlin_testkit::Kind;
use dunlin_testkit::fault::Fuse;
use tokio::join;
use tokio_util::sync::CancellationToken;

use super::Standing;
use super::place::Deed;
use super::schedule::{Act, Schedule, Trouble, Way};
use super::town::Town;

/// How many records there are at first.
const COUNT: i64 = 6;

/// From the first act to the last; then to the contract's end and all the way back, both of which must lead where they lead
/// when nothing happens.
pub(super) async fn play(kinds: &[Kind], schedule: &Schedule) {
    let mut town = Town::found(kinds, schedule.change, COUNT).await;
    for (at, act) in schedule.acts.iter().enumerate() {
        let station = format!("act {}, {act}", at + 1);
        match *act {
            Act::Work(client, deed, id) => {
                town.act(client, deed, (id, 100 + i64::try_from(at).unwrap())).await;
            }
            Act::Read => town.check(&station).await,
            Act::Verify => is_verified(&town, &station).await,
            Act::Run(way, trouble) => {
                let is_whole = run(&town, way, trouble, &station).await;
                town.standing = next(town.standing, way, is_whole);
                town.check(&station).await;
            }
        }
    }
    let mut straight = Town::after(&town, kinds, schedule.change).await;
    for (way, station) in [(Way::Contract, "the contract in the end"), (Way::Down, "the way back in the end")]
    {
        let ran =
            join!(run(&town, way, Trouble::Nothing, station), run(&straight, way, Trouble::Nothing, station));
        assert_eq!(ran, (true, true), "{station}");
        for town in [&mut town, &mut straight] {
            town.standing = next(town.standing, way, true);
            town.check(station).await;
        }
        assert_eq!(town.picture().await, straight.picture().await, "{station}");
    }
    // What may be written once more must be possible.
    town.act(super::Client::Old, Deed::Insert, (77, 77)).await;
    town.check("in the end").await;
}

/// Where a run leads that came to its end, or did not.
fn next(standing: Standing, way: Way, is_whole: bool) -> Standing {
    use Standing::{Amid, Back, Before, Contracted, Contracting, Expanded, Forth};
    match (way, standing) {
        (Way::Down, _) if is_whole => Before,
        (Way::Contract, _) if is_whole => Contracted,
        (Way::Up, Before | Forth | Back) if is_whole => Expanded,
        (Way::Down, Before) => Before,
        (Way::Down, Forth | Expanded | Back) => Back,
        (Way::Contract, Expanded | Contracting) | (Way::Up, Contracting) => Contracting,
        (Way::Contract | Way::Up, Contracted) => Contracted,
        (Way::Down | Way::Contract, _) | (Way::Up, Amid) => Amid,
        (Way::Up, Expanded) => Expanded,
        (Way::Up, Before | Forth | Back) => Forth,
    }
}

/// Runs one way. Whether it came to its end.
async fn run(town: &Town, way: Way, trouble: Trouble, station: &str) -> bool {
    let mut project = town.project();
    project.cancel = CancellationToken::new();
    let fuse = match trouble {
        Trouble::Kill(at, when) => Fuse::silencing(at, when),
        _ => Fuse::counting(),
    };
    project.until = (trouble == Trouble::Late).then(Instant::now);
    let stores = project.connect(&[]).await.unwrap();
    let behind = stores.iter().map(|(name, store)| (name.clone(), fuse.around(store.clone()))).collect();
    let mut context = project.context(behind);
    context.force = Some("the applications have just read".into());
    let mut left = if let Trouble::Pause(events) = trouble { events } else { usize::MAX };
    let mut report = |_: RunEvent<'_>| match left.checked_sub(1) {
        Some(fewer) => left = fewer,
        None => project.cancel.cancel(),
    };
    let (summary, result) = go(&project, &context, way, &mut report).await;
    if fuse.is_burnt() {
        // A process that is dead is taken over from; this one lives.
        for store in stores.values() {
            if let Some(holder) = store.holder().await.unwrap() {
                store.unlock(holder.token).await.unwrap();
            }
        }
        return false;
    }
    match result {
        Ok(outcome) => {
            let may_pause = matches!(trouble, Trouble::Pause(_) | Trouble::Late);
            assert!(outcome == Outcome::Complete || may_pause, "{station} pauses unasked");
            outcome == Outcome::Complete
        }
        // Waiting for a lock is cancelled, too.
        Err(stop) => {
            let is_asked = project.cancel.is_cancelled();
            assert!(is_asked, "{station} in {:?}: {stop:?}\n{:?}", town.standing, summary.broken);
            false
        }
    }
}

async fn go(
    project: &Project,
    context: &Context,
    way: Way,
    report: dunlin::Report<'_>,
) -> (Summary, Result<Outcome, Stop>) {
    let loaded = project.load();
    let migrations: Vec<Arc<dyn Migration>> = loaded.migrations.values().cloned().collect();
    let back =
        |histories: &Histories, _: &mut Summary| plan::down(&migrations, histories).map_err(Stop::Failed);
    let goal = Goal { contract: way == Way::Contract, ..Goal::default() };
    let there = run::forward(&loaded.migrations, project.policy, &goal);
    let planner: run::Planner<'_> = if way == Way::Down { &back } else { &there };
    run::run(context, planner, report).await
}

/// Where both shapes live, what triggers keep in step is in step at any moment; of the others it is enough that they can
/// be asked.
async fn is_verified(town: &Town, station: &str) {
    if town.standing != Standing::Expanded {
        return;
    }
    let project = town.project();
    let context = project.context(project.connect(&[]).await.unwrap());
    let loaded = project.load();
    let migration = loaded.migrations.values().next().unwrap();
    let proofs = verify::verify(&context, migration, &mut Sessions::new(), &mut |_| {}).await;
    for proof in proofs.unwrap().unwrap() {
        let is_kept = proof.store.as_str() != "app";
        assert!(is_kept || proof.violations.is_empty(), "{station}: {:?}", proof.violations);
    }
}
