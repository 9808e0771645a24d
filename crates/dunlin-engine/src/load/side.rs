//! The same work on many things, on as many threads as the machine has cores.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// So many things are taken at a time; fewer are not worth a thread.
const PORTION: usize = 32;
/// What a main thread usually has; the default of others is a quarter of it.
const STACK: usize = 8 << 20;

/// What `work` makes of each item, in the order of the items.
pub(super) fn by_side<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> impl Iterator<Item = R> {
    let portions: Vec<&[T]> = items.chunks(PORTION).collect();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = portions.len().min(cores).saturating_sub(1);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(portion) = portions.get(at) else { return done };
            done.push((at, portion.iter().map(&work).collect::<Vec<R>>()));
        }
    };
    let mut done = thread::scope(|scope| {
        let start = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, take).ok();
        let threads: Vec<_> = (0..helpers).map_while(start).collect();
        let mut done = take();
        for thread in threads {
            done.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, results)| results)
}

#[cfg(test)]
mod tests {
    use super::{PORTION, by_side};

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, PORTION, 10 * PORTION + 1] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(
                by_side(&items, |item| item * 2).collect::<Vec<_>>(),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
    }
}
