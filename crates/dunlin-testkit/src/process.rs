//! Real processes: dunlin's own binary and test-only ones, run to their end or killed on the way.

use std::env;
use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than any run in a test takes; what lasts longer is killed and fails the test.
const PATIENCE: Duration = Duration::from_mins(2);
const BLINK: Duration = Duration::from_millis(5);

/// What a process did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Run {
    /// The same, if it ended with this code; else fails the test with all it wrote.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit code: {code}")?,
            (None, signal) => writeln!(f, "ended by signal {}", signal.unwrap_or_default())?,
        }
        write!(f, "----- stdout -----\n{}\n----- stderr -----\n{}", self.stdout, self.stderr)
    }
}

/// A binary of this workspace, built in the profile of the running test: `dunlin`.
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // A test is target/<profile>/deps/<name>-<hash>; binaries are two levels up.
    let path = test.ancestors().skip(1).map(|folder| folder.join(name)).take(2).find(|path| path.is_file());
    path.unwrap_or_else(|| {
        panic!("there is no {name} beside {}: run cargo build --workspace --bins", test.display())
    })
}

/// The command line, with nothing of this environment that would change what it prints.
pub fn dunlin() -> Command {
    let mut command = Command::new(binary("dunlin"));
    for name in
        ["DATABASE_URL", "MONGODB_URL", "MONGODB_URI", "REDIS_URL", "NO_COLOR", "CLICOLOR_FORCE", "CI"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    spawn(command).wait()
}

/// Starts a command.
pub fn spawn(command: &mut Command) -> Running {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = Tap::open(child.stdout.take().expect("it is piped"));
    let stderr = Tap::open(child.stderr.take().expect("it is piped"));
    Running { child, stdout, stderr }
}

/// A process under way. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Tap,
    stderr: Tap,
}

impl Running {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types something into it.
    pub fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Ends it without warning, as `kill -9` does.
    pub fn kill(mut self) -> Run {
        signal(self.pid(), "KILL");
        self.end()
    }

    /// Stops it where it is; [`Running::wake`] lets it go on.
    pub fn stop(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on after [`Running::stop`].
    pub fn wake(&self) {
        signal(self.pid(), "CONT");
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        signal(self.pid(), "INT");
    }

    /// Waits until it has written this, to whichever of the two.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // In this order: what it wrote before it ended has then been read.
            let is_over = self.has_ended() || Instant::now() > deadline;
            if self.stdout.text().contains(text) || self.stderr.text().contains(text) {
                return;
            }
            if is_over {
                signal(self.pid(), "KILL");
                let run = self.end();
                assert!(
                    run.stdout.contains(text) || run.stderr.contains(text),
                    "never wrote {text:?}\n{run}"
                );
                return;
            }
            thread::sleep(BLINK);
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Run {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() {
            if Instant::now() > deadline {
                signal(self.pid(), "KILL");
                panic!("still running after {PATIENCE:?}\n{}", self.end());
            }
            thread::sleep(BLINK);
        }
        self.end()
    }

    fn end(&mut self) -> Run {
        let status = self.child.wait().expect("it is our child");
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        Run { code: status.code(), signal: status.signal(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A stopped process takes no signal but this one.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal by its name, unless the process is gone.
pub fn signal(pid: u32, name: &str) {
    // The shell's own kill: small machines have no other.
    let sent =
        Command::new("sh").arg("-c").arg(format!("kill -s {name} {pid}")).stderr(Stdio::null()).status();
    sent.expect("there is a shell");
}

/// Reads a pipe as it fills, so that its writer never waits for us.
#[derive(Debug)]
struct Tap {
    read: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    fn open(mut pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&read);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..count]);
            }
        });
        Self { read, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All of it, once its writer is gone.
    fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading a pipe does not panic");
        }
        self.text()
    }
}
