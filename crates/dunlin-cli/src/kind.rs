//! What the command line knows about a kind of store without connecting: the schemes that choose it, and what its
//! files look like.

/// One kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name for people.
    pub name: &'static str,
    /// The URL schemes it answers to.
    pub schemes: &'static [&'static str],
    /// The extension of its native files.
    pub extension: &'static str,
    /// What a new native file starts with.
    pub template: &'static str,
}

const SQL: &str = "-- Up\n\n\n-- Down\n\n";
const MONGO: &str = "// Up\n\n\n// Down\n\n";
const REDIS: &str = "# Up\n\n\n# Down\n\n";

/// The kinds this program is built with.
pub static KINDS: [Kind; 5] = [
    Kind { name: "PostgreSQL", schemes: &["postgres", "postgresql"], extension: "sql", template: SQL },
    Kind { name: "MySQL", schemes: &["mysql", "mariadb"], extension: "sql", template: SQL },
    Kind { name: "SQLite", schemes: &["sqlite"], extension: "sql", template: SQL },
    Kind { name: "MongoDB", schemes: &["mongodb", "mongodb+srv"], extension: "js", template: MONGO },
    Kind {
        name: "Redis",
        schemes: &["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+unix"],
        extension: "redis",
        template: REDIS,
    },
];

/// What other programs call a scheme, and what it is called here.
const ELSEWHERE: [(&str, &str); 10] = [
    ("pgsql", "postgresql"),
    ("psql", "postgresql"),
    ("pg", "postgresql"),
    ("mysqli", "mysql"),
    ("mysqlx", "mysql"),
    ("sqlite3", "sqlite"),
    ("mongo", "mongodb"),
    ("valkey", "redis"),
    ("valkeys", "rediss"),
    ("redis-cluster", "redis+cluster"),
];

impl Kind {
    /// What a scheme of other programs is called here: what is behind a `+` names their driver.
    pub fn scheme_for(scheme: &str) -> Option<&'static str> {
        let base = scheme.split('+').next().unwrap_or(scheme);
        let known = Self::schemes().find(|known| *known == base);
        known.or_else(|| ELSEWHERE.iter().find(|(other, _)| *other == base).map(|(_, here)| *here))
    }

    /// The kind that answers to a scheme.
    pub fn of_scheme(scheme: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.schemes.contains(&scheme))
    }

    /// A kind whose files have this extension.
    pub fn of_extension(extension: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.extension == extension)
    }

    /// All schemes.
    pub fn schemes() -> impl Iterator<Item = &'static str> + Clone {
        KINDS.iter().flat_map(|kind| kind.schemes.iter().copied())
    }

    /// What a store of this kind is called where there is no file that names it.
    pub fn default_name(&self) -> &'static str {
        match self.extension {
            "js" => "catalog",
            "redis" => "cache",
            _ => "app",
        }
    }

    /// Whether `schema` means something to it.
    pub fn has_schemas(&self) -> bool {
        self.schemes.contains(&"postgres")
    }

    /// Whether `prefix` means something to it.
    pub fn has_prefixes(&self) -> bool {
        self.extension == "redis"
    }
}
