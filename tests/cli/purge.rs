//! `dunlin purge`

use insta::assert_snapshot;

use super::Case;
use super::shop::stall;

/// Two changes of one table, the first of them contracted.
fn contracted() -> Case {
    let case = stall()
        .file(
            "migrations/2_names.toml",
            "[[change]]\nstore = \"app\"\nadd_column = { table = \"users\", column = \"name\", type = \"text\" }\n",
        )
        .file(
            "migrations/3_rename.toml",
            "[[change]]\nstore = \"app\"\nrename_column = { table = \"users\", from = \"name\", to = \"called\" }\n",
        );
    case.done("up");
    case.done("contract 3 --yes");
    case
}

#[test]
fn nothing_goes_unasked() {
    let case = contracted();
    assert_snapshot!(case.said("purge --dry-run"), @"
    exit 0
    ---- stdout
    store  migration  set aside  contracted  goes by itself
    app  3_rename  column users.name  AT  never
    ");
    assert_snapshot!(case.said("purge --dry-run --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.purge/1","ok":true,"data":{"purged":[],"archives":[{"store":"app","version":"3","slug":"rename","what":"column users.name","name":"dunlin_archive_3_1_name","finished":"AT","expires":null}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("purge"), @"
    exit 3
    ---- stderr
    error[not-confirmed]: this removes for good, and with it the way back:
      column users.name of 3_rename in `app`
      = help: nothing was changed; `--dry-run` shows what goes, `--yes` says that it may

    `dunlin explain not-confirmed` says more
    ");
    assert_snapshot!(case.said("purge --older-than 30d --yes"), @"
    exit 0
    ---- stdout
    nothing to purge
    ");
    assert_snapshot!(case.said("purge --older-than soon"), @"
    exit 2
    ---- stderr
    error: invalid value 'soon' for '--older-than <DURATION>': `soon` is no duration; a duration is a number with its unit: `500ms`, `30s`, `5m`, `1h30m`

    For more information, try '--help'.
    ");
}

#[test]
fn what_went_is_said_and_there_is_no_way_back() {
    let case = contracted();
    assert_snapshot!(case.said("purge 3 --older-than 0s --yes"), @"
    exit 0
    ---- stdout
    purged column users.name of 3_rename in `app`
    ");
    assert_snapshot!(case.said("purge --json --yes"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.purge/1","ok":true,"data":{"purged":[],"archives":[]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("prune --yes"), @"
    exit 0
    ---- stdout
    nothing to purge
    ---- stderr
    note: `prune` is called `purge` here
    ");
    assert_snapshot!(case.said("down --allow-data-loss"), @"
    exit 1
    ---- stderr
    error[purged]: there is no way back from 3_rename in `app`: the old column users.name was purged by ann@HOST
      = help: nothing was changed. Go forward with a new migration, or bring the old shape back from a backup and record that: `dunlin mark 3 undone --reason …`; `dunlin history 3` has the purge

    `dunlin explain purged` says more
    ");
}

#[test]
fn what_is_not_done_or_not_known_is_refused() {
    let case = contracted().file(
        "migrations/4_again.toml",
        "[[change]]\nstore = \"app\"\nrename_column = { table = \"users\", from = \"called\", to = \"named\" }\n",
    );
    case.done("up");
    assert_snapshot!(case.said("purge 4 --yes"), @"
    exit 1
    ---- stderr
    error[not-done]: 4 still needs what it set aside: it is expanded in `app`
      = help: only what is done is purged; nothing was removed

    `dunlin explain not-done` says more
    ");
    assert_snapshot!(case.said("purge 5 --yes"), @"
    exit 2
    ---- stderr
    error[unknown-version]: no store remembers a migration 5
      = help: `dunlin status` lists what there is; nothing was removed

    `dunlin explain unknown-version` says more
    ");
    assert_snapshot!(case.said("purge --json --yes"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.purge/1","ok":true,"data":{"run":"RUN","purged":[{"store":"app","version":"3","slug":"rename","what":"column users.name","name":"dunlin_archive_3_1_name","finished":"AT","expires":null}],"archives":[]},"diagnostics":[]}
    "#);
}
