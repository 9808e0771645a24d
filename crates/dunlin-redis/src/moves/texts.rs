//! Looks at pairs of short strings by reading both: that costs a server less than a script that does. Only what is the same is
//! taken from there; whatever else it looks like, the script is asked.

use dunlin_core::Result;

use super::call::Said;
use super::task::{Job, Sent, Task};
use super::{Form, Look};
use crate::chunk::{Entry, Page};
use crate::pairs::{Verdict, ends};
use crate::wire::{Answer, Wire};

/// How many bytes of a string are read, less one: a page of them is kept in memory.
const LAST: &[u8] = b"4095";
/// How many bytes that are at most.
const MOST: usize = 4096;

/// How pairs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// By the script.
    Script,
    /// By reading both, and when they end if there are keys that do.
    Texts { ends: bool },
}

impl Task<'_> {
    /// How to begin.
    pub(crate) fn reading(&self) -> Reading {
        match self.job {
            Job::Look(Look::InStep { form: Form::Name(_), .. } | Look::Same { .. }) => {
                Reading::Texts { ends: false }
            }
            _ => Reading::Script,
        }
    }

    /// Reads the pairs of a page.
    pub(super) async fn read(&self, page: &mut Page, has_ends: bool, wire: &mut Wire) -> Result<()> {
        wire.push(&[b"INFO", b"keyspace"]);
        page.sent.push(Sent::Keyspace);
        for (index, Entry { key, name, .. }) in
            page.entries.iter().enumerate().filter(|(_, entry)| !entry.is_crossing)
        {
            wire.push(&[b"GETRANGE", key, b"0", LAST]);
            wire.push(&[b"GETRANGE", name, b"0", LAST]);
            if has_ends {
                wire.push(&[b"PTTL", key]);
                wire.push(&[b"PTTL", name]);
            }
            page.sent.push(Sent::Pair(index, has_ends));
            wire.ease().await?;
        }
        Ok(())
    }
}

/// Which pairs of a page are the same.
pub(super) fn same(page: &Page, answers: &[Answer]) -> Vec<Said> {
    let mut all = vec![Said::Nothing; page.entries.len()];
    let mut rest = answers;
    let mut is_known = true;
    for sent in &page.sent {
        let (mine, others) = rest.split_at(sent.replies().min(rest.len()));
        rest = others;
        match (sent, mine) {
            // One that says nothing of it may have keys that end.
            (Sent::Keyspace, [info]) => is_known = has_ends(info) == Some(false),
            (Sent::Pair(index, true), [one, other, left, others_left]) => {
                if let (Some(left), Some(others)) = (left.int(), others_left.int())
                    && is_same(one, other)
                    && ends(left, others) == Verdict::Same
                {
                    all[*index] = Said::Code(0);
                }
            }
            (Sent::Pair(index, false), [one, other]) if is_known && is_same(one, other) => {
                all[*index] = Said::Code(0);
            }
            _ => {}
        }
    }
    all
}

/// An empty text may be none at all, and one as long as what is read may go on.
fn is_same(one: &Answer, other: &Answer) -> bool {
    matches!(one, Answer::Bulk(text) if !text.is_empty() && text.len() < MOST) && one == other
}

fn has_ends(info: &Answer) -> Option<bool> {
    let Answer::Bulk(text) = info else { return None };
    let text = std::str::from_utf8(text).ok()?;
    let ends = |part: &str| part.strip_prefix("expires=").is_some_and(|count| count != "0");
    Some(text.split([',', '\r', '\n']).any(ends))
}

/// How the next page is looked at, from what came of this one.
pub(crate) fn learn(page: &Page, answers: &[Answer]) -> Reading {
    let Reading::Texts { .. } = page.reading else { return Reading::Script };
    let is_text = |answer: &&Answer| matches!(answer, Answer::Bulk(text) if text.len() < MOST);
    let texts = answers.iter().skip(1).filter(is_text).count();
    // Short strings are half of what is answered where ends are asked for, else all of it.
    let is_worth_it = texts * 4 >= answers.len().saturating_sub(1);
    // An error is counted by the server, so there are no more of them than this page has.
    if !is_worth_it || answers.iter().any(|answer| matches!(answer, Answer::Error(_))) {
        return Reading::Script;
    }
    Reading::Texts { ends: answers.first().and_then(has_ends) != Some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_short_texts_are_the_same() {
        let bulk = |text: &[u8]| Answer::Bulk(text.to_vec());
        assert!(is_same(&bulk(b"a"), &bulk(b"a")));
        assert!(!is_same(&bulk(b"a"), &bulk(b"b")));
        assert!(!is_same(&bulk(b""), &bulk(b"")), "they may not be there");
        let long = vec![b'x'; MOST];
        assert!(!is_same(&bulk(&long), &bulk(&long)), "they may go on");
        let wrong = Answer::Error("WRONGTYPE".to_owned());
        assert!(!is_same(&wrong, &wrong));
    }

    #[test]
    fn a_server_says_whether_keys_end() {
        let info = |text: &str| has_ends(&Answer::Bulk(text.as_bytes().to_vec()));
        assert_eq!(info("# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\n"), Some(false));
        assert_eq!(
            info("# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\ndb1:keys=2,expires=1,avg_ttl=9\r\n"),
            Some(true)
        );
        assert_eq!(has_ends(&Answer::Error("NOPERM".to_owned())), None);
    }
}
