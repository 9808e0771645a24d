//! What the command line understands.

use super::*;
use dunlin_engine::Reaction;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(Into::into).collect()
}

fn parsed(line: &str) -> Parsed {
    parse(&words(line)).unwrap()
}

#[test]
fn words_of_other_tools_are_understood_and_named() {
    for (line, synonym) in [
        ("dunlin migrate", ("migrate", "up")),
        ("dunlin --store migrate migrate --to 3", ("migrate", "up")),
        ("dunlin rollback 2", ("rollback", "down")),
        ("dunlin info", ("info", "status")),
        ("dunlin validate --offline", ("validate", "check")),
        ("dunlin stamp 3 --reason x", ("stamp", "baseline")),
    ] {
        assert_eq!(parsed(line).synonym, Some(synonym), "{line}");
    }
    assert_eq!(parsed("dunlin up --to 3").synonym, None);
    let help = parse(&words("dunlin help migrate")).unwrap_err();
    assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    let fault = parse(&words("dunlin migrate --tp 3")).unwrap_err();
    assert_eq!(fault.kind(), clap::error::ErrorKind::UnknownArgument);
}

#[test]
fn typos_run_nothing() {
    for line in [
        "dunlin upp",
        "dunlin down -1",
        "dunlin down 0",
        "dunlin up --to v1",
        "dunlin mark 3 applied --reason x",
        "dunlin",
    ] {
        assert_eq!(parse(&words(line)).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn global_flags_stand_anywhere() {
    for line in ["dunlin --json --env prod up", "dunlin up --env prod --format json"] {
        let args = parsed(line).args;
        assert_eq!(
            (args.global.env.as_deref(), args.global.format()),
            (Some("prod"), crate::render::Format::Json)
        );
    }
}

#[test]
fn values_become_what_they_mean() {
    let Command::Up(up) = parsed("dunlin up --to 007 --out-of-order apply --edited warn").args.command else {
        panic!("not up")
    };
    assert_eq!(up.to.unwrap().as_str(), "007");
    assert_eq!(
        (up.rules.out_of_order, up.rules.edited, up.rules.missing),
        (Some(Reaction::Accept), Some(Reaction::Warn), None)
    );
    let Command::Plan(plan) = parsed("dunlin plan --down").args.command else { panic!("not plan") };
    assert_eq!(plan.down.unwrap().get(), 1);
    assert_eq!(parsed("dunlin up --lock-wait 90s").args.global.lock_wait.unwrap().as_secs(), 90);
}

#[test]
fn colour_and_json_are_seen_in_a_line_that_cannot_be_read() {
    assert_eq!(color(&words("dunlin --color never upp")), ColorChoice::Never);
    assert_eq!(color(&words("dunlin upp --color=always")), ColorChoice::Always);
    assert!(asks_for_json(&words("dunlin upp --json")) && asks_for_json(&words("dunlin --format json upp")));
    assert!(!asks_for_json(&words("dunlin upp")));
}
