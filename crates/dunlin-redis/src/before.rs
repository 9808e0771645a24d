//! Names that were there before a step made others like them. They are no work of the step's, so its way back leaves them
//! alone: it would take away, or give another name, what it never made. They are looked for before anything is written, and
//! remembered in `{dunlin}:before:<tag>` until the step is taken back.

use dunlin_core::{Error, ErrorKind, Result, Work};

use crate::chunk::Page;
use crate::crew::Crew;
use crate::error;
use crate::hands::Hands;
use crate::moves::{Existing, Look, Move, What};
use crate::pairs::ask;
use crate::store::Store;
use crate::survey::Survey;
use crate::tally::Tally;
use crate::wire::Answer;

/// Which of the names that were there are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Those that had no old name beside them.
    Alone,
}

/// What a task has to do with names that were there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before {
    /// It finds them.
    Remember(String),
    /// It comes past them, and leaves these alone.
    Spare {
        memory: String,
        part: Part,
        /// Whether it comes past the old names, and they are the other ones.
        is_other: bool,
    },
}

/// What is remembered of a name: whether the old one was there, too.
const ALONE: &[u8] = b"alone";
const BOTH: &[u8] = b"both";

/// Whether an op on its way there remembers what was there.
pub(crate) fn is_kept(op: &Move) -> bool {
    let (What::Rename { existing, .. } | What::Copy { existing, .. } | What::RenameField { existing, .. }) =
        &op.what
    else {
        return false;
    };
    // What writes over everything has no way back of its own, but as a part of a change.
    !op.life.tag.is_empty() && (*existing != Existing::Replace || !op.life.touches.is_empty())
}

impl Before {
    /// What it is for a bout of an op.
    pub(crate) async fn of(
        store: &Store,
        op: &Move,
        work: &Work<'_>,
        is_looking: bool,
    ) -> Result<Option<Self>> {
        let is_back = work.is_undo();
        let (part, is_other) = match &op.what {
            _ if is_looking => {
                let is_kept = !is_back && is_kept(op);
                return Ok(is_kept.then(|| Self::Remember(store.keys.before(&op.life.tag))));
            }
            // Only the way back from a contract makes old names of new ones, where both were there before as well.
            What::Copy { .. } if is_back => (Part::Alone, false),
            _ if is_back => (Part::All, false),
            What::Rename { existing: Existing::Fail | Existing::Skip, .. } => (Part::All, true),
            _ => return Ok(None),
        };
        Self::spare(store, &op.life.tag, (part, is_other)).await
    }

    /// What it is for a look at what would be lost.
    pub(crate) async fn of_look(store: &Store, look: &Look) -> Result<Option<Self>> {
        let Look::InStep { loss: Some(tag), .. } = look else { return Ok(None) };
        Self::spare(store, tag, (Part::All, false)).await
    }

    async fn spare(store: &Store, tag: &str, (part, is_other): (Part, bool)) -> Result<Option<Self>> {
        if tag.is_empty() {
            return Ok(None);
        }
        let memory = store.keys.before(tag);
        let reply = store.ask(redis::cmd("EXISTS").arg(&memory), "cannot ask what was there before").await?;
        Ok((reply == redis::Value::Int(1)).then_some(Self::Spare { memory, part, is_other }))
    }
}

/// Takes out of a page what was there before and is left alone.
pub(crate) async fn spare(
    page: &mut Page,
    before: Option<&Before>,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let Some(Before::Spare { memory, part, is_other }) = before else { return Ok(()) };
    if page.entries.is_empty() {
        return Ok(());
    }
    let names = page.entries.iter().map(|entry| if *is_other { &entry.name } else { &entry.key });
    let words: Vec<&[u8]> =
        [b"HMGET".as_slice(), memory.as_bytes()].into_iter().chain(names.map(Vec::as_slice)).collect();
    let wire = hands.of(memory.as_bytes()).await?;
    let known = match wire.call(&words).await? {
        Answer::Error(said) => {
            return Err(error::said(&said, "cannot ask what was there before", wire.url()));
        }
        answer => answer.list(),
    };
    if known.len() != page.entries.len() {
        return Err(Error::new(ErrorKind::Connect, "the server answers HMGET with something else"));
    }
    let is_left = |word: &Answer| matches!(word, Answer::Bulk(word) if *part == Part::All || word == ALONE);
    let mut left: Vec<bool> = known.iter().map(is_left).collect();
    if *is_other {
        take_over(page, &mut left, memory, hands).await?;
    }
    let count = page.entries.len();
    let mut left = left.into_iter();
    page.entries.retain(|_| left.next() == Some(false));
    tally.kept += u64::try_from(count - page.entries.len()).unwrap_or(u64::MAX);
    Ok(())
}

/// Names that have gone since are free, and what gets them is made by the step.
async fn take_over(page: &Page, left: &mut [bool], memory: &str, hands: &mut Hands<'_>) -> Result<()> {
    let asked: Vec<usize> = (0..left.len()).filter(|index| left[*index]).collect();
    let names: Vec<&[u8]> = asked.iter().map(|index| page.entries[*index].name.as_slice()).collect();
    let mut gone = vec![b"HDEL".as_slice(), memory.as_bytes()];
    for ((index, name), answers) in asked.iter().zip(&names).zip(ask(&names, &[&[b"EXISTS"]], hands).await?) {
        if answers[0] == Answer::Int(0) {
            left[*index] = false;
            gone.push(name);
        }
    }
    if gone.len() > 2 {
        hands.of(memory.as_bytes()).await?.must(&gone, "cannot forget what was there before").await?;
    }
    Ok(())
}

/// Remembers names, and of each whether the old one was there, too.
pub(crate) async fn remember(
    before: Option<&Before>,
    names: &[(&[u8], bool)],
    hands: &mut Hands<'_>,
) -> Result<()> {
    let Some(Before::Remember(memory)) = before else { return Ok(()) };
    if names.is_empty() {
        return Ok(());
    }
    let pairs = names.iter().flat_map(|(name, is_alone)| [*name, if *is_alone { ALONE } else { BOTH }]);
    let words: Vec<&[u8]> = [b"HSET".as_slice(), memory.as_bytes()].into_iter().chain(pairs).collect();
    hands.of(memory.as_bytes()).await?.must(&words, "cannot remember what was there before").await.map(drop)
}

/// Forgets them: when a step begins, and once it is taken back.
pub(crate) async fn forget(op: &Move, survey: &Survey, (store, crew): (&Store, &mut Crew)) -> Result<()> {
    if op.life.tag.is_empty() {
        return Ok(());
    }
    let memory = store.keys.before(&op.life.tag);
    let place = survey.map.owner(survey.map.slot(memory.as_bytes()));
    let mut wire = crew.wire(&place).await?;
    wire.must(&[b"UNLINK", memory.as_bytes()], "cannot forget what was there before").await?;
    crew.give(&place, wire);
    Ok(())
}
