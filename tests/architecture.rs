//! What ARCHITECTURE.md promises about who knows whom, as far as a machine can check it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

/// The dependencies of a crate, those for its tests apart.
fn dependencies(name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(crates().join(name).join("Cargo.toml")).expect("a manifest");
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" {
            found.extend(
                line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn arrows_go_one_way() {
    let backends = ["dunlin-sql", "dunlin-mongo", "dunlin-redis"];
    let drivers = ["sqlx", "mongodb", "redis", "tokio"];
    let core = dependencies("dunlin-core");
    assert!(
        core.iter().all(|name| !name.starts_with("dunlin") && !drivers.contains(&name.as_str())),
        "{core:?}"
    );
    let engine = dependencies("dunlin-engine");
    assert!(backends.iter().chain(&drivers[..3]).all(|name| !engine.contains(*name)), "{engine:?}");
    for backend in backends {
        let ours: Vec<String> =
            dependencies(backend).into_iter().filter(|name| name.starts_with("dunlin")).collect();
        assert_eq!(ours, ["dunlin-core"], "{backend}");
    }
    for name in
        ["dunlin-core", "dunlin-engine", "dunlin", "dunlin-cli", "dunlin-build"].iter().chain(&backends)
    {
        assert!(!dependencies(name).contains("dunlin-testkit"), "{name}");
    }
    assert!(dependencies("dunlin-build").is_empty());
}

#[test]
fn core_and_planning_read_no_clock_and_no_file() {
    let sources = [
        "dunlin-core/src",
        "dunlin-engine/src/plan",
        "dunlin-engine/src/plan.rs",
        "dunlin-engine/src/audit.rs",
    ];
    let forbidden = ["std::fs", "std::net", "SystemTime", "Instant::now", "HashMap", "HashSet"];
    for path in sources.iter().flat_map(|source| files(&crates().join(source))) {
        let text = fs::read_to_string(&path).expect("a source file");
        for word in forbidden {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn the_engine_prints_nothing() {
    for path in files(&crates().join("dunlin-engine/src")) {
        let text = fs::read_to_string(&path).expect("a source file");
        assert!(
            !text.contains("println!") && !text.contains("stderr()") && !text.contains("stdout()"),
            "{}",
            path.display()
        );
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a folder");
    entries.flat_map(|entry| files(&entry.expect("an entry").path())).collect()
}
