//! `dunlin baseline`: migrations that ran before dunlin came are taken as done.

use std::sync::Arc;

use dunlin_core::{Error, History, Migration, State, StoreName};
use dunlin_engine::mark::{self, Remark};
use dunlin_engine::{lane, run::Histories};

use super::holding::{self, Entry};
use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure};
use crate::args::commands::Baseline;
use crate::args::global::Global;
use crate::config;
use crate::render::Printer;

pub(crate) fn run(
    args: &Baseline,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::open(global, config, None)?;
    stage.knows(Some(&args.version))?;
    let migrations: Vec<Arc<dyn Migration>> =
        stage.loaded.migrations.range(..=&args.version).map(|(_, migration)| migration.clone()).collect();
    block_on(async {
        let context = stage.context().await.map_err(|error| stage.failure(error))?;
        let histories = holding::histories(&context).await.map_err(|error| stage.failure(error))?;
        let choose = |store: &StoreName, history: &History| -> Result<Vec<Entry>, Error> {
            let remark = Remark { store, author: &context.author, reason: &args.reason };
            let records = mark::baseline(&migrations, history, remark).into_iter();
            let entry = |record: dunlin_core::Record| {
                let files = stage.loaded.migrations.get(&record.id.version);
                Entry { files: files.map(|migration| migration.files(store)).unwrap_or_default(), record }
            };
            Ok(records.map(entry).collect())
        };
        let changes = holding::write(&context, &histories, &choose, printer)
            .await
            .map_err(|error| stage.failure(error))?;
        let text = if changes.is_empty() {
            format!("nothing to do: every migration up to {} is recorded already\n", args.version)
        } else {
            holding::table(&changes, printer)
        };
        let mut answer = Answer::done(holding::data(&context, &changes), text);
        answer.notes = half_done(&migrations, &histories);
        Ok(stage.finish(answer))
    })
}

/// What is under way is no past that a baseline could take as done.
fn half_done(migrations: &[Arc<dyn Migration>], histories: &Histories) -> Vec<String> {
    let mut notes = Vec::new();
    for migration in migrations {
        for store in lane::stores(&**migration) {
            let record = histories.get(store).and_then(|history| history.live(&migration.id().version));
            if let Some(record) =
                record.filter(|record| matches!(record.state, State::Applying | State::Undoing))
            {
                notes.push(format!("{} is {} in `{store}` and was left as it is", record.id, record.state));
            }
        }
    }
    notes
}
