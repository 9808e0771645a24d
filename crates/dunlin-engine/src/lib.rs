//! Loads, plans and runs migrations over any backend. Loading and planning are pure but for reading a directory;
//! running is one loop that awaits. Everything that happens is an [`Event`]; nothing here prints, and no backend is
//! known here.

pub mod audit;
mod drive;
pub mod event;
pub mod follow;
pub mod foresee;
pub mod lane;
pub mod load;
pub mod lock;
pub mod mark;
mod pace;
pub mod plan;
pub mod purge;
pub mod reverse;
pub mod run;
pub mod status;
pub mod step;
pub mod toml;
pub mod verify;

pub use audit::{Finding, FindingKind, Policy, Reaction};
pub use event::{Event, Report};
pub use load::{File, Loaded, load, read_dir};
pub use plan::{Direction, Goal, Item, Plan};
pub use reverse::Extent;
pub use run::{Context, Outcome, Stores, Summary};
