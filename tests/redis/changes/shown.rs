//! What a plan shows is what runs: the commands of every step of every change, there and back, are met on the server.

use dunlin::Phase;
use dunlin_core::Undo;
use dunlin_testkit::private;
use dunlin_testkit::scratch::redis_connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::project;
use super::{change, down, up_to};

/// Every command a server was sent, or a script ran there, as `MONITOR` writes it.
async fn monitor(port: u16) -> tokio::task::JoinHandle<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut first = [0; 5];
    stream.read_exact(&mut first).await.unwrap();
    tokio::spawn(async move {
        let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let count = stream.read(&mut piece).await.unwrap();
            all.extend_from_slice(&piece[..count]);
            if count == 0 || all.windows(8).any(|seen| seen == b"the end!") {
                return String::from_utf8_lossy(&all).into_owned();
            }
        }
    })
}

/// The beginnings of the commands in a line: the verb, and its first argument up to what differs from key to key.
fn commands(line: &str) -> Vec<String> {
    let parts = line.split("; ").flat_map(|part| part.split(" -- ").next().unwrap().split(", "));
    let begin = |part: &str| {
        let mut words = part.split(' ').map(|word| word.trim_matches('"'));
        let (verb, first) = (words.next().unwrap(), words.next().unwrap());
        let stands = first
            .char_indices()
            .find(|(at, char)| *char == '<' || *char == '{' && !first[*at..].starts_with("{dunlin"));
        let fixed = &first[..stands.map_or(first.len(), |(at, _)| at)];
        format!("\"{verb}\" \"{fixed}")
    };
    parts.map(begin).collect()
}

async fn send(url: &dunlin::StoreUrl, lines: &[&str]) {
    let mut connection = redis_connection(url).await.unwrap();
    for line in lines {
        let mut words = line.split(' ');
        let mut request = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = request.arg(word));
        request.exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn the_commands_of_a_plan_are_those_that_run() {
    for (text, before, late) in [
        (
            "rename_keys = { from = \"a_{x}\", to = \"b:{x}\", wins = \"old\" }",
            &["SET a_1 x", "SET a_2 y PX 900000", "RPUSH a_5 x"][..],
            // Written again, and made, in the old shape; then the same in the new one.
            [&["SET a_1 z", "SET a_3 z"][..], &["SET b:4 z", "SET b:1 zz"]],
        ),
        (
            "change_encoding = { from = \"a_{x}\", to = \"b:{x}\", into = \"hash\", wins = \"old\" }",
            &["SET a_1 {\"n\":1}", "SET a_2 {\"n\":\"t\"}"],
            [&["SET a_1 {\"n\":2}", "SET a_3 {\"n\":3}"], &["HSET b:4 n z", "HSET b:1 n zz"]],
        ),
        (
            "rename_hash_field = { keys = \"h{x}\", from = \"n\", to = \"m\", wins = \"old\" }",
            &["HSET h1 n x", "HSET h2 n y"],
            [&["HSET h1 n z", "HSET h3 n z"], &["HSET h4 m z", "HSET h1 m zz"]],
        ),
        ("set_ttl = { keys = \"a_{x}\", ttl = \"7d\" }", &["SET a_1 x", "SET a_2 y PX 90000"], [&[], &[]]),
        (
            "delete_keys = { keys = \"a_{x}\" }",
            &["SET a_1 x", "SET a_2 y PX 90000", "SET a_3 z PX 4000000000"],
            [&[], &[]],
        ),
    ] {
        let server = private::redis(&[]).await;
        send(&server.url, before).await;
        let seen = monitor(server.port()).await;
        let project = change(&server.url, text);
        up_to(&project, Some(Phase::Contract)).await;
        send(&server.url, late[0]).await;
        up_to(&project, None).await;
        down(&project).await;
        up_to(&project, Some(Phase::Contract)).await;
        send(&server.url, late[1]).await;
        down(&project).await;
        let mut connection = redis_connection(&server.url).await.unwrap();
        redis::cmd("ECHO").arg("the end!").exec_async(&mut connection).await.unwrap();
        let seen = seen.await.unwrap();
        let loaded = project.load();
        let mut count = 0;
        for step in loaded.migrations.values().flat_map(|migration| migration.steps().to_vec()) {
            let undo = match &step.undo {
                Undo::Op(undo) => Some(undo.clone()),
                _ => None,
            };
            for op in [Some(step.op.clone()), undo].into_iter().flatten() {
                for command in op.preview().iter().flat_map(|line| commands(&line.text)) {
                    assert!(seen.contains(&command), "{text}: {}: {command} never ran", op.summary());
                    count += 1;
                }
            }
        }
        assert!(count > 2, "{text}");
    }
}

#[tokio::test]
async fn changes_without_a_way_back_or_with_one_name_for_both_are_refused_when_loaded() {
    let url = dunlin::StoreUrl::new("redis://127.0.0.1:1");
    for (code, text) in [
        ("the new names are the old ones", "rename_keys = { from = \"a_{x}\", to = \"a_{x}\" }"),
        (
            "the new names are the old ones",
            "change_encoding = { from = \"a{x}\", to = \"a{x}\", into = \"hash\" }",
        ),
        ("names-collide", "rename_keys = { from = \"a_{x}_{y}\", to = \"b:{x}:{y}\" }"),
        ("unknown-word", "rename_keys = { from = \"a_{x}\", to = \"b:{x}\", wins = \"both\" }"),
        ("unknown-word", "change_encoding = { from = \"a_{x}\", to = \"b:{x}\", into = \"list\" }"),
        ("same-name", "rename_hash_field = { keys = \"a_{x}\", from = \"a\", to = \"a\" }"),
        ("bad-duration", "delete_keys = { keys = \"a_{x}\", keep = \"none\" }"),
        ("unknown-key", "delete_keys = { keys = \"a_{x}\", if_same_as = \"b\" }"),
    ] {
        let said = format!("{:?}", project(&url, &[("change", text)]).load().diagnostics);
        assert!(said.contains(code), "{text}: {said}");
    }
}
