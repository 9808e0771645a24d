//! Lines that client programs keep to themselves. `DELIMITER` is followed; the others are refused, with what to write
//! instead, because no server understands them.

use crate::dialect::Dialect;
use crate::lex::{Kind, Token, is_word};

use super::splitter::{Splitter, line_end};
use super::{Fault, PieceKind};

const INCLUDE: &str = "put the statements of that file here: a migration is one text";
const DELETE: &str = "delete this line";
const SEMICOLON: &str = "end the statement with `;`";

/// Reads a line for a client program, if `token` begins one.
pub(super) fn read(splitter: &mut Splitter<'_>, token: Token) -> bool {
    let text = splitter.text;
    let word = &text[token.start..token.end];
    let is_first = splitter.open.is_none();
    match (token.kind, splitter.dialect) {
        (Kind::Symbol, Dialect::Postgres) if word == "\\" => psql(splitter, token),
        // `\N` is NULL.
        (Kind::Symbol, Dialect::MySql) if word == "\\" && !text[token.end..].starts_with('N') => {
            mysql_escape(splitter, token);
        }
        (Kind::Symbol, Dialect::Sqlite) if word == "." && is_first && begins_line(splitter, token) => {
            let help = if text[token.end..].starts_with("read") { INCLUDE } else { DELETE };
            refuse(splitter, token, "sqlite3", help);
        }
        (Kind::Symbol, _) if word == "/" && is_slash(splitter, token) => {
            refuse(splitter, token, "Oracle", SEMICOLON);
        }
        (Kind::Word, _) if word.eq_ignore_ascii_case("go") && is_alone(splitter, token) => {
            refuse(splitter, token, "SQL Server", SEMICOLON);
        }
        (Kind::Word, Dialect::MySql) if word.eq_ignore_ascii_case("delimiter") => {
            return delimiter(splitter, token);
        }
        (Kind::Word, Dialect::MySql) if is_first && is_mysql(word) && begins_line(splitter, token) => {
            let help = if word.eq_ignore_ascii_case("source") { INCLUDE } else { DELETE };
            refuse(splitter, token, "mysql", help);
        }
        (Kind::Word, _) if is_first && word.eq_ignore_ascii_case("delimiter") => {
            refuse(splitter, token, "mysql", "delete this line: bodies end where their grammar says so");
        }
        _ => return false,
    }
    true
}

fn begins_line(splitter: &Splitter<'_>, token: Token) -> bool {
    splitter.is_at_line_start(token.start)
}

/// Whether nothing else stands on the line, outside parentheses.
fn is_alone(splitter: &Splitter<'_>, token: Token) -> bool {
    let rest = &splitter.text[token.end..line_end(splitter.text, token.end)];
    let is_outside = splitter.open.as_ref().is_none_or(|open| open.parens == 0);
    is_outside && rest.trim().is_empty() && begins_line(splitter, token)
}

/// Whether a `/` ends a statement as in Oracle's scripts, and does not divide.
fn is_slash(splitter: &Splitter<'_>, token: Token) -> bool {
    if !is_alone(splitter, token) {
        return false;
    }
    let next = splitter.text[token.end..].trim_start();
    let length = next.bytes().take_while(|byte| is_word(*byte)).count();
    let word = next[..length].to_ascii_lowercase();
    let begins =
        ["create", "alter", "drop", "insert", "update", "delete", "comment", "grant", "begin", "commit"];
    splitter.open.is_none() || next.is_empty() || next.starts_with("--") || begins.contains(&word.as_str())
}

/// Takes the rest of the line away as one that no server sees, and ends the statement before it.
fn drop_line(splitter: &mut Splitter<'_>, token: Token) -> std::ops::Range<usize> {
    let range = token.start..line_end(splitter.text, token.start);
    splitter.finish();
    splitter.push(PieceKind::Client, range.clone());
    splitter.lexer.jump(range.end);
    range
}

fn refuse(splitter: &mut Splitter<'_>, token: Token, program: &str, help: &str) {
    let range = drop_line(splitter, token);
    let line = splitter.text[range.clone()].trim_end();
    let command: String = line.split_whitespace().next().unwrap_or_default().chars().take(20).collect();
    splitter.fault(Fault {
        code: "client-command",
        message: format!("`{command}` is a command of {program}, not SQL"),
        range: range.start..range.start + line.len(),
        label: "no server understands this",
        help: help.to_owned(),
    });
}

fn psql(splitter: &mut Splitter<'_>, token: Token) {
    let rest = &splitter.text[token.end..];
    let command = &rest[..rest.bytes().take_while(u8::is_ascii_lowercase).count()];
    let help = match command {
        // pg_dump frames its output with these; they mean nothing outside psql.
        "restrict" | "unrestrict" => {
            drop_line(splitter, token);
            return;
        }
        "i" | "ir" | "include" => INCLUDE,
        "c" | "connect" => "delete this line: the store's `url` says which database",
        "copy" => "write `COPY … FROM stdin;` with the rows below it and a line `\\.` after them",
        "set" | "unset" | "if" | "elif" | "else" | "endif" => {
            "write the values out, or decide in a `DO` block"
        }
        "gexec" => "build and run the statements in a `DO` block with `EXECUTE`",
        "g" | "gx" | "gset" => SEMICOLON,
        "" if rest.starts_with('.') => "this ends COPY data, and none were begun: delete this line",
        _ => DELETE,
    };
    refuse(splitter, token, "psql", help);
}

fn mysql_escape(splitter: &mut Splitter<'_>, token: Token) {
    let help = match splitter.text.as_bytes().get(token.end) {
        Some(b'g' | b'G') => SEMICOLON,
        Some(b'.') => INCLUDE,
        _ => DELETE,
    };
    refuse(splitter, token, "mysql", help);
}

fn is_mysql(word: &str) -> bool {
    let commands = [
        "source",
        "system",
        "tee",
        "notee",
        "pager",
        "nopager",
        "charset",
        "prompt",
        "rehash",
        "edit",
        "ego",
        "connect",
        "quit",
        "exit",
        "print",
        "resetconnection",
        "nowarning",
        "warnings",
    ];
    commands.iter().any(|command| word.eq_ignore_ascii_case(command))
}

/// Follows `DELIMITER`. Inside a statement it must begin its line and look like nothing else: `delimiter` may be a
/// column.
fn delimiter(splitter: &mut Splitter<'_>, token: Token) -> bool {
    let text = splitter.text;
    let line = token.start..line_end(text, token.start);
    let argument = text[token.end..line.end].split_whitespace().next().unwrap_or_default();
    if let Some(open) = &splitter.open {
        let is_word_like = argument.is_empty() || argument.bytes().any(is_word) || open.parens > 0;
        if is_word_like || !begins_line(splitter, token) {
            return false;
        }
    }
    let chosen = argument.trim_matches(['\'', '"', '`']);
    drop_line(splitter, token);
    if chosen.is_empty() || chosen.contains('\\') {
        splitter.fault(Fault {
            code: "bad-delimiter",
            message: "DELIMITER without a usable delimiter".to_owned(),
            range: line,
            label: "here",
            help: "write `DELIMITER //` before the statement and `DELIMITER ;` after it".to_owned(),
        });
        return true;
    }
    splitter.delimiter = (chosen != ";").then_some(chosen);
    splitter.lexer.stop_words_at(splitter.delimiter.unwrap_or_default());
    true
}
