//! The best that can be written by hand for one server, with nothing but the standard library: one connection, a page's
//! commands and the next `SCAN` in one write. No check of what is there, no checkpoint, no lock.
//!
//!     keymove fill PORT KEYS
//!     keymove move PORT COUNT      copies `user_<id>` to `user:<id>:profile`, then deletes `user_<id>`

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;

struct Wire {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    at: usize,
}

impl Wire {
    fn push(&mut self, words: &[&[u8]]) {
        write!(self.out, "*{}\r\n", words.len()).unwrap();
        for word in words {
            write!(self.out, "${}\r\n", word.len()).unwrap();
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn flush(&mut self) {
        self.stream.write_all(&self.out).unwrap();
        self.out.clear();
    }

    fn read(&mut self) {
        self.input.drain(..self.at);
        self.at = 0;
        let start = self.input.len();
        self.input.resize(start + (1 << 17), 0);
        let count = self.stream.read(&mut self.input[start..]).unwrap();
        assert!(count > 0, "the server hung up");
        self.input.truncate(start + count);
    }

    /// The line that starts here, without its end.
    fn line(&mut self) -> (usize, usize) {
        loop {
            if let Some(length) = self.input[self.at..].iter().position(|byte| *byte == b'\n') {
                let start = self.at;
                self.at += length + 1;
                return (start, self.at - 2);
            }
            self.read();
        }
    }

    fn number(&mut self) -> usize {
        let (start, end) = self.line();
        let text = std::str::from_utf8(&self.input[start..end]).unwrap();
        assert!(!text.starts_with('-'), "{text}");
        text[1..].parse().unwrap_or(0)
    }

    fn bulk(&mut self) -> Vec<u8> {
        let length = self.number();
        while self.input.len() - self.at < length + 2 {
            self.read();
        }
        let bytes = self.input[self.at..self.at + length].to_vec();
        self.at += length + 2;
        bytes
    }
}

fn sweep(wire: &mut Wire, count: &str, queue: impl Fn(&mut Wire, &[u8])) {
    let (mut cursor, mut keys) = (b"0".to_vec(), Vec::new());
    let mut is_first = true;
    loop {
        let more = is_first || cursor != b"0";
        keys.iter().for_each(|key: &Vec<u8>| queue(wire, key));
        if more {
            wire.push(&[b"SCAN", &cursor, b"MATCH", b"user_*", b"COUNT", count.as_bytes()]);
        }
        wire.flush();
        keys.iter().for_each(|_| assert!(wire.number() == 1, "a name was taken"));
        if !more {
            return;
        }
        wire.number();
        cursor = wire.bulk();
        let length = wire.number();
        keys = (0..length).map(|_| wire.bulk()).collect();
        is_first = false;
    }
}

fn main() {
    let words: Vec<String> = env::args().collect();
    let stream = TcpStream::connect(("127.0.0.1", words[2].parse().unwrap())).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut wire = Wire { stream, out: Vec::new(), input: Vec::new(), at: 0 };
    if words[1] == "fill" {
        let count: usize = words[3].parse().unwrap();
        for id in 0..count {
            let value = format!("{{\"id\":{id},\"name\":\"user number {id}\",\"email\":\"u{id}@example.test\",\"plan\":\"free\"}}");
            wire.push(&[b"SET", format!("user_{id}").as_bytes(), value.as_bytes()]);
            if id % 1000 == 999 || id + 1 == count {
                wire.flush();
                (0..id % 1000 + 1).for_each(|_| _ = wire.line());
            }
        }
        return;
    }
    sweep(&mut wire, &words[3], |wire, key| {
        let name = [b"user:", &key[5..], b":profile"].concat();
        wire.push(&[b"COPY", key, &name]);
    });
    sweep(&mut wire, &words[3], |wire, key| wire.push(&[b"UNLINK", key]));
}
