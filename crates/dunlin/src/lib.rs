//! One versioned change moves SQL tables, MongoDB documents and Redis keys together.
//!
//! A program that embeds dunlin says which stores and migrations it has, and brings them up to date at its start.
//! Migrations from files and migrations written in Rust run side by side in one plan:
//!
//! ```
//! use std::sync::Arc;
//!
//! use dunlin::{File, Goal, Migration, MigrationId, Phase, Project, Step, Version, sql};
//!
//! #[derive(Debug)]
//! struct AddNotes {
//!     id: MigrationId,
//!     steps: Vec<Step>,
//! }
//!
//! impl AddNotes {
//!     fn new() -> Self {
//!         let sql = |text| Arc::new(sql::Op::script(sql::Dialect::Sqlite, text).expect("this is SQL"));
//!         let step = Step::new(Phase::Expand, "app", sql("create table notes (id integer primary key)"));
//!         Self {
//!             id: MigrationId { version: Version::parse("2").expect("digits"), slug: "add_notes".into() },
//!             steps: vec![step.undo(sql("drop table notes"))],
//!         }
//!     }
//! }
//!
//! impl Migration for AddNotes {
//!     fn id(&self) -> &MigrationId {
//!         &self.id
//!     }
//!
//!     fn steps(&self) -> &[Step] {
//!         &self.steps
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let files = [File::embedded("1_users.sql", b"-- Up\ncreate table users (id integer primary key);\n-- Down\ndrop table users;\n")];
//! let project = Project::default().store("app", "sqlite::memory:")?.files(&files).migration(AddNotes::new());
//! let summary = dunlin::up(&project, &Goal::default(), &mut |event| println!("{event:?}")).await?;
//! assert_eq!(summary.completed.len(), 2);
//! # Ok::<(), dunlin::Failure>(())
//! # }).unwrap();
//! ```

mod failure;
mod project;
mod registry;

pub use dunlin_core::*;
pub use dunlin_engine as engine;
pub use dunlin_engine::{
    Context, Event as RunEvent, File, Finding, Goal, Item, Loaded, Outcome, Plan, Policy, Reaction, Report,
    Summary,
};
#[cfg(feature = "mongo")]
pub use dunlin_mongo as mongo;
#[cfg(feature = "redis")]
pub use dunlin_redis as redis;
#[cfg(feature = "sql")]
pub use dunlin_sql as sql;
pub use failure::Failure;
pub use project::Project;
pub use registry::Registry;

use dunlin_engine::run;

/// The files that `dunlin_build::embed` put beside this program, as a `&[File]`.
#[macro_export]
macro_rules! include_migrations {
    () => {
        include!(concat!(env!("OUT_DIR"), "/dunlin_migrations.rs"))
    };
}

/// Brings all stores of a project up to `goal`. With nothing to do no lock is taken and nothing is created.
pub async fn up(project: &Project, goal: &Goal, report: Report<'_>) -> Result<Summary, Failure> {
    let loaded = project.load();
    if loaded.has_errors() {
        return Err(Failure::Files(Box::new(loaded)));
    }
    let context = project.context(project.connect(&[]).await?);
    let planner = run::forward(&loaded.migrations, project.policy, goal);
    let (summary, result) = run::run(&context, &planner, report).await;
    match result {
        Ok(_) => Ok(summary),
        Err(stop) => Err(Failure::Run(Box::new((summary, stop)))),
    }
}

/// All drivers use one TLS provider. A program that installed its own keeps it.
pub(crate) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
