//! What a command answers, before anybody decides how it is shown.

use dunlin_core::{Diagnostic, Error, SourceMap};
use serde_json::Value;

use crate::config::Loaded;
use crate::exit::Exit;

/// What a command has to say.
#[derive(Debug)]
pub struct Answer {
    /// How the run ended.
    pub exit: Exit,
    /// The answer for programs.
    pub data: Value,
    /// The answer for people.
    pub text: String,
    /// What people should know besides.
    pub notes: Vec<String>,
    /// What is not quite right.
    pub faults: Vec<Fault>,
    /// The texts that spans point into.
    pub sources: SourceMap,
}

impl Answer {
    /// All went well.
    pub fn done(data: Value, text: String) -> Self {
        let sources = SourceMap::default();
        Self { exit: Exit::Done, data, text, notes: Vec::new(), faults: Vec::new(), sources }
    }

    /// The same, with something to know besides.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Each text on a line of its own.
pub(crate) fn lines(texts: &[String]) -> String {
    texts.iter().flat_map(|text| [text.as_str(), "\n"]).collect()
}

/// One thing that is wrong.
#[derive(Debug)]
pub enum Fault {
    /// With the user's files, or with what was asked for.
    Diagnostic(Diagnostic),
    /// With the world.
    Error(Error),
}

impl Fault {
    /// The code under which `dunlin explain` has the long form.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Diagnostic(diagnostic) => diagnostic.code,
            Self::Error(error) => crate::render::error::code(error),
        }
    }

    /// Whether it forbids going on.
    pub fn is_error(&self) -> bool {
        match self {
            Self::Diagnostic(diagnostic) => diagnostic.is_error(),
            Self::Error(_) => true,
        }
    }
}

/// Why a command could not answer.
#[derive(Debug)]
pub struct Failure {
    /// How the run ended.
    pub exit: Exit,
    /// What was done before that, for programs. Boxed, because every command's result carries one.
    pub data: Box<Value>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// The texts that spans point into.
    pub sources: SourceMap,
}

impl Failure {
    /// The settings cannot be used.
    pub fn of_config(loaded: Loaded) -> Self {
        let faults = loaded.diagnostics.into_iter().map(Fault::Diagnostic).collect();
        Self { exit: Exit::Usage, data: Box::default(), faults, sources: loaded.sources }
    }

    /// The same, with another way out for one kind of fault.
    pub fn help(mut self, code: &str, help: &str) -> Self {
        for fault in &mut self.faults {
            if let Fault::Diagnostic(diagnostic) = fault
                && diagnostic.code == code
            {
                diagnostic.help = Some(help.to_owned());
            }
        }
        self
    }

    /// A file could not be written, or the like.
    pub fn of_work(diagnostic: Diagnostic) -> Self {
        Self { exit: Exit::Failed, ..Self::from(diagnostic) }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        let (faults, sources) = (vec![Fault::Diagnostic(diagnostic)], SourceMap::default());
        Self { exit: Exit::Usage, data: Box::default(), faults, sources }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = Exit::of(error.kind);
        Self { exit, data: Box::default(), faults: vec![Fault::Error(error)], sources: SourceMap::default() }
    }
}
