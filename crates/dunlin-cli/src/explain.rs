//! The long form of every code that a report may carry, and of a few topics. The texts lie beside this file: a heading
//! `## code: title`, then what it means, why it matters and what to do.

use dunlin_core::suggest;

use crate::exit::Exit;

const TEXTS: [&str; 8] = [
    include_str!("explain/world.md"),
    include_str!("explain/config.md"),
    include_str!("explain/files.md"),
    include_str!("explain/sql.md"),
    include_str!("explain/mongo.md"),
    include_str!("explain/redis.md"),
    include_str!("explain/history.md"),
    include_str!("explain/command.md"),
];

/// The long form of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: &'static str,
    /// What it means, in a line.
    pub title: &'static str,
    /// The rest.
    pub text: String,
}

/// Everything that can be explained, by code.
pub fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = TEXTS.iter().flat_map(|text| read(text)).collect();
    entries.push(Entry {
        code: "exit-codes",
        title: "the numbers dunlin ends with",
        text: format!("Scripts decide by these; none of them ever changes its meaning.\n\n{}", Exit::table()),
    });
    entries.sort_by_key(|entry| entry.code);
    entries
}

/// The long form of one code.
pub fn find(code: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.code == code)
}

/// What to say where a code is not known.
pub fn suggestion(code: &str) -> String {
    let codes: Vec<&str> = entries().iter().map(|entry| entry.code).collect();
    match suggest::nearest(code, codes.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`dunlin explain` lists all codes".to_owned(),
    }
}

fn read(text: &'static str) -> impl Iterator<Item = Entry> {
    text.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let (code, title) = heading.split_once(": ")?;
        Some(Entry { code, title, text: format!("{}\n", text.trim()) })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use dunlin_core::ErrorKind;

    use super::*;

    const KINDS: [ErrorKind; 10] = [
        ErrorKind::Connect,
        ErrorKind::Access,
        ErrorKind::Locked,
        ErrorKind::LeaseLost,
        ErrorKind::Statement,
        ErrorKind::Ambiguous,
        ErrorKind::Integrity,
        ErrorKind::Unsupported,
        ErrorKind::Config,
        ErrorKind::Unexpected,
    ];

    fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rust_files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// The first string after each of the openings that take a code.
    fn codes_in(text: &str) -> BTreeSet<String> {
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        ["Diagnostic::error(", "Diagnostic::warning(", "Fault {\n"]
            .iter()
            .flat_map(|opening| production.split(opening).skip(1))
            .map(str::trim_start)
            .filter_map(|rest| rest.strip_prefix("code: ").unwrap_or(rest).strip_prefix('"'))
            .filter_map(|rest| rest.split_once('"'))
            .map(|(code, _)| code.to_owned())
            .collect()
    }

    #[test]
    fn every_code_in_the_workspace_is_explained() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        for krate in fs::read_dir(crates).unwrap() {
            rust_files(&krate.unwrap().path().join("src"), &mut files);
        }
        let mut codes: BTreeSet<String> = KINDS.iter().map(|kind| kind.code().to_owned()).collect();
        for file in files.iter().filter(|file| file.file_name().is_none_or(|name| name != "tests.rs")) {
            codes.extend(codes_in(&fs::read_to_string(file).unwrap()));
        }
        assert!(codes.contains("unknown-key") && codes.len() > 25, "{codes:?}");
        let unexplained: Vec<&String> = codes.iter().filter(|code| find(code).is_none()).collect();
        assert!(unexplained.is_empty(), "no long form of {unexplained:?}");
    }

    #[test]
    fn every_text_has_a_code_a_title_and_a_body_and_is_there_once() {
        let entries = entries();
        assert_eq!(entries.len(), TEXTS.iter().map(|text| text.matches("\n## ").count()).sum::<usize>() + 1);
        assert!(entries.windows(2).all(|pair| pair[0].code < pair[1].code));
        for entry in entries {
            assert!(entry.text.len() > 80, "{} says too little", entry.code);
            assert!(
                entry.text.lines().all(|line| line.chars().count() <= 100),
                "{} has long lines",
                entry.code
            );
        }
    }
}
