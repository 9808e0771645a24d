//! The engine, held against the reference store.

mod audits;
mod crashes;
mod gate;
mod loading;
mod locks;
mod marks;
mod movers;
mod names;
mod plain;
mod plans;
mod properties;
mod runs;
mod schedules;
mod turns;
mod world;
