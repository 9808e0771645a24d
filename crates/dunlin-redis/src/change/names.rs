//! Keys that get other names.

use dunlin_core::{Diagnostic, Part, Phase, Span};

use super::{Frame, Wins, part};
use crate::moves::decode::Reader;
use crate::moves::{Existing, Form, Pair, What};
use crate::pattern::{inverts, may_overlap};

/// `from` and `to`, which must lead there and back.
pub(crate) fn pair(reader: &mut Reader<'_>, span: Span) -> Option<Pair> {
    let pair = reader.pair()?;
    if inverts(&pair.to, &pair.from) && !may_overlap(&pair.to, &pair.from) {
        return Some(pair);
    }
    let fault = Diagnostic::error("names-collide", "the new names do not say which old ones they came from")
        .at(span, "there would be no way back")
        .help("use every capture in both, with a `:` between those that could run into one another");
    reader.faults.push(fault);
    None
}

/// `rename_keys = { from, to, wins }`
pub(super) fn rename(reader: &mut Reader<'_>, site: (Span, &str)) -> Option<Vec<Part>> {
    let (pair, wins) = (pair(reader, site.0), Wins::take(reader));
    let (pair, wins) = (pair?, wins?);
    let frame = Frame::new(site, &[&pair.from, &pair.to], wins);
    let existing = match wins {
        Wins::Nobody => Existing::Fail,
        Wins::Old => Existing::Replace,
        Wins::New => Existing::Skip,
    };
    let form = Form::Name(pair.clone());
    let copy = |pair, existing| frame.op(What::Copy { pair, existing, is_at_once: false });
    let mut parts = vec![part(Phase::Backfill, copy(pair.clone(), existing), frame.unfill(&form))];
    parts.extend(frame.later(&form, copy(pair.turned(), Existing::Skip)));
    Some(parts)
}
