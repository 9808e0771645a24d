//! The real program: whole exit codes, stdout and stderr.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod baseline;
mod check;
mod contract;
mod doctor;
mod down;
mod explain;
pub(crate) mod filter;
mod history;
mod init;
mod lock;
mod losses;
mod mark;
mod moves;
mod new;
mod plan;
mod purge;
mod settings;
mod shop;
mod signals;
mod status;
mod unreachable;
mod up;
mod usage;
mod verify;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A directory to run the program in, with an environment of its own.
pub(crate) struct Case {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Case {
    /// An empty directory that is the root of a repository.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".git")).unwrap();
        Self { directory, variables: Vec::new() }
    }

    /// With a file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// With an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The text of a file.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The program, with nothing of the environment of the test.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin-under-test"));
        command.args(words(line)).current_dir(self.path()).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.path()).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program.
    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs the program, and shows everything it said. Times that are part of file names become `TIME`.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let mut shown = format!("exit {}\n", output.status.code().unwrap());
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                shown.extend(["---- ", name, "\n", std::str::from_utf8(bytes).unwrap()]);
            }
        }
        without_times(&shown.replace(&*self.path().to_string_lossy(), "[DIR]"))
    }

    /// Runs the program and shows everything it said, without what differs from run to run.
    pub(crate) fn said(&self, line: &str) -> String {
        filter::steady(&self.run(line))
    }

    /// Runs the program for what it does; it must succeed.
    pub(crate) fn done(&self, line: &str) {
        let said = self.run(line);
        assert!(said.starts_with("exit 0\n"), "{line}: {said}");
    }
}

/// The words of a line; quotes keep several together.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('"').enumerate();
    quoted
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let digits =
            rest[start..].find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len() - start);
        out.push_str(&rest[..start]);
        out.push_str(if digits == 14 { "TIME" } else { &rest[start..start + digits] });
        rest = &rest[start + digits..];
    }
    out + rest
}
