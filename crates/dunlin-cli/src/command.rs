//! The commands: each takes what was said and gives an answer; how that is shown is decided elsewhere.

pub(crate) mod completions;
pub(crate) mod down;
pub(crate) mod explain;
mod findings;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod plan;
mod planned;
mod running;
mod stage;
pub(crate) mod status;
pub(crate) mod up;
mod when;
