//! Ops that go through keys, out of `.toml` steps.

use std::sync::Arc;

use dunlin_core::node::{Table, Value};
use dunlin_core::{AnyOp, Diagnostic, Field, Node, Phase, Span, suggest};

use super::{Existing, Form, Life, Look, Move, Pair, Shape, What};
use crate::change::{Wins, names};
use crate::pattern::{Fault, Pattern, Template, inverts, may_overlap};

/// The ops that change keys.
pub(crate) const MOVES: [&str; 7] = [
    "rename_keys",
    "copy_keys",
    "delete_keys",
    "expire_keys",
    "string_to_hash",
    "hash_to_string",
    "rename_hash_field",
];
/// The ops that look at them.
pub(crate) const LOOKS: [&str; 2] = ["none", "same"];

/// Reads an op, if it is one of these.
pub(crate) fn decode(phase: Phase, field: &Field<'_>) -> Option<Result<AnyOp, Vec<Diagnostic>>> {
    let is_look = LOOKS.contains(&field.name);
    if !is_look && !MOVES.contains(&field.name) {
        return None;
    }
    let misplaced = |label: &str, help: &str| {
        let message = format!("`{}` has no place in `{phase}`", field.name);
        let fault = Diagnostic::error("wrong-phase", message).at(field.value.span, label);
        Some(Err(vec![fault.help(help)]))
    };
    match (is_look, phase == Phase::Verify) {
        (true, false) => misplaced("only looks", "put it under `[[verify]]`"),
        (false, true) => {
            misplaced("changes keys", "put it under `[[backfill]]`, or under `[[contract]]` if it removes")
        }
        _ => Some(read(field)),
    }
}

fn read(field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    Reader::read(field.value, |reader| reader.op(field))
}

/// When keys end.
pub(crate) enum Ttl {
    Never,
    After(u64),
}

impl Ttl {
    pub(crate) fn millis(self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::After(millis) => Some(millis),
        }
    }
}

/// How long an archive keeps what it has, where nothing else is said: 30 days.
const KEEP: u64 = 30 * 86_400_000;

/// Takes a table apart, and keeps what is wrong with it.
pub(crate) struct Reader<'a> {
    table: Table<'a>,
    pub(crate) faults: Vec<Diagnostic>,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// All of a table; whatever it has beside what was asked for is wrong.
    pub(crate) fn read<T>(
        node: &'a Node,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Vec<Diagnostic>> {
        let table = node.table().map_err(|fault| vec![fault])?;
        let mut reader = Self { table, faults: Vec::new(), known: Vec::new() };
        let taken = take(&mut reader);
        let Self { table, mut faults, known } = reader;
        faults.extend(table.finish(&known));
        match taken {
            Some(taken) if faults.is_empty() => Ok(taken),
            _ => Err(faults),
        }
    }

    fn op(&mut self, field: &Field<'_>) -> Option<AnyOp> {
        let what = match field.name {
            "none" => return Some(Arc::new(Look::None { keys: self.pattern("keys")?.0 })),
            "same" => return self.same(field.value.span).map(|look| Arc::new(look) as AnyOp),
            "rename_keys" => {
                let (pair, existing) = (self.pair(), self.existing());
                What::Rename { pair: pair?, existing: existing? }
            }
            "copy_keys" => {
                let (pair, existing) = (self.pair(), self.existing());
                let is_at_once = self.choice("big", &[("slices", false), ("at_once", true)], false);
                What::Copy { pair: pair?, existing: existing?, is_at_once: is_at_once? }
            }
            "delete_keys" => self.delete()?,
            "expire_keys" => {
                let (keys, ttl) = (self.pattern("keys"), self.ttl());
                let is_only_missing = self.choice("only", &[("missing", true)], false);
                What::Expire { keys: keys?.0, ttl: ttl?.millis(), is_only_missing: is_only_missing? }
            }
            "rename_hash_field" => {
                let (keys, from, to) = (self.pattern("keys"), self.text("from"), self.text("to"));
                let existing = self.existing();
                let (from, to) = (from?.0.to_owned(), to?);
                if from == to.0 {
                    let fault = Diagnostic::error("same-name", "the field has that name already");
                    self.faults.push(fault.at(to.1.span, "the same as `from`"));
                }
                What::RenameField { keys: keys?.0, from, to: to.0.to_owned(), existing: existing? }
            }
            name => {
                let pair = self.pair();
                let is_lenient = self.choice("otherwise", &[("fail", false), ("skip", true)], false);
                let into = if name == "string_to_hash" { Shape::Hash } else { Shape::Text };
                What::Convert { pair: pair?, into, is_lenient: is_lenient?, is_back: false }
            }
        };
        let life = Life { tag: field.tag.to_owned(), ..Life::default() };
        Some(Arc::new(Move { what, span: Some(field.value.span), life }))
    }

    fn right<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<(&'a str, &'a Node)> {
        self.known.push(name);
        let node = self.table.require(name);
        let node = self.right(node)?;
        let text = self.right(node.text())?;
        Some((text, node))
    }

    pub(crate) fn pattern(&mut self, name: &'static str) -> Option<(Pattern, &'a Node)> {
        let (text, node) = self.text(name)?;
        let pattern = Pattern::parse(text).map_err(|Fault { message, help, start, end }| {
            Diagnostic::error("bad-pattern", message).at(node.inside(start, end), "here").help(help)
        });
        let pattern = self.right(pattern)?;
        let own = ["{{dunlin}}:{rest*}", "{{dunlin-{rest*}"];
        let is_own = |own: &str| Pattern::parse(own).is_ok_and(|own| may_overlap(&own, &pattern));
        if text.starts_with("{{") && own.into_iter().any(is_own) {
            let fault = Diagnostic::error("own-keys", "these may be dunlin's own keys");
            self.faults
                .push(fault.at(node.span, "matches names dunlin uses").help("make the pattern narrower"));
            return None;
        }
        Some((pattern, node))
    }

    /// `from` and `to`, which must lead from every name to another one of its own.
    pub(crate) fn pair(&mut self) -> Option<Pair> {
        let (from, to) = (self.pattern("from"), self.pattern("to"));
        let ((from, source), (to, target)) = (from?, to?);
        self.check_pair((&from, source), (&to, target))?;
        Some(Pair { from, to })
    }

    pub(crate) fn check_pair(
        &mut self,
        (from, source): (&Pattern, &Node),
        (to, target): (&Pattern, &Node),
    ) -> Option<()> {
        let mut names: Vec<&str> = from.names().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        let fault = if from.text() == to.text() {
            Diagnostic::error("target-is-source", "the new names are the old ones")
                .at(target.span, "the same as `from`")
                .help("old and new are there side by side for a while: give the new keys names of their own")
        } else if names.len() < count {
            Diagnostic::error("bad-pattern", "a capture is named twice")
                .at(source.span, "each capture needs a name of its own")
        } else if let Err(name) = Template::new(from, to) {
            Diagnostic::error("unknown-capture", format!("`{{{name}}}` stands for nothing"))
                .at(target.span, format!("uses `{{{name}}}`"))
                .at(source.span, "has no such capture")
                .help(suggest::help(&name, names.iter().copied()))
        } else if may_overlap(from, to) {
            Diagnostic::error("target-is-source", "a new name may match the pattern of the old ones again")
                .at(target.span, "such a name could be taken for an old one")
                .at(source.span, "by this")
                .help("choose names that cannot be mistaken: `user_{id}` becomes `user:{id}`, not `user_v2_{id}`")
        } else if !inverts(from, to) {
            Diagnostic::error("names-collide", "several keys could get the same name")
                .at(target.span, "does not tell them apart")
                .help("use every capture, with a `:` between those that could run into one another")
        } else {
            return Some(());
        };
        self.faults.push(fault);
        None
    }

    fn delete(&mut self) -> Option<What> {
        let keys = self.pattern("keys");
        self.known.push("if_same_as");
        let Some(other) = self.table.take("if_same_as") else {
            return Some(What::Delete { keys: keys?.0, if_same_as: None, is_copy: false });
        };
        let (keys, source) = keys?;
        let text = self.right(other.text())?;
        let parsed = Pattern::parse(text).map_err(|Fault { message, help, start, end }| {
            Diagnostic::error("bad-pattern", message).at(other.inside(start, end), "here").help(help)
        });
        let pattern = self.right(parsed)?;
        self.check_pair((&keys, source), (&pattern, other))?;
        Some(What::Delete { keys, if_same_as: Some(pattern), is_copy: false })
    }

    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
        usual: T,
    ) -> Option<T> {
        self.known.push(name);
        let Some(node) = self.table.take(name) else { return Some(usual) };
        let text = self.right(node.text())?;
        self.chosen(node, text, name, choices)
    }

    /// A word that must be there.
    pub(crate) fn word<T: Copy>(&mut self, name: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let (text, node) = self.text(name)?;
        self.chosen(node, text, name, choices)
    }

    fn chosen<T: Copy>(
        &mut self,
        node: &Node,
        text: &str,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        let fault = Diagnostic::error("unknown-word", format!("`{name}` cannot be `{text}`"));
        self.faults.push(fault.at(node.span, "not known here").help(format!("write {}", words.join(" or "))));
        None
    }

    fn existing(&mut self) -> Option<Existing> {
        let choices = [("fail", Existing::Fail), ("skip", Existing::Skip), ("replace", Existing::Replace)];
        self.choice("existing", &choices, Existing::Fail)
    }

    fn same(&mut self, span: Span) -> Option<Look> {
        let (sample, wins) = (self.sample(), Wins::take(self)?);
        if wins == Wins::Nobody {
            return Some(Look::Same { pair: self.pair()?, sample });
        }
        if sample.is_some() {
            let fault = Diagnostic::error("two-ops", "what `wins` is made anew of is looked at whole")
                .at(span, "says `sample` and `wins`");
            self.faults.push(fault.help("leave one of them out"));
        }
        let form = Form::Name(names::pair(self, span)?);
        Some(Look::InStep { form, differing: wins.of_old(), loss: None })
    }

    fn sample(&mut self) -> Option<u64> {
        self.known.push("sample");
        let node = self.table.take("sample")?;
        let count = match node.value {
            Value::Integer(count) => u64::try_from(count).ok().filter(|count| *count > 0),
            _ => None,
        };
        if count.is_none() {
            let fault = Diagnostic::error("wrong-type", "a sample is a number of keys");
            self.faults.push(fault.at(node.span, "not a whole number above 0"));
        }
        count
    }

    pub(crate) fn ttl(&mut self) -> Option<Ttl> {
        let (text, node) = self.text("ttl")?;
        if text == "none" { Some(Ttl::Never) } else { self.duration(text, node).map(Ttl::After) }
    }

    /// How long an archive keeps what it has, in milliseconds.
    pub(crate) fn keep(&mut self) -> Option<u64> {
        self.known.push("keep");
        let Some(node) = self.table.take("keep") else { return Some(KEEP) };
        let text = self.right(node.text())?;
        self.duration(text, node)
    }

    fn duration(&mut self, text: &str, node: &Node) -> Option<u64> {
        let split = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
        let unit: u64 = match &text[split..] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 0,
        };
        let millis = text[..split].parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
        // As far as the server can count, with room for the time of day.
        if let Some(millis) = millis.filter(|millis| (1..1 << 53).contains(millis)) {
            return Some(millis);
        }
        let fault =
            Diagnostic::error("bad-duration", format!("`{text}` is no TTL")).at(node.span, "not a duration");
        self.faults.push(
            fault.help("write `\"7d\"`, `\"12h\"`, `\"30m\"`, `\"90s\"`, or `\"none\"` for keys that stay"),
        );
        None
    }
}
