//! What the command line understands.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use dunlin_engine::Reaction;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(Into::into).collect()
}

fn parsed(line: &str) -> Parsed {
    parse(&words(line)).unwrap()
}

#[test]
fn words_of_other_tools_are_understood_and_named() {
    for (line, synonym) in [
        ("dunlin migrate", ("migrate", "up")),
        ("dunlin --store migrate migrate --to 3", ("migrate", "up")),
        ("dunlin rollback 2", ("rollback", "down")),
        ("dunlin info", ("info", "status")),
        ("dunlin validate --offline", ("validate", "check")),
        ("dunlin stamp 3 --reason x", ("stamp", "baseline")),
    ] {
        assert_eq!(parsed(line).synonym, Some(synonym), "{line}");
    }
    assert_eq!(parsed("dunlin up --to 3").synonym, None);
    let help = parse(&words("dunlin help migrate")).unwrap_err();
    assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    let fault = parse(&words("dunlin migrate --tp 3")).unwrap_err();
    assert_eq!(fault.kind(), clap::error::ErrorKind::UnknownArgument);
}

#[test]
fn typos_run_nothing() {
    for line in [
        "dunlin upp",
        "dunlin down -1",
        "dunlin down 0",
        "dunlin up --to v1",
        "dunlin mark 3 applied --reason x",
        "dunlin",
    ] {
        assert_eq!(parse(&words(line)).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn global_flags_stand_anywhere() {
    for line in ["dunlin --json --env prod up", "dunlin up --env prod --format json"] {
        let args = parsed(line).args;
        assert_eq!(
            (args.global.env.as_deref(), args.global.format()),
            (Some("prod"), crate::render::Format::Json)
        );
    }
}

#[test]
fn values_become_what_they_mean() {
    let Command::Up(up) = parsed("dunlin up --to 007 --out-of-order apply --edited warn").args.command else {
        panic!("not up")
    };
    assert_eq!(up.to.unwrap().as_str(), "007");
    assert_eq!(
        (up.rules.out_of_order, up.rules.edited, up.rules.missing),
        (Some(Reaction::Accept), Some(Reaction::Warn), None)
    );
    let Command::Plan(plan) = parsed("dunlin plan --down").args.command else { panic!("not plan") };
    assert_eq!(plan.down.unwrap().get(), 1);
    assert_eq!(parsed("dunlin up --lock-wait 90s").args.global.lock_wait.unwrap().as_secs(), 90);
}

#[test]
fn colour_and_json_are_seen_in_a_line_that_cannot_be_read() {
    assert_eq!(color(&words("dunlin --color never upp")), ColorChoice::Never);
    assert_eq!(color(&words("dunlin upp --color=always")), ColorChoice::Always);
    assert!(asks_for_json(&words("dunlin upp --json")) && asks_for_json(&words("dunlin --format json upp")));
    assert!(!asks_for_json(&words("dunlin upp")));
}

/// Every text of every crate: the sources, and what is put into the binary beside them.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        if path.is_dir() {
            texts(&path, found);
        } else if extension.is_some_and(|extension| ["rs", "md", "toml"].contains(&&*extension)) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// A command as somebody would type it: with something in the place of what stands for something.
fn typed(command: &str) -> String {
    let command = command.split(" | ").next().unwrap_or_default();
    // One that is left open is as good as one without the rest.
    let command = command.strip_suffix(" …").filter(|rest| !rest.ends_with("--reason")).unwrap_or(command);
    let mut text = String::new();
    let mut rest = command;
    while let Some(at) = rest.find(['{', '<']) {
        let close = if rest.as_bytes()[at] == b'{' { '}' } else { '>' };
        let Some(end) = rest[at..].find(close) else { break };
        text.push_str(&rest[..at]);
        text.push('1');
        rest = &rest[at + end + 1..];
    }
    text.push_str(rest);
    let outside_of_quotes: Vec<&str> = text.split('"').step_by(2).collect();
    let text = outside_of_quotes.join("x");
    text.replace("VERSION", "1").replace("COMMAND", "up").replace(['…', '\\'], "x")
}

#[test]
fn every_command_that_a_text_names_is_one() {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingRequiredArgument,
    };
    let mut found = Vec::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    texts(&crates, &mut found);
    let readme = crates.join("../README.md");
    found.push((readme.clone(), fs::read_to_string(readme).unwrap()));
    let mut commands = 0;
    for (path, text) in found.iter().filter(|(path, _)| !path.ends_with("args/tests.rs")) {
        let is_command =
            |part: &&str| part.strip_prefix("dunlin ").is_some_and(|rest| !rest.starts_with("--"));
        for command in text.split('`').skip(1).step_by(2).filter(is_command) {
            commands += 1;
            if let Err(error) = parse(&words(&typed(command))) {
                // A command may be spoken of without all that it needs.
                let is_spoken_of = [
                    DisplayHelp,
                    DisplayHelpOnMissingArgumentOrSubcommand,
                    DisplayVersion,
                    MissingRequiredArgument,
                ];
                assert!(is_spoken_of.contains(&error.kind()), "{}: `{command}`: {error}", path.display());
            }
        }
    }
    assert!(commands > 60, "only {commands} were found");
}
