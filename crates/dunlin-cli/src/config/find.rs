//! Where `dunlin.toml` is: given, or found upward from the working directory.

use std::path::{Path, PathBuf};

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The file, as seen from the working directory.
    pub(super) path: PathBuf,
    /// The directory that relative paths in it start from, as seen from the working directory; empty for that itself.
    pub(super) root: PathBuf,
}

/// Looks in `directory` and in every one above it, up to the root of a repository.
pub(super) fn upward(directory: &Path) -> Option<Found> {
    let mut root = PathBuf::new();
    for at in directory.ancestors() {
        for name in ["dunlin.toml", ".config/dunlin.toml"] {
            if at.join(name).is_file() {
                return Some(Found { path: root.join(name), root });
            }
        }
        if at.join(".git").exists() {
            return None;
        }
        root.push("..");
    }
    None
}

/// The file a user named.
pub(super) fn given(path: &Path) -> Found {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let root = if directory.file_name().is_some_and(|name| name == ".config") {
        directory.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        directory
    };
    Found { path: path.to_owned(), root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_upward_to_the_repository() {
        let top = tempfile::tempdir().unwrap();
        let deep = top.path().join("repository/a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(top.path().join("repository/.git")).unwrap();
        std::fs::write(top.path().join("dunlin.toml"), "").unwrap();
        assert_eq!(upward(&deep), None);

        let repository = top.path().join("repository");
        std::fs::create_dir(repository.join(".config")).unwrap();
        std::fs::write(repository.join(".config/dunlin.toml"), "").unwrap();
        let found = upward(&deep).unwrap();
        assert_eq!((found.path, found.root), ("../../.config/dunlin.toml".into(), "../..".into()));

        std::fs::write(deep.join("dunlin.toml"), "").unwrap();
        assert_eq!(upward(&deep).unwrap().root, Path::new(""));
    }

    #[test]
    fn a_given_file_has_its_directory_as_root() {
        assert_eq!(given(Path::new("x/y.toml")).root, Path::new("x"));
        assert_eq!(given(Path::new("x/.config/dunlin.toml")).root, Path::new("x"));
        assert_eq!(given(Path::new("dunlin.toml")).root, Path::new(""));
    }
}
