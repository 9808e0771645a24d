//! Single values of a configuration: texts, durations, words from a list.

use std::time::Duration;

use dunlin_core::{Diagnostic, Node, suggest};

use super::duration;
use super::variables::{Fault, Variables};

/// What to do with `${…}` in texts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Variety<'a> {
    /// Nothing: a layer is looked over that may not be in use, so texts with variables are passed over.
    Shape,
    /// Replace them.
    Resolved(&'a Variables),
}

/// Reads values, and remembers what is wrong with them.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) variety: Variety<'a>,
    pub(super) faults: Vec<Diagnostic>,
}

impl Values<'_> {
    /// The value, or nothing and a remembered fault.
    pub(super) fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// A text with its variables replaced.
    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        let text = self.keep(node.text())?;
        match self.variety {
            Variety::Shape if text.contains("${") => None,
            Variety::Shape => Some(text.to_owned()),
            Variety::Resolved(variables) => match variables.expand(text) {
                Ok(expanded) => Some(expanded),
                Err(faults) => {
                    self.faults.extend(faults.into_iter().map(|fault| describe(fault, node)));
                    None
                }
            },
        }
    }

    /// A duration that is at least `least`.
    pub(super) fn duration(&mut self, node: &Node, least: Duration) -> Option<Duration> {
        if node.text().is_err() {
            self.faults.push(wrong_duration(node, "not a duration"));
            return None;
        }
        match duration::parse(&self.text(node)?) {
            Ok(duration) if duration >= least => Some(duration),
            Ok(_) => {
                self.faults.push(wrong_duration(node, &format!("must be at least {}ms", least.as_millis())));
                None
            }
            Err(_) => {
                self.faults.push(wrong_duration(node, "not a duration"));
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            // As written: what a variable stands for may be a secret.
            let written = node.text().unwrap_or_default();
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let fault =
                Diagnostic::error("wrong-value", format!("`{written}` is not one of {}", listed(&known)));
            self.faults.push(
                fault.at(node.span, "not known here").help(suggest::help(written, known.iter().copied())),
            );
        }
        found
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn wrong_duration(node: &Node, label: &str) -> Diagnostic {
    Diagnostic::error("wrong-value", "a duration is expected here")
        .at(node.span, label)
        .help(duration::EXAMPLE)
}

fn describe(fault: Fault, node: &Node) -> Diagnostic {
    let (code, message, label, range) = match fault {
        Fault::Unset { name, range } => {
            return Diagnostic::error(
                "unset-variable",
                format!("the environment variable `{name}` is not set"),
            )
            .at(node.inside(range.start, range.end), "not set")
            .help(format!("set it, write it into `.env`, or give it a default: `${{{name}:-…}}`"));
        }
        Fault::Open { range } => ("bad-variable", "`${` is never closed", "opened here", range),
        Fault::BadName { range } => ("bad-variable", "this is no name of a variable", "not a name", range),
    };
    Diagnostic::error(code, message)
        .at(node.inside(range.start, range.end), label)
        .help("write `${NAME}`, `${NAME:-default}`, or `$${` for the two letters themselves")
}
