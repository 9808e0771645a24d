//! The two shapes of a change, in words and commands.

use super::commands::carrying;
use super::kept::archived;
use crate::moves::{Differing, Encoding, Form, Pair, Shape};
use crate::pairs::BIG;
use crate::quote::quote;

impl Differing {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::First => "first",
            Self::Second => "second",
            Self::Stay => "stay",
        }
    }
}

impl Form {
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Name(pair) => named(pair),
            Self::Field { keys, from, to } => {
                vec![("keys", keys.text().to_owned()), ("from", from.clone()), ("to", to.clone())]
            }
            Self::Encoding(form) => {
                let mut all = named(&form.pair);
                all.push(("into", if form.into == Shape::Hash { "hash" } else { "string" }.to_owned()));
                all.push(("otherwise", if form.is_lenient { "skip" } else { "fail" }.to_owned()));
                all.extend([("tag", form.tag.clone()), ("keep", form.keep.to_string())]);
                all
            }
        }
    }

    /// The shapes in words: the first and the second.
    pub(super) fn words(&self) -> (String, String) {
        match self {
            Self::Name(pair) | Self::Encoding(Encoding { pair, .. }) => {
                (pair.from.text().to_owned(), pair.to.text().to_owned())
            }
            Self::Field { keys, from, to } => {
                (format!("field {from} of {}", keys.text()), format!("field {to}"))
            }
        }
    }

    /// The commands that look whether both shapes of a key are in step.
    pub(super) fn looking(&self) -> Vec<String> {
        match self {
            Self::Name(pair) => {
                let [first, second] = [&pair.from, &pair.to].map(|key| quote(key.text().as_bytes()));
                let of = |key: &str| {
                    let text = format!("GETRANGE {key} 0 {BIG} -- if it is a string");
                    [text, format!("DUMP {key} -- if it is none"), format!("PTTL {key} -- if any key ends")]
                };
                [of(&first), of(&second)].concat()
            }
            Self::Field { keys, from, to } => {
                let [keys, from, to] = [keys.text(), from, to].map(|text| quote(text.as_bytes()));
                vec![format!("HGET {keys} {from}"), format!("HGET {keys} {to}")]
            }
            Self::Encoding(form) => {
                let [first, second] =
                    [&form.pair.from, &form.pair.to].map(|key| quote(key.text().as_bytes()));
                let read = |shape| if shape == Shape::Hash { "HGETALL" } else { "GET" };
                vec![format!("{} {first}", read(form.back())), format!("{} {second}", read(form.into))]
            }
        }
    }

    /// The commands that bring them in step.
    pub(super) fn mending(&self, differing: Differing, is_crossing: bool) -> Vec<String> {
        let of = |missing: &dyn Fn(&str, &str) -> String, over: &dyn Fn(&str, &str) -> String| {
            let (first, second) = match self {
                Self::Name(pair) | Self::Encoding(Encoding { pair, .. }) => {
                    (pair.from.text(), pair.to.text())
                }
                Self::Field { from, to, .. } => (from.as_str(), to.as_str()),
            };
            let [first, second] = [first, second].map(|text| quote(text.as_bytes()));
            let differs = match differing {
                Differing::First => Some(format!("{} -- if they differ", over(&first, &second))),
                Differing::Second => Some(format!("{} -- if they differ", over(&second, &first))),
                Differing::Stop | Differing::Stay => None,
            };
            let missing = format!("{} -- if {second} is missing", missing(&first, &second));
            [missing].into_iter().chain(differs).collect()
        };
        match self {
            Self::Name(_) if is_crossing => {
                let put =
                    |first: &str, second: &str, is_replace| carrying(first, second, is_replace).join(", ");
                of(&|first, second| put(first, second, false), &|first, second| put(first, second, true))
            }
            Self::Name(_) => of(&|first, second| format!("COPY {first} {second}"), &|first, second| {
                format!("COPY {first} {second} REPLACE")
            }),
            Self::Field { keys, .. } => {
                let keys = quote(keys.text().as_bytes());
                let set = |first: &str, second: &str| format!("HSET {keys} {second} <value of {first}>");
                of(&set, &set)
            }
            Self::Encoding(form) => {
                let hash = if form.into == Shape::Hash { &form.pair.to } else { &form.pair.from };
                let hash = quote(hash.text().as_bytes());
                let put = |_: &str, second: &str| {
                    if second == hash {
                        format!("HSET {second} <field> <value> …")
                    } else {
                        format!("SET {second} <json>")
                    }
                };
                of(&put, &|first, second| format!("UNLINK {second}, {}", put(first, second)))
            }
        }
    }

    pub(super) fn removing(&self) -> String {
        match self {
            Self::Name(pair) => {
                let [first, second] = [&pair.from, &pair.to].map(|key| quote(key.text().as_bytes()));
                format!("UNLINK {first} -- if {second} holds the same")
            }
            Self::Field { keys, from, to } => {
                let [keys, from, to] = [keys.text(), from, to].map(|text| quote(text.as_bytes()));
                format!("HDEL {keys} {from} -- if {to} holds the same")
            }
            Self::Encoding(Encoding { pair, into, tag, .. }) => {
                let [first, second] = [&pair.from, &pair.to].map(|key| quote(key.text().as_bytes()));
                let kept = match into {
                    Shape::Hash => {
                        format!(
                            "; RENAME {first} {} where it would not come back as it is",
                            archived(tag, pair.from.text())
                        )
                    }
                    Shape::Text => String::new(),
                };
                format!("UNLINK {first} -- if {second} says the same{kept}")
            }
        }
    }

    pub(super) fn removes(&self) -> String {
        match self {
            Self::Name(pair) | Self::Encoding(Encoding { pair, .. }) => format!("keys {}", pair.from.text()),
            Self::Field { keys, from, .. } => format!("field {from} of {}", keys.text()),
        }
    }
}

/// Settings of a pair.
pub(super) fn named(pair: &Pair) -> Vec<(&'static str, String)> {
    vec![("from", pair.from.text().to_owned()), ("to", pair.to.text().to_owned())]
}
