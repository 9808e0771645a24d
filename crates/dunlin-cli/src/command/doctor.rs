//! `dunlin doctor`: the settings in use, and a look at each server. One that cannot be reached does not hide the others.

use std::fmt::Write as _;

use dunlin_core::{Diagnostic, Error, StoreName, Target};
use serde_json::{Value, json};

use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure, Fault};
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::Printer;
use crate::render::color::{Paint, Style};
use crate::render::words::count;

pub(crate) fn run(global: &Global, config: config::Loaded, printer: &Printer) -> Result<Answer, Failure> {
    let mut stage = Stage::survey(global, config, None)?;
    stage.is_inspection = true;
    let settings = settings(&stage);
    // Faults of files are for `check`; here their number is enough.
    stage.loaded.diagnostics.retain(|fault| !fault.is_error());
    block_on(async {
        let mut text = list(&settings, 0, printer.out);
        let mut data = Vec::new();
        let mut faults = Vec::new();
        let mut exit = Exit::Done;
        for name in stage.stores() {
            let found = examine(&stage, &name).await;
            let (backend, target) = described(&stage, &name);
            let _ = writeln!(text, "\n{}", printer.out.text(Style::Bold, name.as_str()));
            let mut facts = vec![("kind".to_owned(), backend.clone()), ("url".to_owned(), target.clone())];
            let reached = found.is_ok();
            match found {
                Ok(found) => facts.extend(found),
                Err(error) => {
                    facts.push(("state".to_owned(), error.message.clone()));
                    exit = if exit == Exit::Done { Exit::of(error.kind) } else { exit };
                    let is_named = error.fact("store").is_some();
                    faults.push(Fault::Error(if is_named { error } else { error.with("store", &name) }));
                }
            }
            text.push_str(&list(&facts, 2, printer.out));
            data.push(json!({
                "store": name.as_str(), "kind": backend, "url": target, "reached": reached, "facts": pairs(&facts[2..]),
            }));
        }
        let mut answer = Answer::done(json!({ "settings": pairs(&settings), "stores": data }), text);
        answer.exit = exit;
        answer.faults = faults;
        Ok(stage.finish(answer))
    })
}

fn settings(stage: &Stage) -> Vec<(String, String)> {
    let config = &stage.config;
    let file = config.path.as_ref().map_or_else(
        || "none: the url is given on the command line or by the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let directory = config.migrations.display();
    let faults = stage.loaded.diagnostics.iter().filter(|fault| Diagnostic::is_error(fault)).count();
    let migrations = if !config.migrations.is_dir() {
        format!("there is no directory `{directory}`; `dunlin new NAME` makes it")
    } else if faults > 0 {
        format!("{} in `{directory}`; `dunlin check --offline` shows them", count(faults, "fault"))
    } else {
        format!("{} in `{directory}`", count(stage.loaded.migrations.len(), "migration"))
    };
    let mut settings = vec![("configuration".to_owned(), file)];
    settings.extend(config.environment.clone().map(|name| ("environment".to_owned(), name)));
    settings.push(("migrations".to_owned(), migrations));
    settings
}

async fn examine(stage: &Stage, name: &StoreName) -> Result<Vec<(String, String)>, Error> {
    let stores = stage.connect_to(std::slice::from_ref(name)).await?;
    match stores.get(name) {
        Some(store) => store.examine().await,
        None => Ok(Vec::new()),
    }
}

/// The kind of a store, and its url without a password.
fn described(stage: &Stage, name: &StoreName) -> (String, String) {
    let found = stage.project.targets().find(|(_, target): &(_, &Target)| target.name == *name);
    found.map_or_else(Default::default, |(backend, target)| {
        (backend.name().to_owned(), target.url.to_string())
    })
}

fn list(facts: &[(String, String)], indent: usize, paint: Paint) -> String {
    let width = facts.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for (what, finding) in facts {
        let what = paint.text(Style::Dim, &format!("{what:<width$}"));
        let mut lines = finding.lines();
        let _ = writeln!(out, "{}{what}  {}", " ".repeat(indent), lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, "{}{line}", " ".repeat(indent + width + 2));
        }
    }
    out
}

fn pairs(facts: &[(String, String)]) -> Vec<Value> {
    facts.iter().map(|(what, finding)| json!({ "what": what, "finding": finding })).collect()
}
