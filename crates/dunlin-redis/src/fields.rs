//! Renaming a field of hashes.

use std::collections::BTreeMap;

use dunlin_core::Result;

use crate::chunk::Page;
use crate::hands::Hands;
use crate::pairs::is_torn;
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{error, script};

/// Renames the field in all hashes of a page.
pub(crate) async fn rename(
    page: &Page,
    (from, to): (&str, &str),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let mut groups: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
    for entry in &page.entries {
        groups.entry(hands.map.slot(&entry.key)).or_default().push(&entry.key);
    }
    for slot in groups.keys() {
        hands.at(*slot).await?.load(&script::FIELD).await?;
    }
    let args = [from.as_bytes(), to.as_bytes(), hands.fields()];
    for (slot, keys) in &groups {
        let wire = hands.at(*slot).await?;
        wire.push_script(&script::FIELD, keys, &args);
        wire.ease().await?;
    }
    hands.flush().await?;
    for (slot, keys) in &groups {
        let answer = hands.at(*slot).await?.answer().await?;
        match answer {
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => return Err(error::said(&said, "cannot rename a field", &hands.url())),
            answer => {
                for (key, answer) in keys.iter().zip(answer.list()) {
                    match answer.int() {
                        Some(0) => tally.done += 1,
                        Some(2) => tally.list(key, format!("has `{from}` and `{to}`")),
                        Some(3) => tally.gone += 1,
                        _ => tally.same += 1,
                    }
                }
            }
        }
    }
    Ok(())
}
