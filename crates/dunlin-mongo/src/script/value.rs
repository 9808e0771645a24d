//! From JavaScript values to BSON, by the rules of the Node driver: a whole number that fits is an int, any other
//! number a double, `undefined` is null.

use std::str::FromStr;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp};
use rquickjs::{Array, Ctx, Function, Object, Value};

use crate::fill;

/// What MongoDB accepts at most.
const DEPTH: usize = 100;

/// Why there is no value.
pub(super) enum Bad {
    /// An exception is under way.
    Thrown(rquickjs::Error),
    /// In words.
    Said(String),
}

impl Bad {
    /// The same as an exception.
    pub(super) fn raise(self, ctx: &Ctx<'_>) -> rquickjs::Error {
        match self {
            Self::Thrown(error) => error,
            Self::Said(said) => rquickjs::Exception::throw_type(ctx, &said),
        }
    }
}

impl From<rquickjs::Error> for Bad {
    fn from(error: rquickjs::Error) -> Self {
        if error.is_exception() { Self::Thrown(error) } else { Self::Said(error.to_string()) }
    }
}

fn said<T>(text: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Said(text.into()))
}

/// The BSON of a value.
pub(super) fn bson(value: &Value<'_>) -> Result<Bson, Bad> {
    convert(value, 0)
}

fn convert(value: &Value<'_>, depth: usize) -> Result<Bson, Bad> {
    if depth > DEPTH {
        return said(format!("this is nested deeper than {DEPTH} levels, or contains itself"));
    }
    if value.is_null() || value.is_undefined() {
        return Ok(Bson::Null);
    }
    if let Some(truth) = value.as_bool() {
        return Ok(Bson::Boolean(truth));
    }
    if let Some(number) = value.as_int() {
        return Ok(Bson::Int32(number));
    }
    if let Some(number) = value.as_float() {
        return Ok(number_of(number));
    }
    if let Some(text) = value.as_string() {
        return text.to_string().map(Bson::String).or_else(|_| said("this text is not valid Unicode"));
    }
    if let Some(big) = value.clone().into_big_int() {
        return big.to_i64().map(Bson::Int64).or_else(|_| said("this number does not fit into 64 bits"));
    }
    if let Some(function) = value.as_function() {
        return bare_type(function);
    }
    if let Some(list) = value.as_array() {
        return array(list, depth).map(Bson::Array);
    }
    match value.as_object() {
        Some(object) => convert_object(object, depth),
        None => said(format!("a {} is no value that can be stored", value.type_name())),
    }
}

/// `MinKey` and `MaxKey` are also written without a call; any other function is a mistake.
fn bare_type(function: &Function<'_>) -> Result<Bson, Bad> {
    let name = match function.get::<_, Value>("name") {
        Ok(name) => name.as_string().and_then(|name| name.to_string().ok()),
        Err(error) => return Err(error.into()),
    };
    match name.as_deref() {
        Some("MinKey") => Ok(Bson::MinKey),
        Some("MaxKey") => Ok(Bson::MaxKey),
        _ => said("a function is no value that can be stored"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the original right after")]
fn number_of(number: f64) -> Bson {
    let whole = number as i32;
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if f64::from(whole).to_bits() == number.to_bits() && !is_negative_zero {
        Bson::Int32(whole)
    } else {
        Bson::Double(number)
    }
}

fn array(list: &Array<'_>, depth: usize) -> Result<Vec<Bson>, Bad> {
    list.iter::<Value>().map(|item| convert(&item?, depth + 1)).collect()
}

fn convert_object(object: &Object<'_>, depth: usize) -> Result<Bson, Bad> {
    if let Some(kind) = object.get::<_, Option<String>>("_bsontype").unwrap_or_default() {
        return typed(&kind, object, depth);
    }
    let globals = object.ctx().globals();
    let is = |name: &str| globals.get::<_, Object>(name).is_ok_and(|class| object.is_instance_of(&class));
    if is("Date") {
        return date(object);
    }
    if is("RegExp") {
        return regex(
            object.get("source")?,
            &object.get::<_, String>("flags")?.replace(['g', 'y', 'd', 'v', 'u'], ""),
        );
    }
    if is("Map") {
        let entries: Object =
            globals.get::<_, Object>("Object")?.get::<_, Function>("fromEntries")?.call((object.clone(),))?;
        return document(&entries, depth).map(Bson::Document);
    }
    for name in ["Set", "WeakMap", "Promise", "ArrayBuffer", "Uint8Array", "Error"] {
        if is(name) {
            let way = match name {
                "Promise" => "; is an `await` missing?",
                "Set" => "; write [...set]",
                "ArrayBuffer" | "Uint8Array" => "; write new Binary(bytes)",
                _ => "",
            };
            return said(format!("a {name} is no value that can be stored{way}"));
        }
    }
    document(object, depth).map(Bson::Document)
}

fn document(object: &Object<'_>, depth: usize) -> Result<Document, Bad> {
    let mut document = Document::new();
    for entry in object.props::<String, Value>() {
        let (key, value) = entry?;
        if key.contains('\0') {
            return said("a field name must not contain a NUL byte");
        }
        document.insert(key, convert(&value, depth + 1)?);
    }
    Ok(document)
}

#[expect(clippy::cast_possible_truncation, reason = "dates of JavaScript are whole milliseconds below 2^53")]
fn date(object: &Object<'_>) -> Result<Bson, Bad> {
    let time: f64 =
        object.get::<_, Function>("getTime")?.call((rquickjs::function::This(object.clone()),))?;
    if time.is_nan() {
        said("this is an invalid date")
    } else {
        Ok(Bson::DateTime(DateTime::from_millis(time as i64)))
    }
}

fn regex(pattern: String, options: &str) -> Result<Bson, Bad> {
    let mut letters: Vec<char> = options.chars().collect();
    letters.sort_unstable();
    match (pattern.try_into(), letters.into_iter().collect::<String>().try_into()) {
        (Ok(pattern), Ok(options)) => Ok(Bson::RegularExpression(Regex { pattern, options })),
        _ => said("a regular expression must not contain a NUL byte"),
    }
}

fn typed(kind: &str, object: &Object<'_>, depth: usize) -> Result<Bson, Bad> {
    let text = |name: &str| object.get::<_, String>(name);
    if let Ok(Some(number)) = object.get::<_, Option<u32>>("fresh") {
        return Ok(Bson::Document(match kind {
            "ObjectId" => fill::object_id(number),
            _ => fill::uuid(number),
        }));
    }
    Ok(match kind {
        "Now" => Bson::Document(fill::now()),
        "ObjectId" => {
            Bson::ObjectId(ObjectId::parse_str(text("hex")?).or_else(|error| said(error.to_string()))?)
        }
        "Long" => Bson::Int64(text("digits")?.parse().or_else(|_| said("this is no whole number"))?),
        "Int32" => Bson::Int32(object.get("value")?),
        "Double" => Bson::Double(object.get("value")?),
        "Decimal128" => {
            let digits = text("digits")?;
            let parsed = Decimal128::from_str(&digits);
            Bson::Decimal128(parsed.or_else(|_| said(format!("`{digits}` is no decimal number")))?)
        }
        "Binary" => binary(&text("hex")?, object.get("subtype")?)?,
        "Timestamp" => Bson::Timestamp(Timestamp { time: object.get("t")?, increment: object.get("i")? }),
        "MinKey" => Bson::MinKey,
        "MaxKey" => Bson::MaxKey,
        "BSONSymbol" => Bson::Symbol(text("value")?),
        "BSONRegExp" => regex(text("pattern")?, &text("options")?)?,
        "Code" => match object.get::<_, Option<Object>>("scope")? {
            None => Bson::JavaScriptCode(text("code")?),
            Some(scope) => Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code: text("code")?,
                scope: document(&scope, depth)?,
            }),
        },
        _ => return said(format!("a {kind} is no value that can be stored")),
    })
}

fn binary(hex: &str, subtype: u8) -> Result<Bson, Bad> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16);
    let bytes: Result<Vec<u8>, _> = (0..hex.len()).step_by(2).map(byte).collect();
    let bytes = bytes.or_else(|_| said("this is not hexadecimal"))?;
    Ok(Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes }))
}
