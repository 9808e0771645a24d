//! The commands: each takes what was said and gives an answer; how that is shown is decided elsewhere.

mod back;
pub(crate) mod baseline;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod explain;
mod findings;
pub(crate) mod history;
mod holding;
pub(crate) mod init;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod mark;
pub(crate) mod new;
pub(crate) mod plan;
mod planned;
pub(crate) mod purge;
mod running;
mod stage;
pub(crate) mod status;
mod story;
pub(crate) mod up;
pub(crate) mod verify;
mod when;
