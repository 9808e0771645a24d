//! What the names of files say, and what is said of names that say nothing.

use dunlin_core::Severity;
use dunlin_engine::load;
use dunlin_engine::load::read_dir;

use super::loading::{faults, ids, one_store, only_fault, two_stores};
use super::world::bytes;

#[test]
fn every_form_of_a_name_is_a_migration() {
    let world = one_store();
    let names =
        ["0001.mem", "2_b.mem", "03_c.app.mem", "4_d.up.mem", "5_e.app.up.mem", "20261121090000_z.mem"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "add x")).collect();
    let loaded = world.load(&files);
    assert_eq!(faults(&loaded), Vec::<String>::new());
    assert_eq!(ids(&loaded), ["0001", "2_b", "03_c", "4_d", "5_e", "20261121090000_z"]);
    assert!(loaded.migrations.values().all(|migration| &*migration.steps()[0].store.0 == "app"));
}

#[test]
fn a_store_is_named_or_the_only_one_that_takes_the_extension() {
    let fault = |files: &[(&str, &str)]| only_fault(&two_stores().load(files));
    assert_eq!(
        fault(&[("1_a.mem", "add x")]),
        "migrations/1_a.mem:1:1 ambiguous-store: `app` and `cache` both take `.mem` files \
         [put the store's name after the slug: `1_a.app.mem`]"
    );
    assert_eq!(
        fault(&[("1_a.cach.mem", "add x")]),
        "migrations/1_a.cach.mem:1:1 unknown-store: no store is called `cach` [did you mean `cache`?]"
    );
    assert_eq!(
        fault(&[("1_a.sql", "select 1")]),
        "migrations/1_a.sql:1:1 no-store: no configured store takes `.sql` files [files for the stores of dunlin.toml end in `.mem`, `.toml`; move the file away, or add the store it is for]"
    );
    assert!(
        fault(&[("1_a.cache.sql", "")])
            .contains("wrong-extension: `cache` is a memory store, which takes `.mem` files")
    );
}

#[test]
fn the_name_suggested_for_an_ambiguous_pair_keeps_its_half_and_needs_no_slug() {
    let loaded = two_stores().load(&[("1_a.up.mem", "add x"), ("2.mem", "")]);
    let faults = faults(&loaded);
    assert!(faults[0].contains("`1_a.app.up.mem`"), "{}", faults[0]);
    assert!(faults[1].contains("`2.app.mem`"), "{}", faults[1]);
}

#[test]
fn two_names_for_one_version_are_duplicates() {
    let world = one_store();
    let duplicate = only_fault(&world.load(&[("1_a.mem", ""), ("1_b.mem", "")]));
    assert_eq!(
        duplicate,
        "migrations/1_b.mem:1:1 duplicate-version: `1_a` and `1_b` have the same version \
         [give one of them a version of its own; `dunlin new` makes a fresh one]"
    );
    assert!(only_fault(&world.load(&[("001_a.mem", ""), ("1_a.mem", "")])).contains("`001_a` and `1_a`"));
}

#[test]
fn a_toml_file_names_neither_store_nor_half() {
    for name in ["1_a.app.toml", "1_a.down.toml", "1_a.up.toml"] {
        let loaded = one_store().load(&[(name, "[[expand]]\nstore = 'app'\nscript = 'add x'\n")]);
        let fault = only_fault(&loaded);
        assert!(fault.contains("unknown-file") && fault.contains("`1_a.toml`"), "{fault}");
        assert!(loaded.migrations.values().all(|migration| migration.steps().is_empty()));
    }
}

#[test]
fn names_of_other_tools_are_translated() {
    let world = one_store();
    let fault = |name: &str| only_fault(&world.load(&[(name, "")]));
    assert!(fault("V1__Add users.mem").contains("[rename it to `1_add_users.mem`, or move it away]"));
    assert!(fault("20240101-create-x.mem").contains("`20240101_create_x.mem`"));
    assert!(fault("U1__x.mem").contains("`1_x.down.mem`"));
    assert!(fault("V1.2__x.mem").contains("rename it to `1002_x.mem`, and every other file alike"));
    assert!(fault("V1_2__x.MEM").contains("`1002_x.mem`"), "1 and 1_2 would collide");
    let ending = only_fault(&world.load(&[("1_a.MEM", "add x")]));
    assert!(ending.contains("endings are written in small letters: rename it to `1_a.mem`"), "{ending}");
    let ending = only_fault(&world.load(&[("1_a.app.MEM", "add x")]));
    assert!(ending.contains("rename it to `1_a.app.mem`"), "{ending}");
    assert!(fault("notes.txt").contains("a migration is called `<version>_<slug>[.<store>].<ext>`"));
}

#[test]
fn a_file_that_is_no_migration_is_not_judged_by_its_bytes() {
    let world = one_store();
    let loaded = load(&[bytes("logo.png", b"\x89PNG\0")], &world.backends);
    assert!(only_fault(&loaded).contains("unknown-file"));
}

#[test]
fn folders_are_warned_of_and_hidden_files_and_readmes_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["README.md", "readme", ".hidden", "1_a.mem"] {
        std::fs::write(directory.path().join(name), "add x").unwrap();
    }
    for name in ["2_b.old", "seeds"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let target = directory.path().join("seeds");
    std::os::unix::fs::symlink(target, directory.path().join("linked")).unwrap();
    let world = one_store();
    let loaded = load(&read_dir(directory.path()).unwrap(), &world.backends);
    assert_eq!(ids(&loaded), ["1_a"]);
    let codes: Vec<_> = loaded.diagnostics.iter().map(|fault| (fault.code, fault.severity)).collect();
    assert_eq!(codes, [("folder-ignored", Severity::Warning); 3]);
    assert!(!loaded.has_errors());
}
