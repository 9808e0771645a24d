//! A statement of ours in the making: its text, and the values bound in it in the order in which they stand there.

use crate::conn::Param;
use crate::dialect::Dialect;

/// Text and values.
#[derive(Debug, Clone)]
pub(crate) struct Clause {
    pub(crate) dialect: Dialect,
    pub(crate) text: String,
    pub(crate) params: Vec<Param>,
    is_shown: bool,
}

impl Clause {
    /// One that will be sent.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::new(), params: Vec::new(), is_shown: false }
    }

    /// One that people look at: values have names in it.
    pub(crate) fn shown(dialect: Dialect) -> Self {
        Self { is_shown: true, ..Self::new(dialect) }
    }

    /// More text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// The place of a value; `name` is what people see there.
    pub(crate) fn mark(&mut self, name: &str, value: Param) -> String {
        if self.is_shown {
            return format!(":{name}");
        }
        self.params.push(value);
        self.dialect.placeholder(self.params.len())
    }
}
