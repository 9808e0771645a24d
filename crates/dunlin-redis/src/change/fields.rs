//! Fields of hashes that get other names.

use dunlin_core::{Diagnostic, Part, Phase, Span};

use super::{Frame, Wins, part};
use crate::moves::decode::Reader;
use crate::moves::{Differing, Form, What};

/// `rename_hash_field = { keys, from, to, wins }`
pub(super) fn rename(reader: &mut Reader<'_>, site: (Span, &str)) -> Option<Vec<Part>> {
    let (keys, from, to) = (reader.pattern("keys"), reader.text("from"), reader.text("to"));
    let wins = Wins::take(reader);
    let (keys, from, to, wins) = (keys?.0, from?.0, to?, wins?);
    if from == to.0 {
        let fault = Diagnostic::error("same-name", "the field has that name already");
        reader.faults.push(fault.at(to.1.span, "the same as `from`"));
        return None;
    }
    let mut frame = Frame::new(site, &[], wins);
    frame.touches = [from, to.0].map(|field| format!("{}.{field}", keys.starred())).into();
    let form = Form::Field { keys, from: from.to_owned(), to: to.0.to_owned() };
    let align = |form: &Form, differing| What::Align { form: form.clone(), differing, is_drop: false };
    let fill = frame.op(align(&form, wins.of_old()));
    let rebuild = frame.op(align(&form.turned(), Differing::Stay));
    let mut parts = vec![part(Phase::Backfill, fill, frame.unfill(&form))];
    parts.extend(frame.later(&form, rebuild));
    Some(parts)
}
