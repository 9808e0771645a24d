//! Puts a migrations directory into a binary. A crate of its own, without dependencies, so that a build script does
//! not build three database drivers.
//!
//! In `build.rs`:
//!
//! ```no_run
//! dunlin_build::embed("migrations").unwrap();
//! ```
//!
//! and in the program: `const MIGRATIONS: &[dunlin::File] = dunlin::include_migrations!();`. A new, changed or removed
//! file rebuilds the program.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

/// Writes the list that `dunlin::include_migrations!` reads, and tells cargo to watch the directory. The path is taken
/// from the package's own folder.
pub fn embed(directory: impl AsRef<Path>) -> io::Result<()> {
    let variable = |name: &str| {
        env::var_os(name)
            .ok_or_else(|| io::Error::other(format!("{name} is not set: call this from build.rs")))
    };
    let directory = Path::new(&variable("CARGO_MANIFEST_DIR")?).join(directory);
    let list = list(&directory)?;
    for path in watched(&directory)? {
        announce(&path)?;
    }
    fs::write(Path::new(&variable("OUT_DIR")?).join("dunlin_migrations.rs"), list)
}

/// The directory itself, for files that come and go, and each file, for its text.
fn watched(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut paths = vec![directory.to_owned()];
    paths.extend(names(directory)?.iter().map(|name| directory.join(name)));
    Ok(paths)
}

fn announce(path: &Path) -> io::Result<()> {
    use io::Write as _;
    writeln!(io::stdout(), "cargo:rerun-if-changed={}", path.display())
}

fn list(directory: &Path) -> io::Result<String> {
    let mut text = String::from("&[\n");
    for name in names(directory)? {
        let path = directory.join(&name);
        let _ = writeln!(
            text,
            "    ::dunlin::File::embedded({name:?}, include_bytes!({:?})),",
            path.display().to_string()
        );
    }
    text.push(']');
    Ok(text)
}

/// The files a migrations directory is read for: no folders, nothing hidden, no README.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file()
            && !name.starts_with('.')
            && !name.to_ascii_lowercase().starts_with("readme")
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_migrations_in_order_and_nothing_else() {
        let directory = env::temp_dir().join(format!("dunlin-build-{}", std::process::id()));
        fs::create_dir_all(directory.join("folder")).unwrap();
        for name in ["2_b.sql", "1_a.sql", ".hidden", "README.md"] {
            fs::write(directory.join(name), "").unwrap();
        }
        assert_eq!(names(&directory).unwrap(), ["1_a.sql", "2_b.sql"]);
        assert!(list(&directory).unwrap().contains("::dunlin::File::embedded(\"1_a.sql\", include_bytes!("));
        fs::remove_dir_all(directory).unwrap();
    }
}
