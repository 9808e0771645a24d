//! The tree of a configuration as settings. Every key is known here, and every fault is reported at once.

use std::path::Path;
use std::time::Duration;

use dunlin_core::node::{Key, Table, Value};
use dunlin_core::{Diagnostic, LockMode, Node, StoreName, Target};

use super::url::{self, Location, Origin};
use super::value::{Values, Variety};
use dunlin_engine::{Policy, Reaction};

use super::mask;

const TOP: [&str; 6] = ["migrations", "lock_wait", "stores", "policy", "pace", "env"];
const STORE: [&str; 8] =
    ["url", "schema", "prefix", "lock", "lease", "lock_timeout", "connect_timeout", "pace"];
const POLICY: [&str; 3] = ["out_of_order", "edited", "missing"];

/// The words of `lock`.
pub const LOCK_MODES: [(&str, LockMode); 3] =
    [("auto", LockMode::Auto), ("session", LockMode::Session), ("lease", LockMode::Lease)];
/// The words of `out_of_order`.
pub const LATE: [(&str, Reaction); 3] =
    [("error", Reaction::Refuse), ("warn", Reaction::Warn), ("apply", Reaction::Accept)];
/// The words of `edited` and `missing`.
pub const STRICT: [(&str, Reaction); 2] = [("error", Reaction::Refuse), ("warn", Reaction::Warn)];

/// What a configuration says, as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) migrations: Option<String>,
    pub(super) lock_wait: Option<Duration>,
    pub(super) policy: Policy,
    /// In the order written. The target is missing where it could not be read.
    pub(super) stores: Vec<(StoreName, Option<(Target, Location)>)>,
}

/// Reads a configuration, or a layer of one.
pub(super) struct Reader<'a> {
    pub(super) values: Values<'a>,
    /// Where relative paths start.
    pub(super) root: &'a Path,
    /// What `root` is relative to.
    pub(super) directory: &'a Path,
    /// A store whose URL was given elsewhere.
    pub(super) given: Option<(&'a str, &'a str)>,
}

impl Reader<'_> {
    /// Reads a whole file, or an `[env.NAME]` table.
    pub(super) fn read(&mut self, node: &Node, is_overlay: bool) -> Draft {
        let mut draft = Draft::default();
        let Some(mut table) = self.values.keep(node.table()) else { return draft };
        draft.migrations = table.take("migrations").and_then(|node| self.values.text(node));
        draft.lock_wait = table.take("lock_wait").and_then(|node| self.values.duration(node, Duration::ZERO));
        if let Some(policy) = table.take("policy") {
            draft.policy = self.policy(policy);
        }
        let pace = table.take("pace");
        if let Some(stores) = table.take("stores") {
            draft.stores = self.stores(stores, pace);
        }
        // Looked over also where no store takes it up.
        self.pace(pace, None, None);
        if !is_overlay {
            table.take("env");
        }
        let known = if is_overlay { &TOP[..5] } else { &TOP[..] };
        self.values.faults.extend(table.finish(known));
        draft
    }

    fn policy(&mut self, node: &Node) -> Policy {
        let mut policy = Policy::default();
        let Some(mut table) = self.values.keep(node.table()) else { return policy };
        for (name, words, slot) in [
            ("out_of_order", &LATE[..], &mut policy.out_of_order),
            ("edited", &STRICT[..], &mut policy.edited),
            ("missing", &STRICT[..], &mut policy.missing),
        ] {
            if let Some(reaction) = table.take(name).and_then(|node| self.values.word(node, words)) {
                *slot = reaction;
            }
        }
        self.values.faults.extend(table.finish(&POLICY));
        policy
    }

    fn stores(&mut self, node: &Node, pace: Option<&Node>) -> Vec<(StoreName, Option<(Target, Location)>)> {
        let Value::Table(entries) = &node.value else {
            let fault = Diagnostic::error("wrong-type", format!("expected a table, found {}", node.kind()));
            self.values.faults.push(fault.at(node.span, "not a table").help("write `[stores.app]`"));
            return Vec::new();
        };
        entries
            .iter()
            .map(|(key, node)| {
                if let Err(fault) = check_name(key) {
                    self.values.faults.push(fault);
                }
                (StoreName::from(key.name.as_str()), self.store(key, node, pace))
            })
            .collect()
    }

    fn store(&mut self, key: &Key, node: &Node, pace: Option<&Node>) -> Option<(Target, Location)> {
        let mut table = self
            .values
            .keep(node.table().map_err(|fault| fault.help(format!("write `[stores.{}]`", key.name))))?;
        let url = table.take("url");
        let settings = self.settings(&mut table);
        let scoped = (table.take_entry("schema"), table.take_entry("prefix"));
        let [schema, prefix] =
            [scoped.0, scoped.1].map(|entry| entry.and_then(|(_, node)| self.values.text(node)));
        let own = table.take("pace");
        self.values.faults.extend(table.finish(&STORE));
        let location = self.location(key, url);
        let pace = self.pace(pace, own, location.as_ref().map(|location| location.kind));
        let location = location?;
        if let Some((schema, _)) = scoped.0
            && !location.kind.has_schemas()
        {
            self.unsupported(schema, &location, "PostgreSQL", "the database is chosen by the url");
        }
        if let Some((prefix, _)) = scoped.1
            && !location.kind.has_prefixes()
        {
            self.unsupported(prefix, &location, "Redis", "remove it");
        }
        let target = Target::new(key.name.as_str(), url::anchored(&location.url, self.root));
        Some((Target { schema, prefix, pace, ..settings.apply(target) }, location))
    }

    fn settings(&mut self, table: &mut Table<'_>) -> Settings {
        let mut duration = |name, least| table.take(name).and_then(|node| self.values.duration(node, least));
        let lease = duration("lease", Duration::from_secs(1));
        let lock_timeout = duration("lock_timeout", Duration::from_millis(1));
        let connect_timeout = duration("connect_timeout", Duration::from_millis(1));
        let lock = table.take("lock").and_then(|node| self.values.word(node, &LOCK_MODES));
        Settings { lock, lease, lock_timeout, connect_timeout }
    }

    fn unsupported(&mut self, key: &Key, location: &Location, owner: &str, help: &str) {
        let message = format!("`{}` is for {owner}, and this store is {}", key.name, location.kind.name);
        self.values.faults.push(
            Diagnostic::error("setting-unsupported", message).at(key.span, "has no effect here").help(help),
        );
    }

    /// Where a store is.
    fn location(&mut self, key: &Key, node: Option<&Node>) -> Option<Location> {
        if let Some((name, text)) = self.given
            && name == key.name
        {
            let location = url::parse(text, "the given url");
            return self.values.keep(location);
        }
        let what = format!("the url of `{}`", key.name);
        let Some(node) = node else {
            if matches!(self.values.variety, Variety::Resolved(_)) {
                let fault = Diagnostic::error("missing-key", format!("`{}` has no `url`", key.name));
                self.values.faults.push(
                    fault
                        .at(key.span, "needs `url`")
                        .help("add `url = \"${DATABASE_URL}\"`, or the url itself"),
                );
            }
            return None;
        };
        let text = self.values.text(node);
        self.warn_of_password(node);
        let text = self.source(&text?, node)?;
        let location = url::parse(&text, &what).map_err(|fault| fault.at(node.span, "this url"));
        self.values.keep(location)
    }

    /// The text that `env:` and `file:` stand for.
    fn source(&mut self, text: &str, node: &Node) -> Option<String> {
        let Variety::Resolved(variables) = self.values.variety else {
            return matches!(url::origin(text, self.root), Origin::Here).then(|| text.to_owned());
        };
        match url::origin(text, self.root) {
            Origin::Here => Some(text.to_owned()),
            Origin::Variable(name) => {
                let fault = Diagnostic::error(
                    "unset-variable",
                    format!("the environment variable `{name}` is not set"),
                )
                .at(node.span, "not set")
                .help(format!("set it, or write it into `.env`; `${{{name}:-…}}` gives it a default"));
                self.values.keep(variables.value(name).map(str::to_owned).ok_or(fault))
            }
            Origin::File(path) => {
                let read = std::fs::read_to_string(self.directory.join(&path)).map_err(|error| {
                    Diagnostic::error("unreadable-file", format!("cannot read `{}`: {error}", path.display()))
                        .at(node.span, "this file")
                        .help("a relative path starts from the directory of the configuration")
                });
                self.values.keep(read).map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
    }

    /// A password that stands in the file for everybody to read. The default of a variable is meant for development.
    fn warn_of_password(&mut self, node: &Node) {
        let (Variety::Shape, Ok(text)) = (self.values.variety, node.text()) else { return };
        for range in mask::secrets(text).into_iter().filter(|range| mask::is_literal(text, range)) {
            let fault = Diagnostic::warning("password-in-config", "a password stands in the configuration")
                .at(node.inside(range.start, range.end), "readable by everybody who has the file");
            self.values.faults.push(fault.help(
                "take it from the environment (`${DATABASE_URL}`) or from a file (`file:/run/secrets/…`)",
            ));
        }
    }
}

/// The settings of a store that have defaults.
struct Settings {
    lock: Option<LockMode>,
    lease: Option<Duration>,
    lock_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
}

impl Settings {
    fn apply(self, target: Target) -> Target {
        Target {
            lock: self.lock.unwrap_or(target.lock),
            lease: self.lease.unwrap_or(target.lease),
            lock_timeout: self.lock_timeout.unwrap_or(target.lock_timeout),
            connect_timeout: self.connect_timeout.unwrap_or(target.connect_timeout),
            ..target
        }
    }
}

/// A store's name is part of file names, so it has no dot and no capital letters, and is no half of a pair.
fn check_name(key: &Key) -> Result<(), Diagnostic> {
    let name = &key.name;
    let fault = |message: String, help: &str| {
        Err(Diagnostic::error("bad-store-name", message).at(key.span, "this name").help(help))
    };
    if name == "up" || name == "down" {
        return fault(
            format!("a store cannot be called `{name}`"),
            "`.up.sql` and `.down.sql` mean the halves of a pair",
        );
    }
    let is_plain = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if is_plain {
        return Ok(());
    }
    fault(
        format!("`{name}` cannot be the name of a store"),
        "a name begins with a letter and has lower-case letters, digits, `_` and `-`",
    )
}
