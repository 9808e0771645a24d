use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn found(text: &str, key: &str) -> Option<Vec<String>> {
    let pattern = pattern(text);
    let found = pattern.matches(key.as_bytes())?;
    Some(found.iter().map(|found| String::from_utf8_lossy(found).into_owned()).collect())
}

#[test]
fn captures_are_runs_and_braces_are_doubled() {
    assert_eq!(found("user_{id}", "user_17"), Some(vec!["17".to_owned()]));
    assert_eq!(found("user_{id}", "user_1:x"), None);
    assert_eq!(found("user_{id}", "user_"), None);
    assert_eq!(found("user_{id*}", "user_1:x"), Some(vec!["1:x".to_owned()]));
    assert_eq!(found("{{user:{id}}}:p", "{user:7}:p"), Some(vec!["7".to_owned()]));
    assert_eq!(found("{a*}:{b}", "x:y:z"), Some(vec!["x:y".to_owned(), "z".to_owned()]));
    assert_eq!(found("{a}-{b}", "1-2-3"), Some(vec!["1".to_owned(), "2-3".to_owned()]));
    assert_eq!(found("{{{a}}}:{a}", "{1}:1").map(|found| found.len()), Some(2));
    assert_eq!(found("{{{a}}}:{a}", "{1}:2"), None);
    assert_eq!(found("fixed", "fixed"), Some(vec![]));
}

#[test]
fn bad_patterns_are_pointed_at() {
    let fault = |text: &str| Pattern::parse(text).map_err(|fault| (fault.start, fault.end)).unwrap_err();
    assert_eq!(fault("a{b"), (1, 3));
    assert_eq!(fault("a}b"), (1, 2));
    assert_eq!(fault("a{}b"), (1, 3));
    assert_eq!(fault("a{1}b"), (1, 4));
    assert_eq!(fault("{a}{b}"), (3, 6));
    assert_eq!(fault(""), (0, 0));
}

#[test]
fn globs_escape_what_they_would_read_otherwise() {
    assert_eq!(pattern("u[1]*?{id}^\\-").glob(), b"u\\[1\\]\\*\\?*\\^\\\\\\-");
}

#[test]
fn overlaps_are_found() {
    for (one, other, overlaps) in [
        ("user_{id}", "user:{id}:profile", false),
        ("user_{id}", "user_v2_{id}", true),
        ("user_{id}", "new_user_{id}", false),
        ("{id}", "user:{id}", false),
        ("{id*}", "user:{id}", true),
        ("{a}:{b}", "{a}:{b}:c", false),
        ("{a*}:c", "{a}:{b}:c", true),
        ("a{x}", "{y}a", true),
        ("ab", "a{x}", true),
        ("a", "a{x}", false),
    ] {
        assert_eq!(may_overlap(&pattern(one), &pattern(other)), overlaps, "{one} {other}");
        assert_eq!(may_overlap(&pattern(other), &pattern(one)), overlaps, "{other} {one}");
    }
}

#[test]
fn names_that_two_names_would_share_are_told() {
    for (from, to, is_sound) in [
        ("user_{id}", "user:{id}:profile", true),
        ("{a}:{b}", "x:{a}", false),
        ("{a}-{b}", "{a}_{b}", false),
        ("u_{a}_{b}", "v_{a}_{b}", true),
        ("u-{a}-{b}", "u:{a}:{b}", true),
        ("{a*}:{b}", "x:{b}:{a*}", true),
        ("{a*}:{b*}", "x:{b*}:{a*}", false),
        ("u_{a}", "{{u:{a}}}:{a}", true),
    ] {
        assert_eq!(inverts(&pattern(from), &pattern(to)), is_sound, "{from} {to}");
    }
}

const PAIRS: &[(&str, &str)] = &[
    ("user_{id}", "user:{id}:profile"),
    ("{a*}:x:{b}", "n:{b}:{a*}"),
    ("u-{a}-{b}", "{{u:{a}}}:{b}"),
    ("{a}_{b}", "z{a}_{b}z"),
];

proptest! {
    #[test]
    fn what_matches_expands_to_itself_and_its_target_leads_back(
        pair in 0..PAIRS.len(),
        a in "[a-c:_{}*-]{1,6}",
        b in "[a-c_{}?-]{1,6}",
    ) {
        let (from, to) = (pattern(PAIRS[pair].0), pattern(PAIRS[pair].1));
        let made = from.parts.iter().flat_map(|part| match part {
            Part::Literal(bytes) => bytes.clone(),
            Part::Capture { name, is_wide: true } if name == "a" => a.clone().into_bytes(),
            Part::Capture { .. } => b.replace(':', "").into_bytes(),
        });
        let key: Vec<u8> = made.collect();
        let found = from.matches(&key).expect("it was made to match");
        let mut name = Vec::new();
        Template::new(&from, &from).unwrap().expand(&found, &mut name);
        prop_assert_eq!(&name, &key);
        let mut target = Vec::new();
        Template::new(&from, &to).unwrap().expand(&found, &mut target);
        prop_assert!(from.matches(&target).is_none() || may_overlap(&from, &to));
        if inverts(&from, &to) {
            let found = to.matches(&target).expect("a target matches its pattern");
            Template::new(&to, &from).unwrap().expand(&found, &mut name);
            prop_assert_eq!(&name, &key);
        }
    }

    #[test]
    fn keys_of_two_patterns_that_cannot_overlap_never_match_both(
        one in "[ab:]{0,2}\\{x\\*?\\}[ab:]{0,2}",
        other in "[ab:]{0,2}\\{x\\*?\\}[ab:]{1,2}\\{y\\*?\\}[ab:]{0,1}",
        key in "[ab:]{1,7}",
    ) {
        let (one, other) = (pattern(&one), pattern(&other));
        let both = one.matches(key.as_bytes()).is_some() && other.matches(key.as_bytes()).is_some();
        prop_assert!(!both || may_overlap(&one, &other));
    }
}
