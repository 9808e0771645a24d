//! Ways of naming a store, and several stores in one server.

use dunlin_core::StoreUrl;
use dunlin_testkit::{Kind, process, server};
use std::path::PathBuf;

use super::{Bench, says};

over!([postgres]
    schemas_of_one_database_keep_histories_of_their_own,
    tls_is_checked_against_a_certificate,
);
over!([postgres, mysql] a_unix_socket_leads_there, both_names_of_a_scheme_lead_there);
over!([sqlite] files_are_created_only_when_asked, memory_is_a_database, relative_paths_start_at_the_configuration);

async fn schemas_of_one_database_keep_histories_of_their_own(kind: Kind) {
    let bench = Bench::new(kind).await;
    let config = "[stores.one]\nurl = \"${URL}\"\nschema = \"a, public\"\n[stores.two]\nurl = \"${URL}\"\nschema = \"B b\"\n";
    std::fs::write(bench.case.path().join("dunlin.toml"), config).unwrap();
    bench.write("1_a.one.sql", "-- Up\ncreate table t (id int);\n-- Down\ndrop table t;\n");
    bench.write(
        "2_b.two.sql",
        "-- Up\ncreate table t (id int);\ninsert into t values (1);\n-- Down\ndrop table t;\n",
    );
    for line in super::READS {
        bench.run(line).expect_code(0);
    }
    assert_eq!(bench.db.number("select count(*) from pg_namespace where nspname in ('a', 'B b')").await, 0);
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a.t").await, 0);
    assert_eq!(bench.db.number("select count(*) from \"B b\".t").await, 1);
    assert_eq!(bench.db.value("select string_agg(version, ',') from a.dunlin_history").await.unwrap(), "1");
    assert_eq!(
        bench.db.value("select string_agg(version, ',') from \"B b\".dunlin_history").await.unwrap(),
        "2"
    );
    bench.run("down --allow-data-loss").expect_code(0);
    assert_eq!(bench.db.number("select count(*) from a.t").await, 0);
    assert!(bench.db.connect().await.rows("select * from \"B b\".t").await.is_err());
}

fn is_fine(bench: &Bench, url: &str) {
    process::run(bench.case.command("up").env("URL", url)).expect_code(0);
    process::run(bench.case.command("status").env("URL", url)).expect_code(0);
}

async fn seeded(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id integer primary key);");
    bench
}

fn parts(url: &StoreUrl) -> (String, String, String) {
    let rest = url.expose().split_once("://").unwrap().1.split('?').next().unwrap();
    let (login, place) = rest.rsplit_once('@').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    (login.to_owned(), address.to_owned(), database.to_owned())
}

async fn tls_is_checked_against_a_certificate(kind: Kind) {
    let bench = seeded(kind).await;
    let (login, address, database) = parts(&bench.db.url);
    let ca = PathBuf::from(server::variable("DUNLIN_TEST_CA").expect("run dev/servers up"));
    let localhost = address.replace("127.0.0.1", "localhost");
    let url = |address: &str, ca: &str| {
        format!("postgres://{login}@{address}/{database}?sslmode=verify-full&sslrootcert={ca}")
    };
    is_fine(&bench, &url(&localhost, &ca.to_string_lossy()));
    let other = bench.case.path().join("other.pem");
    std::fs::write(&other, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").unwrap();
    for wrong in [url(&localhost, "/no/such/ca.crt"), url(&localhost, &other.to_string_lossy())] {
        let run = process::run(bench.case.command("status").env("URL", wrong)).expect_code(20);
        says(&run, &["cannot connect"]);
    }
}

async fn a_unix_socket_leads_there(kind: Kind) {
    let bench = seeded(kind).await;
    let (login, address, database) = parts(&bench.db.url);
    let port = address.rsplit_once(':').unwrap().1;
    if kind == Kind::Postgres {
        let folder =
            PathBuf::from(server::variable("DUNLIN_TEST_POSTGRES_SOCKET").expect("run dev/servers up"));
        let folder = folder.display().to_string();
        let escaped = folder.replace('/', "%2F");
        let (user, password) = login.split_once(':').unwrap();
        for url in [
            format!("postgres://{login}@localhost:{port}/{database}?host={folder}"),
            format!("postgresql://{login}@{escaped}:{port}/{database}"),
            // As libpq has it: no host where a socket is named.
            format!("postgresql://{login}@/{database}?host={folder}&port={port}"),
            format!("postgresql://{login}@:{port}/{database}?host={escaped}"),
            format!("postgresql:///{database}?host={escaped}&port={port}&user={user}&password={password}"),
            format!(
                "postgresql://?dbname={database}&host={folder}&port={port}&user={user}&password={password}"
            ),
        ] {
            is_fine(&bench, &url);
        }
    } else {
        let socket = PathBuf::from(server::variable("DUNLIN_TEST_MYSQL_SOCKET").expect("run dev/servers up"));
        let socket = socket.display().to_string();
        for url in [
            format!("mysql://{login}@localhost/{database}?socket={socket}"),
            format!("mariadb://{login}@/{database}?socket={}", socket.replace('/', "%2F")),
        ] {
            is_fine(&bench, &url);
        }
    }
    assert_eq!(bench.states().await, ["1 done"]);
}

async fn both_names_of_a_scheme_lead_there(kind: Kind) {
    let bench = seeded(kind).await;
    let url = bench.db.url.expose();
    let other = if kind == Kind::Postgres {
        url.replacen("postgres:", "postgresql:", 1)
    } else {
        url.replacen("mysql:", "mariadb:", 1)
    };
    is_fine(&bench, &other);
    says(&bench.up(), &["nothing to do"]);
}

async fn files_are_created_only_when_asked(kind: Kind) {
    let bench = seeded(kind).await;
    process::run(bench.case.command("up").env("URL", "sqlite://new.db")).expect_code(20);
    assert!(!bench.case.path().join("new.db").exists());
    for line in super::READS {
        process::run(bench.case.command(line).env("URL", "sqlite://new.db?create=true")).expect_code(0);
    }
    assert!(!bench.case.path().join("new.db").exists());
    is_fine(&bench, "sqlite://new.db?create=true");
    is_fine(&bench, "sqlite://new.db");
    is_fine(&bench, "sqlite:new.db?mode=rwc");
}

async fn memory_is_a_database(kind: Kind) {
    let bench = seeded(kind).await;
    bench
        .write("2_b.sql", "pragma foreign_keys = off;\ninsert into a values (1);\npragma foreign_keys = on;");
    bench.write("3_c.sql", "insert into a values (2);");
    for url in ["sqlite::memory:", "sqlite://:memory:"] {
        says(&process::run(bench.case.command("up").env("URL", url)).expect_code(0), &["3 migrations"]);
    }
}

async fn relative_paths_start_at_the_configuration(kind: Kind) {
    let bench = seeded(kind).await;
    let below = bench.case.path().join("deep/er");
    std::fs::create_dir_all(&below).unwrap();
    let mut command = bench.case.command("up");
    command.current_dir(&below).env("URL", "sqlite://here.db?create=true");
    process::run(&mut command).expect_code(0);
    assert!(bench.case.path().join("here.db").exists() && !below.join("here.db").exists());
}
