//! SQL text that is not a file of its own: written in Rust, or inside a step of another file.

use dunlin_core::{Diagnostic, Source};

use crate::dialect::Dialect;
use crate::directive::{self, Directive};
use crate::op::Op;
use crate::split::{Markers, split};
use crate::text::{Place, Text};
use crate::units::{self, Classed, Settings};

impl Op {
    /// An op from a script, as a migration written in Rust has it. The directives `no-transaction` and `foreign-keys`
    /// are followed.
    ///
    /// ```
    /// use dunlin_sql::{Dialect, Op};
    ///
    /// let op = Op::script(Dialect::Sqlite, "CREATE TABLE users (id INTEGER); CREATE INDEX i ON users (id);")?;
    /// assert_eq!(op.statements().count(), 2);
    /// assert!(Op::script(Dialect::Sqlite, "SELECT 'never ends").is_err());
    /// # Ok::<(), Vec<dunlin_core::Diagnostic>>(())
    /// ```
    pub fn script(dialect: Dialect, text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::from_text(dialect, text, Settings::default())
    }

    /// The statements of a change, which finds out by itself how far it came: it may lock a table for several.
    pub(crate) fn drawn(dialect: Dialect, statements: &[String]) -> Result<Self, Vec<Diagnostic>> {
        Self::from_text(
            dialect,
            &statements.join(";\n"),
            Settings { keeps_locks: true, ..Settings::default() },
        )
    }

    fn from_text(dialect: Dialect, text: &str, settings: Settings) -> Result<Self, Vec<Diagnostic>> {
        let (op, findings) = read(Text { dialect, content: &text.into(), place: Place::Nowhere }, settings);
        if findings.iter().any(Diagnostic::is_error) { Err(findings) } else { Ok(op) }
    }
}

/// An op from the bytes `start..end` of a file in which it stands letter by letter, and what is wrong with it.
pub fn script_at(dialect: Dialect, source: &Source, start: usize, end: usize) -> (Op, Vec<Diagnostic>) {
    let span = source.span(start, end);
    let content = &source.excerpt(span);
    read(Text { dialect, content, place: Place::Verbatim(span) }, Settings::default())
}

/// An op from a text without sections.
pub(crate) fn read(text: Text<'_>, mut settings: Settings) -> (Op, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let classed = statements(text, &mut settings, &mut findings);
    let op = units::group(text.dialect, classed, settings, &mut findings);
    (op, findings)
}

/// The statements of a text without sections, and what its directives ask for.
pub(crate) fn statements<'a>(
    text: Text<'a>,
    settings: &mut Settings,
    findings: &mut Vec<Diagnostic>,
) -> Vec<Classed<'a>> {
    let split = split(text.dialect, text.content, Markers::Ignored);
    findings.extend(split.faults.into_iter().map(|fault| text.error(fault)));
    for range in split.directives {
        match directive::read(text, &range) {
            Ok(Directive::NoTransaction) => settings.no_transaction = true,
            Ok(Directive::ForeignKeys(keys)) => settings.foreign_keys = settings.foreign_keys.or(Some(keys)),
            Ok(Directive::Irreversible(_) | Directive::NoOp(_)) => {
                let message = "the way back from a step is not said here".to_owned();
                findings.push(text.error(directive::misplaced(&range, message, "give the step its `undo`")));
            }
            Err(fault) => findings.push(text.error(fault)),
        }
    }
    units::statements(text, &split.pieces)
}

#[cfg(test)]
mod tests {
    use dunlin_core::SourceMap;

    use super::*;

    #[test]
    fn a_script_in_a_file_knows_its_places() {
        let mut map = SourceMap::default();
        let source = map.add("a.toml", "sql = 'select 1; select \"x'\n");
        let (op, findings) = script_at(Dialect::Sqlite, &source, 7, 26);
        let spans: Vec<&str> =
            op.statements().filter_map(|next| next.span).map(|span| source.slice(span)).collect();
        assert_eq!(spans, ["select 1", "select \"x"]);
        assert_eq!(findings[0].span(), Some(source.span(24, 25)));
    }

    #[test]
    fn a_script_without_a_file_says_the_line() {
        let findings = Op::script(Dialect::Postgres, "select 1;\n select $$").unwrap_err();
        assert_eq!(findings[0].message, "a dollar quote that does not end, line 2 of the script");
        let findings = Op::script(Dialect::Postgres, "-- dunlin: no-op: x\nselect 1").unwrap_err();
        assert_eq!(findings[0].code, "misplaced-directive");
        let op = Op::script(Dialect::Postgres, "-- dunlin: no-transaction\nselect 1").unwrap();
        assert_eq!(op.units[0].alone.as_deref(), Some("no-transaction"));
    }
}
