//! The `dunlin` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    dunlin_cli::run(std::env::args_os())
}
