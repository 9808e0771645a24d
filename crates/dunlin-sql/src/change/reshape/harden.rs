//! NOT NULL for what comes, where it is computed. Until contract a row of an old client that leads to nothing must be
//! taken: the verify step names it, and its writer never notices. (In SQLite all of it waits for the triggers to go.)

use dunlin_core::Result;

use super::alter::{COMMIT, is_renamed, needed, proven_needed};
use super::copy::needed_names;
use super::{Reshape, When};
use crate::dialect::Dialect;
use crate::evolve::Site;

/// Takes no NULL any more, once the old shape has no say.
pub(super) fn harden(change: &Reshape, site: &Site<'_>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let is_over = !change.leaving.is_empty() && is_renamed(change, site, When::After);
    if change.is_plain() || is_over {
        return Ok(made);
    }
    for name in needed_names(change, site, When::Before)? {
        match site.dialect() {
            Dialect::Postgres => {
                made.extend(proven_needed(site, &change.frame.tag, (&name, site.column(&name)?)));
                made.push(COMMIT.to_owned());
            }
            Dialect::MySql => made.push(needed(site, site.column(&name)?, &name, true)),
            Dialect::Sqlite => {}
        }
    }
    Ok(made)
}

/// Takes NULL again, before old clients write.
pub(super) fn soften(change: &Reshape, site: &Site<'_>, when: When) -> Result<Vec<String>> {
    let mut made = Vec::new();
    if change.is_plain() || site.dialect() == Dialect::Sqlite {
        return Ok(made);
    }
    for new in change.coming.iter().filter(|new| new.up.is_some()) {
        let name = change.new_name(&new.column, when);
        // Another run may have given it back its own name already.
        let name = if site.has(&name) { name } else { new.column.clone() };
        let column = site.column(&name)?;
        if !column.is_nullable {
            made.push(needed(site, column, &name, false));
        }
    }
    Ok(made)
}
