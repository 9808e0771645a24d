//! Scripts that do to many keys what no command does, sent with the pages of a walk like any command: a script on another
//! connection would leave the server idle before and after it.

use dunlin_core::{Result, StoreUrl};

use super::task::{Job, Sent, Task};
use super::{Existing, Form, Kept, Look, What};
use crate::chunk::{Entry, Page};
use crate::pairs::{MANY, SLACK, is_torn};
use crate::script::{self, Text};
use crate::wire::{Answer, Wire};
use crate::{archive, error, pairs};

/// What a script says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Code(i64),
    /// It did not get to it: slots are on the move.
    Torn,
    /// It was not asked.
    Nothing,
}

impl Task<'_> {
    /// The script that does it, where one does.
    pub(crate) fn script(&self) -> Option<&'static Text> {
        match self.job {
            Job::Move(What::Align { form: Form::Name(_), .. } | What::Delete { if_same_as: Some(_), .. })
            | Job::Look(Look::InStep { form: Form::Name(_), .. } | Look::Same { .. })
            | Job::Collide(What::Rename { .. } | What::Copy { .. }) => {
                self.has_scripts.then_some(&script::SAME)
            }
            Job::Move(What::Align { form: Form::Field { .. }, .. }) => Some(&script::ALIGN_FIELD),
            Job::Look(Look::InStep { form: Form::Field { .. }, .. }) if self.mends => {
                Some(&script::ALIGN_FIELD)
            }
            Job::Move(What::RenameField { .. }) | Job::Collide(What::RenameField { .. }) => {
                Some(&script::FIELD)
            }
            Job::Move(What::Archive { .. }) => Some(&script::ARCHIVE),
            Job::Move(What::End { .. }) => Some(&script::END),
            Job::Move(What::Restore { kept: Kept::Keys, .. }) => Some(&script::RESTORE),
            Job::Move(What::Restore { kept: Kept::Ends, .. }) => Some(&script::UNEND),
            _ => None,
        }
    }

    /// The keys it is given of an entry.
    fn given<'e>(&self, entry: &'e Entry) -> [Option<&'e [u8]>; 2] {
        let (key, name) = (entry.key.as_slice(), entry.name.as_slice());
        match self.job {
            _ if name.is_empty() => [Some(key), None],
            // A name that is taken is the other of its key.
            Job::Collide(_) => [Some(name), Some(key)],
            _ => [Some(key), Some(name)],
        }
    }

    /// What it is given beside them.
    fn args(&self, slot: u16, entries: &[Entry]) -> Vec<Vec<u8>> {
        let fields = || if self.map.has_field_ttls { b"yes".to_vec() } else { b"no".to_vec() };
        let of_form = |form: &Form, differing: super::Differing, is_drop| match form {
            Form::Field { from, to, .. } => vec![
                from.clone().into_bytes(),
                to.clone().into_bytes(),
                differing.word().into(),
                if is_drop { b"drop" } else { b"mend" }.to_vec(),
                fields(),
                SLACK.to_string().into_bytes(),
            ],
            _ => pairs::args(is_drop, self.map),
        };
        match self.job {
            Job::Move(What::Align { form, differing, is_drop }) => of_form(form, *differing, *is_drop),
            Job::Look(Look::InStep { form, differing, .. }) => of_form(form, *differing, false),
            Job::Move(What::Delete { .. }) => pairs::args(true, self.map),
            Job::Move(What::RenameField { from, to, existing, .. }) => {
                let verb: &[u8] = if *existing == Existing::Replace { b"replace" } else { b"rename" };
                vec![from.clone().into_bytes(), to.clone().into_bytes(), fields(), verb.to_vec()]
            }
            Job::Collide(What::RenameField { from, to, .. }) => {
                vec![from.clone().into_bytes(), to.clone().into_bytes(), fields(), b"look".to_vec()]
            }
            Job::Move(what) => archive::args(what, (slot, entries), self.keys),
            _ => pairs::args(false, self.map),
        }
    }

    /// Sends it for a page, one call after the other for each slot.
    pub(super) async fn call(&self, script: &Text, page: &mut Page, wire: &mut Wire) -> Result<()> {
        if self.map.is_cluster {
            page.entries.sort_by_cached_key(|entry| (entry.is_crossing, self.map.slot(&entry.key)));
        }
        for (start, count) in self.calls(&page.entries) {
            let entries = &page.entries[start..start + count];
            let keys: Vec<&[u8]> = entries.iter().flat_map(|entry| self.given(entry)).flatten().collect();
            let args = self.args(self.map.slot(&entries[0].key), entries);
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            wire.push_script(script, &keys, &args);
            page.sent.push(Sent::Run(start, count));
            wire.ease().await?;
        }
        Ok(())
    }

    /// Which entries one call after the other is about: from where, and how many. One is about one slot.
    fn calls(&self, entries: &[Entry]) -> Vec<(usize, usize)> {
        let near = entries.iter().take_while(|entry| !entry.is_crossing).count();
        let is_one = |one: &Entry, next: &Entry| self.map.slot(&one.key) == self.map.slot(&next.key);
        let mut calls = Vec::new();
        for part in entries[..near].chunk_by(is_one).flat_map(|run| run.chunks(MANY)) {
            let start = calls.last().map_or(0, |(start, count)| start + count);
            calls.push((start, part.len()));
        }
        calls
    }

    /// What it said of each key of a page.
    pub(super) fn said(&self, page: &Page, answers: &[Answer], url: &StoreUrl) -> Result<Vec<Said>> {
        let doing = match self.job {
            Job::Collide(_) | Job::Look(_) => "cannot compare keys",
            Job::Move(What::Align { .. }) => "cannot bring keys in step",
            Job::Move(What::RenameField { .. }) => "cannot rename a field",
            _ => "cannot change keys",
        };
        let mut all = vec![Said::Nothing; page.entries.len()];
        for (sent, answer) in page.sent.iter().zip(answers) {
            let Sent::Run(start, count) = *sent else { continue };
            let said = &mut all[start..start + count];
            match answer {
                Answer::Error(words) if is_torn(words) => said.fill(Said::Torn),
                Answer::Error(words) => return Err(error::said(words, doing, url)),
                Answer::List(codes) => {
                    for (said, code) in said.iter_mut().zip(codes) {
                        *said = code.int().map_or(Said::Nothing, Said::Code);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
}
