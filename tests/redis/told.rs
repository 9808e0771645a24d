//! What a person is told by the real program: before something runs, and when it fails.

use dunlin_testkit::process;
use dunlin_testkit::scratch::{self, Scratch};

use super::ask;
use crate::cli::Case;

fn case(scratch: &Scratch, files: &[(&str, &str)]) -> Case {
    let case = Case::new()
        .file("dunlin.toml", "[stores.cache]\nurl = \"${URL}\"\n")
        .variable("URL", scratch.url.expose());
    files.iter().fold(case, |case, (name, text)| case.file(&format!("migrations/{name}"), text))
}

#[tokio::test]
async fn commands_across_slots_are_refused_with_their_line_before_anything_runs() {
    let scratch = scratch::redis_cluster().await;
    for (text, line) in [
        ("SET told:a 1\nMSET told:b 1 told:c 2\n", "1_a.redis:2:1"),
        ("SET told:a 1\nMULTI\nSET told:b 1\nSET told:c 1\nEXEC\n", "1_a.redis:4:1"),
        ("# Up\nSET told:a 1\n# Contract\nRENAME told:a told:z\n", "1_a.redis:4:1"),
    ] {
        let case = case(&scratch, &[("1_a.redis", text)]);
        let plan = process::run(&mut case.command("plan")).expect_code(0);
        assert!(plan.stdout.contains(&format!("{line}: would be refused")), "{plan}");
        let up = process::run(&mut case.command("up")).expect_code(1);
        assert!(up.stderr.contains(line) && up.stderr.contains("different slots"), "{up}");
        assert_eq!(ask::<i64>(&scratch, &["EXISTS", "told:a"]).await, 0, "{up}");
    }
    let case = case(&scratch, &[("1_a.redis", "MSET {told}:b 1 {told}:c 2\nRENAME {told}:b {told}:d\n")]);
    process::run(&mut case.command("up")).expect_code(0);
}

#[tokio::test]
async fn a_plan_for_a_cluster_shows_what_goes_from_slot_to_slot() {
    let steps = "[[backfill]]\nstore = \"cache\"\ncopy_keys = { from = \"told_{id}\", to = \"told:{id}:p\" }\n\
                 [[backfill]]\nstore = \"cache\"\nrename_keys = { from = \"near_{{{id}}}\", to = \"near:{{{id}}}:p\" }\n\
                 [[change]]\nstore = \"cache\"\nrename_keys = { from = \"far_{id}\", to = \"far:{id}:p\", wins = \"old\" }\n";
    let (carried, near) = ("RESTORE told:{id}:p <end> <value> ABSTTL\n", "RENAMENX near_");
    for (scratch, is_cluster) in [(scratch::redis().await, false), (scratch::redis_cluster().await, true)] {
        let plan = process::run(&mut case(&scratch, &[("1_a.toml", steps)]).command("plan")).expect_code(0);
        assert_eq!(plan.stdout.contains(carried), is_cluster, "{plan}");
        assert_eq!(plan.stdout.contains("COPY "), !is_cluster, "{plan}");
        assert_eq!(
            plan.stdout.contains("RESTORE far:{id}:p <end> <value> ABSTTL REPLACE -- if they differ"),
            is_cluster
        );
        assert!(plan.stdout.contains(near), "{plan}");
        assert_eq!(plan.stdout.matches("first: what is there already is remembered").count(), 1, "{plan}");
    }
}

#[tokio::test]
async fn a_command_of_the_wrong_type_says_what_to_run_once_it_is_mended() {
    let scratch = scratch::redis().await;
    let case = case(&scratch, &[("1_a.redis", "SET a 1\nLPUSH a 1\n")]);
    let up = process::run(&mut case.command("up")).expect_code(1);
    for words in ["1_a.redis:2:1", "WRONGTYPE", "then `dunlin up` goes on from there"] {
        assert!(up.stderr.contains(words), "{words}: {up}");
    }
    ask::<()>(&scratch, &["DEL", "a"]).await;
    process::run(&mut case.command("up")).expect_code(0);
}

#[test]
fn a_refused_command_of_a_step_passes_as_its_help_says() {
    let step = |redis: &str| format!("[[backfill]]\nstore = \"cache\"\nredis = {redis}\nno_op = \"x\"\n");
    let check = |redis: &str| {
        let case = Case::new()
            .file("dunlin.toml", "[stores.cache]\nurl = \"redis://127.0.0.1:1\"\n")
            .file("migrations/1_a.toml", &step(redis));
        process::run(&mut case.command("check --offline"))
    };
    for refused in ["\"KEYS a*\"", "[\"KEYS a*\"]", "[[\"KEYS\", \"a*\"]]", "'''\nGET a\nKEYS a*\n'''"] {
        let run = check(refused).expect_code(13);
        assert!(run.stderr.contains("`\"KEYS … # dunlin: allow(keys): reason\"`"), "{run}");
    }
    let said = "KEYS a* # dunlin: allow(keys): reason";
    for allowed in [format!("\"{said}\""), format!("[\"{said}\"]"), format!("'''\nGET a\n{said}\n'''")] {
        check(&allowed).expect_code(0);
    }
}

#[tokio::test]
async fn what_is_too_big_to_be_converted_is_named_before_anything_is_written() {
    let scratch = scratch::redis().await;
    let mut pipe = redis::pipe();
    for number in 0..40_000 {
        pipe.cmd("HSET").arg("told_big").arg(format!("f{number}")).arg(number);
    }
    pipe.cmd("HSET").arg("told_small").arg("a").arg(1);
    super::send(&scratch, &pipe).await;
    let text =
        "[[backfill]]\nstore = \"cache\"\nhash_to_string = { from = \"told_{id}\", to = \"told:{id}\" }\n";
    let case = case(&scratch, &[("1_a.toml", text)]);
    let up = process::run(&mut case.command("up")).expect_code(1);
    for words in
        ["1_a.toml:3:18", "told_big: takes more than 1 MiB", "otherwise = \"skip\"", "nothing was written"]
    {
        assert!(up.stderr.contains(words), "{words}: {up}");
    }
    assert_eq!(ask::<i64>(&scratch, &["EXISTS", "told:small"]).await, 0);
    let case = case.file("migrations/1_a.toml", &text.replace(" }", ", otherwise = \"skip\" }"));
    process::run(&mut case.command("up")).expect_code(0);
    assert_eq!(ask::<i64>(&scratch, &["EXISTS", "told:small", "told:big"]).await, 1);
}

#[tokio::test]
async fn a_verify_goes_on_as_its_help_says() {
    let scratch = scratch::redis().await;
    ask::<()>(&scratch, &["MSET", "told_1", "a", "told_2", "b"]).await;
    let names = "from = \"told_{id}\", to = \"told:{id}\"";
    let step = |verify: &str| {
        let copy = format!("[[backfill]]\nstore = \"cache\"\ncopy_keys = {{ {names} }}\n");
        format!("{copy}[[verify]]\nstore = \"cache\"\n{verify}\n")
    };
    let case = case(&scratch, &[("1_a.toml", &step("none = { keys = \"told_{id}\" }"))]);
    process::run(&mut case.command("up")).expect_code(14);
    ask::<()>(&scratch, &["SET", "told_2", "late"]).await;
    let case = case.file("migrations/1_a.toml", &step(&format!("same = {{ {names} }}")));
    for _ in 0..2 {
        let up = process::run(&mut case.command("up")).expect_code(14);
        for words in ["told_2", "`wins = \"old\"`", "`--edited warn`"] {
            assert!(up.stderr.contains(words), "{words}: {up}");
        }
    }
    let case = case.file("migrations/1_a.toml", &step(&format!("same = {{ {names}, wins = \"old\" }}")));
    process::run(&mut case.command("up --edited warn")).expect_code(0);
    assert_eq!(ask::<String>(&scratch, &["GET", "told:2"]).await, "late");
    // Or all of it is taken back and done once more, which says what it loses.
    ask::<()>(&scratch, &["SET", "told_2", "later"]).await;
    let redo = process::run(&mut case.command("redo")).expect_code(3);
    assert!(redo.stderr.contains("told:2"), "{redo}");
    process::run(&mut case.command("redo --allow-data-loss")).expect_code(0);
    assert_eq!(ask::<String>(&scratch, &["GET", "told:2"]).await, "later");
    // Nothing is lost with copies that are the same.
    process::run(&mut case.command("down --yes")).expect_code(0);
}

#[tokio::test]
async fn a_contract_goes_on_as_its_help_says_and_down_after_it_loses_nothing() {
    let scratch = scratch::redis().await;
    ask::<()>(&scratch, &["MSET", "told_1", "a", "told_2", "b"]).await;
    let change = |wins: &str| {
        let names = "from = \"told_{id}\", to = \"told:{id}\"";
        format!("[[change]]\nstore = \"cache\"\nrename_keys = {{ {names}{wins} }}\n")
    };
    ask::<()>(&scratch, &["SET", "told:2", "taken"]).await;
    let case = case(&scratch, &[("1_a.toml", &change(""))]);
    let up = process::run(&mut case.command("up")).expect_code(1);
    assert!(up.stderr.contains("`wins = \"old\"` or `wins = \"new\"`"), "{up}");
    ask::<()>(&scratch, &["DEL", "told:2"]).await;
    process::run(&mut case.command("up")).expect_code(0);
    ask::<()>(&scratch, &["SET", "told:2", "late"]).await;
    let contract = process::run(&mut case.command("contract 1 --yes")).expect_code(14);
    for words in ["told_2", "`wins = \"old\"` or `wins = \"new\"`", "`--edited warn`"] {
        assert!(contract.stderr.contains(words), "{words}: {contract}");
    }
    let case = case.file("migrations/1_a.toml", &change(", wins = \"new\""));
    let contract = "contract 1 --yes --edited warn --force --reason tested";
    process::run(&mut case.command(contract)).expect_code(0);
    assert_eq!(ask::<i64>(&scratch, &["EXISTS", "told_1", "told_2"]).await, 0);
    let scratch = scratch::redis().await;
    ask::<()>(&scratch, &["MSET", "told_1", "a", "told_2", "b"]).await;
    let case = self::case(&scratch, &[("1_a.toml", &change(", wins = \"new\""))]);
    process::run(&mut case.command("up --contract --yes")).expect_code(0);
    process::run(&mut case.command("down --yes")).expect_code(0);
    assert_eq!(ask::<String>(&scratch, &["GET", "told_2"]).await, "b");
}
