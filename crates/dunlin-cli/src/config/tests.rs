//! What a configuration says, and what is said about a wrong one.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use tempfile::TempDir;

use dunlin_core::Pace;
use dunlin_engine::{Policy, Reaction};

use super::*;

struct Case {
    directory: TempDir,
    request: Request,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".git")).unwrap();
        let request = Request { directory: directory.path().to_owned(), ..Request::default() };
        Self { directory, request }
    }

    fn with(toml: &str) -> Self {
        Self::new().file("dunlin.toml", toml)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn variables(mut self, variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.request.variables = owned.collect();
        self
    }

    fn asking(mut self, ask: impl FnOnce(&mut Request)) -> Self {
        ask(&mut self.request);
        self
    }

    fn load(&self) -> Loaded {
        load(&self.request)
    }

    /// The settings, which must be free of faults.
    fn config(&self) -> Config {
        let loaded = self.load();
        assert_eq!(loaded.diagnostics, []);
        loaded.config
    }

    /// The faults as `line:column code text-under-the-label`.
    fn faults(&self) -> Vec<String> {
        let loaded = self.load();
        let line = |fault: &Diagnostic| match fault.span() {
            Some(span) => {
                let source = loaded.sources.get(span.file).unwrap();
                let (line, column) = source.line_column(span.start);
                format!("{line}:{column} {} {}", fault.code, source.slice(span))
            }
            None => format!("{} {}", fault.code, fault.message),
        };
        loaded.diagnostics.iter().map(line).collect()
    }
}

fn url_of<'a>(config: &'a Config, name: &str) -> &'a str {
    let store = config.stores.iter().find(|store| store.name.as_str() == name).unwrap();
    store.target.as_ref().unwrap().url.expose()
}

#[test]
fn every_setting_is_read() {
    let config = Case::with(
        "migrations = 'db/changes'\nlock_wait = \"90s\"\n\
         [stores.app]\nurl = \"postgres://h/d\"\nschema = \"a, b\"\nlock = \"lease\"\nlease = \"1m\"\n\
         lock_timeout = \"500ms\"\nconnect_timeout = \"2s\"\n\
         [stores.cache]\nurl = \"redis://h\"\nprefix = \"shop:\"\n\
         [policy]\nout_of_order = \"apply\"\nedited = \"warn\"\n",
    )
    .config();
    assert_eq!(config.migrations, Path::new("db/changes"));
    assert_eq!(config.lock_wait, Duration::from_secs(90));
    let expected =
        Policy { out_of_order: Reaction::Accept, edited: Reaction::Warn, missing: Reaction::Refuse };
    assert_eq!(config.policy, expected);
    let app = config.stores[0].target.as_ref().unwrap();
    assert_eq!((app.name.as_str(), app.schema.as_deref(), app.lock), ("app", Some("a, b"), LockMode::Lease));
    assert_eq!((app.lease, app.lock_timeout), (Duration::from_mins(1), Duration::from_millis(500)));
    assert_eq!(app.connect_timeout, Duration::from_secs(2));
    let cache = config.stores[1].target.as_ref().unwrap();
    assert_eq!(
        (cache.prefix.as_deref(), cache.lock, cache.lease),
        (Some("shop:"), LockMode::Auto, Duration::from_secs(30))
    );
}

#[test]
fn all_faults_are_reported_at_once_at_their_places() {
    let faults = Case::with(
        "migration = 'x'\nlock_wait = 5\n[stores.App]\nurl = 'postgres://h/d'\nlease = '10ms'\n[stores.up]\nurl = 'oracle://h'\n\
         [stores.cache]\nurl = '${REDIS_URL}'\nlock = 'leas'\n[stores.x]\nschema = 's'\n[policy]\nedited = 'apply'\nmissing = true\n\
         [stores.y]\nurl = 'redis://h'\nschema = 's'\n",
    )
    .faults();
    assert_eq!(
        faults,
        [
            "1:1 unknown-key migration",
            "2:13 wrong-value 5",
            "3:9 bad-store-name App",
            "5:9 wrong-value '10ms'",
            "6:9 bad-store-name up",
            "7:7 unknown-scheme 'oracle://h'",
            "9:8 unset-variable ${REDIS_URL}",
            "10:8 wrong-value 'leas'",
            "11:9 missing-key x",
            "14:10 wrong-value 'apply'",
            "15:11 wrong-type true",
            "18:1 setting-unsupported schema",
        ]
    );
}

#[test]
fn broken_toml_and_duplicates_are_reported_with_what_could_be_read() {
    let faults =
        Case::with("[stores.app]\nurl = 'sqlite:a.db'\nurl = 'sqlite:b.db'\nlease = \n[stores.app]\n")
            .faults();
    let codes: Vec<&str> = faults.iter().map(String::as_str).collect();
    assert_eq!(codes.len(), 3, "{codes:?}");
    assert!(
        codes[0].starts_with("3:1 bad-toml") && codes[1].starts_with("4:") && codes[2].starts_with("5:"),
        "{codes:?}"
    );
}

#[test]
fn an_environment_lies_over_the_rest() {
    let toml = "lock_wait = '1m'\n[stores.app]\nurl = 'sqlite:dev.db'\nlease = '5s'\n[policy]\nedited = 'warn'\n\
                [env.prod]\nlock_wait = '2m'\n[env.prod.stores.app]\nurl = 'postgres://${HOST}/d'\n[env.prod.stores.cache]\nurl = 'redis://h'\n";
    let base = Case::with(toml).config();
    assert_eq!((base.stores.len(), url_of(&base, "app")), (1, "sqlite:dev.db"));
    let prod = Case::with(toml).variables(&[("DUNLIN_ENV", "prod"), ("HOST", "db")]).config();
    assert_eq!((prod.environment.as_deref(), prod.stores.len()), (Some("prod"), 2));
    assert_eq!((url_of(&prod, "app"), prod.lock_wait), ("postgres://db/d", Duration::from_mins(2)));
    assert_eq!(prod.stores[0].target.as_ref().unwrap().lease, Duration::from_secs(5));
    assert_eq!(prod.policy.edited, Reaction::Warn);
    let flag = Case::with(toml).variables(&[("DUNLIN_ENV", "nope"), ("HOST", "db")]);
    assert_eq!(flag.asking(|request| request.environment = Some("prod".into())).config().stores.len(), 2);
    let typo = Case::with(toml).asking(|request| request.environment = Some("prd".into()));
    assert_eq!(typo.faults(), ["unknown-env no environment is called `prd`"]);
    assert_eq!(typo.load().diagnostics[0].help.as_deref(), Some("did you mean `prod`?"));
}

#[test]
fn overlays_that_are_not_in_use_are_looked_over_without_their_variables() {
    let toml = "[stores.app]\nurl = 'sqlite:a.db'\n[env.prod.stores.app]\nurl = '${PROD}'\nleas = '1s'\n[env.prod.env.x]\n";
    assert_eq!(Case::with(toml).faults(), ["5:1 unknown-key leas", "6:11 unknown-key env"]);
}

#[test]
fn urls_come_from_variables_dotenv_and_files() {
    let toml = "[stores.a]\nurl = 'env:A_URL'\n[stores.b]\nurl = '${B_URL:-redis://b}'\n[stores.c]\nurl = 'file:secrets/${NAME}'\n\
                [stores.d]\nurl = '${D_URL}'\n";
    let case = Case::with(toml)
        .file(".env", "D_URL=sqlite:d.db\nA_URL=mongodb://wrong/x\n")
        .file("secrets/c", "postgres://u:p@h/c\r\n")
        .variables(&[("A_URL", "mongodb://a/x"), ("NAME", "c")]);
    let config = case.config();
    let urls: Vec<&str> = ["a", "b", "c", "d"].iter().map(|name| url_of(&config, name)).collect();
    assert_eq!(urls, ["mongodb://a/x", "redis://b", "postgres://u:p@h/c", "sqlite:d.db"]);

    let case = case.asking(|request| request.without_dotenv = true).variables(&[]);
    let faults = case.faults();
    assert_eq!(faults[0], "2:7 unset-variable 'env:A_URL'");
    assert_eq!(faults[1..], ["6:21 unset-variable ${NAME}", "8:8 unset-variable ${D_URL}"]);
}

#[test]
fn an_unreadable_file_source_and_a_bad_dotenv_line_are_named() {
    let case = Case::with("[stores.a]\nurl = 'file:nope'\n").file(".env", "A=1\nwhat s3cret\n");
    let loaded = case.load();
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["bad-dotenv", "unreadable-file"]);
    assert_eq!(loaded.diagnostics[0].message, ".env:2: this line is not understood");
    assert!(loaded.diagnostics[1].message.starts_with("cannot read `nope`"));
}

#[test]
fn passwords_in_the_file_are_warned_about_and_never_shown() {
    let case = Case::with(
        "[stores.a]\nurl = 'postgres://u:s3cret@h/a'\n[stores.b]\nurl = 'postgres://u:${PW}@h/b'\n\
         [stores.c]\nurl = '${C:-postgres://u:s3cret@h/c}'\n[stores.d]\nurl = 'mysql://h/d?password=s3cret'\npassword = 's3cret'\n",
    )
    .variables(&[("PW", "s3cret")]);
    assert_eq!(
        case.faults(),
        ["2:21 password-in-config ******", "8:29 password-in-config ******", "9:1 unknown-key password"]
    );
    let loaded = case.load();
    assert!(!format!("{loaded:?}").contains("s3cret"));
    assert_eq!(url_of(&loaded.config, "a"), "postgres://u:s3cret@h/a");
}

#[test]
fn the_command_line_wins() {
    let toml = "migrations = 'm'\nlock_wait = '1m'\n[stores.app]\nurl = '${UNSET}'\nlock = 'lease'\n";
    let config = Case::with(toml)
        .asking(|request| {
            request.url = Some("sqlite:test.db".into());
            request.migrations = Some("elsewhere".into());
            request.lock_wait = Some(Duration::ZERO);
            request.lock_mode = Some(LockMode::Session);
        })
        .config();
    assert_eq!((url_of(&config, "app"), config.lock_wait), ("sqlite:test.db", Duration::ZERO));
    assert_eq!(config.migrations, Path::new("elsewhere"));
    assert_eq!(config.stores[0].target.as_ref().unwrap().lock, LockMode::Session);
}

#[test]
fn a_url_is_for_one_store() {
    let toml = "[stores.a]\nurl = 'sqlite:a.db'\n[stores.b]\nurl = 'sqlite:b.db'\n";
    let case = Case::with(toml).asking(|request| request.url = Some("sqlite:x.db".into()));
    assert_eq!(case.faults(), ["ambiguous-url `--url` is for one store, and there are several"]);
    let config = case.asking(|request| request.stores = vec!["b".into()]).config();
    assert_eq!((url_of(&config, "a"), url_of(&config, "b")), ("sqlite:a.db", "sqlite:x.db"));
    let selected: Vec<&str> = config.selected().map(|store| store.name.as_str()).collect();
    assert_eq!(selected, ["b"]);
}

#[test]
fn stores_that_do_not_exist_or_exist_twice_are_refused() {
    let toml = "[stores.app]\nurl = 'postgres://h/d'\n[stores.two]\nurl = 'postgres://h/d'\n[stores.three]\nurl = 'postgres://h/d'\nschema = 's'\n";
    let case = Case::with(toml).asking(|request| request.stores = vec!["ap".into()]);
    assert_eq!(
        case.faults(),
        ["unknown-store no store is called `ap`", "same-store `app` and `two` are the same store"]
    );
}

#[test]
fn without_a_file_the_usual_variables_name_the_stores() {
    let case = Case::new();
    assert_eq!(case.faults(), ["no-config there is no dunlin.toml here or above, and no url is given"]);
    let config = case
        .variables(&[
            ("DATABASE_URL", "postgres://h/d"),
            ("MONGODB_URI", "mongodb://h/d"),
            ("REDIS_URL", "redis://h"),
        ])
        .config();
    let names: Vec<&str> = config.stores.iter().map(|store| store.name.as_str()).collect();
    assert_eq!((names, config.migrations), (vec!["app", "catalog", "cache"], PathBuf::from("migrations")));

    let config = Case::new().file(".env", "REDIS_URL=redis://h\n").config();
    assert_eq!(config.stores[0].name.as_str(), "cache");

    let twice = Case::new().variables(&[("DATABASE_URL", "mongodb://a/d"), ("MONGODB_URL", "mongodb://b/d")]);
    assert_eq!(
        twice.faults(),
        ["ambiguous-url MONGODB_URL is a second store that would be called `catalog`"]
    );

    let url = Case::new().variables(&[("DATABASE_URL", "postgres://h/d")]).asking(|request| {
        request.url = Some("mariadb://h/d".into());
        request.stores = vec!["main".into()];
    });
    assert_eq!(url_of(&url.config(), "main"), "mariadb://h/d");
    let bad = Case::new().variables(&[("DATABASE_URL", "u:s3cret@h")]);
    assert!(!format!("{:?}", bad.load()).contains("s3cret"));
}

#[test]
fn a_configuration_above_anchors_relative_paths() {
    let case = Case::with("[stores.app]\nurl = 'sqlite://app.db'\n").file("a/b/x", "").file(".env", "X=1");
    let below = case.directory.path().join("a/b");
    let config = case.asking(|request| request.directory = below).config();
    assert_eq!(config.path.as_deref(), Some(Path::new("../../dunlin.toml")));
    assert_eq!(config.migrations, Path::new("../../migrations"));
    assert_eq!(url_of(&config, "app"), "sqlite://../../app.db");
}

#[test]
fn a_named_file_must_exist_and_be_text() {
    let case = Case::new().asking(|request| request.file = Some("x.toml".into()));
    assert_eq!(case.faults(), ["no-config there is no `x.toml`"]);
    fs::write(case.directory.path().join("x.toml"), b"a = '\xff'").unwrap();
    assert_eq!(case.faults(), ["not-utf8 `x.toml` is not UTF-8"]);
    let case = Case::new()
        .file(".config/dunlin.toml", "\u{feff}stores = 3\n")
        .variables(&[("DUNLIN_CONFIG", ".config/dunlin.toml")]);
    assert_eq!(case.faults(), ["no-stores no store is configured", "1:10 wrong-type 3"]);
}

fn pace_of(config: &Config, name: &str) -> Pace {
    let store = config.stores.iter().find(|store| store.name.as_str() == name).unwrap();
    store.target.as_ref().unwrap().pace.clone()
}

#[test]
fn the_pace_of_all_stores_holds_where_a_store_does_not_say_otherwise() {
    let config = Case::with(
        "[stores.app]\nurl = \"mysql://h/d\"\n\
         pace = { rate = 500, max_lag = \"off\", max_running = 9, replicas = [\"mysql://r/d\"] }\n\
         [stores.cache]\nurl = \"redis://h\"\npace.max_latency = \"2ms\"\n\
         [stores.log]\nurl = \"sqlite:log.db\"\n\
         [pace]\ntarget = \"20ms\"\nrate = 9000\njobs = 2\nmax_waiting = \"off\"\n",
    )
    .config();
    let [all, number] = [Duration::from_millis(20), Duration::from_millis(2)];
    let common = Pace {
        target: Some(all),
        rate: NonZeroU32::new(9000),
        jobs: NonZeroU32::new(2).unwrap(),
        max_waiting: None,
        ..Pace::default()
    };
    assert_eq!(pace_of(&config, "log"), common);
    assert_eq!(pace_of(&config, "cache"), Pace { max_latency: Some(number), ..common.clone() });
    let app = Pace {
        rate: NonZeroU32::new(500),
        max_lag: None,
        max_running: NonZeroU32::new(9),
        replicas: vec![StoreUrl::new("mysql://r/d")],
        ..common
    };
    assert_eq!(pace_of(&config, "app"), app);
}

#[test]
fn a_pace_that_makes_no_sense_is_refused_at_its_place() {
    let case = Case::with(
        "[stores.app]\nurl = \"postgres://h/d\"\npace = { max_running = 9, rat = 5, jobs = 0 }\n\
         [pace]\nrate = \"fast\"\nmax_lag = 5\nreplicas = [\"nonsense\"]\n",
    );
    assert_eq!(
        case.faults(),
        [
            "3:10 setting-unsupported max_running",
            "3:27 unknown-key rat",
            "3:43 wrong-value 0",
            "5:8 wrong-value \"fast\"",
            "6:11 wrong-value 5",
            "7:13 bad-url \"nonsense\"",
        ]
    );
}

#[test]
fn schemes_of_other_programs_are_known_by_their_names_here() {
    for (scheme, help) in [
        ("pgsql", "write it as `postgresql://…`"),
        ("postgresql+psycopg2", "write it as `postgresql://…`"),
        ("sqlite3", "write it as `sqlite://…`"),
        ("valkey", "write it as `redis://…`"),
        ("postgress", "did you mean `postgres`?"),
    ] {
        let fault = super::url::parse(&format!("{scheme}://u:secret@h/d"), "`url`").unwrap_err();
        assert_eq!((fault.code, fault.help.as_deref()), ("unknown-scheme", Some(help)), "{scheme}");
    }
}
