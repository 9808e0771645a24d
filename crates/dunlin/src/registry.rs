//! The backends that are known, by URL scheme.

use std::sync::Arc;

use dunlin_core::{Backend, Error, ErrorKind, Result, StoreUrl, suggest};

/// The backends that are known.
#[derive(Debug, Clone)]
pub struct Registry {
    backends: Vec<Arc<dyn Backend>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::standard()
    }
}

impl Registry {
    /// All backends that this build has.
    pub fn standard() -> Self {
        let backends: Vec<Arc<dyn Backend>> = vec![
            #[cfg(feature = "sql")]
            Arc::new(dunlin_sql::Sql(dunlin_sql::Dialect::Postgres)),
            #[cfg(feature = "sql")]
            Arc::new(dunlin_sql::Sql(dunlin_sql::Dialect::MySql)),
            #[cfg(feature = "sql")]
            Arc::new(dunlin_sql::Sql(dunlin_sql::Dialect::Sqlite)),
            #[cfg(feature = "mongo")]
            Arc::new(dunlin_mongo::Mongo),
            #[cfg(feature = "redis")]
            Arc::new(dunlin_redis::Redis),
        ];
        Self { backends }
    }

    /// The same, with one more.
    pub fn with(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backends.push(backend);
        self
    }

    /// All of them.
    pub fn backends(&self) -> &[Arc<dyn Backend>] {
        &self.backends
    }

    /// The backend of a URL.
    pub fn backend(&self, url: &StoreUrl) -> Result<Arc<dyn Backend>> {
        let scheme = url.scheme();
        let found = self.backends.iter().find(|backend| backend.schemes().contains(&scheme.as_str()));
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> =
                self.backends.iter().flat_map(|backend| backend.schemes()).copied().collect();
            let message = format!("no backend answers to `{scheme}:` URLs");
            Error::new(ErrorKind::Config, message).help(suggest::help(&scheme, known))
        })
    }
}
