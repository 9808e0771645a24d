//! Loads, plans and runs migrations over any backend. Emits events, never prints.
