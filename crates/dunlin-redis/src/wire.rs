//! A connection for pipelines: what is sent goes out while replies to what went before are still coming in, and a reply
//! costs next to nothing to read. The driver's connection answers one pipeline at a time and leaves the server idle in
//! between. Speaks RESP2, as every server does that was not asked for more.

mod answer;
mod open;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use dunlin_core::{Error, ErrorKind, Result, StoreUrl};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub(crate) use answer::Answer;

use crate::error;
use crate::script::Text;

/// How much is gathered before it is sent. Less than the 16 KiB a server reads at once, so that it gets to work while
/// the rest is still being written, and gets to other clients in between.
const CHUNK: usize = 8 << 10;

/// What a connection runs over.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    url: StoreUrl,
    patience: Duration,
    out: Vec<u8>,
    input: Vec<u8>,
    /// What was read and not yet parsed: `input[start..end]`.
    start: usize,
    end: usize,
    /// How many replies are still to be handed out.
    owed: usize,
    /// Replies that came in while something was sent.
    early: VecDeque<Answer>,
    /// Where the commands begin that have no reply yet, counted in bytes from the first one ever.
    begins: VecDeque<u64>,
    /// How many bytes were sent.
    sent: u64,
    /// How many bytes of commands may be without a reply.
    window: u64,
    is_broken: bool,
    /// The scripts the server is known to remember.
    loaded: BTreeSet<String>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("owed", &self.owed).finish_non_exhaustive()
    }
}

impl Wire {
    fn new(stream: Box<dyn Stream>, url: StoreUrl, patience: Duration) -> Self {
        let input = vec![0; 64 << 10];
        Self {
            stream,
            url,
            patience,
            out: Vec::new(),
            input,
            start: 0,
            end: 0,
            owed: 0,
            early: VecDeque::new(),
            begins: VecDeque::new(),
            sent: 0,
            window: u64::MAX,
            is_broken: false,
            loaded: BTreeSet::new(),
        }
    }

    /// Lets no more than so many bytes of commands be under way: what everybody else waits for.
    pub(crate) fn narrow(&mut self, window: Option<u64>) {
        self.window = window.unwrap_or(u64::MAX);
    }

    /// Whether nothing is under way on it, so that somebody else may use it.
    pub(crate) fn is_idle(&self) -> bool {
        self.owed == 0 && self.out.is_empty() && !self.is_broken
    }

    pub(crate) fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Puts a command behind those that are waiting to be sent.
    pub(crate) fn push(&mut self, words: &[&[u8]]) {
        self.head(words.len());
        for word in words {
            self.word(word);
        }
    }

    /// Begins a command of so many words.
    pub(crate) fn head(&mut self, words: usize) {
        self.owed += 1;
        self.begins.push_back(self.sent + self.out.len() as u64);
        self.out.push(b'*');
        self.number(words);
    }

    /// The next word of it.
    pub(crate) fn word(&mut self, word: &[u8]) {
        self.out.push(b'$');
        self.number(word.len());
        self.out.extend_from_slice(word);
        self.out.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, number: usize) {
        let mut digits = [0_u8; 20];
        let (mut at, mut rest) = (digits.len(), number);
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Sends what was gathered as far as it has become enough to be worth it.
    pub(crate) async fn ease(&mut self) -> Result<()> {
        if self.out.len() >= CHUNK { self.send(CHUNK.min(self.piece())).await } else { Ok(()) }
    }

    /// Sends what was gathered.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.send(1).await
    }

    /// Sends in pieces while there is at least so much; no more than the window is ever without a reply.
    async fn send(&mut self, least: usize) -> Result<()> {
        let mut at = 0;
        while self.out.len() - at >= least {
            let rest = self.out.len() - at;
            let piece = rest.min(self.piece());
            if self.room(rest) < piece as u64 {
                let answer = self.receive().await?;
                self.early.push_back(answer);
                continue;
            }
            let sending = tokio::time::timeout(self.patience, async {
                self.stream.write_all(&self.out[at..at + piece]).await?;
                self.stream.flush().await
            });
            match sending.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(()) => (at, self.sent) = (at + piece, self.sent + piece as u64),
                Err(failure) => return Err(self.broken(&failure)),
            }
        }
        self.out.drain(..at);
        Ok(())
    }

    /// How much may be sent now, where so much is left.
    fn room(&self, rest: usize) -> u64 {
        let Some(oldest) = self.begins.front() else { return u64::MAX };
        let end = self.begins.get(1).copied().unwrap_or(self.sent + rest as u64);
        // What is not wholly sent gets no reply.
        if end > self.sent { u64::MAX } else { self.window.saturating_sub(self.sent - oldest) }
    }

    /// How much is sent at once: where there is a window, half of it, so that a server has one while the other is on its way.
    fn piece(&self) -> usize {
        usize::try_from(self.window / 2).unwrap_or(usize::MAX)
    }

    /// The next reply.
    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        let answer = match self.early.pop_front() {
            Some(answer) => answer,
            None => self.receive().await?,
        };
        self.owed -= 1;
        Ok(answer)
    }

    /// Reads every answer that is still due, for whoever must ask something before they are wanted.
    pub(crate) async fn take_due(&mut self) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(self.owed);
        while self.owed > 0 {
            answers.push(self.answer().await?);
        }
        Ok(answers)
    }

    /// Makes these the answers that come next. Nothing else may be under way.
    pub(crate) fn put_back(&mut self, answers: Vec<Answer>) {
        self.owed += answers.len();
        self.early.extend(answers);
    }

    async fn receive(&mut self) -> Result<Answer> {
        loop {
            match answer::parse(&self.input[self.start..self.end]) {
                Ok(Some((answer, used))) => {
                    self.start += used;
                    self.begins.pop_front();
                    return Ok(answer);
                }
                Ok(None) => self.read().await?,
                Err(()) => return Err(self.broken(&io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// Sends one command and reads its reply. Nothing else may be under way.
    pub(crate) async fn call(&mut self, words: &[&[u8]]) -> Result<Answer> {
        self.push(words);
        self.flush().await?;
        self.answer().await
    }

    /// The same, where a refusal by the server is the end.
    pub(crate) async fn must(&mut self, words: &[&[u8]], doing: &str) -> Result<Answer> {
        match self.call(words).await? {
            Answer::Error(said) => Err(error::said(&said, doing, &self.url)),
            answer => Ok(answer),
        }
    }

    /// Makes sure that the server knows a script by its name. Nothing else may be under way.
    pub(crate) async fn load(&mut self, script: &Text) -> Result<()> {
        if !self.loaded.contains(&script.sha) {
            self.must(&[b"SCRIPT", b"LOAD", script.text.as_bytes()], "cannot load a script").await?;
            self.loaded.insert(script.sha.clone());
        }
        Ok(())
    }

    /// Puts a script that is loaded behind what is waiting to be sent.
    pub(crate) fn push_script(&mut self, script: &Text, keys: &[&[u8]], args: &[&[u8]]) {
        self.head(3 + keys.len() + args.len());
        self.word(b"EVALSHA");
        self.word(script.sha.as_bytes());
        self.word(keys.len().to_string().as_bytes());
        keys.iter().chain(args).for_each(|word| self.word(word));
    }

    /// The next thing that the server says without being asked; nothing if that takes too long. May be given up at any time.
    pub(crate) async fn heard(&mut self, wait: Duration) -> Result<Option<Answer>> {
        loop {
            match answer::parse(&self.input[self.start..self.end]) {
                Ok(Some((answer, used))) => {
                    self.start += used;
                    return Ok(Some(answer));
                }
                Ok(None) => match tokio::time::timeout(wait, self.read()).await {
                    Ok(read) => read?,
                    Err(_) => return Ok(None),
                },
                Err(()) => return Err(self.broken(&io::ErrorKind::InvalidData.into())),
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end * 2 > self.input.len() {
                self.input.resize(self.input.len() * 2, 0);
            }
        }
        let reading = tokio::time::timeout(self.patience, self.stream.read(&mut self.input[self.end..]));
        match reading.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(0) => Err(self.broken(&io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.end += count;
                Ok(())
            }
            Err(failure) => Err(self.broken(&failure)),
        }
    }

    /// What was sent may or may not have been done; whoever uses a wire sends only what may be sent again.
    fn broken(&mut self, failure: &io::Error) -> Error {
        self.is_broken = true;
        let said = self.url.scrub(&failure.to_string());
        Error::new(ErrorKind::Connect, format!("the connection broke: {said}"))
            .help("run it again: it continues from what is recorded")
            .temporary()
    }
}
