//! A failure of the world: what was being done, what the store said, where in our file, and the way out.

use std::error::Error as _;

use dunlin_core::{Error, SourceMap};

use super::color::{Paint, Style};
use super::{report, snippet};
use crate::explain;

/// `error[code]: message`, the place, the causes, the facts and the way out.
pub fn render(error: &Error, sources: &SourceMap, paint: Paint) -> String {
    let mut out = report::headline("error", code(error), &error.message, Style::Error, paint);
    if let Some(span) = error.span {
        out.push_str(&snippet::render(&[(span, "")], sources, paint, Style::Error));
    }
    for cause in causes(error) {
        report::line(&mut out, "cause", &cause, paint);
    }
    for (name, value) in facts(error) {
        report::line(&mut out, name, value, paint);
    }
    if let Some(help) = &error.help {
        report::line(&mut out, "help", help, paint);
    }
    out
}

/// The code under which `dunlin explain` has the long form: a finer one than that of the kind, where the error names it.
pub fn code(error: &Error) -> &'static str {
    let finer = error.fact("code").and_then(explain::find);
    finer.map_or(error.kind.code(), |entry| entry.code)
}

/// What it says besides its message. The code stands in the headline.
pub fn facts(error: &Error) -> impl Iterator<Item = (&'static str, &str)> {
    let code = code(error);
    error.context.iter().map(|(name, value)| (*name, value.as_str())).filter(move |(_, value)| *value != code)
}

/// What led to it, outermost first. A cause that an earlier text already holds says nothing new.
pub fn causes(error: &Error) -> Vec<String> {
    let mut said = vec![error.message.clone()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !text.is_empty() && !said.iter().any(|earlier| earlier.contains(&text)) {
            said.push(text);
        }
        cause = inner.source();
    }
    said.split_off(1)
}

#[cfg(test)]
mod tests {
    use dunlin_core::ErrorKind;

    use super::*;

    #[test]
    fn an_error_says_where_why_and_what_to_do() {
        let mut sources = SourceMap::default();
        let source = sources.add("migrations/1_a.sql", "-- Up\nselec 1;\n");
        let inner = Error::new(ErrorKind::Statement, "syntax error at or near \"selec\"");
        let outer = Error::new(ErrorKind::Statement, "the server refused it").caused_by(inner);
        let error = Error::new(ErrorKind::Statement, "1_a failed in `app`")
            .at(Some(source.span(6, 11)))
            .with("store", "app")
            .with("stayed", "nothing: the transaction was rolled back")
            .help("correct the file, then `dunlin up`")
            .caused_by(outer);
        assert_eq!(
            render(&error, &sources, Paint::default()),
            "error[statement-failed]: 1_a failed in `app`\n --> migrations/1_a.sql:2:1\n  |\n2 | selec 1;\n  | ^^^^^\n\
             \x20 = cause: the server refused it\n  = cause: syntax error at or near \"selec\"\n  = store: app\n\
             \x20 = stayed: nothing: the transaction was rolled back\n  = help: correct the file, then `dunlin up`\n"
        );
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let error = Error::new(ErrorKind::Connect, "cannot connect: connection refused")
            .caused_by(Error::new(ErrorKind::Connect, "connection refused"));
        assert!(causes(&error).is_empty());
    }
}
