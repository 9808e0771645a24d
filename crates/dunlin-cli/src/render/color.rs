//! Colour: whether there is any, and what is painted how.

use std::ffi::OsString;

/// What `--color` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On terminals, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether a stream is painted. `NO_COLOR` goes before `CLICOLOR_FORCE`, and both before what the stream is.
    pub fn is_on(self, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
            Self::Auto if is_set("CLICOLOR_FORCE") => true,
            Self::Auto => is_terminal && variable("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// A colour or a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As it comes.
    #[default]
    Plain,
    /// What matters.
    Bold,
    /// What matters less.
    Dim,
    /// Errors.
    Error,
    /// Warnings.
    Warning,
    /// Notes, and what is well.
    Good,
    /// Places, and the frame around a text.
    Frame,
}

/// Paints, or does not, and knows how much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    /// Whether it does.
    pub is_on: bool,
    /// The columns of the terminal, if it is for one.
    pub columns: Option<usize>,
}

impl Paint {
    /// A text in a style.
    pub fn text(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.is_on || text.is_empty() => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Error => "1;31",
            Style::Warning => "1;33",
            Style::Good => "32",
            Style::Frame => "1;34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_and_the_flag_decide() {
        let on = |choice: ColorChoice, is_terminal, set: &[(&str, &str)]| {
            choice.is_on(is_terminal, |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            })
        };
        assert!(on(ColorChoice::Auto, true, &[("TERM", "xterm")]));
        assert!(on(ColorChoice::Auto, true, &[("NO_COLOR", "")]));
        assert!(!on(ColorChoice::Auto, false, &[]));
        assert!(!on(ColorChoice::Auto, true, &[("TERM", "dumb")]));
        assert!(!on(ColorChoice::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(on(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!on(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(on(ColorChoice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!on(ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }
}
