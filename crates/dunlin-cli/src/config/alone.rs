//! Stores without a configuration file: `--url`, or the variables that applications have anyway. A SQL store is called
//! `app`, MongoDB `catalog` and Redis `cache`, however many of them there are, so that a further variable renames none.

use dunlin_core::{Diagnostic, StoreName, Target};

use super::loading::Loading;
use super::read::Draft;
use super::url::{self, Location};

type Read = (StoreName, Option<(Target, Location)>);

impl Loading<'_> {
    pub(super) fn read_alone(&mut self) -> Draft {
        if let Some(name) = self.environment() {
            let fault = Diagnostic::error("unknown-env", format!("no environment is called `{name}`"));
            self.faults
                .push(fault.help("there is no dunlin.toml that could have one; `dunlin init` writes it"));
        }
        let mut draft = Draft::default();
        if let Some(url) = &self.request.url {
            draft.stores.extend(self.store_alone(url, "the given url"));
            return draft;
        }
        let mongo =
            if self.variables.filled("MONGODB_URL").is_some() { "MONGODB_URL" } else { "MONGODB_URI" };
        for variable in ["DATABASE_URL", mongo, "REDIS_URL"] {
            let Some(url) = self.variables.filled(variable).map(str::to_owned) else { continue };
            if let Some(read) = self.store_named(&url, variable) {
                self.add(&mut draft, read, variable);
            }
        }
        if draft.stores.is_empty() && self.faults.iter().all(|fault| !fault.is_error()) {
            self.faults.push(
                Diagnostic::error("no-config", "there is no dunlin.toml here or above, and no url is given")
                    .help("`dunlin init` writes one; or set DATABASE_URL, MONGODB_URL or REDIS_URL; or give `--url`"),
            );
        }
        draft
    }

    /// The store of a URL from the command line, under the name given there, if one is.
    pub(super) fn store_alone(&mut self, text: &str, what: &str) -> Option<Read> {
        let (name, read) = self.store_named(text, what)?;
        match self.request.stores.as_slice() {
            [] => Some((name, read)),
            [given] => {
                let name = StoreName::from(given.as_str());
                let read = read.map(|(target, location)| (Target { name: name.clone(), ..target }, location));
                Some((name, read))
            }
            _ => {
                let fault =
                    Diagnostic::error("ambiguous-url", "`--url` is for one store, and several are named");
                self.faults.push(fault.help("name one with `--store`, or none"));
                None
            }
        }
    }

    fn store_named(&mut self, text: &str, what: &str) -> Option<Read> {
        let location = url::parse(text, what).map_err(|fault| self.faults.push(fault)).ok()?;
        let name = StoreName::from(location.kind.default_name());
        let target = Target::new(location.kind.default_name(), location.url.clone());
        Some((name, Some((target, location))))
    }

    fn add(&mut self, draft: &mut Draft, read: Read, variable: &str) {
        if draft.stores.iter().any(|(name, _)| *name == read.0) {
            let message = format!("{variable} is a second store that would be called `{}`", read.0);
            let fault = Diagnostic::error("ambiguous-url", message);
            self.faults.push(
                fault.help("name both in a dunlin.toml (`dunlin init` writes one), or unset one of them"),
            );
        } else {
            draft.stores.push(read);
        }
    }
}
