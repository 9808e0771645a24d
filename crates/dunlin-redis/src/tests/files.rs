//! What files and `.toml` steps say, and everything that may be wrong with them.

use dunlin_core::node::Value;
use dunlin_core::{Backend, Diagnostic, Field, Native, Node, Phase, Source, SourceMap, Undo};

use crate::{Op, Redis};

fn read(text: &str) -> (Source, Native) {
    let source = SourceMap::default().add("1_a.redis", text);
    let native = Redis.read(&source, None);
    (source, native)
}

fn good(text: &str) -> Native {
    let (_, native) = read(text);
    assert_eq!(native.diagnostics, [], "{text}");
    native
}

/// Code, text under the main label, and message of every fault.
fn faults(text: &str) -> Vec<(&'static str, String)> {
    let (source, native) = read(text);
    let place = |fault: &Diagnostic| source.slice(fault.span().unwrap()).to_owned();
    native.diagnostics.iter().map(|fault| (fault.code, place(fault))).collect()
}

fn commands(native: &Native, section: usize) -> Vec<String> {
    let op: &Op = native.sections[section].op.own().unwrap();
    op.commands.iter().map(crate::Command::text).collect()
}

#[test]
fn sections_are_found_in_any_case_and_with_any_line_ending() {
    let text = "\u{feff}# a comment\r\n# UP\r\nSET a 1\r\n\r\n  HSET h f \"a b\"\r\n## verify:\r\nEXISTS old\r\n# Contract\r\nDEL old\r\n#down\r\nDEL a h\r\n";
    let native = good(text);
    let phases: Vec<Phase> = native.sections.iter().map(|section| section.phase).collect();
    assert_eq!(phases, [Phase::Expand, Phase::Verify, Phase::Contract]);
    assert_eq!(commands(&native, 0), ["SET a 1", "HSET h f \"a b\""]);
    assert_eq!(commands(&native, 1), ["EXISTS old"]);
    let Undo::Op(down) = &native.sections[0].undo else { panic!("no way back") };
    assert_eq!(down.preview()[0].text, "DEL a h");
    assert!(matches!(native.sections[1].undo, Undo::Nothing { .. }));
    assert!(matches!(native.sections[2].undo, Undo::Unwritten));
}

#[test]
fn a_file_without_markers_is_all_up() {
    let native = good("SET a 1\n# not a section: up we go\nSET b 2");
    assert_eq!(commands(&native, 0), ["SET a 1", "SET b 2"]);
    assert!(matches!(native.sections[0].undo, Undo::Unwritten));
}

#[test]
fn an_empty_file_is_an_empty_section_and_an_empty_down_is_no_way_back() {
    for text in ["", "# nothing\n", "# Up\n# Down\n# nothing yet\n"] {
        let native = good(text);
        assert!(native.sections.len() == 1 && native.sections[0].op.is_empty(), "{text:?}");
        assert!(matches!(native.sections[0].undo, Undo::Unwritten), "{text:?}");
    }
}

#[test]
fn directives_say_what_the_way_back_is() {
    let native = good("# Up\nDEL a\n# Down\n# dunlin: irreversible: the value is gone\n");
    assert!(
        matches!(&native.sections[0].undo, Undo::Irreversible { reason } if reason == "the value is gone")
    );
    let native = good("# DUNLIN: no-op: a cache\nSET a 1\n");
    assert!(matches!(&native.sections[0].undo, Undo::Nothing { reason } if reason == "a cache"));
    let text = "# dunlin: no-op: x\nSET a 1\n# Down\nDEL a\n";
    assert_eq!(faults(text)[0].0, "misplaced-command");
    assert_eq!(faults("# Up\nSET a 1\n# Down\nDEL a\n# dunlin: no-op: x")[0].0, "contradiction");
}

#[test]
fn faults_in_directives_point_at_the_word() {
    assert_eq!(faults("# dunlin: ireversible: x"), [("unknown-directive", "ireversible".to_owned())]);
    assert_eq!(faults("#dunlin: irreversible"), [("missing-reason", "#dunlin: irreversible".to_owned())]);
    assert_eq!(faults("# dunlin: allow: x"), [("bad-directive", "allow".to_owned())]);
    assert_eq!(faults("# dunlin: no-op(x): y"), [("bad-directive", "(x)".to_owned())]);
}

#[test]
fn refused_commands_pass_with_a_reason_before_or_on_the_line() {
    assert_eq!(faults("SET a 1\nkeys *"), [("refused-command", "keys".to_owned())]);
    good("# dunlin: allow(keys): twelve keys\nKEYS *");
    good("KEYS * # dunlin: allow(keys): twelve keys");
    good("# dunlin: allow(keys): twelve keys\n# and a comment\n\nKEYS *");
    assert_eq!(faults("KEYS * # dunlin: allow(keys)")[0].0, "missing-reason");
    assert_eq!(
        faults("# dunlin: allow(keys): x\nSET a 1\nKEYS *"),
        [("unused-allow", "# dunlin: allow(keys): x".to_owned()), ("refused-command", "KEYS".to_owned())]
    );
    assert_eq!(faults("# dunlin: allow(select): x\nSELECT 1"), [("refused-command", "SELECT".to_owned())]);
    assert_eq!(faults("# dunlin: allow(keys): x")[0].0, "unused-allow");
}

#[test]
fn every_fault_is_reported_at_once_and_exactly_underlined() {
    let text =
        "# Up\nSET \"a 1\nSET 'b'x 2\nHSTE h f v\nGET\n5 INCR a\nSET c 1 # why\n-- old\n# Up\nDISCARD\n";
    let found = faults(text);
    let expected = [
        ("bad-quoting", "\"a 1"),
        ("bad-quoting", "x"),
        ("unknown-command", "HSTE"),
        ("wrong-arity", "GET"),
        ("bad-command", "5"),
        ("comment-as-argument", "# why"),
        ("bad-comment", "--"),
        ("refused-command", "DISCARD"),
        ("duplicate-section", "# Up"),
    ];
    for (code, place) in expected {
        assert!(found.contains(&(code, place.to_owned())), "{code} {place}: {found:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn commands_of_modules_pass_unwarned() {
    good("FT.CREATE i ON HASH PREFIX 1 user: SCHEMA name TEXT\nCL.THROTTLE a 1 2 3");
    good("set a 1\nXGROUP CREATE s g $ MKSTREAM\nEVAL \"return 1\" 0");
}

#[test]
fn blocks_run_as_one_and_must_be_closed() {
    let native = good("SET a 1\nMULTI\nSET b 1\nSET c 1\nexec\nMULTI\nSET d 1\nEXEC\n");
    let op: &Op = native.sections[0].op.own().unwrap();
    let blocks: Vec<_> = op.commands.iter().map(|command| command.block).collect();
    assert_eq!(blocks, [None, Some(0), Some(0), Some(1)]);
    assert_eq!(faults("# Up\nMULTI\nSET a 1\n# Down\nDEL a"), [("bad-block", "MULTI".to_owned())]);
    assert_eq!(faults("EXEC"), [("bad-block", "EXEC".to_owned())]);
    assert_eq!(faults("MULTI\nMULTI\nEXEC"), [("bad-block", "MULTI".to_owned())]);
    assert_eq!(faults("MULTI\nEVALSHA x 0\nEXEC"), [("bad-block", "EVALSHA".to_owned())]);
}

#[test]
fn a_verify_only_looks() {
    assert_eq!(faults("# Verify\nDEL a"), [("verify-writes", "DEL".to_owned())]);
    good("# Verify\nEXISTS a\nEVAL \"return redis.call('EXISTS', KEYS[1])\" 1 a\n");
}

#[test]
fn a_pair_is_read_as_one() {
    let mut map = SourceMap::default();
    let (up, down) = (map.add("1_a.up.redis", "SET a 1\n"), map.add("1_a.down.redis", "DEL a\n"));
    let native = Redis.read(&up, Some(&down));
    assert_eq!(native.diagnostics, []);
    let Undo::Op(undo) = &native.sections[0].undo else { panic!("no way back") };
    assert_eq!(map.locate(undo.preview()[0].span.unwrap()).unwrap().to_string(), "1_a.down.redis:1:1");
    let both = map.add("1_a.up.redis", "# Up\nSET a 1\n# Down\nDEL a\n");
    let codes: Vec<_> = Redis.read(&both, Some(&down)).diagnostics.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["duplicate-section"]);
}

#[test]
fn formatting_does_not_change_what_is_hashed() {
    let one = good("set  a \"1\"\nMULTI\nSET b 1\nEXEC\n");
    let other = good("# c\nSET a '1'\r\n\r\nmulti\nSET b 1\nexec");
    assert_eq!(one.sections[0].op.canonical(), other.sections[0].op.canonical());
    assert_ne!(one.sections[0].op.canonical(), good("SET a 1\nSET b 1").sections[0].op.canonical());
}

fn node(source: &Source, start: usize, value: Value) -> Node {
    Node { span: source.span(start, source.text.len()), value }
}

fn string(source: &Source, text: &str) -> Node {
    let start = source.text.find(text).unwrap();
    let span = source.span(start, start + text.len());
    Node { span, value: Value::String { text: text.to_owned(), verbatim: Some(span) } }
}

#[test]
fn steps_are_decoded_from_texts_lists_and_lists_of_words() {
    let source = SourceMap::default().add("1_a.toml", "redis = 'SET a 1|FOO b' HSET h f 'v w' HSTE");
    let decode = |value: &Node| {
        Redis.decode(Phase::Expand, &Field { name: "redis", value, source: &source, tag: "1_expand_1" })
    };
    let text = |op: &dunlin_core::AnyOp| op.preview().into_iter().map(|line| line.text).collect::<Vec<_>>();
    assert_eq!(text(&decode(&string(&source, "SET a 1")).unwrap()), ["SET a 1"]);
    let words = ["HSET", "h", "f", "v w"].map(|word| string(&source, word));
    let list = node(
        &source,
        0,
        Value::Array(vec![string(&source, "SET a 1"), node(&source, 0, Value::Array(words.into()))]),
    );
    assert_eq!(text(&decode(&list).unwrap()), ["SET a 1", "HSET h f \"v w\""]);
    let bad = node(
        &source,
        0,
        Value::Array(vec![
            node(&source, 0, Value::Bool(true)),
            node(&source, 0, Value::Array(Vec::new())),
            node(&source, 0, Value::Array(vec![node(&source, 0, Value::Float(1.5))])),
        ]),
    );
    let codes: Vec<_> = decode(&bad).unwrap_err().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["wrong-type", "missing-command", "wrong-type"]);
}
