//! The help: commands grouped by what they write, examples at the end, the exit codes in the long form.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use clap::builder::styling::{AnsiColor, Styles};

use super::Args;
use crate::exit::Exit;
use crate::kind::KINDS;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const GROUPS: [(&str, &[&str]); 3] = [
    ("Reads only", &["status", "plan", "history", "check", "verify", "doctor", "explain"]),
    ("Writes to stores", &["up", "follow", "contract", "down", "redo", "baseline", "mark", "purge", "lock"]),
    ("Writes files", &["init", "new", "completions", "man"]),
];

const EXAMPLES: [(&str, &[(&str, &str)]); 20] = [
    ("status", &[("dunlin status", ""), ("dunlin status --exit-code", "10 where something is pending")]),
    (
        "plan",
        &[
            ("dunlin plan", ""),
            ("dunlin plan --down 2", "what `down 2` would do"),
            ("dunlin plan --out plan.json", "reviewed, then `dunlin up --plan plan.json`"),
        ],
    ),
    (
        "history",
        &[
            ("dunlin history -n 5", ""),
            ("dunlin history 20261121090000", "with every step and its time"),
            ("dunlin history 20261121090000 --text", "what ran, when the file is gone"),
        ],
    ),
    ("check", &[("dunlin check", ""), ("dunlin check --offline", "in a build that has no database")]),
    ("verify", &[("dunlin verify", "before `dunlin contract`"), ("dunlin verify 20261121090000", "")]),
    ("doctor", &[("dunlin doctor", ""), ("dunlin doctor --store app", "")]),
    ("explain", &[("dunlin explain lock-held", ""), ("dunlin explain exit-codes", "")]),
    (
        "up",
        &[
            ("dunlin up", ""),
            ("dunlin up --dry-run", "what it would do"),
            ("dunlin up --to 20261121090000", ""),
            ("dunlin up --wait 30s --lock-wait 10m", "in a deploy, beside servers that start"),
        ],
    ),
    (
        "follow",
        &[
            ("dunlin follow 20261121090000", "until its contract, or Ctrl-C"),
            ("dunlin follow 20261121090000 --store cache --configure", "turns the notifications of Redis on"),
            ("dunlin follow 20261121090000 --until 06:00", ""),
        ],
    ),
    (
        "contract",
        &[
            ("dunlin contract 20261121090000 --dry-run", "what it would remove"),
            ("dunlin contract 20261121090000", ""),
        ],
    ),
    (
        "down",
        &[
            ("dunlin down", "the last one"),
            ("dunlin down 3 --dry-run", ""),
            ("dunlin down --to 20261121090000", "all after it"),
        ],
    ),
    ("redo", &[("dunlin redo", "while writing a migration")]),
    ("baseline", &[("dunlin baseline 20261121090000 --reason \"made by the old scripts\"", "")]),
    ("mark", &[("dunlin mark 20261121090000 done --store app --reason \"run by hand on 21 November\"", "")]),
    (
        "purge",
        &[
            ("dunlin purge --dry-run", "what contracts set aside"),
            ("dunlin purge 20261121090000", ""),
            ("dunlin purge --older-than 30d --yes", "once a night"),
        ],
    ),
    ("lock", &[("dunlin lock status", ""), ("dunlin lock release --store app", "")]),
    ("init", &[("dunlin init", "")]),
    (
        "new",
        &[
            ("dunlin new add users", "a file for the only store, or a .toml for several"),
            ("dunlin new rename email --store app --store cache", "a file for each"),
            ("dunlin new add index --sequential", "0008_add_index.sql after 0007"),
        ],
    ),
    (
        "completions",
        &[
            ("dunlin completions bash > ~/.local/share/bash-completion/completions/dunlin", ""),
            ("dunlin completions zsh > ~/.zfunc/_dunlin", ""),
            ("dunlin completions fish > ~/.config/fish/completions/dunlin.fish", ""),
        ],
    ),
    ("man", &[("dunlin man | man -l -", ""), ("dunlin man --out ~/.local/share/man/man1", "")]),
];

/// The whole command line, with its help.
pub fn command() -> clap::Command {
    let mut command = Args::command().styles(STYLES).long_version(long_version());
    for (name, examples) in EXAMPLES {
        let text = example_text(examples);
        command = command.mut_subcommand(name, |command| command.after_help(text));
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}\n{{options}}{{after-help}}",
        groups(&command),
        heading("Options")
    );
    let after = "`dunlin help COMMAND` has examples; `dunlin explain CODE` has the long form of an error.";
    let exits = format!("{}\n{}\n{after}", heading("Exit codes"), Exit::table());
    command.help_template(template).after_help(after).after_long_help(exits)
}

/// What `--version` prints.
pub fn long_version() -> String {
    let mut text = format!("{}\n", env!("CARGO_PKG_VERSION"));
    for kind in &KINDS {
        let _ = writeln!(text, "  {:<10}  {}", kind.name, kind.schemes.join(", "));
    }
    let _ = write!(text, "  {:<10}  rustls with ring", "TLS");
    text
}

fn heading(text: &str) -> String {
    let style = STYLES.get_header();
    format!("{style}{text}:{style:#}")
}

fn groups(command: &clap::Command) -> String {
    let literal = STYLES.get_literal();
    let mut text = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{}", heading(title));
        for command in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{:<11}{literal:#}  {about}", command.get_name());
        }
        text.push('\n');
    }
    text
}

fn example_text(examples: &[(&str, &str)]) -> String {
    let literal = STYLES.get_literal();
    let mut text = heading("Examples");
    for (line, why) in examples {
        let _ = write!(text, "\n  {literal}{line}{literal:#}");
        if !why.is_empty() {
            let _ = write!(text, "  # {why}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_has_examples_that_parse() {
        let command = command();
        let known: BTreeSet<&str> =
            command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help").collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(grouped.len(), known.len());
        assert_eq!(EXAMPLES.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), known);
        for (line, _) in EXAMPLES.iter().flat_map(|(_, examples)| examples.iter()) {
            let line = line.split([">", "|"].map(|sign| sign.chars().next().unwrap())).next().unwrap();
            let words = line.replace('"', "").split_whitespace().map(Into::into).collect::<Vec<_>>();
            // The words of a quoted reason fall apart here; only the first of them is kept.
            let end = words
                .iter()
                .position(|word: &std::ffi::OsString| word == "--reason")
                .map_or(words.len(), |at| at + 2);
            assert!(crate::args::parse(&words[..end]).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }
}
