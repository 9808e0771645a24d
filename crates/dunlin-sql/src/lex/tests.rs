use super::*;
use Dialect::{MySql, Postgres, Sqlite};

fn tokens(dialect: Dialect, text: &str) -> Vec<(Kind, &str)> {
    Lexer::new(dialect, text)
        .filter(|token| token.kind != Kind::Blank)
        .map(|token| (token.kind, &text[token.start..token.end]))
        .collect()
}

#[test]
fn postgres_quotes_end_where_the_server_ends_them() {
    use Kind::{Comment, Symbol, Text, Word};
    assert_eq!(tokens(Postgres, r"'a\' b"), [(Text, r"'a\'"), (Word, "b")]);
    assert_eq!(tokens(Postgres, r"E'a\' b' c"), [(Text, r"E'a\' b'"), (Word, "c")]);
    assert_eq!(tokens(Postgres, "e'a' -- c\n '\\'b' x"), [(Text, "e'a' -- c\n '\\'b'"), (Word, "x")]);
    assert_eq!(tokens(Postgres, "some'a'"), [(Word, "some"), (Text, "'a'")]);
    assert_eq!(tokens(Postgres, "$a$ $b$ $$ $a$ x"), [(Text, "$a$ $b$ $$ $a$"), (Word, "x")]);
    assert_eq!(tokens(Postgres, "a$b$c $1"), [(Word, "a$b$c"), (Symbol, "$"), (Word, "1")]);
    assert_eq!(tokens(Postgres, "/* a /* b */ c */d"), [(Comment, "/* a /* b */ c */"), (Word, "d")]);
    assert_eq!(tokens(Postgres, "$é$ ' $é$"), [(Text, "$é$ ' $é$")]);
}

#[test]
fn mysql_comments_and_strings() {
    use Kind::{Close, Comment, Name, Open, Symbol, Text, Word};
    assert_eq!(
        tokens(MySql, "5--1 -- c\n# d"),
        [(Word, "5"), (Symbol, "-"), (Symbol, "-"), (Word, "1"), (Comment, "-- c"), (Comment, "# d")]
    );
    assert_eq!(tokens(MySql, r#"'a\'' "b\"" `c\`"#), [(Text, r"'a\''"), (Text, r#""b\"""#), (Name, r"`c\`")]);
    assert_eq!(
        tokens(MySql, "/*!40101 SET */ /*M!100 x*/ /*+ h */ /* /* */ y"),
        [
            (Open, "/*!40101"),
            (Word, "SET"),
            (Close, "*/"),
            (Open, "/*M!100"),
            (Word, "x"),
            (Close, "*/"),
            (Text, "/*+ h */"),
            (Comment, "/* /* */"),
            (Word, "y")
        ]
    );
    assert_eq!(tokens(MySql, "--"), [(Comment, "--")]);
}

#[test]
fn sqlite_takes_four_kinds_of_quotes() {
    use Kind::{Name, Symbol, Text};
    assert_eq!(
        tokens(Sqlite, "[a;b]\"c\"\"d\"`e``f`'g''h'#"),
        [(Name, "[a;b]"), (Name, "\"c\"\"d\""), (Name, "`e``f`"), (Text, "'g''h'"), (Symbol, "#")]
    );
}

#[test]
fn what_never_ends_is_said_to_be_open() {
    let is_open = |dialect, text| Lexer::new(dialect, text).last().is_some_and(|token| !token.is_closed);
    for text in ["'a", "E'a\\'", "$a$ b $a", "/* /* */", "\"a"] {
        assert!(is_open(Postgres, text), "{text}");
    }
    assert!(is_open(MySql, "`a"));
    assert!(is_open(Sqlite, "[a"));
}

#[test]
fn words_stop_before_a_delimiter() {
    let mut lexer = Lexer::new(MySql, "END$$");
    lexer.stop_words_at("$$");
    assert_eq!(lexer.next().map(|token| token.end), Some(3));
}
