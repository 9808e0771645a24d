//! The tour in the README is what a newcomer sees: every command in it is run, and every line it prints is compared.
//! `UPDATE_README=1` writes what was seen into the README instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_step_and_change_is_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/steps.md");
    let text = fs::read_to_string(path).expect("a table of steps");
    for backend in dunlin::Registry::default().backends() {
        for word in backend.ops().iter().chain(backend.changes()) {
            assert!(text.contains(&format!("`{word}`")), "{word} of {} is missing", backend.name());
        }
    }
}

/// A command of the tour, with the lines that follow it.
struct Shown {
    command: String,
    /// The lines of the command in the README.
    written: Vec<String>,
    output: Vec<String>,
}

#[test]
fn the_tour_prints_what_the_readme_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(&path).expect("a README");
    let folder = tempfile::tempdir().expect("a folder");
    let tools = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dunlin-under-test"), tools.path().join("dunlin"))
        .expect("a link");
    let mut seen = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        seen.push_str(line);
        seen.push('\n');
        if line != "```console" {
            continue;
        }
        let block: Vec<&str> = std::iter::from_fn(|| lines.next_if(|line| *line != "```")).collect();
        for shown in commands(&block) {
            let output = run(&shown.command, folder.path(), tools.path());
            if std::env::var_os("UPDATE_README").is_none() {
                assert_eq!(
                    steady(&shown.output.join("\n")),
                    steady(output.trim_end()),
                    "$ {}",
                    shown.command
                );
            }
            let output = output.replace(&format!("@{}", host()), "@laptop");
            for line in shown.written.iter().map(String::as_str).chain(output.trim_end().lines()) {
                seen.push_str(line);
                seen.push('\n');
            }
        }
    }
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, seen).expect("the README can be written");
    }
}

fn commands(block: &[&str]) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut lines = block.iter();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else {
            commands.last_mut().expect("output follows a command").output.push((*line).to_owned());
            continue;
        };
        let (mut command, mut written) = (first.to_owned(), vec![(*line).to_owned()]);
        if first.contains("<<'EOF'") {
            for line in lines.by_ref() {
                command.push('\n');
                command.push_str(line);
                written.push((*line).to_owned());
                if *line == "EOF" {
                    break;
                }
            }
        }
        commands.push(Shown { command, written, output: Vec::new() });
    }
    commands
}

fn run(command: &str, folder: &Path, tools: &Path) -> String {
    let mut path: Vec<PathBuf> = vec![tools.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").expect("a PATH")));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(folder).env_clear();
    shell.env("PATH", std::env::join_paths(path).expect("a PATH")).env("HOME", folder).env("USER", "ada");
    let output = shell.output().expect("a shell");
    String::from_utf8(output.stdout).expect("text")
}

/// What this machine calls itself.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    name.trim().to_owned()
}

/// The same text with every time and every machine alike.
fn steady(text: &str) -> String {
    let text = text.replace(&format!("@{}", host()), "@laptop");
    let words: Vec<&str> = text.split_inclusive([' ', '\n', '(', ')', ',']).collect();
    let mut out = String::new();
    for (at, word) in words.iter().enumerate() {
        let is_unit = words
            .get(at + 1)
            .is_some_and(|next| ["ms", "s"].contains(&next.trim_end_matches([' ', '\n', ')', ',', ';'])));
        let is_number = word.trim_end().parse::<f64>().is_ok();
        let bare = word.trim_end_matches([' ', '\n', ')', ',']);
        let is_moment = bare.len() >= 19 && bare.starts_with("20") && bare.contains('T');
        match (is_number && is_unit, is_moment) {
            (true, _) => out.push_str("N "),
            (_, true) => out.push_str(&word.replace(bare, "MOMENT")),
            _ => out.push_str(word),
        }
    }
    out.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}
