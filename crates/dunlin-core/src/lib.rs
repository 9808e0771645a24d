//! The vocabulary of dunlin. One word per idea, the same in code, command line, documents and histories:
//!
//! - **store**: a database under a name the user gave it; **backend**: the code for one kind of store.
//! - **migration**: one intended change, with a version, over one or several stores.
//! - **phase**: expand, backfill, verify, contract; **step**: one operation of a migration in one phase on one store.
//! - **op**: a backend's operation, as a value.
//! - **history**: what a store remembers of the steps it ran; **journal**: every event of it, append-only.
//! - **session**: a store whose migration lock we hold; **plan**: the ordered steps still to run.
//!
//! No I/O, no driver and no clock lives here, and no backend is known here.

pub mod backend;
pub mod diagnostic;
pub mod duration;
pub mod error;
pub mod excerpt;
pub mod follow;
pub mod history;
pub mod id;
pub mod migration;
pub mod node;
pub mod op;
pub mod pace;
pub mod position;
pub mod source;
pub mod store;
pub mod suggest;
pub mod url;
pub mod words;

pub use async_trait::async_trait;

pub use backend::{Backend, Field, LockMode, Native, Part, Section, Target};
pub use diagnostic::{Diagnostic, Severity};
pub use error::{Error, ErrorKind, Result};
pub use excerpt::{Excerpt, exact};
pub use follow::{Activity, Doing, Follow, Followed, Follower, Pulse, Stand, Window};
pub use history::{
    Author, Checkpoint, Cursor, Event, EventKind, History, Origin, Record, State, StoredFile, Timestamp,
};
pub use id::{Checksum, MigrationId, RunId, StoreName, Version};
pub use migration::{Migration, Phase, Step, Undo};
pub use node::Node;
pub use op::{AnyOp, Line, Op};
pub use pace::{Pace, Sizer};
pub use position::{Position, Seen, Start};
pub use source::{FileId, Location, Source, SourceMap, Span};
pub use store::{
    Advance, Ahead, AnyStore, Archive, Attempt, Check, Checked, Holder, Session, Store, Violation, Work,
};
pub use url::StoreUrl;
