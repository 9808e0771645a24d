//! Two shapes of the same thing, brought in step while applications write either; and the first of them removed where it
//! is. Here is what is done with a page of two names; where the shapes are not two names, that is in the modules below.
//!
//! Nothing tells which of two values was written last. So what differs is decided by a rule that the author of the change
//! gives, and every removal is one command or script that looks once more.

mod encoding;
mod field;

use std::collections::BTreeMap;

use dunlin_core::Result;

use crate::chunk::{Entry, Page};
use crate::hands::Hands;
use crate::keys::Keys;
use crate::moves::call::Said;
use crate::moves::{Differing, Existing, Form};
use crate::pairs::{self, BIG, Unlike, Verdict, ask, compare, is_torn};
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{across, error, quote, show};

/// How often a pair is brought in step that does not stay so.
pub(crate) const ROUNDS: u32 = 5;

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// An op of its own.
    Move,
    /// A look that brings in step what is not.
    Mend,
    /// A look that only looks.
    Look {
        /// Only at those that are both there.
        is_loss: bool,
    },
}

/// What is done with what is not in step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) differing: Differing,
    pub(crate) is_drop: bool,
    pub(crate) goal: Goal,
    /// Whether the login may run scripts.
    pub(crate) has_scripts: bool,
}

/// What becomes of one that is not in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The second is made of the first, unless it has come to be there.
    Fill,
    /// The second is made anew of the first.
    Over,
    /// The first is made anew of the second.
    Back,
    List,
    Stay,
}

impl Rule {
    pub(crate) fn way(self, unlike: Unlike) -> Way {
        match (self.goal, unlike, self.differing) {
            (Goal::Look { is_loss: true }, Unlike::Missing, _) => Way::Stay,
            (Goal::Look { .. }, ..) | (_, Unlike::In(_), Differing::Stop) => Way::List,
            (_, Unlike::Missing, _) => Way::Fill,
            (_, Unlike::In(_), Differing::First) => Way::Over,
            (_, Unlike::In(_), Differing::Second) => Way::Back,
            (_, Unlike::In(_), Differing::Stay) => Way::Stay,
        }
    }
}

/// Brings a page in step.
pub(crate) async fn page(
    form: &Form,
    rule: Rule,
    (page, said, keys): (&Page, &[Said], &Keys),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    match form {
        Form::Name(_) => names(rule, page, said, hands, tally).await,
        Form::Encoding(form) => encoding::encodings(form, rule, (page, keys), hands, tally).await,
        Form::Field { from, to, .. } => field::fields((from, to), rule, (page, said), hands, tally).await,
    }
}

/// Brings the values of two names in step.
async fn names(
    rule: Rule,
    page: &Page,
    said: &[Said],
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let mut open: Vec<&Entry> = page.entries.iter().collect();
    for round in 0.. {
        let pairs: Vec<pairs::Keys<'_>> = open.iter().map(|entry| (&*entry.key, &*entry.name)).collect();
        let verdicts = if round == 0 {
            pairs::settle(&pairs, pairs::verdicts(said), (rule.is_drop, rule.has_scripts), hands).await?
        } else {
            compare(&pairs, rule.is_drop, rule.has_scripts, hands).await?
        };
        let (mut again, mut ways) = (Vec::new(), Vec::new());
        for (entry, verdict) in open.into_iter().zip(verdicts) {
            if round > 0 && verdict == Verdict::Same {
                tally.done += 1;
                continue;
            }
            let Some(unlike) = tally.count(verdict) else { continue };
            match rule.way(unlike) {
                Way::Stay => tally.kept += 1,
                Way::List => list(entry, unlike, hands, tally).await?,
                way => {
                    again.push(entry);
                    ways.push(way);
                }
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        if round == ROUNDS {
            let why = "is written faster than it can be brought in step";
            for entry in again {
                tally.list(&entry.key, why.to_owned());
            }
            return Ok(());
        }
        open = carry(again, &ways, hands, tally).await?;
    }
    Ok(())
}

async fn list(entry: &Entry, unlike: Unlike, hands: &mut Hands<'_>, tally: &mut Tally) -> Result<()> {
    let shown = match unlike {
        Unlike::Missing => format!("{} is missing", quote::quote(&entry.name)),
        Unlike::In(what) => show::both((&entry.key, &entry.name), what, hands).await?,
    };
    tally.list(&entry.key, shown);
    Ok(())
}

/// Gives what one name holds to the other; gives back those that are to be compared again.
async fn carry<'p>(
    entries: Vec<&'p Entry>,
    ways: &[Way],
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<&'p Entry>> {
    let keys: Vec<&[u8]> = entries.iter().zip(ways).map(|(entry, way)| direction(entry, *way).0).collect();
    let sizes = ask(&keys, &[&[b"MEMORY", b"USAGE"]], hands).await?;
    let mut carried = Vec::new();
    // Whether they are in one slot, and whether what is there is written over.
    let mut groups: BTreeMap<(bool, bool), Vec<Entry>> = BTreeMap::new();
    for ((entry, way), size) in entries.into_iter().zip(ways).zip(sizes) {
        if size[0].int().is_some_and(|size| size > BIG) {
            if *way == Way::Back {
                tally.list(&entry.key, "not in step, and too big to be brought in step in one go".to_owned());
            } else {
                tally.big.push(quote::quote(&entry.key));
            }
            continue;
        }
        carried.push(entry);
        let (from, to) = direction(entry, *way);
        let (key, name, is_crossing) = (from.to_vec(), to.to_vec(), entry.is_crossing);
        let group = groups.entry((is_crossing, *way != Way::Fill)).or_default();
        group.push(Entry { key, name, is_crossing, is_big: false });
    }
    for ((is_crossing, is_replace), entries) in groups {
        if is_crossing {
            send_over(entries, is_replace, hands, tally).await?;
        } else {
            copy(&entries, is_replace, hands, tally).await?;
        }
    }
    Ok(carried)
}

/// From which name to which.
fn direction(entry: &Entry, way: Way) -> (&[u8], &[u8]) {
    if way == Way::Back { (&entry.name, &entry.key) } else { (&entry.key, &entry.name) }
}

/// Copies from one slot to another.
async fn send_over(
    entries: Vec<Entry>,
    is_replace: bool,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let keys: Vec<&[u8]> = entries.iter().map(|entry| &*entry.key).collect();
    let read = ask(&keys, &[&[b"DUMP"], &[b"PEXPIRETIME"]], hands).await?;
    let read = read.into_iter().enumerate().filter_map(|(index, answers)| {
        let [dump, ends] = <[Answer; 2]>::try_from(answers).ok()?;
        Some((index, dump, ends))
    });
    let read = read.collect();
    let existing = if is_replace { Existing::Replace } else { Existing::Skip };
    // What became of them is seen when they are compared again.
    let mut found = Tally::default();
    across::carry(&Page::of(entries), read, (false, existing), hands, &mut found).await?;
    tally.is_torn |= found.is_torn;
    Ok(())
}

/// Copies within slots.
async fn copy(entries: &[Entry], is_replace: bool, hands: &mut Hands<'_>, tally: &mut Tally) -> Result<()> {
    for Entry { key, name, .. } in entries {
        let wire = hands.of(key).await?;
        let words: [&[u8]; 4] = [b"COPY", key, name, b"REPLACE"];
        wire.push(&words[..if is_replace { 4 } else { 3 }]);
        wire.ease().await?;
    }
    hands.flush().await?;
    for entry in entries {
        match hands.of(&entry.key).await?.answer().await? {
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => {
                let text = format!("COPY {} {}", quote::quote(&entry.key), quote::quote(&entry.name));
                return Err(error::refused(&said, &text, None, &hands.url()));
            }
            _ => {}
        }
    }
    Ok(())
}
