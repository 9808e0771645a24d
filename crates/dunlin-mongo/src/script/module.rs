//! Modules: CommonJS and ES, evaluated once, and then each of their functions.

use std::fmt::Write as _;

use rquickjs::function::This;
use rquickjs::{Ctx, Function, Module, Object, Value};

use super::{Engine, Exports, Mode, Recording, SCRIPT, evaluate, fresh};

impl Engine {
    /// Evaluates a module, and each of `names` that it exports.
    pub(super) fn module<'n>(
        &self,
        text: &str,
        kind: Exports,
        names: &[(&'n str, Mode)],
    ) -> Result<Vec<(&'n str, Recording)>, Recording> {
        self.context.with(|ctx| {
            let api = fresh(&ctx);
            let (exports, loaded) = self.in_mode(&ctx, &api, None, |ctx| match kind {
                Exports::Common => common(ctx, text),
                Exports::Module => self.declared(ctx, text),
            });
            let Some(exports) = exports.filter(|_| loaded.faults.is_empty()) else { return Err(loaded) };
            let exports = match exports.as_object().map(|object| object.get::<_, Value>("default")) {
                Some(Ok(inner)) if inner.is_object() => inner,
                _ => exports,
            };
            let mut recordings = Vec::new();
            for (name, mode) in names {
                let Some(function) = exports.as_object().and_then(|all| all.get::<_, Function>(*name).ok())
                else {
                    continue;
                };
                let (_, recording) = self.in_mode(&ctx, &api, Some(*mode), |_| {
                    let db: Value = api.get::<_, Function>("database")?.call(())?;
                    function.call((This(exports.clone()), db, api.get::<_, Value>("client")?))
                });
                recordings.push((*name, recording));
            }
            Ok(recordings)
        })
    }

    /// The namespace of an ES module.
    fn declared<'js>(&self, ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Value<'js>> {
        let number = self.modules.get();
        self.modules.set(number + 1);
        if number == 0 {
            let types: Object = ctx.globals().get::<_, Object>("__dunlin")?.get("types")?;
            for name in ["mongodb", "bson"] {
                let mut source =
                    String::from("const types = globalThis.__dunlin.types; export default types;");
                for key in types.keys::<String>() {
                    let key = key?;
                    let _ = write!(source, "export const {key} = types.{key};");
                }
                Module::evaluate(ctx.clone(), name, source)?.finish::<()>()?;
            }
        }
        // Stacks name the module; the number keeps the engine from taking the next file for this one.
        let declared = Module::declare(ctx.clone(), format!("{number}/{SCRIPT}"), text)?;
        let (module, promise) = declared.eval()?;
        promise.finish::<Value>()?;
        Ok(module.namespace()?.into_value())
    }
}

/// What a CommonJS module exports.
fn common<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Value<'js>> {
    let body: Function = evaluate(ctx, format!("(function (module, exports) {{\n{text}\n}})"))?;
    let (module, exports) = (Object::new(ctx.clone())?, Object::new(ctx.clone())?);
    module.set("exports", exports.clone())?;
    body.call::<_, Value>((This(exports.clone()), module.clone(), exports))?;
    module.get("exports")
}
