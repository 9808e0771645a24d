//! A project taken forth and back through the library, as far as a test wants it.

use dunlin::{Failure, Goal, Phase, Project, RunEvent, Summary};
use dunlin_engine::event::Report;
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_engine::{Extent, plan, reverse};
use tokio_util::sync::CancellationToken;

/// Runs forward until a step of this phase, or of a later one, would begin, or to the end.
pub(crate) async fn up_before(project: &Project, phase: Option<Phase>) -> Result<Summary, Failure> {
    let mut project = project.clone();
    project.cancel = CancellationToken::new();
    let cancel = project.cancel.clone();
    let goal = Goal { contract: true, ..Goal::default() };
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Started(step) = event
            && phase.is_some_and(|phase| step.phase >= phase)
        {
            cancel.cancel();
        }
    };
    dunlin::up(&project, &goal, &mut report).await
}

/// Takes so many migrations back, the newest first.
pub(crate) async fn back(project: &Project, extent: &Extent, report: Report<'_>) -> Result<(), Stop> {
    let stores = project.connect(&[]).await.expect("the stores are there");
    let context = project.context(stores);
    let histories = run::histories(&context.stores).await.expect("the histories can be read");
    let (mut loaded, backends) = (project.load(), project.backends());
    let versions = reverse::versions(&loaded.migrations, &histories, extent);
    let (stores, sources) = ((&context.stores, &backends), &mut loaded.sources);
    let resolved = reverse::resolve(&versions, &loaded.migrations, &histories, stores, sources).await;
    let migrations = resolved.expect("the way back is known").migrations;
    let planner =
        |histories: &Histories, _: &mut Summary| plan::down(&migrations, histories).map_err(Stop::Failed);
    run::run(&context, &planner, report).await.1.map(drop)
}

/// Takes the newest migration back.
pub(crate) async fn try_down(project: &Project) -> Result<(), Stop> {
    back(project, &Extent::Count(1), &mut |_| {}).await
}

/// The same, which must succeed.
pub(crate) async fn down(project: &Project) {
    if let Err(stop) = try_down(project).await {
        panic!("{stop:?}");
    }
}
