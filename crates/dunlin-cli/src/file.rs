//! Files are written under another name first and then put in place, so that nobody ever sees half of one.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dunlin_core::Diagnostic;

use crate::answer::Failure;

/// Writes a file that must not exist yet.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let half = half_written(path, text)?;
    // A rename would replace a file that somebody else wrote meanwhile; a link does not.
    let linked = fs::hard_link(&half, path).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Err(error),
        // Some file systems have no links.
        _ => fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())),
    });
    let _ = fs::remove_file(&half);
    linked.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => cannot_write(path, &error),
    })
}

/// Writes a file in place of whatever is there.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let half = half_written(path, text)?;
    fs::rename(&half, path).map_err(|error| {
        let _ = fs::remove_file(&half);
        cannot_write(path, &error)
    })
}

/// Makes a directory and those above it; says whether it was not there.
pub(crate) fn directory(path: &Path) -> Result<bool, Failure> {
    if path.is_dir() {
        return Ok(false);
    }
    fs::create_dir_all(path).map(|()| true).map_err(|error| cannot_write(path, &error))
}

/// A file that must not be there is there.
pub(crate) fn exists(path: &Path) -> Failure {
    let message = format!("`{}` is already there", path.display());
    Diagnostic::error("file-exists", message)
        .help("choose another name, or remove it; nothing was written")
        .into()
}

fn half_written(path: &Path, text: &str) -> Result<PathBuf, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let half = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&half)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map(|()| half.clone()).map_err(|error| {
        let _ = fs::remove_file(&half);
        cannot_write(path, &error)
    })
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::of_work(Diagnostic::error("cannot-write", format!("cannot write `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_once_and_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sql");
        create(&path, "one").unwrap();
        let failure = create(&path, "two").unwrap_err();
        assert_eq!(failure.faults[0].code(), "file-exists");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(
            create(&directory.path().join("no/a.sql"), "").unwrap_err().faults[0].code(),
            "cannot-write"
        );
    }
}
