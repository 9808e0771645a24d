//! Keys that end, and keys that go.

use dunlin_core::{Part, Phase, Span};

use super::{Frame, Wins, one_way, part};
use crate::moves::decode::Reader;
use crate::moves::{Kept, Look, What};

/// `set_ttl = { keys, ttl, only, keep }`
pub(super) fn set_ttl(reader: &mut Reader<'_>, site: (Span, &str)) -> Option<Vec<Part>> {
    let (keys, ttl) = (reader.pattern("keys"), reader.ttl());
    let is_only_missing = reader.choice("only", &[("missing", true)], false);
    let keep = reader.keep();
    let (keys, ttl, is_only_missing, keep) = (keys?.0, ttl?.millis(), is_only_missing?, keep?);
    let frame = Frame::new(site, &[&keys], Wins::Nobody);
    // Nothing needs to be remembered of a key that has ended.
    let (tag, keep) = (site.1.to_owned(), ttl.map_or(keep, |ttl| keep.min(ttl)));
    let end = What::End { keys: keys.clone(), ttl, is_only_missing, tag: tag.clone(), keep };
    let back = What::Restore { keys: keys.clone(), tag, kept: Kept::Ends };
    let backfill = part(Phase::Backfill, frame.op(end), frame.op(back));
    let look = Look::Ends { keys, end: ttl.is_some() };
    Some(vec![backfill, one_way(Phase::Verify, look, "it took nothing away")])
}

/// `delete_keys = { keys, keep }`
pub(super) fn delete(reader: &mut Reader<'_>, site: (Span, &str)) -> Option<Vec<Part>> {
    let (keys, keep) = (reader.pattern("keys"), reader.keep());
    let (keys, keep) = (keys?.0, keep?);
    let frame = Frame::new(site, &[&keys], Wins::Nobody);
    let tag = site.1.to_owned();
    let archive = What::Archive { keys: keys.clone(), tag: tag.clone(), keep };
    let restore = What::Restore { keys, tag, kept: Kept::Keys };
    Some(vec![part(Phase::Contract, frame.op(archive), frame.op(restore))])
}
