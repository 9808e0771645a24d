//! How answers are shown: data on stdout, everything else on stderr. A reader that goes away is no error.

pub mod color;
pub mod diagnostic;
pub mod error;
pub mod json;
mod report;
mod snippet;
pub mod table;
mod width;
pub(crate) mod words;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write};

use dunlin_core::SourceMap;

use crate::answer::{Answer, Failure, Fault};
use crate::exit::Exit;
use crate::explain;
use color::{ColorChoice, Paint, Style};

/// For whom the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
}

/// How much is said besides the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Volume {
    /// Errors only.
    Quiet,
    /// What one should know.
    #[default]
    Normal,
    /// What one may want to know.
    Verbose,
}

/// Where answers go, and in which form.
#[derive(Debug, Clone)]
pub struct Printer {
    /// For whom.
    pub format: Format,
    /// How much.
    pub volume: Volume,
    /// The paint of stdout.
    pub out: Paint,
    /// The paint of stderr.
    pub err: Paint,
}

impl Printer {
    /// For the streams of this process.
    pub fn new(format: Format, volume: Volume, color: ColorChoice) -> Self {
        let paint = |is_terminal, size: Option<(terminal_size::Width, terminal_size::Height)>| Paint {
            is_on: color.is_on(is_terminal, |name| std::env::var_os(name)),
            columns: size.map(|(width, _)| usize::from(width.0)),
        };
        Self {
            format,
            volume,
            out: paint(io::stdout().is_terminal(), terminal_size::terminal_size_of(io::stdout())),
            err: paint(io::stderr().is_terminal(), terminal_size::terminal_size_of(io::stderr())),
        }
    }

    /// The columns of the terminal that stdout is, if it is one.
    pub fn width(&self) -> Option<usize> {
        self.out.columns
    }

    /// Whether somebody watches stderr.
    pub fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Shows an answer, and says how the run ended.
    pub fn answer(&self, command: &str, answer: &Answer) -> Exit {
        let is_ok = matches!(answer.exit, Exit::Done | Exit::Pending);
        let written = match self.format {
            Format::Text => self.data(&answer.text),
            Format::Json => {
                self.data(&json::envelope(command, is_ok, &answer.data, &answer.faults, &answer.sources))
            }
        };
        self.faults(&answer.faults, &answer.sources);
        for note in &answer.notes {
            self.note(note);
        }
        written.map_or_else(|error| self.lost(&error), |()| answer.exit)
    }

    /// Shows why there is no answer, and says how the run ended.
    pub fn failure(&self, command: &str, failure: &Failure) -> Exit {
        self.faults(&failure.faults, &failure.sources);
        if self.format == Format::Json {
            let text = json::envelope(command, false, &failure.data, &failure.faults, &failure.sources);
            if let Err(error) = self.data(&text) {
                return self.lost(&error);
            }
        }
        failure.exit
    }

    /// Shows faults, and where to read more.
    pub fn faults(&self, faults: &[Fault], sources: &SourceMap) {
        let shown: Vec<&Fault> =
            faults.iter().filter(|fault| fault.is_error() || self.volume > Volume::Quiet).collect();
        let mut text = String::new();
        for fault in &shown {
            text.push_str(&match fault {
                Fault::Diagnostic(diagnostic) => diagnostic::render(diagnostic, sources, self.err),
                Fault::Error(error) => error::render(error, sources, self.err),
            });
            text.push('\n');
        }
        let codes: BTreeSet<&str> =
            shown.iter().map(|fault| fault.code()).filter(|code| explain::find(code).is_some()).collect();
        match codes.len() {
            0 => {}
            1 => text.extend(codes.iter().map(|code| format!("`dunlin explain {code}` says more\n"))),
            _ => text.push_str("`dunlin explain CODE` says more about each\n"),
        }
        complain(&text);
    }

    /// Something to know besides the answer.
    pub fn note(&self, text: &str) {
        if self.volume > Volume::Quiet {
            complain(&format!("{}: {text}\n", self.err.text(Style::Good, "note")));
        }
    }

    /// Writes to stdout. A reader that goes away (`dunlin history | head -1`) has what it wanted.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    fn lost(&self, error: &io::Error) -> Exit {
        complain(&format!(
            "{}: the answer could not be written: {error}\n",
            self.err.text(Style::Error, "error")
        ));
        Exit::Failed
    }
}

/// Writes to stderr. Where that is gone, nobody can be told.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
