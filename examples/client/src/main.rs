//! The application's command line.
//!
//! ```console
//! $ client old a         # server `a`, speaking the old shape, until it is told to stop (SIGTERM)
//! $ client mixed b 40    # forty rounds of server `b`, without a pause
//! $ client digest        # what the stores hold, in whatever shape
//! $ client forget        # drops the demo's database of MongoDB, for which there may be no shell here
//! ```
//!
//! The stores are where DATABASE_URL, MONGODB_URL and REDIS_URL say. How far a server has come is in `<server>.rounds` in the
//! working directory, and the next version goes on from there.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use example_client::{Catalog, Client, Error, Server, Shape, Urls, digest};
use tokio::signal::unix::{SignalKind, signal};

/// How long a server rests after a round.
const REST: Duration = Duration::from_millis(15);

const USAGE: &str = "usage: client old|mixed|new a|b|c [ROUNDS], client digest, or client forget";

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["digest"] => tell_digest().await,
        ["forget"] => forget().await,
        [shape, server] => serve(shape, server, None).await,
        [shape, server, rounds] => serve(shape, server, Some(rounds)).await,
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&mut std::io::stderr(), &format_args!("client: {error}"));
            ExitCode::from(2)
        }
    }
}

async fn tell_digest() -> Result<bool, Error> {
    for digest in digest::all(&urls()?).await? {
        say(&mut std::io::stdout(), &digest);
    }
    Ok(true)
}

async fn forget() -> Result<bool, Error> {
    let database = Catalog::connect(&urls()?.catalog).await?.database();
    if !database.name().starts_with("demo_") {
        return Err(format!("{} is not the demo's", database.name()).into());
    }
    database.drop().await?;
    Ok(true)
}

/// Whether every statement did what it should.
async fn serve(shape: &str, name: &str, rounds: Option<&str>) -> Result<bool, Error> {
    let server = match name {
        "a" => Server::A,
        "b" => Server::B,
        "c" => Server::C,
        _ => return Err(USAGE.into()),
    };
    let spoken = match shape {
        "old" => Shape::Old,
        "mixed" => Shape::Mixed,
        "new" => Shape::New,
        _ => return Err(USAGE.into()),
    };
    let rounds = rounds.map(str::parse::<u32>).transpose()?;
    let file = format!("{name}.rounds");
    let before = std::fs::read_to_string(&file).map_or(Ok(0), |text| text.trim().parse())?;
    let mut stop = signal(SignalKind::terminate())?;
    let mut client = Client::start(&urls()?, spoken, server, before).await?;
    while rounds.is_none_or(|rounds| client.rounds() < before + rounds) {
        client.round().await;
        // A round is never left half done.
        let rest = if rounds.is_none() { REST } else { Duration::ZERO };
        if tokio::time::timeout(rest, stop.recv()).await.is_ok() {
            break;
        }
    }
    std::fs::write(&file, client.rounds().to_string())?;
    let told = format!("{shape} {name}: {} rounds, {}", client.rounds() - before, client.report());
    say(&mut std::io::stdout(), &told);
    Ok(client.report().failed.is_empty())
}

fn urls() -> Result<Urls, Error> {
    let url = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    Ok(Urls { app: url("DATABASE_URL")?, catalog: url("MONGODB_URL")?, cache: url("REDIS_URL")? })
}

fn say(to: &mut impl std::io::Write, what: &dyn Display) {
    // Whoever closed the other end does not want to know.
    let _ = writeln!(to, "{what}");
}
