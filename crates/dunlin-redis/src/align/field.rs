//! Two fields of a hash, brought in step: a hash lives in one slot, so one script does all of it in one instant.

use dunlin_core::Result;

use super::{Goal, Rule, Way};
use crate::chunk::Page;
use crate::hands::Hands;
use crate::moves::call::Said;
use crate::pairs::{Unlike, Verdict};
use crate::quote;
use crate::tally::Tally;

/// Brings the fields of a page in step.
pub(super) async fn fields(
    (first, second): (&str, &str),
    rule: Rule,
    (page, said): (&Page, &[Said]),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    if let Goal::Look { .. } = rule.goal {
        return look((first, second), rule, page, hands, tally).await;
    }
    let mut unlike = Vec::new();
    for (entry, said) in page.entries.iter().zip(said) {
        match said {
            Said::Code(4 | 5) => unlike.push(entry.key.as_slice()),
            Said::Code(7 | 8) => tally.done += 1,
            Said::Code(9) => tally.kept += 1,
            Said::Code(0) => tally.same += 1,
            Said::Torn => tally.is_torn = true,
            _ => tally.gone += 1,
        }
    }
    list(&unlike, (first, second), hands, tally).await
}

/// Lists the hashes whose fields are not in step.
async fn look(
    (first, second): (&str, &str),
    rule: Rule,
    page: &Page,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let keys: Vec<&[u8]> = page.entries.iter().map(|entry| entry.key.as_slice()).collect();
    let mut unlike = Vec::new();
    for (key, (one, other)) in keys.iter().zip(values(&keys, (first, second), hands).await?) {
        let verdict = match (one, other) {
            (None, _) => Verdict::NoOne,
            (Some(_), None) => Verdict::Unlike(Unlike::Missing),
            (one, other) if one == other => Verdict::Same,
            _ => Verdict::Unlike(Unlike::In("value")),
        };
        if tally.count(verdict).is_some_and(|unlike| rule.way(unlike) == Way::List) {
            unlike.push(*key);
        }
    }
    list(&unlike, (first, second), hands, tally).await
}

type Values = (Option<Vec<u8>>, Option<Vec<u8>>);

async fn values(keys: &[&[u8]], (first, second): (&str, &str), hands: &mut Hands<'_>) -> Result<Vec<Values>> {
    for key in keys {
        let wire = hands.of(key).await?;
        wire.push(&[b"HGET", key, first.as_bytes()]);
        wire.push(&[b"HGET", key, second.as_bytes()]);
        wire.ease().await?;
    }
    hands.flush().await?;
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let wire = hands.of(key).await?;
        all.push((wire.answer().await?.bytes(), wire.answer().await?.bytes()));
    }
    Ok(all)
}

async fn list(
    keys: &[&[u8]],
    (first, second): (&str, &str),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let shown = |value: Option<Vec<u8>>| value.map_or("missing".to_owned(), |value| quote::quote(&value));
    for (key, (one, other)) in keys.iter().zip(values(keys, (first, second), hands).await?) {
        tally.list(key, format!("{first} is {}, {second} is {}", shown(one), shown(other)));
    }
    Ok(())
}
