//! Commands whose fate nobody can look up, settled by a person through the real program.

use dunlin_testkit::process;
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};
use dunlin_testkit::scratch;

use super::ask;
use crate::cli::Case;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_cut_off_is_settled_by_a_person_and_runs_once() {
    for (loss, state) in [(Loss::Reply, "statement-done"), (Loss::HalfRequest, "statement-undone")] {
        let scratch = scratch::redis().await;
        let sha: String = ask(&scratch, &["SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])"]).await;
        let case = Case::new()
            .file("dunlin.toml", "[stores.app]\nurl = \"${URL}\"\n")
            .variable("URL", scratch.url.expose())
            .file("migrations/1_a.redis", &format!("SET a 5\nEVALSHA {sha} 1 a\nINCR a\n"));
        let proxy = Proxy::before(&scratch.url);
        // The command itself, and not the text of the file in the history.
        proxy.cut_at(Trigger::text(&format!("EVALSHA\r\n$40\r\n{sha}\r\n")), loss);
        let run = process::run(case.command("up").env("URL", proxy.url.expose()));
        assert_eq!(proxy.cuts(), 1, "{run}");
        run.expect_code(20);
        for _ in 0..2 {
            let run = process::run(&mut case.command("up")).expect_code(1);
            for words in
                ["1_a.redis:2:1", "cannot tell whether it took effect", "dunlin mark 1 statement-done"]
            {
                assert!(run.stderr.contains(words), "{words:?} is not said\n{run}");
            }
        }
        // The person looks.
        let found: i64 = ask(&scratch, &["GET", "a"]).await;
        assert_eq!(found, if loss == Loss::Reply { 6 } else { 5 });
        let mark = format!("mark 1 {state} --reason looked");
        process::run(&mut case.command(&mark)).expect_code(0);
        process::run(&mut case.command("up")).expect_code(0);
        assert_eq!(ask::<i64>(&scratch, &["GET", "a"]).await, 7);
        process::run(&mut case.command(&mark)).expect_code(2);
    }
}
