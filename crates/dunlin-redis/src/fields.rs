//! Renaming a field of hashes.

use crate::chunk::Page;
use crate::moves::Existing;
use crate::moves::call::Said;
use crate::tally::Tally;

/// What has the new field, and whether it has it alone; lists those that have both where that forbids to begin.
pub(crate) fn collide<'p>(
    page: &'p Page,
    (from, to, existing): (&str, &str, Existing),
    said: &[Said],
    tally: &mut Tally,
) -> Vec<(&'p [u8], bool)> {
    let mut found = Vec::new();
    for (entry, said) in page.entries.iter().zip(said) {
        match said {
            Said::Code(2) => {
                found.push((entry.key.as_slice(), false));
                if existing == Existing::Fail {
                    tally.list(&entry.key, format!("has `{from}` and `{to}`"));
                }
            }
            Said::Code(4) => found.push((entry.key.as_slice(), true)),
            Said::Torn => tally.is_torn = true,
            _ => {}
        }
    }
    found
}

/// Counts what `field.lua` says of the hashes of a page.
pub(crate) fn count(page: &Page, (from, to): (&str, &str), said: &[Said], tally: &mut Tally) {
    for (entry, said) in page.entries.iter().zip(said) {
        match said {
            Said::Code(0) => tally.done += 1,
            Said::Code(2) => tally.list(&entry.key, format!("has `{from}` and `{to}`")),
            Said::Code(3) => tally.gone += 1,
            Said::Torn => tally.is_torn = true,
            _ => tally.same += 1,
        }
    }
}
