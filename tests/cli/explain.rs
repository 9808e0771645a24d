//! `dunlin explain`

use insta::assert_snapshot;

use super::Case;

#[test]
fn a_code_is_explained_as_it_stands_in_a_report() {
    assert_snapshot!(Case::new().run("explain error[lease-lost]"), @r#"
    exit 0
    ---- stdout
    lease-lost: the migration lock was taken over by another run

    This run held the lock by lease, did not renew it in time (it was paused, or cut off from the
    store), and another run took over. From that moment this run writes nothing: every write carries
    the number of its lease, and the store refuses an old one.

    Nothing needs to be repaired. `dunlin status` shows what the other run is doing.
    "#);
}

#[test]
fn an_unknown_code_has_a_nearest_one() {
    assert_snapshot!(Case::new().run("explain lock-hold"), @r#"
    exit 2
    ---- stderr
    error[unknown-code]: nothing is known under `lock-hold`
      = help: did you mean `lock-held`?

    `dunlin explain unknown-code` says more
    "#);
}

#[test]
fn programs_get_the_same() {
    assert_snapshot!(Case::new().run("explain bad-name --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.explain/1","ok":true,"data":{"code":"bad-name","title":"a name without a letter or a digit","text":"The name of a migration becomes part of a file's name: lower-case letters and digits with `_`\nbetween them. Everything else becomes `_`, and nothing was left.\n"},"diagnostics":[]}
    "#);
}

#[test]
fn without_a_code_all_are_listed() {
    let said = Case::new().run("explain");
    assert!(said.starts_with("exit 0\n---- stdout\naccess-denied "), "{said}");
    assert!(said.contains("\nexit-codes ") && !said.contains("stderr"), "{said}");
}
