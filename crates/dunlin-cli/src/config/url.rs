//! The URL of a store: where its text comes from, and what it chooses.

use std::path::{Path, PathBuf};

use dunlin_core::{Diagnostic, StoreUrl, suggest};

use crate::kind::Kind;

/// A URL, with the kind of store it chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) url: StoreUrl,
    pub(super) kind: &'static Kind,
}

/// Reads a URL. Its text stands in no message: it may be all secret.
pub(super) fn parse(text: &str, what: &str) -> Result<Location, Diagnostic> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Diagnostic::error("bad-url", format!("{what} is empty")).help(examples()));
    }
    let scheme =
        text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).filter(|text| is_scheme(text));
    let Some(scheme) = scheme else {
        return Err(Diagnostic::error("bad-url", format!("{what} has no scheme")).help(examples()));
    };
    match Kind::of_scheme(&scheme) {
        Some(kind) => Ok(Location { url: StoreUrl::new(text), kind }),
        None => {
            let message = format!("{what} has the scheme `{scheme}`, which no kind of store answers to");
            let help = match Kind::scheme_for(&scheme) {
                Some(here) => format!("write it as `{here}://…`"),
                None => suggest::help(&scheme, Kind::schemes()),
            };
            Err(Diagnostic::error("unknown-scheme", message).help(help))
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn examples() -> String {
    "a url begins with its scheme: `postgres://user@host/database`, `sqlite://app.db`, `mongodb://host/database`, \
     `redis://host`"
        .to_owned()
}

/// What a `url` names as its source instead of being one itself.
pub(super) enum Origin<'a> {
    /// The text itself.
    Here,
    /// `env:NAME`
    Variable(&'a str),
    /// `file:path`
    File(PathBuf),
}

/// Where the text of a URL is to be looked for; `root` is where relative paths start.
pub(super) fn origin<'a>(text: &'a str, root: &Path) -> Origin<'a> {
    if let Some(name) = text.strip_prefix("env:") {
        Origin::Variable(name.trim())
    } else if let Some(path) = text.strip_prefix("file:") {
        Origin::File(root.join(path.strip_prefix("//").unwrap_or(path)))
    } else {
        Origin::Here
    }
}

/// A SQLite file is looked for where the configuration is, from whichever directory dunlin was started.
pub(super) fn anchored(url: &StoreUrl, root: &Path) -> StoreUrl {
    let text = url.expose();
    if root.as_os_str().is_empty() || url.scheme() != "sqlite" {
        return url.clone();
    }
    let rest = &text["sqlite:".len()..];
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    if path.is_empty() || path == ":memory:" || Path::new(path).is_absolute() {
        return url.clone();
    }
    let root = root.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    StoreUrl::new(format!("sqlite://{root}/{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_kind() {
        for (text, name) in [
            ("postgres://h/d", "PostgreSQL"),
            (" POSTGRESQL://h/d\n", "PostgreSQL"),
            ("mariadb://h/d", "MySQL"),
            ("sqlite:a.db", "SQLite"),
            ("sqlite::memory:", "SQLite"),
            ("mongodb+srv://h/d", "MongoDB"),
            ("rediss://h", "Redis"),
            ("redis+cluster://a,b", "Redis"),
        ] {
            assert_eq!(parse(text, "it").unwrap().kind.name, name, "{text}");
        }
    }

    #[test]
    fn no_message_repeats_the_text() {
        for (text, message) in [
            ("", "the url is empty"),
            ("hunter2", "the url has no scheme"),
            ("u pw:hunter2@h", "the url has no scheme"),
            ("oracle://u:hunter2@h", "the url has the scheme `oracle`, which no kind of store answers to"),
        ] {
            assert_eq!(parse(text, "the url").unwrap_err().message, message);
        }
        assert_eq!(parse("postgre://h", "it").unwrap_err().help.unwrap(), "did you mean `postgres`?");
    }

    #[test]
    fn relative_sqlite_files_lie_beside_the_configuration() {
        for (url, anchored_url) in [
            ("sqlite://app.db?mode=rwc", "sqlite://../x%25/app.db?mode=rwc"),
            ("sqlite:app.db", "sqlite://../x%25/app.db"),
            ("sqlite:///tmp/app.db", "sqlite:///tmp/app.db"),
            ("sqlite::memory:", "sqlite::memory:"),
            ("postgres://h/d", "postgres://h/d"),
        ] {
            assert_eq!(anchored(&StoreUrl::new(url), Path::new("../x%")).expose(), anchored_url);
        }
        assert_eq!(anchored(&StoreUrl::new("sqlite:a.db"), Path::new("")).expose(), "sqlite:a.db");
    }
}
