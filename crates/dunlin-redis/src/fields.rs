//! Renaming a field of hashes.

use crate::chunk::Page;
use crate::moves::call::Said;
use crate::tally::Tally;

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
