//! From a directory to texts with a name that was understood.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use dunlin_core::{Diagnostic, Error, ErrorKind, Result, Source, SourceMap};

use super::name::{self, FileName, Half};
use super::side::by_side;
use super::{Content, File};

/// Reads the files of a migrations directory. Names that start with a dot, and README files, are no migrations.
pub fn read_dir(directory: &Path) -> Result<Vec<File>> {
    let fail = |path: &Path, error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("cannot read `{}`", path.display())).caused_by(error)
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| fail(directory, error))? {
        let entry = entry.map_err(|error| fail(directory, error))?;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if !shown.starts_with('.') && !shown.to_ascii_lowercase().starts_with("readme") {
            let is_folder = is_folder(&entry);
            names.push((name, is_folder));
        }
    }
    names.sort_unstable();
    let read = |(name, is_folder): &(OsString, bool)| {
        let path = directory.join(name);
        let (name, shown) = (name.to_string_lossy(), path.to_string_lossy().into());
        if *is_folder {
            return Ok(File { shown, name: format!("{name}/").into(), content: Content::Embedded(&[]) });
        }
        let bytes = fs::read(&path).map_err(|error| fail(&path, error))?;
        Ok(File { shown, name: name.into(), content: bytes.into() })
    };
    let mut files = Vec::with_capacity(names.len());
    for file in by_side(&names, read) {
        files.push(file?);
    }
    Ok(files)
}

fn is_folder(entry: &fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| {
        kind.is_dir() || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|target| target.is_dir())
    })
}

/// A file whose name was understood.
pub(super) struct Named<'a> {
    pub(super) file: &'a File,
    pub(super) name: FileName<'a>,
    pub(super) source: Source,
}

/// Takes a file's name and bytes for what they are. The text is added to `sources` even where it has a fault.
pub(super) fn open<'a>(file: &'a File, sources: &mut SourceMap) -> Result<Named<'a>, Diagnostic> {
    let source = sources.add(file.shown.shared(), file.content.text());
    if file.name.ends_with('/') {
        return Err(folder(file, &source));
    }
    let Some(name) = name::parse(&file.name) else { return Err(unknown_file(file, &source)) };
    if let Err(error) = std::str::from_utf8(file.content.bytes()) {
        return Err(not_text(file, &source, error.valid_up_to()));
    }
    if let Some(at) = source.text.find('\0') {
        let fault = Diagnostic::error("nul-byte", "this file holds a NUL byte")
            .at(source.span(at, at + 1), "here")
            .help("no store takes one in a statement; remove it");
        return Err(fault);
    }
    if name.extension == "toml" && (name.half != Half::Whole || name.store.is_some()) {
        return Err(toml_with_parts(&name, &source));
    }
    Ok(Named { file, name, source })
}

fn folder(file: &File, source: &Source) -> Diagnostic {
    Diagnostic::warning("folder-ignored", format!("the folder `{}` is not looked into", file.shown))
        .at(source.span(0, 0), "no migration")
        .help("migrations lie side by side in one folder")
}

fn unknown_file(file: &File, source: &Source) -> Diagnostic {
    let help = match (name::suggestion(&file.name), name::in_parts(&file.name)) {
        (Some(name), _) => format!("rename it to `{name}`, or move it away"),
        (None, Some(name)) => format!(
            "a version is one number here: rename it to `{name}`, and every other file alike, a part that is missing written as `000`"
        ),
        (None, None) => {
            "a migration is called `<version>_<slug>[.<store>].<ext>`; move other files away".to_owned()
        }
    };
    Diagnostic::error("unknown-file", format!("`{}` is no name of a migration", file.name))
        .at(source.span(0, 0), "this file")
        .help(help)
}

fn not_text(file: &File, source: &Source, valid: usize) -> Diagnostic {
    let bytes = file.content.bytes();
    let mark = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let encoding = if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) { "UTF-16" } else { "LATIN1" };
    let at = valid - mark;
    Diagnostic::error("not-utf8", "this file is not UTF-8")
        .at(source.span(at, at + '\u{fffd}'.len_utf8()), "the first byte that is not")
        .help(format!("save it as UTF-8; `iconv -f {encoding} -t UTF-8` converts an old one"))
}

fn toml_with_parts(name: &FileName<'_>, source: &Source) -> Diagnostic {
    let plain = name.with_store(None).replace(".up.", ".").replace(".down.", ".");
    Diagnostic::error("unknown-file", "the name of a `.toml` migration says neither store nor direction")
        .at(source.span(0, 0), "this file")
        .help(format!("call it `{plain}`; each step in it names its store and its undo"))
}
