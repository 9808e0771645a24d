//! `dunlin init`

use std::path::Path;

use serde_json::json;

use crate::answer::{self, Answer, Failure};
use crate::args::{Global, commands::Init};
use crate::file;

const TEMPLATE: &str = include_str!("init.toml");

pub(crate) fn run(args: &Init, global: &Global) -> Result<Answer, Failure> {
    let path = global.config.as_deref().unwrap_or(Path::new("dunlin.toml"));
    if args.force {
        file::replace(path, TEMPLATE)?;
    } else {
        file::create(path, TEMPLATE)
            .map_err(|failure| failure.help("file-exists", "`--force` replaces it; nothing was written"))?;
    }
    let migrations = match &global.migrations {
        Some(directory) => directory.clone(),
        None => path.with_file_name("migrations"),
    };
    let mut written = vec![path.display().to_string()];
    if file::directory(&migrations)? {
        written.push(format!("{}{}", migrations.display(), std::path::MAIN_SEPARATOR));
    }
    let text = answer::lines(&written);
    let answer = Answer::done(json!({ "written": written }), text);
    Ok(answer.note("next: say in the file where your stores are, then `dunlin new add users`"))
}
