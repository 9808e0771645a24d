//! Commands out of lines: splitting, `MULTI … EXEC`, what is refused, what is probably misspelt. Every fault is kept,
//! reading goes on.

use dunlin_core::{Diagnostic, Span, suggest};

use crate::command::{self, Effect};
use crate::directive::{self, Place, Word};
use crate::op::{Command, Op};
use crate::{quote, refuse};

/// What lines stand in, and so where a word to dunlin may stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Home {
    /// A file of commands.
    #[default]
    File,
    /// A text in a `.toml` file, whose own comments do not reach us.
    Text,
    /// A list of words, which has no room for one.
    Words,
}

/// Collects the commands of one op, line by line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    op: Op,
    diagnostics: Vec<Diagnostic>,
    allowed: Vec<(String, Span)>,
    open: Option<(u32, Span)>,
    blocks: u32,
    is_verify: bool,
    home: Home,
}

impl Lines {
    /// Lines of an op that may write, or of one that only looks.
    pub(crate) fn new(is_verify: bool) -> Self {
        Self { is_verify, ..Self::default() }
    }

    /// What the next lines stand in.
    pub(crate) fn within(&mut self, home: Home) {
        self.home = home;
    }

    /// Lets the next command pass if it has this name.
    pub(crate) fn allow(&mut self, name: String, span: Span) {
        self.allowed.push((name, span));
    }

    /// Keeps a fault found elsewhere.
    pub(crate) fn fault(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Takes a line that is neither blank nor a comment.
    pub(crate) fn line(&mut self, line: &str, place: Place<'_>) {
        if line.starts_with("//") || line.starts_with("--") {
            let fault =
                Diagnostic::error("bad-comment", "comments and sections begin with `#` in a .redis file")
                    .at(place(0, 2), "read as a command");
            return self.diagnostics.push(fault.help(format!("write `# {}`", line[2..].trim())));
        }
        let (line, comment) = trailing(line);
        if let Some((start, comment)) = comment {
            match directive::read(comment, &|from, to| place(start + from, start + to)) {
                Some(Ok(directive::Directive { word: Word::Allow(name), span, .. })) => {
                    self.allow(name, span);
                }
                Some(Ok(directive)) => self.diagnostics.push(
                    Diagnostic::error("bad-directive", "this directive stands on a line of its own")
                        .at(directive.span, "speaks of a section, not of a command"),
                ),
                Some(Err(fault)) => self.diagnostics.push(fault),
                None => {}
            }
        }
        match quote::split(line) {
            Ok(words) => {
                self.warn_of_comment(&words, place);
                let span = place(0, words.last().map_or(0, |word| word.end));
                let places: Vec<Span> = words.iter().map(|word| place(word.start, word.end)).collect();
                self.words(words.into_iter().map(|word| word.bytes).collect(), span, &places);
            }
            Err(fault) => {
                self.allowed.clear();
                let diagnostic = Diagnostic::error("bad-quoting", fault.message);
                self.diagnostics.push(diagnostic.at(place(fault.start, fault.end), "here").help(fault.help));
            }
        }
    }

    /// Takes a command whose words are known. `places` are the words', where each has its own.
    pub(crate) fn words(&mut self, args: Vec<Vec<u8>>, span: Span, places: &[Span]) {
        let allowed = std::mem::take(&mut self.allowed);
        let name = args.first().map(|name| command::upper(name)).unwrap_or_default();
        let head = places.first().copied().unwrap_or(span);
        self.check(&name, &args, head, span);
        match name.as_str() {
            "MULTI" => self.open_block(head),
            "EXEC" => self.close_block(head),
            "DISCARD" => self.diagnostics.push(
                Diagnostic::error("refused-command", "`DISCARD` has nothing to throw away")
                    .at(head, "a block in a file is either meant or not written")
                    .help("remove the block, or end it with `EXEC`"),
            ),
            _ => {
                self.refuse(&name, &args, head, &allowed);
                let block = self.open.map(|(block, _)| block);
                self.op.commands.push(Command { args, span: Some(span), block });
            }
        }
        for (allowed, span) in allowed.into_iter().filter(|(allowed, _)| *allowed != name) {
            let message = format!("`allow({})` allows nothing", allowed.to_lowercase());
            self.diagnostics.push(
                Diagnostic::warning("unused-allow", message).at(span, format!("the command is `{name}`")),
            );
        }
    }

    fn open_block(&mut self, span: Span) {
        if let Some((_, first)) = self.open {
            let fault = Diagnostic::error("bad-block", "`MULTI` inside a `MULTI` block");
            self.diagnostics.push(fault.at(span, "the block before is still open").at(first, "opened here"));
        } else {
            self.open = Some((self.blocks, span));
            self.blocks += 1;
        }
    }

    fn close_block(&mut self, span: Span) {
        if self.open.take().is_none() {
            self.diagnostics.push(
                Diagnostic::error("bad-block", "`EXEC` without `MULTI`").at(span, "no block is open here"),
            );
        }
    }

    fn refuse(&mut self, name: &str, args: &[Vec<u8>], span: Span, allowed: &[(String, Span)]) {
        if self.is_verify
            && matches!(command::effect(args), Effect::Writes | Effect::Counts)
            && !is_opaque(name)
        {
            let fault =
                Diagnostic::error("verify-writes", format!("`{name}` writes, and a verify only looks"));
            self.diagnostics.push(fault.at(span, "changes keys"));
        }
        if self.open.is_some() && command::is_apart(args) {
            let fault =
                Diagnostic::error("bad-block", format!("`{name}` cannot stand in a `MULTI` block here"));
            self.diagnostics
                .push(fault.at(span, "servers do not take it from scripts, and a block runs as one"));
        }
        let Some(refusal) = refuse::refusal(args) else { return };
        if refusal.is_negotiable && allowed.iter().any(|(allowed, _)| allowed == name) {
            return;
        }
        let fault = Diagnostic::error("refused-command", format!("`{name}` is refused in migrations"));
        let fault = fault.at(span, refusal.why);
        self.diagnostics.push(if refusal.is_negotiable {
            let word = format!("# dunlin: allow({}): reason", name.to_lowercase());
            fault.help(match self.home {
                Home::File => format!("if it is meant, write `{word}` on the line before"),
                Home::Text => format!(
                    "if it is meant, say so inside the text, behind the command: `\"{name} … {word}\"`"
                ),
                Home::Words => {
                    format!("if it is meant, write the command as a text that says so: `\"{name} … {word}\"`")
                }
            })
        } else {
            fault
        });
    }

    fn check(&mut self, name: &str, args: &[Vec<u8>], head: Span, span: Span) {
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            let fault = Diagnostic::error("bad-command", "redis-cli's repetition is not known here");
            return self
                .diagnostics
                .push(fault.at(head, "no command").help("write the line as often as it should run"));
        }
        let Some(known) = command::known(name) else { return self.warn_of_unknown(name, head) };
        let count = i32::try_from(args.len()).unwrap_or(i32::MAX);
        if count < known.arity.abs() {
            let fault = Diagnostic::error("wrong-arity", format!("`{name}` needs more arguments"));
            self.diagnostics
                .push(fault.at(span, format!("{} of at least {}", count - 1, known.arity.abs() - 1)));
        } else if known.arity > 0 && count > known.arity {
            let fault = Diagnostic::warning("wrong-arity", format!("`{name}` takes fewer arguments"));
            let help = "quote a value with blanks: \"two words\"";
            self.diagnostics
                .push(fault.at(span, format!("{} instead of {}", count - 1, known.arity - 1)).help(help));
        }
    }

    fn warn_of_unknown(&mut self, name: &str, span: Span) {
        // `FT.CREATE` and the like belong to modules.
        let is_near = |near: &&str| strsim_is_typo(name, near);
        if name.contains('.') || name.len() < 3 {
            return;
        }
        if let Some(near) = suggest::nearest(name, command::names()).filter(is_near) {
            let warning = Diagnostic::warning("unknown-command", format!("no command `{name}` is known"));
            self.diagnostics.push(
                warning.at(span, "fails unless a module has it").help(format!("did you mean `{near}`?")),
            );
        }
    }

    fn warn_of_comment(&mut self, words: &[quote::Word], place: Place<'_>) {
        let hash = |word: &&quote::Word| word.bytes == b"#" && !word.is_quoted;
        if let Some(word) = words.iter().skip(1).find(hash) {
            let warning = Diagnostic::warning(
                "comment-as-argument",
                "`#` begins a comment only at the start of a line",
            );
            self.diagnostics.push(
                warning
                    .at(
                        place(word.start, words.last().map_or(word.end, |last| last.end)),
                        "sent as arguments",
                    )
                    .help("put the comment on a line of its own, or quote the `\"#\"`"),
            );
        }
    }

    /// What was collected, and all that is wrong with it.
    pub(crate) fn finish(mut self) -> (Op, Vec<Diagnostic>) {
        if let Some((_, span)) = self.open {
            let fault =
                Diagnostic::error("bad-block", "the `MULTI` block is never closed").at(span, "opened here");
            self.diagnostics.push(fault.help("end it with `EXEC`"));
        }
        for (name, span) in &self.allowed {
            let warning = format!("`allow({})` allows nothing", name.to_lowercase());
            self.diagnostics
                .push(Diagnostic::warning("unused-allow", warning).at(*span, "no command follows"));
        }
        (self.op, self.diagnostics)
    }
}

/// Commands that may or may not write; the server decides.
fn is_opaque(name: &str) -> bool {
    command::known(name).is_none()
        || matches!(name, "EVAL" | "EVALSHA" | "FCALL" | "FUNCTION" | "SCRIPT" | "SORT" | "BITFIELD")
}

/// Whether a name differs from a known one as typing errors do: it is about as long and begins alike.
fn strsim_is_typo(name: &str, near: &str) -> bool {
    name.len().abs_diff(near.len()) <= 1 && name.chars().next() == near.chars().next()
}

/// Parts a command from a directive at its end: ` # dunlin: …` outside of quotes.
fn trailing(line: &str) -> (&str, Option<(usize, &str)>) {
    let starts = line.match_indices('#').map(|(at, _)| at).filter(|at| {
        let is_own_word = *at == 0 || line[..*at].ends_with([' ', '\t']);
        let said = line[*at + 1..].trim_start();
        is_own_word && said.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("dunlin:"))
    });
    for at in starts {
        if quote::split(&line[..at]).is_ok() {
            return (&line[..at], Some((at, &line[at..])));
        }
    }
    (line, None)
}
