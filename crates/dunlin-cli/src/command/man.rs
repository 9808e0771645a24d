//! `dunlin man`

use std::path::Path;

use clap_mangen::Man as Page;
use serde_json::json;

use crate::answer::{self, Answer, Failure};
use crate::args::{self, commands::Man};
use crate::file;

pub(crate) fn run(args: &Man) -> Result<Answer, Failure> {
    let command = plain(args::command());
    let Some(directory) = &args.out else {
        let page = page(&command);
        return Ok(Answer::done(json!({ "page": page }), page));
    };
    file::directory(directory)?;
    let mut paths = Vec::new();
    write(&command, "dunlin", directory, &mut paths)?;
    let text = answer::lines(&paths);
    Ok(Answer::done(json!({ "files": paths }), text))
}

/// The grouped help is for terminals; a page lists the commands in its own way.
fn plain(command: clap::Command) -> clap::Command {
    let mut command = command.help_template("{about}").styles(clap::builder::Styles::plain());
    command.build();
    command
}

fn write(
    command: &clap::Command,
    name: &str,
    directory: &Path,
    paths: &mut Vec<String>,
) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    file::replace(&path, &page(command))?;
    paths.push(path.display().to_string());
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        write(inner, &format!("{name}-{}", inner.get_name()), directory, paths)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> String {
    let mut page = Vec::new();
    let rendered = Page::new(command.clone()).manual("dunlin manual").render(&mut page);
    rendered.expect("writing to memory cannot fail");
    without_escapes(&String::from_utf8_lossy(&page))
}

/// Examples and tables carry their own colours, which mean nothing on a page.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_are_removed() {
        assert_eq!(super::without_escapes("a\u{1b}[1mb\u{1b}[0mc"), "abc");
    }
}
