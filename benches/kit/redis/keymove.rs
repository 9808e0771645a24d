//! The best that can be written by hand, with nothing but the standard library. No check of what is there, no checkpoint,
//! no lock, no fence.
//!
//!     keymove fill PORT KEYS [mixed]   keys `user_<id>`: strings; mixed: half of them hashes, lists and sorted sets, one
//!                                      in five with a TTL
//!     keymove move PORT COUNT          copies them to `user:<id>:profile`, then deletes them
//!
//! On one server: one connection, a page's commands and the next `SCAN` in one write. Where PORT is a server of a cluster,
//! a thread for each server does the same with `DUMP` and `PTTL`, and with `RESTORE` wherever the other name lives.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

struct Wire {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    at: usize,
}

impl Wire {
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, out: Vec::new(), input: Vec::new(), at: 0 }
    }

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

    fn number(&mut self) -> i64 {
        let (start, end) = self.line();
        let text = std::str::from_utf8(&self.input[start..end]).unwrap();
        assert!(!text.starts_with('-'), "{text}");
        text[1..].parse().unwrap_or(0)
    }

    fn bulk(&mut self) -> Vec<u8> {
        let length = self.number() as usize;
        while self.input.len() - self.at < length + 2 {
            self.read();
        }
        let bytes = self.input[self.at..self.at + length].to_vec();
        self.at += length + 2;
        bytes
    }
}

/// Who owns which slots; one server owns all of them where there is no cluster.
fn masters(port: u16) -> Vec<(u16, Vec<(u16, u16)>)> {
    let mut wire = Wire::new(port);
    wire.push(&[b"INFO", b"cluster"]);
    wire.flush();
    if !String::from_utf8(wire.bulk()).unwrap().contains("cluster_enabled:1") {
        return vec![(port, vec![(0, 16383)])];
    }
    wire.push(&[b"CLUSTER", b"NODES"]);
    wire.flush();
    let text = String::from_utf8(wire.bulk()).unwrap();
    let node = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let port = words[1].split(['@', ':']).nth(1).unwrap().parse().unwrap();
        let range = |word: &&str| {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            (from.parse().unwrap(), to.parse().unwrap())
        };
        (port, words[8..].iter().map(range).collect())
    };
    text.lines().filter(|line| line.contains("master")).map(node).collect()
}

fn slot(key: &[u8]) -> u16 {
    let crc = |crc: u16, byte: &u8| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 })
    };
    key.iter().fold(0, crc) % 16384
}

/// Connections to all servers, and which of them owns each slot.
struct Wires {
    wires: Vec<Wire>,
    owners: Vec<usize>,
}

impl Wires {
    fn new(masters: &[(u16, Vec<(u16, u16)>)]) -> Self {
        let mut owners = vec![0; 16384];
        for (at, (_, ranges)) in masters.iter().enumerate() {
            ranges.iter().for_each(|(from, to)| owners[usize::from(*from)..=usize::from(*to)].fill(at));
        }
        Wires { wires: masters.iter().map(|(port, _)| Wire::new(*port)).collect(), owners }
    }

    fn owner(&self, key: &[u8]) -> usize {
        if self.wires.len() == 1 { 0 } else { self.owners[usize::from(slot(key))] }
    }
}

fn fill(wires: &mut Wires, count: usize, is_mixed: bool) {
    let mut owed = vec![0; wires.wires.len()];
    for id in 0..count {
        let key = format!("user_{id}");
        let owner = wires.owner(key.as_bytes());
        let wire = &mut wires.wires[owner];
        let (key, mail) = (key.as_bytes(), format!("u{id}@example.test"));
        let mail = mail.as_bytes();
        match if is_mixed { id % 20 } else { 0 } {
            0..10 => {
                let value = format!("{{\"id\":{id},\"name\":\"user number {id}\",\"email\":\"u{id}@example.test\",\"plan\":\"free\"}}");
                wire.push(&[b"SET", key, value.as_bytes()]);
            }
            10..14 => wire.push(&[b"HSET", key, b"id", id.to_string().as_bytes(), b"email", mail, b"plan", b"free"]),
            14..17 => wire.push(&[b"RPUSH", key, b"one", b"two", b"three", mail]),
            _ => wire.push(&[b"ZADD", key, b"1", b"one", b"2", b"two", b"3", mail]),
        }
        owed[owner] += 1;
        if is_mixed && id / 20 % 5 == 0 {
            wire.push(&[b"EXPIRE", key, b"86400"]);
            owed[owner] += 1;
        }
        if id % 1000 == 999 || id + 1 == count {
            for (wire, owed) in wires.wires.iter_mut().zip(&mut owed) {
                wire.flush();
                (0..std::mem::take(owed)).for_each(|_| assert!(wire.number() >= 0));
            }
        }
    }
}

/// Goes through the keys of one server. `queue` sends something for each key of a page, and `settle` reads the replies.
fn sweep(wire: &mut Wire, count: &str, queue: impl Fn(&mut Wire, &[u8]), mut settle: impl FnMut(&mut Wire, &[Vec<u8>])) {
    let (mut cursor, mut keys) = (b"0".to_vec(), Vec::new());
    let mut is_first = true;
    loop {
        let more = is_first || cursor != b"0";
        keys.iter().for_each(|key: &Vec<u8>| queue(wire, key));
        if more {
            wire.push(&[b"SCAN", &cursor, b"MATCH", b"user_*", b"COUNT", count.as_bytes()]);
        }
        wire.flush();
        settle(wire, &keys);
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

fn name(key: &[u8]) -> Vec<u8> {
    [b"user:", &key[5..], b":profile"].concat()
}

fn ones(wire: &mut Wire, keys: &[Vec<u8>]) {
    keys.iter().for_each(|_| assert!(wire.number() == 1, "a name was taken"));
}

/// Carries what one server has to where the other names live.
fn carry(wire: &mut Wire, count: &str, targets: &mut Wires) {
    let queue = |wire: &mut Wire, key: &[u8]| {
        wire.push(&[b"DUMP", key]);
        wire.push(&[b"PTTL", key]);
    };
    sweep(wire, count, queue, |wire, keys| {
        let mut owed = vec![0; targets.wires.len()];
        for key in keys {
            let (dump, left, name) = (wire.bulk(), wire.number().max(0).to_string(), name(key));
            let owner = targets.owner(&name);
            targets.wires[owner].push(&[b"RESTORE", &name, left.as_bytes(), &dump]);
            owed[owner] += 1;
        }
        targets.wires.iter_mut().for_each(Wire::flush);
        for (wire, owed) in targets.wires.iter_mut().zip(owed) {
            (0..owed).for_each(|_| assert!(wire.number() == 0));
        }
    });
}

fn main() {
    let words: Vec<String> = env::args().collect();
    let masters = masters(words[2].parse().unwrap());
    if words[1] == "fill" {
        return fill(&mut Wires::new(&masters), words[3].parse().unwrap(), words.len() > 4);
    }
    let count = &words[3];
    let each = |work: &(dyn Fn(&mut Wire) + Sync)| {
        thread::scope(|scope| masters.iter().for_each(|(port, _)| _ = scope.spawn(|| work(&mut Wire::new(*port)))));
    };
    if masters.len() > 1 {
        each(&|wire| carry(wire, count, &mut Wires::new(&masters)));
    } else {
        each(&|wire| sweep(wire, count, |wire, key| wire.push(&[b"COPY", key, &name(key)]), ones));
    }
    each(&|wire| sweep(wire, count, |wire, key| wire.push(&[b"UNLINK", key]), ones));
}
