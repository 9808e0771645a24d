//! `dunlin completions`

use serde_json::json;

use crate::answer::Answer;
use crate::args::{self, commands::Completions};

pub(crate) fn run(args: &Completions) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "dunlin", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Answer::done(json!({ "shell": args.shell.to_string(), "script": script }), script)
}
