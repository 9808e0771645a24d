//! `crash-runner up|contract|down URL DIRECTORY [NAME=URL…]`: runs over a store, `app`, and others that have names. It ends
//! this process before or after its k-th call to any of them, as the environment says. For the tests of crashes alone.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test reads")]

use std::env;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dunlin::Project;
use dunlin_core::Pace;
use dunlin_engine::run::{self, Histories};
use dunlin_engine::{Context, Extent, Goal, Summary, plan, reverse};
use dunlin_testkit::fault::Fuse;

/// How data is moved, as numbers in this order: milliseconds of a bout, records a second, workers.
const PACE: &str = "DUNLIN_TEST_PACE";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [direction, url, directory, others @ ..] = &arguments[..] else {
        eprintln!("usage: crash-runner up|contract|down URL DIRECTORY [NAME=URL…]");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let others = others.iter().filter_map(|other| other.split_once('='));
            let mut project = Project::default();
            for (name, url) in others.chain([("app", url.as_str())]) {
                project = project.store(name, url).map_err(|error| error.to_string())?;
            }
            if let Some(wanted) = pace() {
                project.pace(|pace| pace.clone_from(&wanted));
            }
            let project = project.directory(Path::new(directory)).map_err(|error| error.to_string())?;
            go(&project, direction).await
        })
    });
    match done {
        Ok(calls) => {
            println!("{calls} calls");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The pace that the environment asks for.
fn pace() -> Option<Pace> {
    let numbers = env::var(PACE).ok()?;
    let numbers: Vec<u32> = numbers.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [bout, rate, jobs] = numbers[..] else { return None };
    Some(Pace {
        bout: Duration::from_millis(bout.into()),
        rate: NonZeroU32::new(rate),
        jobs: NonZeroU32::new(jobs)?,
        ..Pace::default()
    })
}

async fn go(project: &Project, direction: &str) -> Result<usize, String> {
    let fuse = Fuse::from_env();
    let stores = project.connect(&[]).await.map_err(|error| error.to_string())?;
    let stores = stores.into_iter().map(|(name, store)| (name, fuse.around(store))).collect();
    let context = project.context(stores);
    if direction == "down" {
        back(project, &context).await?;
    } else {
        let goal = Goal { contract: direction == "contract", ..Goal::default() };
        let loaded = project.load();
        let planner = run::forward(&loaded.migrations, project.policy, &goal);
        let (_, result) = run::run(&context, &planner, &mut |_| {}).await;
        result.map_err(|stop| stop.to_string())?;
    }
    Ok(fuse.calls().len())
}

async fn back(project: &Project, context: &Context) -> Result<(), String> {
    let histories = run::histories(&context.stores).await.map_err(|error| error.to_string())?;
    let (mut loaded, backends) = (project.load(), project.backends());
    let versions = reverse::versions(&loaded.migrations, &histories, &Extent::Count(usize::MAX));
    let (stores, sources) = ((&context.stores, &backends), &mut loaded.sources);
    let resolved = reverse::resolve(&versions, &loaded.migrations, &histories, stores, sources).await;
    let migrations = resolved.map_err(|error| error.to_string())?.migrations;
    let planner = |histories: &Histories, _: &mut Summary| {
        plan::down(&migrations, histories).map_err(run::Stop::Failed)
    };
    let (_, result) = run::run(context, &planner, &mut |_| {}).await;
    result.map(drop).map_err(|stop| stop.to_string())
}
