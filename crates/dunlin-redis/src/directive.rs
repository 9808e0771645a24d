//! Comments that speak to dunlin: `# dunlin: irreversible: reason`, `# dunlin: no-op: reason` and, on the line before a
//! command or at its end, `# dunlin: allow(keys): reason`.

use dunlin_core::{Diagnostic, Span, suggest};

/// Turns a range of bytes of a line into a place in the file.
pub(crate) type Place<'a> = &'a dyn Fn(usize, usize) -> Span;

/// What a comment says to dunlin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) word: Word,
    pub(crate) reason: String,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// There is no way back.
    Irreversible,
    /// Nothing needs to be done on the way back.
    NoOp,
    /// The next command may be this one.
    Allow(String),
}

const WORDS: [&str; 3] = ["allow", "irreversible", "no-op"];

/// Reads a comment, its `#` included. `None`: it speaks to people only.
pub(crate) fn read(comment: &str, place: Place<'_>) -> Option<Result<Directive, Diagnostic>> {
    let said = comment.trim_start_matches('#').trim_start();
    let rest = said.get(..7).filter(|start| start.eq_ignore_ascii_case("dunlin:")).map(|_| &said[7..])?;
    let body = rest.trim_start();
    let start = comment.len() - body.len();
    let span = place(0, comment.trim_end().len());
    Some(parse(body.trim_end(), span, &|from, to| place(start + from, start + to)))
}

fn parse(body: &str, span: Span, place: Place<'_>) -> Result<Directive, Diagnostic> {
    let word_end = body.find(|char: char| !char.is_ascii_alphanumeric() && char != '-').unwrap_or(body.len());
    let (name, rest) = body.split_at(word_end);
    let (argument, rest) = argument(rest);
    let word = match (name.to_ascii_lowercase().as_str(), argument) {
        ("irreversible", None) => Word::Irreversible,
        ("no-op", None) => Word::NoOp,
        ("allow", Some(command)) if !command.is_empty() => Word::Allow(command.to_ascii_uppercase()),
        ("allow", _) => {
            return Err(Diagnostic::error("bad-directive", "`allow` does not say which command")
                .at(place(0, word_end), "allows nothing")
                .help("write `# dunlin: allow(keys): reason`"));
        }
        (known, Some(_)) if WORDS.contains(&known) => {
            return Err(Diagnostic::error(
                "bad-directive",
                format!("`{known}` takes nothing in parentheses"),
            )
            .at(place(word_end, body.len() - rest.len()), "has no meaning")
            .help(format!("write `# dunlin: {known}: reason`")));
        }
        (unknown, _) => {
            return Err(Diagnostic::error("unknown-directive", format!("unknown directive `{unknown}`"))
                .at(place(0, word_end), "not known here")
                .help(suggest::help(unknown, WORDS)));
        }
    };
    let reason = rest.trim_start().strip_prefix(':').map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        return Err(Diagnostic::error("missing-reason", "the directive gives no reason")
            .at(span, "says what, but not why")
            .help("write the reason after a colon: `# dunlin: irreversible: the old values are not kept`"));
    }
    Ok(Directive { word, reason: reason.to_owned(), span })
}

fn argument(rest: &str) -> (Option<&str>, &str) {
    let inside = rest.strip_prefix('(').and_then(|inside| inside.split_once(')'));
    inside.map_or((None, rest), |(argument, rest)| (Some(argument.trim()), rest))
}
