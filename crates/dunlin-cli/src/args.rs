//! The command line: what may be said, and the help that says so. What is said is acted on in `command`.

mod clock;
pub mod commands;
pub mod global;
mod help;
mod synonym;

use std::ffi::OsString;

use clap::{FromArgMatches as _, Parser};

pub use commands::Command;
pub use global::Global;
pub use help::{command, long_version};

use crate::render::color::ColorChoice;

/// Moves SQL tables, MongoDB documents and Redis keys together: one versioned change, every store, and a way back.
#[derive(Debug, Clone, Parser)]
#[command(name = "dunlin", bin_name = "dunlin", version)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What was said, and what to mention about how it was said.
#[derive(Debug)]
pub struct Parsed {
    /// What was said.
    pub args: Args,
    /// The word of another tool, and dunlin's word for it.
    pub synonym: Option<(&'static str, &'static str)>,
}

/// Reads the command line. Words of other tools are understood.
pub fn parse(arguments: &[OsString]) -> Result<Parsed, clap::Error> {
    let first = parse_strictly(arguments);
    match &first {
        Err(error) => match synonym::translated(error, arguments, parse_strictly) {
            Some((result, synonym)) => result.map(|args| Parsed { args, synonym: Some(synonym) }),
            None => first.map(|args| Parsed { args, synonym: None }),
        },
        Ok(_) => first.map(|args| Parsed { args, synonym: None }),
    }
}

fn parse_strictly(arguments: &[OsString]) -> Result<Args, clap::Error> {
    let command = command().color(match color(arguments) {
        ColorChoice::Auto => clap::ColorChoice::Auto,
        ColorChoice::Always => clap::ColorChoice::Always,
        ColorChoice::Never => clap::ColorChoice::Never,
    });
    let matches = command.try_get_matches_from(arguments)?;
    Args::from_arg_matches(&matches)
}

/// What `--color` says, before anything else is read: it holds for what is said about the rest, too.
pub fn color(arguments: &[OsString]) -> ColorChoice {
    let said = |text: &str| match text {
        "always" => ColorChoice::Always,
        "never" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str());
    while let Some(text) = texts.next() {
        if let Some(value) = text.strip_prefix("--color=") {
            return said(value);
        }
        if text == "--color" {
            return said(texts.next().unwrap_or_default());
        }
    }
    ColorChoice::Auto
}

/// Whether JSON is asked for, where the command line as a whole could not be read.
pub fn asks_for_json(arguments: &[OsString]) -> bool {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    texts.iter().any(|text| matches!(*text, "--json" | "--format=json"))
        || texts.windows(2).any(|pair| pair == ["--format", "json"])
}

#[cfg(test)]
mod tests;
