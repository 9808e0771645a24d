//! `dunlin follow`: keep both shapes of a migration in step while applications write either.

use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{Diagnostic, Migration};
use dunlin_engine::Context;
use dunlin_engine::follow::{End, Followed, Manner, Part, Standing, follow, standing};
use serde_json::{Value, json};

use super::running::shown;
use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure};
use crate::args::commands::Follow;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::progress;
use crate::render::Printer;
use crate::render::words::{count, grouped, span};

pub(crate) fn run(
    args: &Follow,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let mut stage = Stage::open_connecting(global, config, None)?;
    stage.knows(Some(&args.version))?;
    stage.project.pace(|pace| pace.rate = args.rate.or(pace.rate));
    stage.until(args.until);
    let migration = stage.loaded.migrations[&args.version].clone();
    block_on(async {
        let context = stage.context().await.map_err(|error| stage.failure(error))?;
        let notes = by_themselves(&stage, &context, &migration);
        if let Some(answer) = nothing(&context, &migration)? {
            return Ok(stage.finish(Answer { notes, ..answer }));
        }
        for note in &notes {
            printer.note(note);
        }
        let manner = Manner { is_once: args.once, configures: args.configure };
        let began = Instant::now();
        let (ended, stopped_by) = shown(&context.cancel, printer, async |report| {
            follow(&context, &migration, manner, report).await
        })
        .await;
        // The second signal drops the connections where they stand; the next follower goes on from what is recorded.
        let Some((followed, result)) = ended else {
            let exit = stopped_by.unwrap_or(Exit::Paused);
            return Ok(
                stage.finish(Answer { exit, ..Answer::done(Value::Null, "stopped at once\n".to_owned()) })
            );
        };
        if let Err(error) = result {
            return Err(Failure { data: Box::new(data(&followed)), ..stage.failure(error) });
        }
        let exit = match stopped_by {
            Some(exit) => exit,
            None if followed.iter().any(|one| one.end == End::Until) => Exit::Paused,
            None => Exit::Done,
        };
        let text = text(&followed, &args.version.to_string(), &span(began.elapsed()));
        Ok(stage.finish(Answer { exit, ..Answer::done(data(&followed), text) }))
    })
}

/// What is to be said of stores that need no follower.
fn by_themselves(stage: &Stage, context: &Context, migration: &Arc<dyn Migration>) -> Vec<String> {
    let names = dunlin_engine::lane::stores(&**migration).into_iter();
    let others =
        names.filter(|name| context.stores.contains_key(*name) && Part::of(&**migration, name).is_none());
    let kind = |name: &dunlin_core::StoreName| {
        stage.config.stores.iter().find(|store| store.name == *name).and_then(|store| store.kind)
    };
    others
        .map(|name| match kind(name) {
            Some(kind) if kind.extension == "sql" => format!(
                "`{name}` needs no follower: wherever there are two shapes, triggers of {} keep them in step",
                kind.name
            ),
            _ => format!("`{name}` needs no follower: {} has no two shapes there", migration.id()),
        })
        .collect()
}

/// An answer, where there is nothing to do; a fault, where there is nothing to do yet.
fn nothing(context: &Context, migration: &Arc<dyn Migration>) -> Result<Option<Answer>, Failure> {
    let id = migration.id();
    if !context.stores.keys().any(|name| Part::of(&**migration, name).is_some()) {
        let text = format!("nothing to follow of {id}\n");
        return Ok(Some(Answer::done(json!({ "stores": [] }), text)));
    }
    let histories = context.known.as_ref().expect("a stage reads the histories when it connects");
    let words = match standing(&**migration, histories) {
        Standing::Open => return Ok(None),
        Standing::Contracted => format!("nothing to follow: {id} is contracted\n"),
        Standing::TakenBack => format!("nothing to follow: {id} is being taken back\n"),
        Standing::Pending => {
            let fault =
                Diagnostic::error("not-followable", format!("{id} has not begun: there is one shape only"));
            return Err(Failure::of_work(
                fault.help("run `dunlin up` first; what is written meanwhile is not lost"),
            ));
        }
    };
    Ok(Some(Answer::done(json!({ "stores": [] }), words)))
}

fn text(followed: &[Followed], version: &str, took: &str) -> String {
    let sum = |number: fn(&Followed) -> u64| grouped(followed.iter().map(number).sum());
    let is_over =
        followed.iter().all(|one| matches!(one.end, End::Contracted | End::TakenBack | End::InStep));
    let next = if is_over { String::new() } else { format!("; `dunlin follow {version}` goes on") };
    let left = followed.iter().map(|one| one.left).sum::<u64>();
    let left = if left > 0 {
        format!(", {} not in step when met", count(usize::try_from(left).unwrap_or(usize::MAX), "record"))
    } else {
        String::new()
    };
    format!(
        "followed for {took}: {} heard, {} mended{left}{next}\n",
        sum(|one| one.heard),
        sum(|one| one.mended)
    )
}

fn data(followed: &[Followed]) -> Value {
    let store = |one: &Followed| {
        json!({
            "store": one.store.as_str(),
            "heard": one.heard,
            "mended": one.mended,
            "left": one.left,
            "end": progress::json::ending(&one.end),
        })
    };
    json!({ "stores": followed.iter().map(store).collect::<Vec<_>>() })
}
