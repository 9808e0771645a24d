//! `[env.NAME]` laid over the rest: tables are merged entry by entry, everything else is replaced.

use dunlin_core::Node;
use dunlin_core::node::Value;

pub(super) fn merge(base: &Node, over: &Node) -> Node {
    let (Value::Table(base_entries), Value::Table(over_entries)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let mut entries = base_entries.clone();
    for (key, node) in over_entries {
        match entries.iter_mut().find(|(known, _)| known.name == key.name) {
            Some((_, known)) => *known = merge(known, node),
            None => entries.push((key.clone(), node.clone())),
        }
    }
    Node { span: base.span, value: Value::Table(entries) }
}

/// The entry of a table.
pub(super) fn entry<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Table(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
        _ => None,
    }
}

/// The names in a table.
pub(super) fn names(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.value) {
        Some(Value::Table(entries)) => entries.iter().map(|(key, _)| key.name.as_str()).collect(),
        _ => Vec::new(),
    }
}
