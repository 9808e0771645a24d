//! Redis commands as a value.

use std::fmt::Write as _;

use dunlin_core::{Line, Op as CoreOp, Span};

use crate::{command, quote};

/// Commands, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Op {
    /// All of them.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name and what follows; never empty.
    pub args: Vec<Vec<u8>>,
    /// Where it was written.
    pub span: Option<Span>,
    /// The number of the `MULTI … EXEC` it stands in. Neighbours with the same number run as one.
    pub block: Option<u32>,
}

impl Command {
    /// A command on its own, from its words.
    pub fn new<I, W>(words: I) -> Self
    where
        I: IntoIterator<Item = W>,
        W: Into<Vec<u8>>,
    {
        Self { args: words.into_iter().map(Into::into).collect(), span: None, block: None }
    }

    /// The name in upper case.
    pub fn name(&self) -> String {
        self.args.first().map(|name| command::upper(name)).unwrap_or_default()
    }

    /// The line that redis-cli reads back to the same.
    pub fn text(&self) -> String {
        quote::join(&self.args)
    }

    /// The text that is hashed: the name in upper case, every argument with its length.
    pub(crate) fn canonical(&self) -> String {
        let mut out = self.name();
        for arg in &self.args[1..] {
            let written = match std::str::from_utf8(arg) {
                Ok(text) => write!(out, " {}:{text}", text.len()),
                Err(_) => write!(out, " x{}:{}", arg.len(), quote::quote(arg)),
            };
            written.expect("a String takes everything");
        }
        out
    }
}

impl FromIterator<Command> for Op {
    fn from_iter<I: IntoIterator<Item = Command>>(commands: I) -> Self {
        Self { commands: commands.into_iter().collect() }
    }
}

impl Op {
    /// The range of commands that run as one, beginning with the one at `at`.
    pub(crate) fn unit(&self, at: usize) -> std::ops::Range<usize> {
        let Some(block) = self.commands.get(at).and_then(|command| command.block) else { return at..at + 1 };
        let length = self.commands[at..].iter().take_while(|command| command.block == Some(block)).count();
        at..at + length
    }
}

/// How many names a summary lists.
const SUMMARY_NAMES: usize = 3;

impl CoreOp for Op {
    fn summary(&self) -> String {
        match self.commands.as_slice() {
            [] => "nothing".to_owned(),
            [command] => {
                let text = command.text();
                if text.chars().count() <= 60 { text } else { text.chars().take(59).chain(['…']).collect() }
            }
            commands => {
                let mut names: Vec<String> = Vec::new();
                for name in commands.iter().map(Command::name) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let more = if names.len() > SUMMARY_NAMES { ", …" } else { "" };
                names.truncate(SUMMARY_NAMES);
                format!("{} commands: {}{more}", commands.len(), names.join(", "))
            }
        }
    }

    fn preview(&self) -> Vec<Line> {
        let line = |command: &Command| {
            let note = if command::is_apart(&command.args) {
                Some("cannot be recorded in the same instant as it runs")
            } else if command.block.is_some() {
                Some("runs as one with its neighbours")
            } else {
                None
            };
            Line { text: command.text(), note: note.map(str::to_owned), span: command.span }
        };
        self.commands.iter().map(line).collect()
    }

    fn canonical(&self) -> String {
        let mut lines = Vec::new();
        let mut open = None;
        for command in &self.commands {
            if command.block != open {
                lines.extend(open.map(|_| "EXEC".to_owned()));
                lines.extend(command.block.map(|_| "MULTI".to_owned()));
                open = command.block;
            }
            lines.push(command.canonical());
        }
        lines.extend(open.map(|_| "EXEC".to_owned()));
        lines.join("\n")
    }

    fn removes(&self) -> Vec<String> {
        let removed = |command: &Command| -> Vec<String> {
            let shown = |args: &[Vec<u8>], what: &str| -> Vec<String> {
                args.iter().map(|key| format!("{what} {}", quote::quote(key))).collect()
            };
            match (command.name().as_str(), &command.args[1..]) {
                ("DEL" | "UNLINK" | "GETDEL", keys) => shown(keys, "key"),
                ("FLUSHALL", _) => vec!["every key of every database".to_owned()],
                ("FLUSHDB", _) => vec!["every key".to_owned()],
                ("HDEL", [key, fields @ ..]) => fields
                    .iter()
                    .map(|field| format!("field {} of {}", quote::quote(field), quote::quote(key)))
                    .collect(),
                _ => Vec::new(),
            }
        };
        self.commands.iter().flat_map(removed).collect()
    }

    fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(lines: &[(&str, Option<u32>)]) -> Op {
        lines.iter().map(|(line, block)| Command { block: *block, ..Command::new(line.split(' ')) }).collect()
    }

    #[test]
    fn the_hashed_text_never_changes() {
        let mut op = op(&[("set a 1", None), ("DEL b", Some(0)), ("DEL c", Some(0)), ("DEL d", Some(1))]);
        op.commands.push(Command::new([b"SET".to_vec(), b"\xff".to_vec(), "né".into()]));
        let expected =
            "SET 1:a 1:1\nMULTI\nDEL 1:b\nDEL 1:c\nEXEC\nMULTI\nDEL 1:d\nEXEC\nSET x1:\"\\xff\" 3:né";
        assert_eq!(op.canonical(), expected);
        assert_eq!(Op::default().canonical(), "");
    }

    #[test]
    fn blocks_are_units_and_other_commands_stand_alone() {
        let op = op(&[("A", None), ("B", None), ("C", Some(0)), ("D", Some(0)), ("E", Some(1))]);
        let units: Vec<_> = [0, 1, 2, 3, 4].map(|at| op.unit(at)).into();
        assert_eq!(units, [0..1, 1..2, 2..4, 3..4, 4..5]);
    }

    #[test]
    fn words_for_people() {
        assert_eq!(op(&[("SET a 1", None)]).summary(), "SET a 1");
        let many = op(&[("SET a 1", None), ("SET b 1", None), ("HSET c f 1", None)]);
        assert_eq!(many.summary(), "3 commands: SET, HSET");
        assert_eq!(
            op(&[("DEL a b", None), ("HDEL h f", None)]).removes(),
            ["key a", "key b", "field f of h"]
        );
    }
}
