//! What becomes of files: migrations, and every fault with its place.

use std::time::Instant;

use dunlin_core::{Phase, StoredFile, Undo};
use dunlin_engine::load::{load_stored, read_dir};
use dunlin_engine::{File, Loaded, lane, load};

use super::world::{CONTRACT, World, block_on, bytes, file, version};

pub(super) fn one_store() -> World {
    block_on(World::new(&[("app", true)]))
}

pub(super) fn two_stores() -> World {
    block_on(World::new(&[("app", true), ("cache", false)]))
}

/// Every finding as `file:line:column code: message [help]`.
pub(super) fn faults(loaded: &Loaded) -> Vec<String> {
    let line = |fault: &dunlin_core::Diagnostic| {
        let place = fault.span().and_then(|span| loaded.sources.locate(span));
        let place = place.map_or("nowhere".to_owned(), |place| place.to_string());
        let help = fault.help.as_deref().unwrap_or("no help");
        format!("{place} {}: {} [{help}]", fault.code, fault.message)
    };
    loaded.diagnostics.iter().map(line).collect()
}

pub(super) fn only_fault(loaded: &Loaded) -> String {
    let faults = faults(loaded);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults[0].clone()
}

pub(super) fn ids(loaded: &Loaded) -> Vec<String> {
    loaded.migrations.values().map(|migration| migration.id().to_string()).collect()
}

#[test]
fn a_pair_is_one_migration_and_its_down_half_the_way_back() {
    let world = two_stores();
    let loaded = world.load(&[
        ("1_a.app.down.mem", "drop x"),
        ("1_a.app.up.mem", "add x"),
        ("1_a.cache.up.mem", "add y"),
    ]);
    assert_eq!(faults(&loaded), Vec::<String>::new());
    let migration = &loaded.migrations[&version("1")];
    let undo = |store: &str| lane::steps(&**migration, &store.into())[0].undo.clone();
    assert!(matches!(undo("app"), Undo::Op(op) if op.summary() == "drop x"));
    assert!(matches!(undo("cache"), Undo::Unwritten));
    let kept: Vec<_> = migration.files(&"app".into()).iter().map(|file| file.name.to_string()).collect();
    assert_eq!(kept, ["1_a.app.up.mem", "1_a.app.down.mem"]);
}

#[test]
fn a_way_back_without_a_way_up_is_a_fault() {
    let loaded = one_store().load(&[("1_a.down.mem", "drop x")]);
    assert_eq!(
        only_fault(&loaded),
        "migrations/1_a.down.mem:1:1 down-without-up: this way back belongs to no way up [`migrations/1_a.up.mem` is missing]"
    );
}

#[test]
fn two_files_for_one_store_are_duplicates() {
    let world = one_store();
    for other in ["1_a.up.mem", "1_a.app.mem"] {
        let fault = only_fault(&world.load(&[("1_a.mem", "add x"), (other, "add y")]));
        assert!(fault.contains("duplicate-file") && fault.contains("`1_a.mem`"), "{fault}");
    }
}

#[test]
fn a_native_file_and_a_toml_file_are_one_migration() {
    let toml = "summary = 's'\n[[backfill]]\nstore = 'app'\nscript = 'bump x'\n";
    let loaded = one_store().load(&[("1_a.mem", "add x"), ("1_a.toml", toml)]);
    assert_eq!(faults(&loaded), Vec::<String>::new());
    let migration = &loaded.migrations[&version("1")];
    assert_eq!((migration.summary(), migration.steps().len()), ("s", 2));
    assert_eq!(migration.files(&"app".into()).len(), 2);
}

#[test]
fn a_missing_directory_is_named() {
    let error = read_dir(std::path::Path::new("/nowhere/migrations")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nowhere/migrations`");
}

#[test]
fn bytes_that_are_no_text_are_faults_with_their_place() {
    let world = one_store();
    let fault = |content: &[u8]| only_fault(&load(&[bytes("1_a.mem", content)], &world.backends));
    assert!(fault(b"add x\nadd \0y").starts_with("migrations/1_a.mem:2:5 nul-byte"));
    assert!(fault(b"add x\n# caf\xe9\n").starts_with("migrations/1_a.mem:2:6 not-utf8"));
    assert!(fault(b"\xef\xbb\xbf# caf\xe9\n").starts_with("migrations/1_a.mem:1:6 not-utf8"));
    assert!(fault(b"\xff\xfea\0d\0d\0").contains("iconv -f UTF-16"));
}

#[test]
fn neither_byte_order_mark_nor_line_endings_change_a_migration() {
    let world = one_store();
    let sums = |text: &str| {
        let migrations = world.migrations(&[("1_a.mem", text)]);
        let migration = &*migrations[&version("1")];
        (migration.steps()[0].checksum(), lane::text_sum(migration, &"app".into()))
    };
    assert_eq!(sums("\u{feff}add x\r\nadd y\r\n"), sums("add x\nadd y\n"));
    assert_ne!(sums("add x\n\nadd y\n").1, sums("add x\nadd y\n").1);
}

const STEP: &str = "[[expand]]\nstore = 'app'\n";

fn toml_fault(step: &str) -> String {
    only_fault(&one_store().load(&[("1_a.toml", &format!("{STEP}{step}"))]))
}

#[test]
fn a_step_of_a_toml_file_says_one_op() {
    assert_eq!(
        toml_fault("script = 'add x'\nadd = 'y'\n"),
        "migrations/1_a.toml:4:1 two-ops: a step does one thing, this one says `script` and `add` [start another `[[expand]]` for it]"
    );
    assert_eq!(
        toml_fault(""),
        "migrations/1_a.toml:1:1 no-op-given: this step does nothing [memory takes `script`, `add`, `sweep`, `level`]"
    );
    assert_eq!(
        toml_fault("scirpt = 'add x'\n"),
        "migrations/1_a.toml:3:1 unknown-key: unknown key `scirpt` [did you mean `script`?]"
    );
    assert_eq!(
        toml_fault("add = 'x'\nirreversable = 'x'\n"),
        "migrations/1_a.toml:4:1 unknown-key: unknown key `irreversable` [did you mean `irreversible`?]"
    );
}

#[test]
fn a_step_of_a_toml_file_names_a_known_store() {
    let fault = |text: &str| only_fault(&one_store().load(&[("1_a.toml", text)]));
    assert_eq!(
        fault("[[expand]]\nstore = 'ap'\nadd = 'x'\n"),
        "migrations/1_a.toml:2:9 unknown-store: no store is called `ap` [did you mean `app`?]"
    );
    assert_eq!(
        fault("[[expand]]\nsotre = 'app'\nadd = 'x'\n"),
        "migrations/1_a.toml:2:1 missing-key: `store` is missing [`sotre` seems to be meant for it]"
    );
    assert!(fault("[[expand]]\nadd = 'x'\n").contains("missing-key: `store` is missing"));
    assert!(fault("[expand]\nstore = 'app'\nadd = 'x'\n").contains("`[[expand]]` above each step"));
}

#[test]
fn needs_are_versions() {
    let fault = |needs: &str| only_fault(&one_store().load(&[("1_a.toml", &format!("needs = {needs}\n"))]));
    assert_eq!(
        fault("['1', 'two']"),
        "migrations/1_a.toml:1:15 bad-version: a version is a number [as in a file's name: `\"20261121090000\"`]"
    );
    assert!(fault("[-1]").starts_with("migrations/1_a.toml:1:10 bad-version"));
    assert!(fault("'1'").contains("expected a list, found a text"));
    let loaded = one_store().load(&[("1_a.toml", "needs = [7, '008']\n")]);
    assert_eq!(loaded.migrations[&version("1")].needs(), [version("7"), version("8")]);
}

#[test]
fn the_way_back_of_a_step_has_four_forms() {
    let undo = |text: &str| {
        let migrations = one_store().migrations(&[("1_a.toml", &format!("{STEP}add = 'x'\n{text}"))]);
        migrations[&version("1")].steps()[0].undo.clone()
    };
    assert!(matches!(undo("undo = 'y'"), Undo::Op(op) if op.summary() == "add y"));
    assert!(matches!(undo("undo = { script = 'drop x' }"), Undo::Op(op) if op.summary() == "drop x"));
    assert!(matches!(undo("irreversible = 'no'"), Undo::Irreversible { reason } if reason == "no"));
    assert!(matches!(undo("no_op = 'why not'"), Undo::Nothing { reason } if reason == "why not"));
    assert!(matches!(undo(""), Undo::Unwritten));
    let both = toml_fault("add = 'x'\nundo = 'y'\nirreversible = 'no'\n");
    assert!(both.starts_with("migrations/1_a.toml:5:1 two-ways-back"), "{both}");
    assert!(toml_fault("add = 'x'\nno_op = ' '\n").starts_with("migrations/1_a.toml:4:9 missing-reason"));
    let wrong = toml_fault("add = 'x'\nundo = { sript = 'drop x' }\n");
    assert!(wrong.starts_with("migrations/1_a.toml:4:8 "), "{wrong}");
}

#[test]
fn a_verify_step_needs_no_way_back() {
    let text = "[[verify]]\nstore = 'app'\nscript = 'x'\n";
    let migrations = one_store().migrations(&[("1_a.toml", text)]);
    let step = &migrations[&version("1")].steps()[0];
    assert!(step.phase == Phase::Verify && matches!(step.undo, Undo::Nothing { .. }));
}

#[test]
fn all_faults_of_all_files_are_reported_at_once() {
    let toml = "sumary = 'x'\n[[expand]]\nstore = 'app'\nscirpt = 'add x'\n[[backfill]]\nstore = 'no'\nadd = 'x'\n[[contract]]\nstore = 'app'\n";
    let world = one_store();
    let files = [
        bytes("1_latin.mem", b"\xe9"),
        file("2_good.mem", "add good"),
        file("3_steps.toml", toml),
        file("4_broken.toml", "a = \n[[expand]]\nstore = 'app'\n"),
        file("5_x.sql", ""),
        file("V6__y.mem", ""),
    ];
    let loaded = load(&files, &world.backends);
    let found: Vec<String> = faults(&loaded)
        .iter()
        .map(|fault| fault.split(": ").next().unwrap().replace("migrations/", ""))
        .collect();
    let expected = [
        "1_latin.mem:1:1 not-utf8",
        "V6__y.mem:1:1 unknown-file",
        "3_steps.toml:4:1 unknown-key",
        "3_steps.toml:6:9 unknown-store",
        "3_steps.toml:8:1 no-op-given",
        "3_steps.toml:1:1 unknown-key",
        "4_broken.toml:1:5 bad-toml",
        "4_broken.toml:2:1 no-op-given",
        "4_broken.toml:1:1 unknown-key",
        "5_x.sql:1:1 no-store",
    ];
    for line in expected {
        assert!(found.contains(&line.to_owned()), "{line} is missing in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(ids(&loaded).contains(&"2_good".to_owned()));
}

#[test]
fn a_stored_text_is_read_for_its_own_store_whatever_is_configured_now() {
    let world = two_stores();
    let stored = |name: &str, text: &str| StoredFile { name: name.into(), text: text.into() };
    let toml = "[[expand]]\nstore = 'cache'\nadd = 'x'\n[[expand]]\nstore = 'gone'\nadd = 'y'\n";
    let files = [stored("1_a.mem", "add z"), stored("1_a.toml", toml)];
    let mut sources = dunlin_core::SourceMap::default();
    sources.add("before", "");
    let loaded = load_stored(&files, &"cache".into(), &world.backends, &mut sources);
    assert_eq!(faults(&loaded), Vec::<String>::new());
    let migration = &loaded.migrations[&version("1")];
    let steps: Vec<_> = migration.steps().iter().map(|step| (&*step.store.0, step.op.summary())).collect();
    assert_eq!(steps, [("cache", "add z".to_owned()), ("cache", "add x".to_owned())]);
    assert_eq!(migration.files(&"cache".into()), files);
    let place = sources.locate(migration.steps()[0].span.unwrap()).unwrap();
    assert_eq!(place.to_string(), "1_a.mem (as applied):1:1");
}

#[test]
fn a_migration_in_rust_with_a_taken_version_is_a_fault() {
    let world = one_store();
    let mut loaded = world.load(&[("1_a.mem", "")]);
    let other = world.migrations(&[("1_b.mem", "")]).into_values().next().unwrap();
    loaded.add(other);
    assert!(only_fault(&loaded).starts_with("nowhere duplicate-version: `1_b` and `1_a`"));
}

#[test]
fn ten_thousand_files_load_in_a_blink() {
    let directory = tempfile::tempdir().unwrap();
    let text = "add a table of five columns and an index\n".repeat(10);
    for number in 0..10_000 {
        std::fs::write(directory.path().join(format!("{number:05}_migration.mem")), &text).unwrap();
    }
    let world = one_store();
    let began = Instant::now();
    let files: Vec<File> = read_dir(directory.path()).unwrap();
    let read = began.elapsed();
    let loaded = load(&files, &world.backends);
    let took = began.elapsed();
    assert_eq!(loaded.migrations.len(), 10_000);
    let bound = if cfg!(debug_assertions) { 3_000 } else { 150 };
    assert!(took.as_millis() < bound, "{took:?}, {read:?} of it to read the files");
}

#[test]
fn a_change_unfolds_into_steps_of_all_phases() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let text = "[[expand]]\nstore = \"app\"\nadd = \"x\"\n[[change]]\nstore = \"app\"\nsupersede = \"x\"\n\
                    [[change]]\nstore = \"app\"\nsupersede = \"new_7_1\"\n";
        let migrations = world.migrations(&[("7_a.toml", text)]);
        world.brought_up(&migrations, &CONTRACT).await;
        let expected = ["add x", "add new_7_1", "add new_7_2", "drop x", "drop new_7_1"];
        assert_eq!(world.ran("app"), expected);
    });
}

#[test]
fn a_change_that_cannot_be_read_says_what_is_known() {
    let world = one_store();
    let codes = |text: &str| {
        let loaded = world.load(&[("1_a.toml", text)]);
        loaded.diagnostics.iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("[[change]]\nstore = \"app\"\n"), ["no-op-given"]);
    assert_eq!(codes("[[change]]\nstore = \"app\"\nsuperseed = \"x\"\n"), ["unknown-key"]);
    assert_eq!(codes("[[change]]\nstore = \"app\"\nsupersede = 1\n"), ["wrong-type"]);
    assert_eq!(
        codes("[[change]]\nstore = \"app\"\nsupersede = \"x\"\nlock_timeout = \"5s\"\n"),
        ["no-lock-timeout"],
        "this store has no locks"
    );
    assert_eq!(codes("[[change]]\nstore = \"ap\"\nsupersede = \"x\"\n"), ["unknown-store"]);
    assert_eq!(codes("change = 1\n"), ["wrong-type"]);
}
