//! The engine, held against the reference store.

mod audits;
mod crashes;
mod loading;
mod marks;
mod plans;
mod runs;
mod schedules;
mod world;
