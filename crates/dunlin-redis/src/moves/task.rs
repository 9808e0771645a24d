//! What is sent for the keys of a page, and what the answers mean.

use dunlin_core::{Error, Result, Span};

use super::texts::{self, Reading};
use super::{Existing, Form, Kept, Look, Shape, What};
use crate::align::{self, Goal, Rule};
use crate::before::{self, Before};
use crate::chunk::{Entry, Page};
use crate::hands::{Hands, Map};
use crate::keys::Keys;
use crate::pairs::{MANY, is_torn};
use crate::pattern::{Pattern, Template};
use crate::tally::Tally;
use crate::wire::{Answer, Wire};
use crate::{archive, convert, error, fields};

/// What is done with the keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Job<'a> {
    /// What the op does.
    Move(&'a What),
    /// Lists the names that are taken by other values, before anything is written.
    Collide(&'a What),
    /// Lists what cannot be converted, before anything is written.
    Judge(&'a What),
    /// Looks, for `verify`.
    Look(&'a Look),
}

/// A job, prepared.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) span: Option<Span>,
    pattern: Pattern,
    template: Option<Template>,
    pub(super) keys: &'a Keys,
    own: [Vec<u8>; 2],
    /// Whether it is about keys of dunlin's own.
    pub(crate) is_own: bool,
    pub(super) map: &'a Map,
    /// Whether the login may run scripts.
    pub(crate) has_scripts: bool,
    /// Whether a look may bring in step what it finds.
    pub(crate) mends: bool,
    /// What it has to do with names that were there before.
    pub(crate) before: Option<Before>,
    /// Of how many keys one is looked at.
    one_in: u64,
}

/// What was sent for one key, or some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// One command for the entry with this index.
    One(usize),
    /// Its value and its end.
    Dump(usize),
    /// One command for so many entries from this one on.
    Run(usize, usize),
    /// Whether there are keys that end.
    Keyspace,
    /// Both texts of the entry with this index, and when they end.
    Pair(usize, bool),
}

impl Sent {
    pub(crate) fn replies(self) -> usize {
        match self {
            Self::One(_) | Self::Run(..) | Self::Keyspace => 1,
            Self::Dump(_) | Self::Pair(_, false) => 2,
            Self::Pair(_, true) => 4,
        }
    }
}

impl<'a> Task<'a> {
    pub(crate) fn new(job: Job<'a>, span: Option<Span>, map: &'a Map, keys: &'a Keys) -> Result<Self> {
        let (pattern, other) = match job {
            // Names that are taken are found by going through the names, which are mostly none.
            Job::Collide(what) => match what.others() {
                Some(others) => (others, Some(what.keys())),
                None => (what.keys(), None),
            },
            Job::Move(what) | Job::Judge(what) => (what.keys(), what.others()),
            Job::Look(look) => (look.keys(), look.others()),
        };
        let mut template = other.map(|other| Template::new(pattern, other));
        let (mut pattern, mut is_own) = (pattern.clone(), false);
        if let Job::Move(What::Restore { tag, .. }) = job {
            let rest = Pattern::parse("{rest*}").expect("it is a capture");
            (pattern, is_own) = (keys.archives(Some(tag)), true);
            template = Some(Template::new(&pattern, &rest));
        }
        let template = template.transpose();
        let template = template.map_err(|name| Error::unexpected(format!("no capture {name}")))?;
        let own = keys.own();
        Ok(Self {
            job,
            span,
            pattern,
            template,
            keys,
            own,
            is_own,
            map,
            has_scripts: true,
            mends: false,
            before: None,
            one_in: 1,
        })
    }

    /// Looks at a part of the keys only, the same ones each time, spread over all of them.
    pub(crate) fn take_one_in(&mut self, keys: u64) {
        self.one_in = keys.max(1);
    }

    pub(crate) fn glob(&self) -> Vec<u8> {
        self.pattern.glob()
    }

    /// The type of the keys, where the op is about one type only.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match self.job {
            Job::Move(What::Convert { into, .. }) | Job::Judge(What::Convert { into, .. }) => {
                Some(if *into == Shape::Hash { "string" } else { "hash" })
            }
            Job::Move(What::Align { form: Form::Encoding(form), .. })
            | Job::Look(Look::InStep { form: Form::Encoding(form), .. }) => {
                Some(if form.into == Shape::Hash { "string" } else { "hash" })
            }
            Job::Move(What::RenameField { .. } | What::Align { form: Form::Field { .. }, .. })
            | Job::Collide(What::RenameField { .. })
            | Job::Look(Look::InStep { form: Form::Field { .. }, .. }) => Some("hash"),
            _ => None,
        }
    }

    /// A key of a page, if it is one of the pattern's and none of dunlin's own.
    pub(crate) fn entry(&self, key: Vec<u8>) -> Option<Entry> {
        if !self.is_own && self.own.iter().any(|own| key.starts_with(own)) {
            return None;
        }
        if self.one_in > 1 && !hash(&key).is_multiple_of(self.one_in) {
            return None;
        }
        let mut name = Vec::new();
        let found = self.pattern.matches(&key)?;
        if let Some(template) = &self.template {
            template.expand(&found, &mut name);
        }
        if let Job::Move(What::Restore { kept: Kept::Keys, .. }) = self.job {
            // Before the key it says when the key was to end.
            let colon = name.iter().position(|byte| *byte == b':')?;
            name.drain(..=colon);
        }
        let is_crossing =
            self.map.is_cluster && self.template.is_some() && self.map.slot(&key) != self.map.slot(&name);
        Some(Entry { key, name, is_crossing, is_big: false })
    }

    /// Whether mostly nothing is done with the keys but to see whether they are there.
    pub(crate) fn is_about_names(&self) -> bool {
        matches!(self.job, Job::Collide(_) | Job::Look(Look::None { .. }))
    }

    /// Whether it matters how big the value of a key is.
    pub(crate) fn asks(&self, entry: &Entry) -> bool {
        match self.job {
            Job::Move(What::Copy { is_at_once, .. }) => !is_at_once || entry.is_crossing,
            Job::Move(What::Rename { .. }) => entry.is_crossing,
            Job::Move(What::Convert { .. } | What::Align { form: Form::Encoding(_), .. })
            | Job::Judge(_)
            | Job::Look(Look::InStep { form: Form::Encoding(_), .. }) => true,
            _ => false,
        }
    }

    /// Sends what is to be done with a page, as far as one command a key does it.
    pub(crate) async fn send(&self, page: &mut Page, wire: &mut Wire) -> Result<()> {
        if let Job::Move(What::Delete { if_same_as: None, .. }) = self.job {
            return self.unlink(page, wire).await;
        }
        if let Reading::Texts { ends } = page.reading {
            return self.read(page, ends, wire).await;
        }
        if let Some(script) = self.script() {
            return self.call(script, page, wire).await;
        }
        for (index, Entry { key, name, is_crossing, is_big }) in page.entries.iter().enumerate() {
            let mut sent = Sent::One(index);
            match self.job {
                _ if *is_big => continue,
                Job::Move(What::Rename { .. } | What::Copy { .. }) if *is_crossing => {
                    wire.push(&[b"DUMP", key]);
                    wire.push(&[b"PEXPIRETIME", key]);
                    sent = Sent::Dump(index);
                }
                Job::Move(What::Copy { existing: Existing::Replace, .. }) => {
                    wire.push(&[b"COPY", key, name, b"REPLACE"]);
                }
                Job::Move(What::Copy { .. }) => wire.push(&[b"COPY", key, name]),
                Job::Move(What::Rename { existing: Existing::Replace, .. }) => {
                    wire.push(&[b"RENAME", key, name]);
                }
                Job::Move(What::Rename { .. }) => wire.push(&[b"RENAMENX", key, name]),
                Job::Move(What::Expire { ttl: None, .. }) => wire.push(&[b"PERSIST", key]),
                Job::Move(What::Expire { ttl: Some(ttl), is_only_missing, .. }) => {
                    let ttl = ttl.to_string();
                    let words: [&[u8]; 4] = [b"PEXPIRE", key, ttl.as_bytes(), b"NX"];
                    wire.push(&words[..if *is_only_missing { 4 } else { 3 }]);
                }
                Job::Move(What::Convert { into, .. }) | Job::Judge(What::Convert { into, .. }) => {
                    wire.push(&[if *into == Shape::Hash { b"GET" } else { b"HGETALL" }, key]);
                }
                Job::Look(Look::Ends { .. }) => wire.push(&[b"PTTL", key]),
                Job::Move(
                    What::Delete { .. }
                    | What::RenameField { .. }
                    | What::Align { .. }
                    | What::Archive { .. }
                    | What::End { .. }
                    | What::Restore { .. },
                )
                | Job::Collide(_)
                | Job::Judge(_)
                | Job::Look(_) => continue,
            }
            page.sent.push(sent);
            wire.ease().await?;
        }
        Ok(())
    }

    /// Deletes a page, many keys to a command where they share a slot.
    async fn unlink(&self, page: &mut Page, wire: &mut Wire) -> Result<()> {
        let mut start = 0;
        for run in page.entries.chunk_by(|one, next| self.map.slot(&one.key) == self.map.slot(&next.key)) {
            for keys in run.chunks(MANY) {
                wire.head(1 + keys.len());
                wire.word(b"UNLINK");
                for entry in keys {
                    wire.word(&entry.key);
                }
                page.sent.push(Sent::Run(start, keys.len()));
                start += keys.len();
                wire.ease().await?;
            }
        }
        Ok(())
    }

    /// Takes the answers in, and does what one command a key could not.
    pub(crate) async fn finish(
        &self,
        page: Page,
        answers: Vec<Answer>,
        hands: &mut Hands<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        let said = match page.reading {
            Reading::Texts { .. } => texts::same(&page, &answers),
            Reading::Script => self.said(&page, &answers, &hands.url())?,
        };
        match self.job {
            Job::Move(What::Align { form, differing, is_drop }) => {
                let rule =
                    Rule { differing: *differing, is_drop: *is_drop, goal: Goal::Move, has_scripts: true };
                align::page(form, rule, (&page, &said, self.keys), hands, tally).await
            }
            Job::Look(Look::InStep { form, differing, loss }) => {
                let goal = if self.mends { Goal::Mend } else { Goal::Look { is_loss: loss.is_some() } };
                let rule =
                    Rule { differing: *differing, is_drop: false, goal, has_scripts: self.has_scripts };
                align::page(form, rule, (&page, &said, self.keys), hands, tally).await
            }
            Job::Move(What::Archive { .. } | What::End { .. } | What::Restore { .. }) => {
                archive::count(&page, &said, tally);
                Ok(())
            }
            Job::Look(Look::Ends { end, .. }) => {
                for (entry, answer) in page.entries.iter().zip(answers) {
                    match answer {
                        Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
                        Answer::Error(said) => {
                            return Err(error::said(&said, "cannot ask when a key ends", &hands.url()));
                        }
                        Answer::Int(left) if left == -1 && *end => {
                            tally.list(&entry.key, "does not end".to_owned());
                        }
                        Answer::Int(left) if left >= 0 && !*end => {
                            tally.list(&entry.key, format!("ends in {left} ms"));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Job::Collide(What::RenameField { from, to, existing, .. }) => {
                let found = fields::collide(&page, (from, to, *existing), &said, tally);
                before::remember(self.before.as_ref(), &found, hands).await
            }
            Job::Move(What::Delete { if_same_as: Some(_), .. }) | Job::Collide(_) | Job::Look(_) => {
                self.compare(&page, &said, hands, tally).await
            }
            Job::Move(What::RenameField { from, to, .. }) => {
                fields::count(&page, (from, to), &said, tally);
                Ok(())
            }
            Job::Move(what @ What::Convert { .. }) | Job::Judge(what @ What::Convert { .. }) => {
                let is_judge = matches!(self.job, Job::Judge(_));
                convert::page(what, is_judge, (page, answers), hands, tally).await
            }
            _ => self.settle(page, answers, hands, tally).await,
        }
    }
}

/// A number for a key that says nothing about the key.
fn hash(key: &[u8]) -> u64 {
    // FNV-1a: its low bits depend on all bytes.
    key.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
