//! The steps of reading a configuration: `.env`, the file, its overlays, what the command line puts in place, and what
//! holds between stores.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_core::{Diagnostic, Node, Source, SourceMap, StoreName, Target, suggest};
use dunlin_engine::toml;

use super::find::Found;
use super::read::{Draft, Reader};
use super::value::{Values, Variety};
use super::variables::Variables;
use super::{Config, Request, Store, dotenv, mask, merge, url};

const LOCK_WAIT: Duration = Duration::from_mins(5);

/// A configuration being read.
pub(super) struct Loading<'a> {
    pub(super) request: &'a Request,
    pub(super) variables: Variables,
    pub(super) faults: Vec<Diagnostic>,
}

impl Loading<'_> {
    pub(super) fn read_dotenv(&mut self, root: &Path) {
        let path = root.join(".env");
        let text = match std::fs::read(self.request.directory.join(&path)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                self.faults.push(
                    Diagnostic::warning("unreadable-file", message).help("`--no-dotenv` leaves it alone"),
                );
                return;
            }
        };
        let read = dotenv::parse(&text);
        // The lines themselves are not shown: they may be secrets.
        self.faults.extend(read.unread.iter().map(|line| {
            Diagnostic::warning(
                "bad-dotenv",
                format!("{}:{line}: this line is not understood", path.display()),
            )
            .help("a line says `NAME=value`; `--no-dotenv` leaves the file alone")
        }));
        self.variables.add_dotenv(read.values);
    }

    pub(super) fn read_file(&mut self, found: &Found, sources: &mut SourceMap) -> (Draft, Option<String>) {
        let Some(text) = self.text(&found.path) else { return (Draft::default(), None) };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let shown = sources.add(found.path.to_string_lossy().into_owned(), mask::mask(text));
        let source = Source { text: text.into(), ..shown };
        let (document, faults) = toml::parse(&source);
        self.faults.extend(faults);
        let layers = merge::entry(&document, "env");
        self.check_layers(&document, layers, &found.root);
        let environment = self.environment();
        let overlay = environment.as_ref().and_then(|name| self.overlay(layers, name));
        let merged = overlay.map_or_else(|| document.clone(), |overlay| merge::merge(&document, overlay));
        (self.read_merged(&merged, &found.root), environment)
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        let fault = match std::fs::read(self.request.directory.join(path)) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => Diagnostic::error("not-utf8", format!("`{}` is not UTF-8", path.display()))
                    .help("save it as UTF-8; `iconv -f LATIN1 -t UTF-8` converts an old one"),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Diagnostic::error(
                "no-config",
                format!("there is no `{}`", path.display()),
            )
            .help(
                "`dunlin init` writes a `dunlin.toml`; without `--config` it is looked for upward from here",
            ),
            Err(error) => {
                Diagnostic::error("unreadable-file", format!("cannot read `{}`: {error}", path.display()))
            }
        };
        self.faults.push(fault);
        None
    }

    /// Looks over the file and every overlay, whether in use or not; variables may be unset here that are set where an
    /// overlay is used.
    fn check_layers(&mut self, document: &Node, layers: Option<&Node>, root: &Path) {
        let values = Values { variety: Variety::Shape, faults: Vec::new() };
        let mut reader = Reader { values, root, directory: &self.request.directory, given: None };
        reader.read(document, false);
        if let Some(layers) = layers {
            match layers.table() {
                Ok(table) => {
                    let names: Vec<String> = table.keys().map(|key| key.name.clone()).collect();
                    for layer in names.iter().filter_map(|name| merge::entry(layers, name)) {
                        reader.read(layer, true);
                    }
                }
                Err(fault) => reader.values.faults.push(fault.help("write `[env.production]`")),
            }
        }
        self.faults.extend(reader.values.faults);
    }

    pub(super) fn environment(&self) -> Option<String> {
        self.request.environment.clone().or_else(|| self.variables.filled("DUNLIN_ENV").map(str::to_owned))
    }

    fn overlay<'n>(&mut self, layers: Option<&'n Node>, name: &str) -> Option<&'n Node> {
        let overlay = layers.and_then(|layers| merge::entry(layers, name));
        if overlay.is_none() {
            let known = merge::names(layers);
            let help = if known.is_empty() {
                format!("the file has no `[env.{name}]`; it was asked for by `--env` or `DUNLIN_ENV`")
            } else {
                suggest::help(name, known.iter().copied())
            };
            self.faults.push(
                Diagnostic::error("unknown-env", format!("no environment is called `{name}`")).help(help),
            );
        }
        overlay
    }

    fn read_merged(&mut self, merged: &Node, root: &Path) -> Draft {
        let names = merge::names(merge::entry(merged, "stores"));
        let given = self.request.url.as_deref().and_then(|url| Some((self.store_of_url(&names)?, url)));
        let values = Values { variety: Variety::Resolved(&self.variables), faults: Vec::new() };
        let given = given.as_ref().map(|(name, url)| (name.as_str(), *url));
        let mut reader = Reader { values, root, directory: &self.request.directory, given };
        let mut draft = reader.read(merged, false);
        self.faults.extend(reader.values.faults);
        if names.is_empty() {
            match &self.request.url {
                Some(url) => draft.stores.extend(self.store_alone(url, "the given url")),
                None => self.faults.push(
                    Diagnostic::error("no-stores", "no store is configured")
                        .help("add `[stores.app]` with its `url`, or give one with `--url`"),
                ),
            }
        }
        draft
    }

    /// The configured store that `--url` is meant for.
    fn store_of_url(&mut self, names: &[&str]) -> Option<String> {
        match (self.request.stores.as_slice(), names) {
            ([name], _) => Some(name.clone()),
            (_, []) => None,
            ([], [name]) => Some((*name).to_owned()),
            _ => {
                let fault =
                    Diagnostic::error("ambiguous-url", "`--url` is for one store, and there are several");
                self.faults.push(fault.help("say for which with one `--store NAME`"));
                None
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        draft: Draft,
        path: Option<PathBuf>,
        environment: Option<String>,
        root: &Path,
    ) -> Config {
        let request = self.request;
        self.check_selection(&draft);
        self.check_twins(&draft);
        let migrations = match (&request.migrations, &draft.migrations) {
            (Some(directory), _) => directory.clone(),
            (None, Some(directory)) => root.join(directory),
            (None, None) => root.join("migrations"),
        };
        let store = |(name, read): (StoreName, Option<(Target, url::Location)>)| {
            let (target, location) = read.unzip();
            let target =
                target.map(|target| Target { lock: request.lock_mode.unwrap_or(target.lock), ..target });
            Store { name, kind: location.map(|location| location.kind), target }
        };
        Config {
            path,
            environment,
            migrations,
            only: request.stores.iter().map(|name| StoreName::from(name.as_str())).collect(),
            policy: draft.policy,
            lock_wait: request.lock_wait.or(draft.lock_wait).unwrap_or(LOCK_WAIT),
            stores: draft.stores.into_iter().map(store).collect(),
        }
    }

    fn check_selection(&mut self, draft: &Draft) {
        let known: Vec<&str> = draft.stores.iter().map(|(name, _)| name.as_str()).collect();
        for name in
            self.request.stores.iter().filter(|name| !known.is_empty() && !known.contains(&name.as_str()))
        {
            let fault = Diagnostic::error("unknown-store", format!("no store is called `{name}`"));
            self.faults.push(fault.help(suggest::help(name, known.iter().copied())));
        }
    }

    /// Two names for one database would be two writers of one history.
    fn check_twins(&mut self, draft: &Draft) {
        let read =
            || draft.stores.iter().filter_map(|(name, read)| read.as_ref().map(|(target, _)| (name, target)));
        for (at, (name, target)) in read().enumerate() {
            let is_twin = |other: &&(&StoreName, &Target)| {
                other.1.url == target.url
                    && other.1.schema == target.schema
                    && other.1.prefix == target.prefix
            };
            let earlier: Vec<_> = read().take(at).collect();
            if !target.url.expose().contains(":memory:")
                && let Some((other, _)) = earlier.iter().find(is_twin)
            {
                let fault =
                    Diagnostic::error("same-store", format!("`{other}` and `{name}` are the same store"));
                self.faults.push(
                    fault.help("give each its own database, `schema` (PostgreSQL) or `prefix` (Redis)"),
                );
            }
        }
    }
}
