//! Strings of JSON that become hashes, and hashes that become strings.

use dunlin_core::{Part, Phase, Span};

use super::{Frame, Wins, names, part};
use crate::moves::decode::Reader;
use crate::moves::{Differing, Encoding, Form, Shape, What};

/// `change_encoding = { from, to, into, otherwise, wins, keep }`
pub(super) fn change(reader: &mut Reader<'_>, site: (Span, &str)) -> Option<Vec<Part>> {
    let pair = names::pair(reader, site.0);
    let into = reader.word("into", &[("hash", Shape::Hash), ("string", Shape::Text)]);
    let is_lenient = reader.choice("otherwise", &[("fail", false), ("skip", true)], false);
    let (wins, keep) = (Wins::take(reader), reader.keep());
    let (pair, into, is_lenient, wins, keep) = (pair?, into?, is_lenient?, wins?, keep?);
    let frame = Frame::new(site, &[&pair.from, &pair.to], wins);
    let fill = frame.op(What::Convert { pair: pair.clone(), into, is_lenient, is_back: false });
    let form = Form::Encoding(Encoding { pair, into, is_lenient, tag: site.1.to_owned(), keep });
    let rebuild = What::Align { form: form.turned(), differing: Differing::Stay, is_drop: false };
    let mut parts = vec![part(Phase::Backfill, fill, frame.unfill(&form))];
    parts.extend(frame.later(&form, frame.op(rebuild)));
    Some(parts)
}
