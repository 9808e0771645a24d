//! Extended JSON: the canonical text of a value, which histories hash and which therefore stays as it is, and the
//! reading of wrappers such as `{ "$oid": "…" }` in what people write.

use std::fmt::Write as _;
use std::str::FromStr;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, Uuid};

/// The canonical text of a document, without blanks.
pub(crate) fn canonical(document: &Document) -> String {
    let mut out = String::new();
    write_document(document, &mut out);
    out
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is valid JSON")
}

fn write_document(document: &Document, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in document.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&quoted(key));
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn write(value: &Bson, out: &mut String) {
    match value {
        Bson::Document(document) => write_document(document, out),
        Bson::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Bson::String(text) => out.push_str(&quoted(text)),
        Bson::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Bson::Null => out.push_str("null"),
        _ => write_wrapped(value, out),
    }
}

fn write_wrapped(value: &Bson, out: &mut String) {
    let wrap = |name: &str, text: &str| format!("{{\"{name}\":{text}}}");
    let text = match value {
        Bson::Int32(number) => wrap("$numberInt", &format!("\"{number}\"")),
        Bson::Int64(number) => wrap("$numberLong", &format!("\"{number}\"")),
        Bson::Double(number) => wrap("$numberDouble", &format!("\"{}\"", double(*number))),
        Bson::Decimal128(number) => wrap("$numberDecimal", &format!("\"{number}\"")),
        Bson::ObjectId(id) => wrap("$oid", &format!("\"{}\"", id.to_hex())),
        Bson::DateTime(date) => {
            wrap("$date", &wrap("$numberLong", &format!("\"{}\"", date.timestamp_millis())))
        }
        Bson::Binary(binary) => {
            let (data, subtype) = (base64(&binary.bytes), u8::from(binary.subtype));
            wrap("$binary", &format!("{{\"base64\":\"{data}\",\"subType\":\"{subtype:02x}\"}}"))
        }
        Bson::RegularExpression(regex) => {
            let (pattern, options) = (quoted(regex.pattern.as_str()), quoted(regex.options.as_str()));
            wrap("$regularExpression", &format!("{{\"pattern\":{pattern},\"options\":{options}}}"))
        }
        Bson::Timestamp(at) => wrap("$timestamp", &format!("{{\"t\":{},\"i\":{}}}", at.time, at.increment)),
        Bson::JavaScriptCode(code) => wrap("$code", &quoted(code)),
        Bson::JavaScriptCodeWithScope(code) => {
            format!("{{\"$code\":{},\"$scope\":{}}}", quoted(&code.code), canonical(&code.scope))
        }
        Bson::Symbol(text) => wrap("$symbol", &quoted(text)),
        Bson::MinKey => wrap("$minKey", "1"),
        Bson::MaxKey => wrap("$maxKey", "1"),
        Bson::Undefined => wrap("$undefined", "true"),
        other => wrap("$dbPointer", &quoted(&format!("{other:?}"))),
    };
    out.push_str(&text);
}

fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        // The shortest digits that read back, always with a fraction or an exponent.
        format!("{number:?}")
    }
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4_usize {
            let index = (bits >> (18 - 6 * digit)) & 63;
            let letter = if digit <= chunk.len() { ALPHABET[index as usize] } else { b'=' };
            out.push(char::from(letter));
        }
    }
    out
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The value that JSON is, wrappers still to be read. A whole number that fits is an int.
pub(crate) fn from_json(json: serde_json::Value) -> Bson {
    match json {
        serde_json::Value::Null => Bson::Null,
        serde_json::Value::Bool(truth) => Bson::Boolean(truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Bson::String(text),
        serde_json::Value::Array(items) => Bson::Array(items.into_iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => {
            Bson::Document(entries.into_iter().map(|(key, value)| (key, from_json(value))).collect())
        }
    }
}

/// The value with its wrappers read, at any depth. Operators (`$set`, `$type`, …) stay documents.
pub(crate) fn unwrap(value: Bson) -> Result<Bson, String> {
    match value {
        Bson::Array(items) => items.into_iter().map(unwrap).collect::<Result<_, _>>().map(Bson::Array),
        Bson::Document(document) => {
            if let Some(read) = wrapper(&document) {
                return read;
            }
            let entries = document.into_iter().map(|(key, value)| Ok((key, unwrap(value)?)));
            entries.collect::<Result<_, String>>().map(Bson::Document)
        }
        other => Ok(other),
    }
}

fn wrapper(document: &Document) -> Option<Result<Bson, String>> {
    let (name, value) = document.iter().next()?;
    if name == "$code" {
        let code = value.as_str()?.to_owned();
        return match (document.len(), document.get_document("$scope")) {
            (1, _) => Some(Ok(Bson::JavaScriptCode(code))),
            (2, Ok(scope)) => {
                let scope = scope.clone();
                Some(Ok(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })))
            }
            _ => None,
        };
    }
    if document.len() != 1 {
        return None;
    }
    let read = match name.as_str() {
        "$oid" => value.as_str().and_then(|hex| ObjectId::parse_str(hex).ok()).map(Bson::ObjectId),
        "$date" => date(value),
        "$numberInt" => digits(value).map(Bson::Int32),
        "$numberLong" => digits(value).map(Bson::Int64),
        "$numberDouble" => {
            value.as_str().and_then(|text| text.parse().ok()).or_else(|| plain(value)).map(Bson::Double)
        }
        "$numberDecimal" => {
            value.as_str().and_then(|text| Decimal128::from_str(text).ok()).map(Bson::Decimal128)
        }
        "$uuid" => value.as_str().and_then(|text| Uuid::parse_str(text).ok()).map(Bson::from),
        "$binary" => value.as_document().and_then(binary),
        "$regularExpression" => value.as_document().and_then(regex),
        "$timestamp" => value.as_document().and_then(timestamp),
        "$symbol" => value.as_str().map(|text| Bson::Symbol(text.to_owned())),
        "$minKey" => Some(Bson::MinKey),
        "$maxKey" => Some(Bson::MaxKey),
        "$undefined" => Some(Bson::Undefined),
        _ => return None,
    };
    Some(read.ok_or_else(|| format!("`{name}` is Extended JSON, and its value cannot be read")))
}

fn digits<T: FromStr>(value: &Bson) -> Option<T> {
    match value {
        Bson::String(text) => text.parse().ok(),
        Bson::Int32(number) => number.to_string().parse().ok(),
        Bson::Int64(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn plain(value: &Bson) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i32().map(f64::from))
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds that were written as a number are whole")]
fn date(value: &Bson) -> Option<Bson> {
    let millis = match value {
        Bson::String(text) => return DateTime::parse_rfc3339_str(text).ok().map(Bson::DateTime),
        Bson::Document(inner) => digits(inner.get("$numberLong")?)?,
        Bson::DateTime(date) => date.timestamp_millis(),
        Bson::Double(number) => *number as i64,
        other => digits(other)?,
    };
    Some(Bson::DateTime(DateTime::from_millis(millis)))
}

fn binary(inner: &Document) -> Option<Bson> {
    let subtype = u8::from_str_radix(inner.get_str("subType").ok()?, 16).ok()?;
    Binary::from_base64(inner.get_str("base64").ok()?, BinarySubtype::from(subtype)).ok().map(Bson::Binary)
}

fn regex(inner: &Document) -> Option<Bson> {
    let pattern = inner.get_str("pattern").ok()?.try_into().ok()?;
    let options = inner.get_str("options").ok()?.try_into().ok()?;
    Some(Bson::RegularExpression(Regex { pattern, options }))
}

fn timestamp(inner: &Document) -> Option<Bson> {
    let (time, increment) = (digits(inner.get("t")?)?, digits(inner.get("i")?)?);
    Some(Bson::Timestamp(Timestamp { time, increment }))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn canonical_text_stays_as_it_is() {
        let id = ObjectId::parse_str("64b1f0f0f0f0f0f0f0f0f0f0").unwrap();
        let document = doc! {
            "update": "users", "n": 1, "l": 5_i64, "d": 1.0, "id": id, "at": DateTime::from_millis(1),
            "b": Binary { subtype: BinarySubtype::Generic, bytes: b"hello".to_vec() },
            "list": [true, Bson::Null, "é\n"], "key": Bson::MinKey,
        };
        assert_eq!(
            canonical(&document),
            r#"{"update":"users","n":{"$numberInt":"1"},"l":{"$numberLong":"5"},"d":{"$numberDouble":"1.0"},"id":{"$oid":"64b1f0f0f0f0f0f0f0f0f0f0"},"at":{"$date":{"$numberLong":"1"}},"b":{"$binary":{"base64":"aGVsbG8=","subType":"00"}},"list":[true,null,"é\n"],"key":{"$minKey":1}}"#
        );
    }

    #[test]
    fn wrappers_are_read_and_operators_stay() {
        let read = unwrap(bson::bson!({
            "a": { "$oid": "64b1f0f0f0f0f0f0f0f0f0f0" }, "b": [{ "$date": "2026-11-21T09:00:00Z" }],
            "c": { "$numberLong": "9007199254740993" }, "d": { "$set": { "x": { "$type": "string" } } },
            "e": { "$regex": "^a", "$options": "i" }, "f": { "$date": { "$numberLong": "5" } },
        }))
        .unwrap();
        let document = read.as_document().unwrap();
        assert_eq!(document.get_object_id("a").unwrap().to_hex(), "64b1f0f0f0f0f0f0f0f0f0f0");
        assert!(matches!(document.get_array("b").unwrap()[0], Bson::DateTime(_)));
        assert_eq!(document.get_i64("c").unwrap(), 9_007_199_254_740_993);
        assert_eq!(document.get("d").unwrap(), &bson::bson!({ "$set": { "x": { "$type": "string" } } }));
        assert!(document.get_document("e").is_ok());
        assert_eq!(document.get_datetime("f").unwrap().timestamp_millis(), 5);
        assert!(unwrap(bson::bson!({ "$oid": "nonsense" })).is_err());
    }

    #[test]
    fn base64_pads() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
