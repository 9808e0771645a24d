//! A bug of ours: what is said about it, and that it ends the run in an orderly way.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use dunlin_core::StoreUrl;

use crate::exit::Exit;
use crate::render::complain;

/// The URLs whose secrets a panic must not print.
static SECRETS: Mutex<Vec<StoreUrl>> = Mutex::new(Vec::new());

/// Keeps the secrets of these URLs out of what a panic prints.
pub(crate) fn conceal<'a>(urls: impl Iterator<Item = &'a StoreUrl>) {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).extend(urls.cloned());
}

/// Runs something; a panic in it is reported and ends in [`Exit::Bug`].
pub(crate) fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    panic::set_hook(Box::new(|info| complain(&report(info))));
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::Bug)
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    let place =
        info.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
    described(message, &place)
}

fn described(message: &str, place: &str) -> String {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let message = secrets.iter().fold(message.to_owned(), |message, url| url.scrub(&message));
    format!(
        "bug: {message}{place}\n  = what: this is a bug in dunlin, not in your files; what was done until here is recorded\n  \
         = next: `dunlin status` shows where things stand, and `dunlin up` continues\n  \
         = help: please report the line above with the output of `dunlin --version`\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_in_its_own_exit_code() {
        assert_eq!(guarded(|| Exit::Done), Exit::Done);
        assert_eq!(guarded(|| panic!("on purpose, by a test")), Exit::Bug);
    }

    #[test]
    fn a_panic_prints_no_password() {
        conceal([StoreUrl::new("postgres://u:pa%40ss@h/d")].iter());
        let text = described("bad postgres://u:pa%40ss@h/d or pa@ss", " (a.rs:1)");
        assert!(text.starts_with("bug: bad postgres://u:***@h/d or *** (a.rs:1)\n"), "{text}");
        assert!(!text.contains("http"));
    }
}
