//! What the answers mean that keys of a page got, and what is done where one command a key was not enough.

use dunlin_core::{Error, Result};

use super::call::Said;
use super::task::{Job, Sent, Task};
use super::{Existing, Look, What};
use crate::chunk::{Entry, Page};
use crate::hands::Hands;
use crate::pairs::{self, Unlike, Verdict, compare, is_torn};
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{across, before, error, quote};

/// Deletes keys.
async fn unlink(keys: &[&[u8]], hands: &mut Hands<'_>, tally: &mut Tally) -> Result<()> {
    for answers in pairs::ask(keys, &[&[b"UNLINK"]], hands).await? {
        match &answers[0] {
            Answer::Error(said) if is_torn(said) => tally.is_torn = true,
            Answer::Error(said) => return Err(error::said(said, "cannot delete a copy", &hands.url())),
            Answer::Int(1) => tally.done += 1,
            _ => tally.gone += 1,
        }
    }
    Ok(())
}

impl Task<'_> {
    pub(super) async fn compare(
        &self,
        page: &Page,
        said: &[Said],
        hands: &mut Hands<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        if let Job::Look(Look::None { .. }) = self.job {
            page.entries.iter().for_each(|entry| tally.list(&entry.key, None));
            return Ok(());
        }
        if let Job::Collide(_) = self.job {
            return self.collide(page, said, hands, tally).await;
        }
        let is_drop = matches!(self.job, Job::Move(_));
        let is_copy = matches!(self.job, Job::Move(What::Delete { is_copy: true, .. }));
        let pairs: Vec<pairs::Keys<'_>> =
            page.entries.iter().map(|Entry { key, name, .. }| (key.as_slice(), name.as_slice())).collect();
        let mut lost: Vec<&[u8]> = Vec::new();
        let known = pairs::verdicts(said);
        let verdicts = pairs::settle(&pairs, known, (is_drop, self.has_scripts), hands).await?;
        for ((one, other), verdict) in pairs.into_iter().zip(verdicts) {
            match tally.count(verdict) {
                None => {}
                Some(Unlike::Missing) => tally.list(one, format!("{} is missing", quote::quote(other))),
                Some(Unlike::In(_)) if is_copy => lost.push(one),
                Some(Unlike::In(what)) => {
                    tally.list(one, crate::show::both((one, other), what, hands).await?);
                }
            }
        }
        unlink(&lost, hands, tally).await
    }

    /// Finds the names that are taken, and lists those that forbid to begin.
    async fn collide(
        &self,
        page: &Page,
        said: &[Said],
        hands: &mut Hands<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        // A name that is taken is the other of its key.
        let pairs: Vec<pairs::Keys<'_>> =
            page.entries.iter().map(|Entry { key, name, .. }| (name.as_slice(), key.as_slice())).collect();
        let verdicts = pairs::settle(&pairs, pairs::verdicts(said), (false, self.has_scripts), hands).await?;
        let (is_fatal, is_rename) = match self.job {
            Job::Collide(What::Rename { existing, .. }) => (*existing == Existing::Fail, true),
            Job::Collide(What::Copy { existing, .. }) => (*existing == Existing::Fail, false),
            _ => (false, false),
        };
        let mut found: Vec<(&[u8], bool)> = Vec::new();
        for ((one, other), verdict) in pairs.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Torn => tally.is_torn = true,
                Verdict::Unlike(Unlike::Missing) => {}
                verdict => found.push((other, verdict == Verdict::NoOne)),
            }
            match verdict {
                Verdict::Unlike(Unlike::In(what)) if is_fatal => {
                    tally.list(other, crate::show::both((one, other), what, hands).await?);
                }
                // Whoever renames would have one key left of the two, and the way back could not tell.
                Verdict::Same if is_fatal && is_rename && self.before.is_some() => {
                    tally.list(other, format!("holds what {} holds", quote::quote(one)));
                }
                _ => {}
            }
        }
        before::remember(self.before.as_ref(), &found, hands).await
    }

    /// Takes in what one command a key was answered.
    pub(super) async fn settle(
        &self,
        page: Page,
        answers: Vec<Answer>,
        hands: &mut Hands<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut answers = answers.into_iter();
        let (mut unsure, mut crossing) = (Vec::new(), Vec::new());
        for sent in &page.sent {
            match *sent {
                Sent::One(index) | Sent::Run(index, _) => match (*sent, answers.next()) {
                    (_, Some(Answer::Error(said))) if is_torn(&said) => tally.is_torn = true,
                    (_, Some(Answer::Error(said))) if said.contains("no such key") => tally.gone += 1,
                    (_, Some(Answer::Error(said))) => {
                        return Err(self.refused(&said, &page.entries[index], hands));
                    }
                    // Whoever had no key to delete was there first.
                    (Sent::Run(_, keys), Some(Answer::Int(found))) => {
                        let found = u64::try_from(found).unwrap_or_default();
                        tally.done += found;
                        tally.gone += (keys as u64).saturating_sub(found);
                    }
                    (_, Some(Answer::Int(1) | Answer::Status(_))) => tally.done += 1,
                    _ => unsure.push(index),
                },
                Sent::Keyspace | Sent::Pair(..) => {}
                Sent::Dump(index) => {
                    if let (Some(dump), Some(ends)) = (answers.next(), answers.next()) {
                        crossing.push((index, dump, ends));
                    }
                }
            }
        }
        let big = page.entries.iter().filter(|entry| entry.is_big);
        tally.big.extend(big.map(|entry| quote::quote(&entry.key)));
        match self.job {
            Job::Move(What::Rename { existing, .. } | What::Copy { existing, .. }) => {
                let is_rename = matches!(self.job, Job::Move(What::Rename { .. }));
                let more = across::carry(&page, crossing, (is_rename, *existing), hands, tally).await?;
                unsure.extend(more);
                self.look_again((&page, unsure), (is_rename, *existing), hands, tally).await
            }
            // There was no end to change.
            _ => {
                tally.kept += u64::try_from(unsure.len()).unwrap_or(u64::MAX);
                Ok(())
            }
        }
    }

    /// Names that were taken, or keys that were gone: the answer does not tell.
    async fn look_again(
        &self,
        (page, unsure): (&Page, Vec<usize>),
        (is_rename, existing): (bool, Existing),
        hands: &mut Hands<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        let entries: Vec<&Entry> = unsure.iter().map(|index| &page.entries[*index]).collect();
        let pairs: Vec<pairs::Keys<'_>> = entries.iter().map(|entry| (&*entry.key, &*entry.name)).collect();
        // An earlier run that was cut off between copying and deleting leaves both names with the same value.
        let verdicts = compare(&pairs, is_rename, self.has_scripts, hands).await?;
        for ((one, other), verdict) in pairs.into_iter().zip(verdicts) {
            match tally.count(verdict) {
                None => {}
                Some(Unlike::Missing) => {
                    tally.list(one, format!("{} was there a moment ago", quote::quote(other)));
                }
                Some(Unlike::In(_)) if existing == Existing::Skip => tally.kept += 1,
                Some(Unlike::In(what)) => {
                    tally.list(one, crate::show::both((one, other), what, hands).await?);
                }
            }
        }
        Ok(())
    }

    fn refused(&self, said: &str, entry: &Entry, hands: &Hands<'_>) -> Error {
        let what = match self.job {
            Job::Move(What::Copy { .. }) => "COPY",
            Job::Move(What::Rename { .. }) => "RENAME",
            Job::Move(What::Expire { .. }) => "PEXPIRE",
            _ => "UNLINK",
        };
        let text = format!("{what} {} {}", quote::quote(&entry.key), quote::quote(&entry.name));
        let error = error::refused(said, text.trim_end_matches(" \"\""), self.span, &hands.url());
        error.with("done so far", "keys before this one; the rest is as it was, and the next run goes on")
    }
}
