//! `dunlin new`: the files of a migration, for the stores it is about.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use dunlin_core::{Diagnostic, Version, suggest};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::answer::{self, Answer, Failure, Fault};
use crate::args::commands::New;
use crate::config::{Config, Loaded, Store};
use crate::file;
use crate::kind::Kind;

/// How many digits a first sequential version has.
const DIGITS: usize = 4;

/// A file to write, and the stores it is for.
#[derive(Debug, PartialEq, Eq)]
struct Draft<'a> {
    /// What follows `<version>_<slug>`.
    ending: String,
    text: String,
    stores: Vec<&'a str>,
}

pub(crate) fn run(args: &New, loaded: Loaded, now: OffsetDateTime) -> Result<Answer, Failure> {
    let slug = slug(&args.name.join(" "))?;
    if let Some(fault) = selection_fault(&loaded) {
        return Err(fault.clone().into());
    }
    let Some(drafts) = drafts(&loaded.config, args.ext.as_deref())? else {
        return Err(Failure::of_config(loaded));
    };
    let directory = &loaded.config.migrations;
    let is_new = file::directory(directory)?;
    let number = |existing: &[Version]| if args.sequential { next(existing) } else { stamp(now, existing) };
    let (version, paths) = write_numbered(directory, &slug, &drafts, number)?;
    let files: Vec<_> = paths
        .iter()
        .zip(&drafts)
        .map(|(path, draft)| json!({ "path": path, "stores": draft.stores }))
        .collect();
    let text = answer::lines(&paths);
    let mut answer = Answer::done(json!({ "version": version, "slug": slug, "files": files }), text);
    if is_new {
        answer = answer.note(format!("made the directory `{}`", directory.display()));
    }
    // Files can be written while a variable is unset; that is said when a store is needed.
    answer.faults =
        loaded.diagnostics.into_iter().filter(|fault| !fault.is_error()).map(Fault::Diagnostic).collect();
    answer.sources = loaded.sources;
    Ok(answer)
}

fn selection_fault(loaded: &Loaded) -> Option<&Diagnostic> {
    loaded.diagnostics.iter().find(|fault| fault.code == "unknown-store")
}

/// The files to write, or nothing where the configuration does not say what kind of store is meant.
fn drafts<'a>(config: &'a Config, extension: Option<&str>) -> Result<Option<Vec<Draft<'a>>>, Failure> {
    let stores: Vec<&Store> = config.selected().collect();
    if stores.is_empty() {
        return Ok(None);
    }
    let is_for_several = stores.len() > 1 && config.only.is_empty() && extension.is_none();
    if is_for_several || extension == Some("toml") {
        return Ok(Some(vec![neutral(&stores)]));
    }
    let mut kinds = Vec::new();
    for store in stores {
        // Where the url could not be read, the user's word decides.
        let Some(kind) = store.kind.or_else(|| extension.and_then(Kind::of_extension)) else {
            return Ok(None);
        };
        kinds.push((store, kind));
    }
    if let Some(extension) = extension {
        let known: Vec<&str> = kinds.iter().map(|(_, kind)| kind.extension).collect();
        kinds.retain(|(_, kind)| kind.extension == extension);
        if kinds.is_empty() {
            let fault =
                Diagnostic::error("unknown-extension", format!("no chosen store takes `.{extension}` files"));
            return Err(fault
                .help(suggest::help(extension, known.into_iter().chain(["toml"]).collect::<Vec<_>>()))
                .into());
        }
    }
    let native = kinds.iter().map(|(store, kind)| {
        let takers = config
            .stores
            .iter()
            .filter(|other| other.kind.is_none_or(|other| other.extension == kind.extension));
        let ending = if takers.count() == 1 { String::new() } else { format!(".{}", store.name) };
        Draft {
            ending: format!("{ending}.{}", kind.extension),
            text: kind.template.to_owned(),
            stores: vec![store.name.as_str()],
        }
    });
    Ok(Some(native.collect()))
}

/// A `.toml` migration, which any store and several stores at once can take.
fn neutral<'a>(stores: &[&'a Store]) -> Draft<'a> {
    let mut text = "summary = \"\"\n".to_owned();
    for store in stores {
        let op = match store.kind.map(|kind| kind.extension) {
            Some("sql") => "sql = \"\"\nundo = \"\"",
            Some("js") => "mongo = {}\nundo = {}",
            Some("redis") => "redis = \"\"\nundo = \"\"",
            _ => "",
        };
        let _ = write!(text, "\n[[expand]]\nstore = \"{}\"\n{op}\n", store.name);
    }
    Draft {
        ending: ".toml".to_owned(),
        text,
        stores: stores.iter().map(|store| store.name.as_str()).collect(),
    }
}

/// Writes under the first version that is free; somebody else may take it meanwhile.
fn write_numbered(
    directory: &Path,
    slug: &str,
    drafts: &[Draft<'_>],
    number: impl Fn(&[Version]) -> String,
) -> Result<(String, Vec<String>), Failure> {
    loop {
        let version = number(&versions(directory)?);
        match write(directory, &format!("{version}_{slug}"), drafts) {
            Err(failure) if failure.faults.iter().any(|fault| fault.code() == "file-exists") => {}
            result => return result.map(|paths| (version, paths)),
        }
    }
}

/// All of the files or none.
fn write(directory: &Path, name: &str, drafts: &[Draft<'_>]) -> Result<Vec<String>, Failure> {
    let paths: Vec<PathBuf> =
        drafts.iter().map(|draft| directory.join(format!("{name}{}", draft.ending))).collect();
    for (at, (path, draft)) in paths.iter().zip(drafts).enumerate() {
        file::create(path, &draft.text).inspect_err(|_| {
            for written in &paths[..at] {
                let _ = fs::remove_file(written);
            }
        })?;
    }
    Ok(paths.iter().map(|path| path.display().to_string()).collect())
}

/// Lower-case letters and digits with `_` between them.
fn slug(name: &str) -> Result<String, Failure> {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    let slug = slug.trim_end_matches('_').to_owned();
    if slug.is_empty() {
        let fault = Diagnostic::error("bad-name", format!("`{name}` has no letter and no digit"));
        return Err(fault.help("say what it does in a few words: `dunlin new add users`").into());
    }
    Ok(slug)
}

/// The versions of the files that are there, in order.
fn versions(directory: &Path) -> Result<Vec<Version>, Failure> {
    let entries = fs::read_dir(directory).map_err(|error| {
        Diagnostic::error("unreadable-file", format!("cannot read `{}`: {error}", directory.display()))
    })?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let digits =
        |name: String| name.split(|letter: char| !letter.is_ascii_digit()).next().and_then(Version::parse);
    let mut versions: Vec<Version> = names.filter_map(digits).collect();
    versions.sort();
    Ok(versions)
}

/// The time in UTC, or the number after the last version where that is not in the past.
fn stamp(now: OffsetDateTime, existing: &[Version]) -> String {
    let form = format_description!("[year][month][day][hour][minute][second]");
    let text = now.to_offset(time::UtcOffset::UTC).format(&form).expect("the parts exist in every time");
    let version = Version::parse(&text).expect("the parts are digits");
    match existing.last() {
        Some(last) if *last >= version => successor(last.as_str()),
        _ => text,
    }
}

/// The number after the last version, as wide as the widest there is.
fn next(existing: &[Version]) -> String {
    let width = existing.iter().map(|version| version.as_str().len()).max().unwrap_or(DIGITS);
    let number = existing.last().map_or_else(|| "1".to_owned(), |last| successor(last.as_str()));
    format!("{number:0>width$}")
}

/// One more, whatever the number of digits.
fn successor(digits: &str) -> String {
    let mut next: Vec<u8> = digits.bytes().collect();
    for digit in next.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&next).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&next))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn names_become_slugs() {
        for (name, expected) in [
            ("Add users", "add_users"),
            ("  rename user_123 -> user:123:profile.v2 ", "rename_user_123_user_123_profile_v2"),
            ("Größe ändern", "größe_ändern"),
        ] {
            assert_eq!(slug(name).unwrap(), expected);
        }
        assert_eq!(slug("--").unwrap_err().faults[0].code(), "bad-name");
    }

    #[test]
    fn versions_come_after_all_that_are_there() {
        let versions =
            |texts: &[&str]| texts.iter().map(|text| Version::parse(text).unwrap()).collect::<Vec<_>>();
        let now = datetime!(2026-11-21 10:30:00 +1);
        assert_eq!(stamp(now, &versions(&["0001"])), "20261121093000");
        assert_eq!(stamp(now, &versions(&["20261121093000"])), "20261121093001");
        assert_eq!(stamp(now, &versions(&["20991231235999"])), "20991231236000");
        assert_eq!(next(&[]), "0001");
        assert_eq!(next(&versions(&["1", "009", "9"])), "010");
        assert_eq!(next(&versions(&["099"])), "100");
        assert_eq!(next(&versions(&["99"])), "100");
    }
}
