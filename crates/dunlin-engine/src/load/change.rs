//! `[[change]]`: one line that is a whole safe change, unfolded into the steps of all phases by its backend.

use dunlin_core::{Diagnostic, Field, Node, Part, Step, suggest};

use super::steps::{LOCK_TIMEOUT, Reading, one, take_lock_timeout, take_store};

/// The steps of the change with this number in its file.
pub(super) fn read(number: usize, item: &Node, reading: &Reading<'_>) -> Result<Vec<Step>, Vec<Diagnostic>> {
    let mut table = item.table().map_err(one)?;
    let Some((store, backend)) = take_store(&mut table, reading).map_err(one)? else { return Ok(Vec::new()) };
    let changes = backend.changes();
    let mut found = changes.iter().filter_map(|name| table.take_entry(name)).collect::<Vec<_>>().into_iter();
    let (first, second) = (found.next(), found.next());
    let mut known = changes.to_vec();
    known.extend(["store", LOCK_TIMEOUT]);
    let near = |name: &str| suggest::nearest(name, changes.iter().copied()).is_some();
    let has_misspelt = table.keys().any(|key| near(&key.name));
    let lock_timeout = take_lock_timeout(&mut table, backend);
    let mut faults = table.finish(&known);
    let lock_timeout = lock_timeout.map_err(|fault| faults.push(fault)).ok().flatten();
    let parts = match (first, second) {
        (Some((key, value)), None) => {
            let tag = format!("{}_{number}", reading.version);
            let field = Field { name: &key.name, value, source: reading.source, tag: &tag };
            backend.unfold(&field).map_err(|more| faults.extend(more)).ok()
        }
        (Some((first, _)), Some((second, _))) => {
            let message = format!("this is two changes, `{}` and `{}`", first.name, second.name);
            let fault = Diagnostic::error("two-ops", message).at(second.span, "a second one");
            faults.push(fault.at(first.span, "the first").help("start another `[[change]]` for it"));
            None
        }
        (None, _) if has_misspelt => None,
        (None, _) => {
            let fault =
                Diagnostic::error("no-op-given", "this changes nothing").at(item.span, "says no change");
            let names: Vec<String> = changes.iter().map(|name| format!("`{name}`")).collect();
            faults.push(fault.help(match names.as_slice() {
                [] => format!("{} has no changes; write its steps by phase", backend.name()),
                names => format!("{} takes {}", backend.name(), names.join(", ")),
            }));
            None
        }
    };
    match parts {
        Some(parts) if faults.is_empty() => {
            let step = |Part { phase, op, undo }| Step {
                undo,
                lock_timeout,
                span: Some(item.span),
                ..Step::new(phase, store.clone(), op)
            };
            Ok(parts.into_iter().map(step).collect())
        }
        _ => Err(faults),
    }
}
