//! What a script can reach of us: it records commands, faults and what is printed, and nothing else.

use std::cell::RefCell;
use std::rc::Rc;

use bson::Bson;
use rquickjs::{Ctx, Function, Object, Value};

use super::{Fault, Place, Recorded, SCRIPT, evaluate_as, value};
use crate::command::{self, Class};

const BSON: &str = include_str!("bson.js");
const COLLECTION: &str = include_str!("collection.js");
const SHELL: &str = include_str!("shell.js");
/// What the hooks add to every call: where in the script it stands.
const HOOKS: &str = "(function (native) {
  Error.stackTraceLimit = 30;
  const nothing = (value) => value === undefined ? null : value;
  return {
    emit: (database, command, group, stack) => native.emit(nothing(database), command, nothing(group), stack ?? new Error().stack),
    fault(message, help) { native.fault(message, nothing(help), new Error().stack); throw new Error(message); },
    help: native.help,
    note(text) { native.note(text, new Error().stack); },
  };
})";

/// What the hooks write to.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) commands: Vec<Recorded>,
    pub(super) notes: Vec<(String, Option<Place>)>,
    pub(super) faults: Vec<Fault>,
}

/// Puts the types, `db` and the hooks into an empty context.
pub(super) fn fill(ctx: &Ctx<'_>, state: &Rc<RefCell<State>>) -> rquickjs::Result<()> {
    let native = Object::new(ctx.clone())?;
    let to = Rc::clone(state);
    let emit = move |ctx: Ctx<'_>,
                     database: Option<String>,
                     command: Value<'_>,
                     group: Option<u32>,
                     stack: String| { emit(&to, &ctx, (database, &command, group), &stack) };
    native.set("emit", Function::new(ctx.clone(), emit)?)?;
    let to = Rc::clone(state);
    let fault = move |message: String, help: Option<String>, stack: String| {
        let place = place(&stack);
        to.borrow_mut().faults.push(Fault { code: "js-unrecordable", message, help, place });
    };
    native.set("fault", Function::new(ctx.clone(), fault)?)?;
    let to = Rc::clone(state);
    let note = move |text: String, stack: String| to.borrow_mut().notes.push((text, place(&stack)));
    native.set("note", Function::new(ctx.clone(), note)?)?;
    let help = |word: String, known: Vec<String>| {
        dunlin_core::suggest::help(&word, known.iter().map(String::as_str))
    };
    native.set("help", Function::new(ctx.clone(), help)?)?;

    let part = |text: &str| evaluate_as::<Function>(ctx, text, "dunlin.js");
    let hooks: Object = part(HOOKS)?.call((native,))?;
    let bson: Object = part(BSON)?.call((hooks.clone(),))?;
    let types: Object = bson.get("types")?;
    let api: Object = part(SHELL)?.call((hooks, types.clone(), part(COLLECTION)?))?;
    api.set("types", types)?;
    api.set("restart", bson.get::<_, Value>("restart")?)?;
    ctx.globals().set("__dunlin", api)
}

/// Keeps a command. It is converted at once: the script may change the object afterwards.
fn emit(
    state: &Rc<RefCell<State>>,
    ctx: &Ctx<'_>,
    (database, command, group): (Option<String>, &Value<'_>, Option<u32>),
    stack: &str,
) -> rquickjs::Result<()> {
    let place = place(stack);
    let said = match value::bson(command) {
        Ok(Bson::Document(document)) => {
            // What changes the shape of the database is no part of a transaction, whatever session it was given.
            let is_shape = !matches!(command::class(&document), Class::Documents | Class::Repeatable);
            let group = group.filter(|_| !is_shape);
            state.borrow_mut().commands.push(Recorded { database, document, group, place });
            return Ok(());
        }
        Ok(_) => "the command is no document".to_owned(),
        Err(value::Bad::Thrown(error)) => return Err(error),
        Err(value::Bad::Said(said)) => said,
    };
    state.borrow_mut().faults.push(Fault { place, ..Fault::new("js-value", &*said) });
    Err(rquickjs::Exception::throw_type(ctx, &said))
}

/// The innermost place in the script that a stack names.
pub(super) fn place(stack: &str) -> Option<Place> {
    let frame = stack.lines().find(|line| line.contains(SCRIPT))?;
    let mut numbers = frame.split(&format!("{SCRIPT}:")).nth(1)?.trim_end_matches(')').split(':');
    let mut number = || numbers.next()?.trim().parse().ok();
    let (line, column): (usize, usize) = (number()?, number()?);
    // What we wrap around a section or a CommonJS module ends with its first line.
    let is_wrapped = !frame.contains(&format!("/{SCRIPT}"));
    Some(Place { line: if is_wrapped { line.saturating_sub(1).max(1) } else { line }, column })
}
