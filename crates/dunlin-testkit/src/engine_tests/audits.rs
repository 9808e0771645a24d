//! Files held against histories.

use std::time::Instant;

use dunlin_core::State;
use dunlin_engine::run::{Migrations, Stop};
use dunlin_engine::{Finding, FindingKind, Policy, Reaction, audit};

use super::world::{UP, World, block_on, version};

const FILES: [(&str, &str); 3] = [
    ("1_a.app.mem", "add x\nadd y\n# Down\ndrop y\ndrop x\n"),
    ("2_b.app.mem", "add z\n"),
    ("2_b.cache.mem", "add z\n"),
];

struct Audit {
    world: World,
}

impl Audit {
    /// A world in which `FILES` ran.
    async fn new() -> Self {
        let world = World::new(&[("app", true), ("cache", true)]).await;
        world.brought_up(&world.migrations(&FILES), &UP).await;
        Self { world }
    }

    fn with(&self, changes: &[(&str, Option<&str>)]) -> Migrations {
        let is_changed = |(name, _): &&(&str, &str)| !changes.iter().any(|(changed, _)| changed == name);
        let mut files: Vec<(&str, &str)> = FILES.iter().filter(is_changed).copied().collect();
        files.extend(changes.iter().filter_map(|(name, text)| Some((*name, (*text)?))));
        self.world.migrations(&files)
    }

    async fn findings(&self, changes: &[(&str, Option<&str>)]) -> Vec<Finding> {
        audit::audit(&self.with(changes), &self.world.histories().await, self.world.policy)
    }

    async fn only(&self, changes: &[(&str, Option<&str>)]) -> (FindingKind, Reaction, String) {
        let mut findings = self.findings(changes).await;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let finding = findings.remove(0);
        (finding.kind, finding.reaction, finding.message)
    }
}

fn audited<F: Future<Output = ()>>(test: impl FnOnce(Audit) -> F) {
    block_on(async { test(Audit::new().await).await });
}

#[test]
fn files_that_ran_unchanged_give_no_finding() {
    audited(async |audit| assert_eq!(audit.findings(&[]).await, []));
}

#[test]
fn an_edited_step_is_refused_and_nothing_is_written() {
    audited(async |audit| {
        let change = [("1_a.app.mem", Some("add x\nadd w\n"))];
        let (kind, reaction, message) = audit.only(&change).await;
        assert_eq!((kind, reaction), (FindingKind::Edited, Reaction::Refuse));
        assert_eq!(message, "1_a was edited after it ran: its step 1 is not the one that ran");
        let locks = audit.world.locks("app");
        let mut migrations = audit.with(&change);
        migrations.extend(audit.world.migrations(&[("3_c.app.mem", "add c")]));
        let (_, outcome) = audit.world.up(&migrations, &UP).await;
        assert!(
            matches!(outcome, Err(Stop::Refused(findings)) if findings[0].help.contains("`dunlin mark 1 done --reason …`"))
        );
        assert_eq!(audit.world.locks("app"), locks);
        assert!(!audit.world.data("app").counters.contains_key("c"));
    });
}

#[test]
fn the_policy_decides_about_edited_files() {
    audited(async |mut audit| {
        let change = [("1_a.app.mem", Some("add x\nadd w\n"))];
        audit.world.policy = Policy { edited: Reaction::Warn, ..Policy::default() };
        let summary = audit.world.brought_up(&audit.with(&change), &UP).await;
        assert_eq!(summary.warnings.len(), 1);
        audit.world.policy = Policy { edited: Reaction::Accept, ..Policy::default() };
        assert_eq!(audit.findings(&change).await, []);
    });
}

#[test]
fn formatting_and_the_way_back_may_change_with_a_warning() {
    audited(async |audit| {
        for text in
            ["  add x\n\n# a comment\nadd y\n# Down\ndrop y\ndrop x\n", "add x\nadd y\n# Down\ndrop x\n"]
        {
            let (kind, reaction, _) = audit.only(&[("1_a.app.mem", Some(text))]).await;
            assert_eq!((kind, reaction), (FindingKind::Reformatted, Reaction::Warn));
        }
        let crlf = FILES[0].1.replace('\n', "\r\n");
        assert_eq!(audit.findings(&[("1_a.app.mem", Some(&crlf))]).await, []);
    });
}

#[test]
fn steps_added_to_or_taken_from_a_file_that_ran_are_edits() {
    audited(async |audit| {
        let toml = "[[expand]]\nstore = 'cache'\nadd = 'w'\n";
        let (kind, _, message) = audit.only(&[("2_b.toml", Some(toml))]).await;
        assert_eq!(kind, FindingKind::Edited);
        assert_eq!(message, "2_b was edited after it ran: steps were added to it");
        let (_, _, message) = audit.only(&[("2_b.cache.mem", None)]).await;
        assert_eq!(message, "2_b was edited after it ran: its step 1 is gone");
        let contract = format!("add x\nadd y\n# Contract\ndrop x\n{}", &FILES[0].1[12..]);
        assert_eq!(audit.only(&[("1_a.app.mem", Some(&contract))]).await.0, FindingKind::Edited);
    });
}

#[test]
fn a_changed_slug_is_a_rename_with_a_warning() {
    audited(async |audit| {
        let (kind, reaction, message) =
            audit.only(&[("1_a.app.mem", None), ("1_users.app.mem", Some(FILES[0].1))]).await;
        assert_eq!((kind, reaction), (FindingKind::Renamed, Reaction::Warn));
        assert_eq!(message, "1_users ran in `app` under the name 1_a");
    });
}

#[test]
fn a_changed_version_is_recognised_by_its_steps() {
    audited(async |audit| {
        let (kind, reaction, message) =
            audit.only(&[("1_a.app.mem", None), ("5_a.app.mem", Some(FILES[0].1))]).await;
        assert_eq!((kind, reaction), (FindingKind::Renamed, Reaction::Refuse));
        assert!(message.starts_with("1_a seems to be called 5_a now"), "{message}");
    });
}

#[test]
fn a_lost_file_is_decided_by_the_policy() {
    audited(async |mut audit| {
        let change = [("1_a.app.mem", None)];
        let (kind, reaction, message) = audit.only(&change).await;
        assert_eq!((kind, reaction), (FindingKind::Missing, Reaction::Refuse));
        assert_eq!(message, "1_a ran, and there is no file of it");
        audit.world.policy = Policy { missing: Reaction::Warn, ..Policy::default() };
        audit.world.brought_up(&audit.with(&change), &UP).await;
    });
}

#[test]
fn an_older_version_that_arrives_late_is_decided_by_the_policy() {
    audited(async |mut audit| {
        let change = [("0_early.app.mem", Some("add e"))];
        let (kind, reaction, message) = audit.only(&change).await;
        assert_eq!((kind, reaction), (FindingKind::OutOfOrder, Reaction::Refuse));
        assert_eq!(message, "0_early comes before 2_b, which already ran in `app`");
        audit.world.policy = Policy { out_of_order: Reaction::Accept, ..Policy::default() };
        let summary = audit.world.brought_up(&audit.with(&change), &UP).await;
        assert_eq!((summary.completed.len(), summary.warnings.len()), (1, 0));
        audit.world.policy = Policy::default();
        assert_eq!(audit.findings(&change).await, []);
    });
}

#[test]
fn a_part_for_a_store_that_has_moved_on_is_late() {
    audited(async |audit| {
        let findings = audit.findings(&[("1_a.cache.mem", Some("add e"))]).await;
        assert_eq!((findings.len(), findings[0].kind), (1, FindingKind::OutOfOrder));
        assert_eq!(findings[0].store, Some("cache".into()));
        assert_eq!(findings[0].message, "1_a has yet to run in `cache`, where the later 2_b already ran");
    });
}

#[test]
fn a_store_that_was_left_out_catches_up_without_a_finding() {
    block_on(async {
        let whole = World::new(&[("app", true), ("cache", true)]).await;
        let migrations = whole.migrations(&FILES);
        let mut part = World::new(&[]).await;
        part.stores = whole.stores.clone();
        part.stores.remove(&"cache".into());
        part.brought_up(&migrations, &UP).await;
        assert_eq!(whole.brought_up(&migrations, &UP).await.completed.len(), 1);
    });
}

#[test]
fn what_is_needed_from_a_later_version_does_not_make_the_earlier_one_late() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let needy = "needs = ['9']\n[[expand]]\nstore = 'app'\nadd = 'x'\n";
        let migrations = world.migrations(&[("1_a.toml", needy), ("2_b.mem", "add b"), ("9_c.mem", "add c")]);
        world.data("app").burn(1, true);
        let (summary, outcome) = world.up(&migrations, &UP).await;
        assert!(
            outcome.is_err()
                && world.record("app", "9").await.is_none_or(|record| record.state == State::Done)
        );
        assert!(summary.completed.len() < 3);
        world.brought_up(&migrations, &UP).await;
        assert_eq!(world.ran("app"), ["add c", "add x", "add b"]);
    });
}

#[test]
fn a_half_applied_migration_may_change_after_what_ran_but_not_before() {
    block_on(async {
        for (text, is_accepted) in [("add x\nadd better", true), ("add w\nadd better", false)] {
            let world = World::new(&[("app", false)]).await;
            let broken = world.migrations(&[("1_a.mem", "add x\nbump nothing")]);
            let (_, outcome) = world.up(&broken, &UP).await;
            assert!(matches!(outcome, Err(Stop::Failed(_))));
            let (_, outcome) = world.up(&world.migrations(&[("1_a.mem", text)]), &UP).await;
            assert_eq!(outcome.is_ok(), is_accepted, "{text}");
            if !is_accepted {
                assert!(matches!(outcome, Err(Stop::Failed(error)) if error.message.contains("were edited")));
                assert_eq!(world.ran("app"), ["add x"]);
            }
        }
    });
}

#[test]
fn a_complete_step_of_a_half_applied_migration_must_stay_whatever_the_policy_says() {
    block_on(async {
        let mut world = World::new(&[("app", true)]).await;
        world.policy = Policy { edited: Reaction::Accept, ..Policy::default() };
        let steps = |first: &str, second: &str| {
            let step = |name: &str| format!("[[expand]]\nstore = 'app'\nscript = '{name}'\n");
            world.migrations(&[("1_a.toml", &(step(first) + &step(second)))])
        };
        assert!(world.up(&steps("add x", "bump nothing"), &UP).await.1.is_err());
        let (_, outcome) = world.up(&steps("add w", "add y"), &UP).await;
        let Err(Stop::Refused(findings)) = outcome else { panic!("refused") };
        assert_eq!(findings[0].message, "1_a is half applied and its step 1 is not the one that ran");
        world.brought_up(&steps("add x", "add y"), &UP).await;
        assert_eq!(world.record("app", "1").await.unwrap().state, State::Done);
    });
}

#[test]
fn a_baseline_needs_no_files() {
    audited(async |audit| {
        let record = audit.world.record("app", "1").await.unwrap();
        audit
            .world
            .write("app", &dunlin_core::Record { origin: dunlin_core::Origin::Baseline, ..record })
            .await;
        assert_eq!(audit.findings(&[("1_a.app.mem", None)]).await, []);
        assert!(audit.world.history("app").await.live(&version("1")).is_some());
    });
}

#[test]
fn a_thousand_lost_files_beside_a_thousand_known_ones_are_found_in_a_blink() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let name = |number: usize| format!("{number}_m.mem");
        let texts: Vec<(String, String)> =
            (1..=2000).map(|number| (name(number), format!("add {number}"))).collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
        world.brought_up(&world.migrations(&files), &UP).await;
        let (half, histories) = (world.migrations(&files[1000..]), world.histories().await);
        let began = Instant::now();
        assert_eq!(audit::audit(&half, &histories, Policy::default()).len(), 1000);
        let took = began.elapsed();
        assert!(took.as_millis() < if cfg!(debug_assertions) { 2_000 } else { 50 }, "{took:?}");
    });
}
