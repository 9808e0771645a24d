//! When a proxy cuts, decided on the bytes alone.

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From a client to the server.
    Request,
    /// From the server to a client.
    #[default]
    Reply,
}

/// What is lost with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The request: the server never sees it.
    Request,
    /// Half of the request.
    HalfRequest,
    /// The reply: the server did what was asked, and nobody learns of it.
    Reply,
    /// Half of the reply.
    HalfReply,
}

/// The request at which to cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    text: Vec<u8>,
    later: u64,
}

impl Trigger {
    /// The first request from now on, of whichever connection.
    pub fn next() -> Self {
        Self::text("")
    }

    /// The first request that contains this text: a statement, a command's name.
    pub fn text(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), later: 0 }
    }

    /// So many requests later on the same connection: a prepared statement's text comes before it is executed.
    pub fn later(self, later: u64) -> Self {
        Self { later, ..self }
    }
}

/// One connection's place in the conversation. The server has the first word in some protocols, so a client's first
/// byte is always a new request.
#[derive(Debug, Default)]
pub(super) struct Talk {
    speaker: Direction,
    /// The end of the request so far, for a text that arrives in two pieces.
    tail: Vec<u8>,
    /// Cut this connection so many requests later.
    doom: Option<(u64, Loss)>,
    /// Cut this connection at the reply.
    reply: Option<Loss>,
}

/// All rules of a proxy, and its counts.
#[derive(Debug, Default)]
pub(super) struct Rules {
    armed: Option<(Trigger, Loss)>,
    limit: Option<(Direction, u64)>,
    sent: u64,
    received: u64,
    pub(super) requests: u64,
    pub(super) connections: u64,
    pub(super) cuts: u64,
}

impl Rules {
    pub(super) fn arm(&mut self, trigger: Trigger, loss: Loss) {
        self.armed = Some((trigger, loss));
    }

    pub(super) fn limit(&mut self, direction: Direction, count: u64) {
        self.limit = Some((direction, self.bytes(direction) + count));
    }

    pub(super) fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Request => self.sent,
            Direction::Reply => self.received,
        }
    }

    /// How many of these bytes to pass on before the connection is cut; none if it is not.
    pub(super) fn judge(&mut self, direction: Direction, bytes: &[u8], talk: &mut Talk) -> Option<usize> {
        let before = self.bytes(direction);
        let loss = match direction {
            Direction::Request => self.judge_request(bytes, talk),
            Direction::Reply => talk.reply,
        };
        talk.speaker = direction;
        let passed = match (loss, self.limit) {
            (Some(Loss::HalfRequest | Loss::HalfReply), _) => Some(bytes.len() / 2),
            (Some(_), _) => Some(0),
            (None, Some((limited, limit)))
                if limited == direction && before + bytes.len() as u64 >= limit =>
            {
                self.limit = None;
                usize::try_from(limit - before).ok()
            }
            (None, _) => None,
        };
        let passed_on = passed.unwrap_or(bytes.len()) as u64;
        match direction {
            Direction::Request => self.sent += passed_on,
            Direction::Reply => self.received += passed_on,
        }
        self.cuts += u64::from(passed.is_some());
        passed
    }

    /// What a request loses now; what its reply will lose is left with the talk.
    fn judge_request(&mut self, bytes: &[u8], talk: &mut Talk) -> Option<Loss> {
        let is_new = talk.speaker == Direction::Reply;
        if is_new {
            self.requests += 1;
            talk.tail.clear();
            talk.doom = talk.doom.map(|(later, loss)| (later.saturating_sub(1), loss));
        }
        if let Some((trigger, loss)) =
            self.armed.take_if(|(trigger, _)| contains(&talk.tail, bytes, &trigger.text))
        {
            talk.doom = Some((trigger.later, loss));
        }
        let kept = bytes.len().saturating_sub(TAIL);
        talk.tail.extend_from_slice(&bytes[kept..]);
        talk.tail.drain(..talk.tail.len().saturating_sub(TAIL));
        let (_, loss) = talk.doom.take_if(|(later, _)| *later == 0)?;
        match loss {
            Loss::Request | Loss::HalfRequest => Some(loss),
            Loss::Reply | Loss::HalfReply => {
                talk.reply = Some(loss);
                None
            }
        }
    }
}

/// As much of a request as is remembered; texts to look for are shorter.
const TAIL: usize = 256;

fn contains(tail: &[u8], bytes: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let found = |within: &[u8]| within.windows(text.len()).any(|window| window == text);
    let head = &bytes[..bytes.len().min(text.len())];
    found(bytes) || found(&[tail, head].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(rules: &mut Rules, talk: &mut Talk, texts: &[&str]) -> Vec<Option<usize>> {
        let mut verdicts = Vec::new();
        for text in texts {
            verdicts.push(rules.judge(Direction::Request, text.as_bytes(), talk));
            verdicts.push(rules.judge(Direction::Reply, b"okay", talk));
        }
        verdicts
    }

    #[test]
    fn a_text_is_found_and_lost_as_told() {
        for (loss, verdicts) in [
            (Loss::Request, [None, None, Some(0), None]),
            (Loss::HalfRequest, [None, None, Some(3), None]),
            (Loss::Reply, [None, None, None, Some(0)]),
            (Loss::HalfReply, [None, None, None, Some(2)]),
        ] {
            let (mut rules, mut talk) = (Rules::default(), Talk::default());
            rules.arm(Trigger::text("commit"), loss);
            assert_eq!(requests(&mut rules, &mut talk, &["insert", "commit"]), verdicts, "{loss:?}");
            assert_eq!((rules.cuts, rules.requests), (1, 2));
        }
    }

    #[test]
    fn a_text_in_two_pieces_is_found() {
        let (mut rules, mut talk) = (Rules::default(), Talk::default());
        rules.arm(Trigger::text("commit"), Loss::Request);
        assert_eq!(rules.judge(Direction::Request, b"select 1; com", &mut talk), None);
        assert_eq!(rules.judge(Direction::Request, b"mit", &mut talk), Some(0));
        assert_eq!(rules.requests, 1);
    }

    #[test]
    fn a_later_request_of_the_same_connection_is_cut() {
        let (mut rules, mut talk, mut other) = (Rules::default(), Talk::default(), Talk::default());
        rules.arm(Trigger::text("parse").later(1), Loss::Request);
        assert_eq!(requests(&mut rules, &mut talk, &["parse"]), [None, None]);
        assert_eq!(requests(&mut rules, &mut other, &["else", "else"]), [None; 4]);
        assert_eq!(rules.judge(Direction::Request, b"execute", &mut talk), Some(0));
    }

    #[test]
    fn bytes_are_counted_from_when_the_rule_is_made() {
        let (mut rules, mut talk) = (Rules::default(), Talk::default());
        assert_eq!(rules.judge(Direction::Reply, b"0123456789", &mut talk), None);
        rules.limit(Direction::Reply, 4);
        assert_eq!(rules.judge(Direction::Request, b"0123456789", &mut talk), None);
        assert_eq!(rules.judge(Direction::Reply, b"012", &mut talk), None);
        assert_eq!(rules.judge(Direction::Reply, b"345", &mut talk), Some(1));
        assert_eq!((rules.bytes(Direction::Reply), rules.cuts), (14, 1));
    }
}
