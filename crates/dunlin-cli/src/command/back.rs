//! The way back, found before anything runs.

use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{Migration, Version};
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::{Histories, Stop};
use dunlin_engine::{Context, Plan, Summary, plan, purge};

use super::findings;
use super::running::watched;
use super::stage::Stage;
use super::up::ended;
use crate::answer::{Answer, Failure};
use crate::exit::Exit;
use crate::render::Printer;
use crate::render::words::{count, span};

/// Which migrations go back, by which text, in which steps.
pub(super) struct Back {
    pub(super) migrations: Vec<Arc<dyn Migration>>,
    pub(super) notes: Vec<String>,
    pub(super) plan: Plan,
}

impl Back {
    /// Of the last so many migrations, or down to a version.
    pub(super) async fn find(stage: &mut Stage, extent: &Extent) -> Result<(Context, Self), Failure> {
        let context = stage.context().await.map_err(|error| stage.failure(error))?;
        let histories = context.known.clone().unwrap_or_default();
        if let Extent::To(version) = extent {
            let is_recorded = histories.values().any(|history| history.records.contains_key(version));
            let is_zero = version.as_str().bytes().all(|digit| digit == b'0');
            if !is_recorded && !is_zero {
                stage.knows(Some(version))?;
            }
        }
        let versions = reverse::versions(&stage.loaded.migrations, &histories, extent);
        let back = Self::of(stage, &context, &histories, &versions).await?;
        Ok((context, back))
    }

    /// Of these migrations, newest first.
    pub(super) async fn of(
        stage: &mut Stage,
        context: &Context,
        histories: &Histories,
        versions: &[Version],
    ) -> Result<Self, Failure> {
        let backends = stage.project.backends();
        let loaded = &mut *stage.loaded;
        let resolved = reverse::resolve(
            versions,
            &loaded.migrations,
            histories,
            (&context.stores, &backends),
            &mut loaded.sources,
        )
        .await;
        let reversal = resolved.map_err(|error| stage.failure(error))?;
        let planned = plan::down(&reversal.migrations, histories);
        let plan = planned
            .map_err(|error| findings::failure(Stop::Failed(error), &Summary::default(), stage.sources()))?;
        let possible = purge::possible(&context.stores, histories, &plan).await;
        possible.map_err(|error| stage.failure(error))?;
        Ok(Self { migrations: reversal.migrations, notes: reversal.notes, plan })
    }

    /// Goes back.
    pub(super) async fn go(
        &self,
        stage: &Stage,
        context: &Context,
        printer: &Printer,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let planner = |histories: &Histories, _: &mut Summary| {
            plan::down(&self.migrations, histories).map_err(Stop::Failed)
        };
        let run = watched(context, &planner, printer).await;
        let (steps, is_cut) = (run.summary.completed.len(), run.result.is_none());
        let stopped = if run.summary.is_midway { "paused while moving data," } else { "stopped" };
        let answer = ended(context, run, stage)?;
        let (done, took) = (count(steps, "step"), span(began.elapsed()));
        let text = match (steps, answer.exit) {
            _ if is_cut => format!("stopped at once, {took}; `dunlin status` shows how far it came\n"),
            (0, Exit::Done) => "nothing to undo\n".to_owned(),
            (_, Exit::Done) => format!("{done} undone, {took}\n"),
            _ => format!(
                "{stopped} after {done}, {took}; `dunlin down` continues, `dunlin up` goes forth again\n"
            ),
        };
        Ok(Answer { text, notes: self.notes.clone(), ..answer })
    }
}
