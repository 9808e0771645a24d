//! How big the values of a page's keys are, asked with as little as will do. A command costs the server more than the key
//! it looks at, which the page has just brought into its cache; the length of a string is the cheapest question there is.

use dunlin_core::Result;

use crate::chunk::{Entry, Page};
use crate::error;
use crate::moves::task::Task;
use crate::pairs::{BIG, is_torn};
use crate::wire::{Answer, Wire};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// `STRLEN`, as long as all keys are strings.
    Length,
    /// `MEMORY USAGE`, from the first key on that is none.
    Usage,
}

impl Question {
    /// What to begin with.
    pub(crate) fn new(task: &Task<'_>) -> Self {
        if task.kind() == Some("hash") { Self::Usage } else { Self::Length }
    }
}

/// Asks of every key of which it matters.
pub(crate) fn ask(page: &Page, task: &Task<'_>, question: Question, wire: &mut Wire) {
    for entry in page.entries.iter().filter(|entry| task.asks(entry)) {
        push(entry, question, wire);
    }
}

fn push(entry: &Entry, question: Question, wire: &mut Wire) {
    match question {
        Question::Length => wire.push(&[b"STRLEN", &entry.key]),
        Question::Usage => wire.push(&[b"MEMORY", b"USAGE", &entry.key]),
    }
}

/// Takes the answers in. What has no length is asked again, past the answers that others wait for on the same wire.
pub(crate) async fn read(
    page: &mut Page,
    task: &Task<'_>,
    question: &mut Question,
    wire: &mut Wire,
) -> Result<()> {
    let mut open = Vec::new();
    for entry in page.entries.iter_mut().filter(|entry| task.asks(entry)) {
        match wire.answer().await? {
            // Whoever acts on it hears of it again.
            Answer::Error(said) if is_torn(&said) => {}
            Answer::Error(said) if *question == Question::Usage => {
                return Err(error::said(&said, "cannot ask how big a key is", wire.url()));
            }
            Answer::Error(_) => open.push(entry),
            // One that is gone has no size.
            answer => entry.is_big = answer.int().is_some_and(|size| size > BIG),
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    *question = Question::Usage;
    let due = wire.take_due().await?;
    for entry in &open {
        push(entry, *question, wire);
    }
    wire.flush().await?;
    for entry in open {
        match wire.answer().await? {
            Answer::Error(said) if !is_torn(&said) => {
                return Err(error::said(&said, "cannot ask how big a key is", wire.url()));
            }
            answer => entry.is_big = answer.int().is_some_and(|size| size > BIG),
        }
    }
    wire.put_back(due);
    Ok(())
}
