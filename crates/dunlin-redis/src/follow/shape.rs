//! What is kept in step, and which of its keys a written key belongs to; and those keys, brought in step as a page of a pass
//! is.

use std::collections::BTreeMap;

use dunlin_core::{Error, Result};
use tokio::sync::Mutex;

use crate::chunk::{Entry, Page};
use crate::crew::Crew;
use crate::hands::Hands;
use crate::moves::Look;
use crate::moves::task::{Job, Task};
use crate::pairs::{self, BIG};
use crate::pattern::{Pattern, Template};
use crate::survey::Survey;
use crate::tally::Tally;

/// What is kept in step.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) look: Look,
    /// Leads from the keys of the second shape to those of the first, where they have names of their own.
    back: Option<(Pattern, Template)>,
}

impl Shape {
    pub(super) fn of(look: &Look) -> Result<Self> {
        let back = look.others().map(|others| {
            let template = Template::new(others, look.keys());
            template.map(|template| (others.clone(), template))
        });
        let back = back.transpose().map_err(|name| Error::unexpected(format!("no capture {name}")))?;
        Ok(Self { look: look.clone(), back })
    }

    /// What the server lets through of what is written.
    pub(super) fn globs(&self) -> impl Iterator<Item = Vec<u8>> {
        std::iter::once(self.look.keys()).chain(self.look.others()).map(Pattern::glob)
    }

    /// The key of the first shape that a written key belongs to.
    pub(super) fn first(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.look.keys().matches(key).is_some() {
            return Some(key.to_vec());
        }
        let (others, template) = self.back.as_ref()?;
        let mut first = Vec::new();
        template.expand(&others.matches(key)?, &mut first);
        Some(first)
    }
}

/// Brings keys in step, as a page of a pass.
pub(super) async fn align(
    look: &Look,
    keys: &[&Vec<u8>],
    (survey, crew): (&Survey, &Mutex<Crew>),
    tally: &mut Tally,
) -> Result<()> {
    let store = crew.lock().await.store().clone();
    let mut task = Task::new(Job::Look(look), None, &survey.map, &store.keys)?;
    task.mends = true;
    let mut entries: Vec<Entry> = keys.iter().filter_map(|key| task.entry((*key).clone())).collect();
    let mut hands = Hands::new(crew, &survey.map, &store.target.url);
    let asked: Vec<usize> = (0..entries.len()).filter(|at| task.asks(&entries[*at])).collect();
    let names: Vec<&[u8]> = asked.iter().map(|at| &*entries[*at].key).collect();
    let sizes = pairs::ask(&names, &[&[b"MEMORY", b"USAGE"]], &mut hands).await?;
    for (at, size) in asked.into_iter().zip(sizes) {
        entries[at].is_big = size[0].int().is_some_and(|size| size > BIG);
    }
    let mut slots: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        slots.entry(survey.map.slot(&entry.key)).or_default().push(entry);
    }
    for (slot, entries) in slots {
        let mut page = Page::of(entries);
        let wire = hands.at(slot).await?;
        task.send(&mut page, wire).await?;
        wire.flush().await?;
        let mut answers = Vec::with_capacity(page.sent.len());
        for _ in &page.sent {
            answers.push(wire.answer().await?);
        }
        task.finish(page, answers, &mut hands, tally).await?;
    }
    hands.rest().await;
    Ok(())
}
