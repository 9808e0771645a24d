//! Runs JavaScript against a recording `db`. No server is involved: what a script would write becomes a list of
//! command documents, and whatever cannot be known before the migration runs is a fault at its place.
//!
//! One engine per thread, its globals filled once: a thousand small files would pay a millisecond each for a context
//! of their own. A script that reaches for prototypes or the global object gets an engine that nobody uses after it.

mod hooks;
mod module;
mod value;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bson::{Bson, Document};
use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, Function, Object, Runtime, Value};

use hooks::{State, place};

/// The name under which scripts appear in stacks; every other frame is ours.
const SCRIPT: &str = "migration.js";
/// A file that takes longer loops. Ours takes microseconds.
const TIME: Duration = Duration::from_secs(5);
const MEMORY: usize = 512 << 20;
/// Half of what a thread has; the rest is for the code that runs the engine.
const STACK: usize = 1 << 20;

/// One command a script would send.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) database: Option<String>,
    pub(crate) document: Document,
    pub(crate) group: Option<u32>,
    pub(crate) place: Option<Place>,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) place: Option<Place>,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, place: None }
    }
}

/// A line and a column in bytes, both from 1, in the text that was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What came of one section or function.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) commands: Vec<Recorded>,
    /// What it printed, and where.
    pub(crate) notes: Vec<(String, Option<Place>)>,
    pub(crate) faults: Vec<Fault>,
    /// The message of an `Error` that the script threw by itself.
    pub(crate) thrown: Option<String>,
}

/// Whether writes or reads are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Writes; a read is a fault.
    Write,
    /// Reads; a write is a fault.
    Verify,
}

/// How a file exports its functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exports {
    /// `module.exports = …`
    Common,
    /// `export …`
    Module,
}

/// Evaluates mongosh text.
pub(crate) fn shell(text: &str, mode: Mode) -> Recording {
    // Parameters, so that `var db = db.getSiblingDB(…)` means what it means in the shell.
    let wrapped = format!("(async function (db, module, exports) {{\n{text}\n}})");
    with_engine(text, |engine| {
        engine.record(mode, |ctx, api| {
            let body: Function = evaluate(ctx, wrapped)?;
            let db: Value = api.get::<_, Function>("database")?.call(())?;
            body.call((db,))
        })
    })
}

/// Evaluates a module, and then each of `names` it exports; a name it does not export is left out. The error is what
/// keeps the module from being evaluated at all.
pub(crate) fn module<'n>(
    text: &str,
    kind: Exports,
    names: &[(&'n str, Mode)],
) -> Result<Vec<(&'n str, Recording)>, Recording> {
    with_engine(text, |engine| engine.module(text, kind, names))
}

/// Evaluates a literal: a document or a list, in the shell's notation.
pub(crate) fn literal(text: &str) -> Result<Bson, Fault> {
    with_engine(text, |engine| {
        let found = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&found);
        let recording = engine.record(Mode::Write, move |ctx, _| {
            let value: Value = evaluate(ctx, format!("(\n{text}\n)"))?;
            *keep.borrow_mut() = Some(value::bson(&value).map_err(|bad| bad.raise(ctx))?);
            Ok(Value::new_undefined(ctx.clone()))
        });
        let value = found.borrow_mut().take();
        match recording.faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => value.ok_or_else(|| Fault::new("js-error", "this is no value")),
        }
    })
}

fn evaluate<'js, T: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, text: String) -> rquickjs::Result<T> {
    evaluate_as(ctx, text, SCRIPT)
}

fn evaluate_as<'js, T: rquickjs::FromJs<'js>>(
    ctx: &Ctx<'js>,
    text: impl Into<Vec<u8>>,
    name: &str,
) -> rquickjs::Result<T> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(text, options)
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

fn with_engine<T>(text: &str, work: impl FnOnce(&Engine) -> T) -> T {
    let reaches_far = ["rototype", "__proto__", "globalThis", "constructor", "defineProp"]
        .iter()
        .any(|word| text.contains(word));
    let kept = if reaches_far { None } else { ENGINE.take() };
    let engine = kept.unwrap_or_else(|| Engine::start().expect("the prelude evaluates in an empty engine"));
    let result = work(&engine);
    if engine.is_sound.get() && !reaches_far {
        ENGINE.set(Some(engine));
    }
    result
}

struct Engine {
    context: Context,
    state: Rc<RefCell<State>>,
    deadline: Rc<Cell<Option<Instant>>>,
    is_sound: Cell<bool>,
    modules: Cell<u32>,
}

impl Engine {
    fn start() -> rquickjs::Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(MEMORY);
        runtime.set_max_stack_size(STACK);
        let deadline = Rc::new(Cell::new(None::<Instant>));
        let watched = Rc::clone(&deadline);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            watched.get().is_some_and(|deadline| Instant::now() > deadline)
        })));
        let context = Context::full(&runtime)?;
        let state = Rc::new(RefCell::new(State::default()));
        context.with(|ctx| hooks::fill(&ctx, &state))?;
        let (is_sound, modules) = (Cell::new(true), Cell::new(0));
        Ok(Self { context, state, deadline, is_sound, modules })
    }

    /// Runs `work` to the end of the promise it returns, and takes what was recorded meanwhile.
    fn record(
        &self,
        mode: Mode,
        work: impl for<'js> FnOnce(&Ctx<'js>, &Object<'js>) -> rquickjs::Result<Value<'js>>,
    ) -> Recording {
        self.context.with(|ctx| {
            let api = fresh(&ctx);
            self.in_mode(&ctx, &api, Some(mode), |ctx| work(ctx, &api)).1
        })
    }

    fn in_mode<'js>(
        &self,
        ctx: &Ctx<'js>,
        api: &Object<'js>,
        mode: Option<Mode>,
        work: impl FnOnce(&Ctx<'js>) -> rquickjs::Result<Value<'js>>,
    ) -> (Option<Value<'js>>, Recording) {
        self.deadline.set(Some(Instant::now() + TIME));
        *self.state.borrow_mut() = State::default();
        let state = match mode {
            Some(Mode::Write) => "write",
            Some(Mode::Verify) => "verify",
            None => "closed",
        };
        let outcome = call(api, "open", state)
            .and_then(|()| work(ctx))
            .map_err(|_| self.caught(ctx))
            .and_then(|value| self.settle(ctx, value));
        let (value, thrown) = match outcome {
            Ok(value) => (Some(value), None),
            Err(thrown) => (None, Some(thrown)),
        };
        if call(api, "close", ()).is_err() {
            ctx.catch();
        }
        self.deadline.set(None);
        let State { commands, notes, mut faults } = self.state.take();
        let mut message = None;
        if let (Some(thrown), true) = (thrown, faults.is_empty()) {
            message = thrown.is_own.then(|| thrown.fault.message.clone());
            faults.push(thrown.fault);
        }
        (value, Recording { commands, notes, faults, thrown: message })
    }

    /// Runs pending jobs until a promise has an outcome; any other value is its own.
    fn settle<'js>(&self, ctx: &Ctx<'js>, value: Value<'js>) -> Result<Value<'js>, Thrown> {
        let Some(promise) = value.as_promise() else { return Ok(value) };
        loop {
            if let Some(outcome) = promise.result::<Value>() {
                return outcome.map_err(|_| self.caught(ctx));
            }
            if !ctx.execute_pending_job() {
                let message = "this waits for something that never happens";
                return Err(Thrown { fault: Fault::new("js-error", message), is_own: false });
            }
            if self.is_late() {
                return Err(self.late());
            }
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| Instant::now() > deadline)
    }

    fn late(&self) -> Thrown {
        self.is_sound.set(false);
        let mut fault =
            Fault::new("js-timeout", format!("reading this took longer than {} s", TIME.as_secs()));
        fault.help =
            Some("a loop that does not end? a migration only says what to do; the server does it".into());
        Thrown { fault, is_own: false }
    }

    /// The exception under way, in words.
    fn caught(&self, ctx: &Ctx<'_>) -> Thrown {
        let value = ctx.catch();
        if self.is_late() {
            return self.late();
        }
        let Some(object) = value.as_object() else {
            let text = value.as_string().and_then(|text| text.to_string().ok());
            let message = text.unwrap_or_else(|| "something that is no Error was thrown".to_owned());
            return Thrown { fault: Fault::new("js-error", message), is_own: true };
        };
        let text = |name: &str| object.get::<_, Option<String>>(name).ok().flatten().unwrap_or_default();
        let (name, message) = (text("name"), text("message"));
        let is_syntax = name == "SyntaxError";
        if name == "InternalError" {
            self.is_sound.set(false);
        }
        let shown = if name == "Error" || is_syntax || name.is_empty() {
            message
        } else {
            format!("{name}: {message}")
        };
        let mut fault = Fault::new(if is_syntax { "js-syntax" } else { "js-error" }, shown);
        fault.place = place(&text("stack"));
        Thrown { fault, is_own: name == "Error" }
    }
}

/// What the prelude left for us, its counters at zero and its globals as they were.
fn fresh<'js>(ctx: &Ctx<'js>) -> Object<'js> {
    let api: Object = ctx.globals().get("__dunlin").expect("the prelude put it there");
    for name in ["restart", "tidy"] {
        if call(&api, name, ()).is_err() {
            ctx.catch();
        }
    }
    api
}

struct Thrown {
    fault: Fault,
    /// Whether the script threw it, rather than the engine.
    is_own: bool,
}

fn call<'js>(api: &Object<'js>, name: &str, argument: impl rquickjs::IntoJs<'js>) -> rquickjs::Result<()> {
    api.get::<_, Function>(name)?.call((argument,))
}
