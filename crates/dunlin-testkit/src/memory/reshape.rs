//! A change with everything that a contract is guarded by: `reshape = "users.email"` adds a counter, keeps another one aside
//! before the proof, and removes `users.email` after it.

use std::sync::Arc;

use dunlin_core::{AnyOp, Line, Op, Part, Phase, Undo};

use super::data::Script;

/// A script, and what the engine must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shaped {
    pub(super) script: Script,
    prepares: bool,
    /// What it has in hand.
    pub(super) path: String,
    /// A counter that would be lost if this ran as a way back.
    loses: Option<String>,
}

impl Op for Shaped {
    fn summary(&self) -> String {
        self.script.summary()
    }

    fn preview(&self) -> Vec<Line> {
        self.script.preview()
    }

    fn canonical(&self) -> String {
        self.script.canonical()
    }

    fn prepares(&self) -> bool {
        self.prepares
    }

    fn touches(&self) -> Vec<String> {
        vec![self.path.clone()]
    }

    fn loses(&self) -> Option<AnyOp> {
        let op: AnyOp = Arc::new(Script::of(self.loses.as_ref()?));
        Some(op)
    }
}

/// The steps. A counter `bad_TAG` is what their proof forbids, and `dear_TAG` is lost with the new shape.
pub(super) fn unfold(path: &str, tag: &str) -> Vec<Part> {
    let op = |line: String| Shaped {
        script: Script::of(&line),
        prepares: false,
        path: path.to_owned(),
        loses: None,
    };
    let part = |phase, there: Shaped, back: Shaped| Part {
        phase,
        op: Arc::new(there),
        undo: Undo::Op(Arc::new(back)),
    };
    let back = Shaped { loses: Some(format!("dear_{tag}")), ..op(format!("drop new_{tag}")) };
    let keep = Shaped { prepares: true, ..op(format!("add kept_{tag}")) };
    let looks = Undo::Nothing { reason: "it only looks".to_owned() };
    vec![
        part(Phase::Expand, op(format!("add new_{tag}")), back),
        Part { phase: Phase::Verify, op: Arc::new(Script::of(&format!("bad_{tag}"))), undo: looks },
        part(Phase::Contract, op(format!("drop {path}")), op(format!("add {path}"))),
        part(Phase::Contract, keep, op(format!("drop kept_{tag}"))),
    ]
}
