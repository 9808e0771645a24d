//! The command line itself: help, versions, words of other tools, and lines that cannot be read.

use std::io::Read as _;
use std::process::Stdio;

use insta::assert_snapshot;

use super::Case;

#[test]
fn alone_it_prints_help_and_exits_2() {
    assert_snapshot!(Case::new().run(""), @"
    exit 2
    ---- stderr
    Moves SQL tables, MongoDB documents and Redis keys together: one versioned change, every store, and
    a way back

    Usage: dunlin [OPTIONS] <COMMAND>

    Reads only:
      status       Show where every migration stands in every store
      plan         Show what `up` would do, statement by statement
      history      Show what ran: when, by whom, how long, with which text
      check        The gate for CI: are the files sound, and do the histories agree with them?
      verify       Ask again whether what expanded migrations promised holds
      doctor       Look at each server, login and setting, and say what is amiss
      explain      Say what a code in a report means and what to do

    Writes to stores:
      up           Apply what is pending
      follow       Keep old and new in step while applications write both (MongoDB, Redis)
      contract     Remove the old shape of migrations that are expanded and verified
      down         Undo the last migration, or several
      redo         Undo the last migration and apply it again
      baseline     Take migrations as done that ran before dunlin came
      mark         Write into the history what a person knows better
      purge        Remove for good what contracts set aside
      lock         Show who holds the migration lock, or take it away

    Writes files:
      init         Write a commented dunlin.toml and the migrations directory
      new          Write the files of a new migration
      completions  Print the completions of a shell
      man          Print the manual page, or write those of all commands

    Options:
      -c, --config <FILE>     The configuration, instead of the `dunlin.toml` found upward from here
                              [env: DUNLIN_CONFIG]
          --env <NAME>        The `[env.NAME]` laid over the configuration [env: DUNLIN_ENV]
          --store <NAME>      Only this store; may be given several times
          --url <URL>         The url of the one store, with or without a configuration
          --migrations <DIR>  The directory of the migrations [default: migrations]
          --json              Answer with one JSON object; the same as `--format json`
      -q, --quiet             Say nothing but the answer and errors
      -v, --verbose           Say more: the settings in use, every statement
      -y, --yes               Answer questions with yes, except those about losing data
      -h, --help              Print help (see more with '--help')
      -V, --version           Print version

    `dunlin help COMMAND` has examples; `dunlin explain CODE` has the long form of an error.
    ");
}

#[test]
fn versions_are_short_and_long() {
    assert_snapshot!(Case::new().run("-V"), @r#"
    exit 0
    ---- stdout
    dunlin 0.1.0
    "#);
    assert_snapshot!(Case::new().run("--version"), @r#"
    exit 0
    ---- stdout
    dunlin 0.1.0
      PostgreSQL  postgres, postgresql
      MySQL       mysql, mariadb
      SQLite      sqlite
      MongoDB     mongodb, mongodb+srv
      Redis       redis, rediss, redis+cluster, rediss+cluster, redis+unix
      TLS         rustls with ring
    "#);
}

#[test]
fn the_long_help_has_the_exit_codes() {
    let output = Case::new().output("--help");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text.contains("Exit codes:\n    0  done") && text.contains("  143  stopped"), "{text}");
}

#[test]
fn the_help_of_a_command_ends_with_examples() {
    assert_snapshot!(Case::new().run("down -h"), @"
    exit 0
    ---- stdout
    Undo the last migration, or several

    Usage: dunlin down [OPTIONS] [COUNT]

    Arguments:
      [COUNT]  How many migrations [default: 1]

    Options:
          --to <VERSION>     All after this version; it stays itself, and 0 undoes everything
          --dry-run          Show what would be done, and do nothing
          --allow-data-loss  Go on although tables, collections or keys go, and the data in them
      -h, --help             Print help (see more with '--help')

    Pace:
          --rate <NUMBER>       At most so many rows, documents or keys a second
          --max-lag <DURATION>  Wait while a replica is further behind than this; `off` to look at none
          --jobs <NUMBER>       So many chunks at once (PostgreSQL, MySQL); from 2 on, larger pages
                                (Redis)
          --until <HH:MM>       Pause at this time of day; the same command goes on from there another
                                time

    Global options:
      -c, --config <FILE>     The configuration, instead of the `dunlin.toml` found upward from here
                              [env: DUNLIN_CONFIG]
          --env <NAME>        The `[env.NAME]` laid over the configuration [env: DUNLIN_ENV]
          --store <NAME>      Only this store; may be given several times
          --url <URL>         The url of the one store, with or without a configuration
          --migrations <DIR>  The directory of the migrations [default: migrations]
          --json              Answer with one JSON object; the same as `--format json`
      -q, --quiet             Say nothing but the answer and errors
      -v, --verbose           Say more: the settings in use, every statement
      -y, --yes               Answer questions with yes, except those about losing data

    Examples:
      dunlin down  # the last one
      dunlin down 3 --dry-run
      dunlin down --to TIME  # all after it
    ");
}

#[test]
fn a_typo_runs_nothing_and_names_the_nearest_command() {
    assert_snapshot!(Case::new().run("upp"), @r#"
    exit 2
    ---- stderr
    error: unrecognized subcommand 'upp'

      tip: a similar subcommand exists: 'up'

    Usage: dunlin [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
    assert_snapshot!(Case::new().run("down --dryrun"), @r#"
    exit 2
    ---- stderr
    error: unexpected argument '--dryrun' found

      tip: a similar argument exists: '--dry-run'

    Usage: dunlin down --dry-run [COUNT]

    For more information, try '--help'.
    "#);
}

#[test]
fn a_line_that_cannot_be_read_is_json_too() {
    assert_snapshot!(Case::new().run("upp --json"), @r#"
    exit 2
    ---- stdout
    {"schema":"dunlin.usage/1","ok":false,"data":null,"diagnostics":[{"code":"usage","severity":"error","message":"unrecognized subcommand 'upp'","file":null,"line":null,"column":null,"end_line":null,"end_column":null,"labels":[],"help":null,"causes":[],"facts":{}}]}
    ---- stderr
    error: unrecognized subcommand 'upp'

      tip: a similar subcommand exists: 'up'

    Usage: dunlin [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_word_of_another_tool_works_and_is_named() {
    let said = Case::new().run("validate");
    assert!(said.contains("note: `validate` is called `check` here\n"), "{said}");
    assert!(!Case::new().run("--quiet validate").contains("note"));
}

#[test]
fn colour_follows_the_flag_and_the_environment() {
    let is_painted = |case: Case, line: &str| {
        let output = case.output(line);
        [output.stdout, output.stderr].concat().contains(&0x1b)
    };
    for line in ["", "upp", "new x", "explain", "up --help"] {
        assert!(!is_painted(Case::new(), line), "{line}");
        assert!(
            !is_painted(Case::new().variable("NO_COLOR", "1").variable("CLICOLOR_FORCE", "1"), line),
            "{line}"
        );
        assert!(is_painted(Case::new().variable("CLICOLOR_FORCE", "1"), line), "{line}");
        if !line.is_empty() {
            assert!(is_painted(Case::new(), &format!("--color always {line}")), "{line}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for line in ["explain", "--help", "completions zsh", "explain --json"] {
        let mut child =
            Case::new().command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""), "{line}");
    }
}

#[test]
fn completions_know_the_commands_and_not_the_words_of_other_tools() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Case::new().output(&format!("completions {shell}"));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("baseline") && !script.contains("rollback"), "{shell}");
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let case = Case::new();
    let said = case.run("man --out pages");
    assert!(said.starts_with("exit 0\n---- stdout\npages/dunlin.1\npages/dunlin-status.1\n"), "{said}");
    let page = case.text("pages/dunlin-down.1");
    assert!(page.starts_with(".ie") && page.contains("dunlin\\-down") && !page.contains('\u{1b}'), "{page}");
    assert!(case.text("pages/dunlin.1").contains("143"));
    assert_eq!(std::fs::read_dir(case.path().join("pages")).unwrap().count(), said.lines().count() - 2);
}
