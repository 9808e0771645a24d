//! A BSON value as mongosh has it: read there, it is the same value again, of the same type.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Regex};

use crate::extended::{base64, hex};
use crate::fill;

/// A value longer than this is broken over several lines.
const WIDTH: usize = 96;

/// The years that have four digits, in milliseconds.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;

pub(super) fn is_word(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || letter == '$';
    text.starts_with(is_letter) && text.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is valid JSON")
}

/// A value on one line, or on several where it would be too long for one.
pub(super) fn show(value: &Bson, depth: usize) -> String {
    let line = inline(value);
    if line.len() + depth * 2 <= WIDTH {
        return line;
    }
    let (open, close, items): (_, _, Vec<String>) = match value {
        Bson::Document(document) if fill::written(document).is_none() => {
            let item = |(name, value): (&String, &Bson)| format!("{}: {}", key(name), show(value, depth + 1));
            ("{", "}", document.iter().map(item).collect())
        }
        Bson::Array(items) => ("[", "]", items.iter().map(|item| show(item, depth + 1)).collect()),
        _ => return line,
    };
    let inner = "  ".repeat(depth + 1);
    format!("{open}\n{inner}{}\n{}{close}", items.join(&format!(",\n{inner}")), "  ".repeat(depth))
}

fn key(name: &str) -> String {
    match name {
        // Without brackets it would name the prototype.
        "__proto__" => "[\"__proto__\"]".to_owned(),
        name if is_word(name) => name.to_owned(),
        name => quoted(name),
    }
}

/// A value on one line.
pub(crate) fn inline(value: &Bson) -> String {
    match value {
        Bson::Document(document) => match fill::written(document) {
            Some(written) => written.to_owned(),
            None if document.is_empty() => "{}".to_owned(),
            None => {
                let item = |(name, value): (&String, &Bson)| format!("{}: {}", key(name), inline(value));
                format!("{{ {} }}", document.iter().map(item).collect::<Vec<_>>().join(", "))
            }
        },
        Bson::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Bson::String(text) => quoted(text),
        Bson::Double(number) => double(*number),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => format!("NumberLong(\"{number}\")"),
        Bson::Decimal128(number) => format!("NumberDecimal(\"{number}\")"),
        Bson::ObjectId(id) => format!("ObjectId(\"{}\")", id.to_hex()),
        // Beyond these years the driver shortens what it says.
        Bson::DateTime(date) => match date.try_to_rfc3339_string() {
            Ok(text) if YEARS.contains(&date.timestamp_millis()) => format!("ISODate(\"{text}\")"),
            _ => format!("new Date({})", date.timestamp_millis()),
        },
        Bson::Boolean(truth) => truth.to_string(),
        Bson::Null => "null".to_owned(),
        Bson::Binary(bytes) => binary(bytes),
        Bson::RegularExpression(pattern) => regex(pattern),
        Bson::Timestamp(at) => format!("Timestamp({}, {})", at.time, at.increment),
        Bson::MinKey => "MinKey()".to_owned(),
        Bson::MaxKey => "MaxKey()".to_owned(),
        Bson::JavaScriptCode(code) => format!("Code({})", quoted(code)),
        Bson::JavaScriptCodeWithScope(code) => {
            format!("Code({}, {})", quoted(&code.code), inline(&Bson::Document(code.scope.clone())))
        }
        Bson::Symbol(text) => format!("BSONSymbol({})", quoted(text)),
        Bson::Undefined => "undefined".to_owned(),
        other @ Bson::DbPointer(_) => other.to_string(),
    }
}

/// A whole number is an int to mongosh, unless it is too large for one.
fn double(number: f64) -> String {
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    let is_int = number.fract() == 0.0 && number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX);
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ if is_int && !is_negative_zero => format!("Double({number})"),
        _ => format!("{number:?}"),
    }
}

fn binary(binary: &Binary) -> String {
    if binary.subtype == BinarySubtype::Uuid && binary.bytes.len() == 16 {
        return format!("UUID(\"{}\")", hex(&binary.bytes));
    }
    format!("BinData({}, \"{}\")", u8::from(binary.subtype), base64(&binary.bytes))
}

/// Between slashes only where JavaScript reads it as it stands, and the driver sends the same options.
fn regex(regex: &Regex) -> String {
    let (pattern, options) = (regex.pattern.as_str(), regex.options.as_str());
    if is_plain(pattern) && matches!(options, "" | "i" | "m" | "im") {
        return format!("/{pattern}/{options}");
    }
    let options = if options.is_empty() { String::new() } else { format!(", {}", quoted(options)) };
    format!("BSONRegExp({}{options})", quoted(pattern))
}

/// Letters, anchors and dots, escaped or repeated, and nothing that could be read in two ways.
fn is_plain(pattern: &str) -> bool {
    let mut last = '^';
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let is_fine = match letter {
            '\\' => letters.next().is_some_and(|escaped| ".dwsDWS@+*?()[]{}".contains(escaped)),
            '*' | '+' => !matches!(last, '^' | '$' | '*' | '+'),
            _ => letter.is_ascii_alphanumeric() || "^$._-@: ".contains(letter),
        };
        if !is_fine {
            return false;
        }
        last = letter;
    }
    !pattern.is_empty()
}

#[cfg(test)]
mod tests;
