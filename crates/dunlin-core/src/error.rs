//! What the world does wrong: one error type for all backends. A kind exists only where a caller decides by it.

use std::fmt;

use crate::source::Span;

/// The result of everything that talks to a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller needs to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached, or hung up.
    Connect,
    /// The store refuses who we are or what we may do.
    Access,
    /// Somebody else holds the migration lock.
    Locked,
    /// We held the migration lock and it was taken over; nothing further may be written.
    LeaseLost,
    /// A statement of a migration failed.
    Statement,
    /// A statement may or may not have taken effect, and the store cannot tell which.
    Ambiguous,
    /// What the history says cannot be true, or was written by a newer version.
    Integrity,
    /// The migration asks for what this store or its server cannot do.
    Unsupported,
    /// The settings cannot be used.
    Config,
    /// A case that should not exist.
    Unexpected,
}

impl ErrorKind {
    /// The code under which `dunlin explain` has the long form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "cannot-connect",
            Self::Access => "access-denied",
            Self::Locked => "lock-held",
            Self::LeaseLost => "lease-lost",
            Self::Statement => "statement-failed",
            Self::Ambiguous => "outcome-unknown",
            Self::Integrity => "history-unreadable",
            Self::Unsupported => "unsupported",
            Self::Config => "bad-config",
            Self::Unexpected => "unexpected",
        }
    }
}

/// One failure, with what was being done when it happened.
#[derive(Debug)]
pub struct Error {
    /// What callers decide by.
    pub kind: ErrorKind,
    /// A lower-case fragment without a full stop.
    pub message: String,
    /// The same call may succeed when tried again.
    pub temporary: bool,
    /// The place in the user's text that the store complained about.
    pub span: Option<Span>,
    /// The way out.
    pub help: Option<String>,
    /// Facts: the store, the statement, who blocks.
    pub context: Vec<(&'static str, String)>,
    /// What the driver said, already free of secrets.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            temporary: false,
            span: None,
            help: None,
            context: Vec::new(),
            source: None,
        }
    }

    /// A case that should not exist: a bug of ours or a server that breaks its own rules.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unexpected, message)
    }

    /// The same, worth trying again.
    pub fn temporary(mut self) -> Self {
        self.temporary = true;
        self
    }

    /// The same, pointing into the user's text unless it already does.
    pub fn at(mut self, span: Option<Span>) -> Self {
        self.span = self.span.or(span);
        self
    }

    /// The same, with the way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with a fact.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((name, value.to_string()));
        self
    }

    /// The same, with its cause.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.context.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
