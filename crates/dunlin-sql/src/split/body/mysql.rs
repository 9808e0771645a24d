//! MySQL and MariaDB: the bodies of stored programs, without `DELIMITER`. Blocks are opened only where a statement may
//! begin, so that `IF(…)`, `REPEAT(…)` and columns with the names of keywords stay what they are.

use super::{Part, Spot};

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// `BEGIN`, `IF`, `CASE`, `LOOP`, `WHILE` or `FOR` as a statement: ends with an `END` at the start of a statement.
    Statement,
    /// `REPEAT`: ends with the `END` after its `UNTIL` condition.
    Repeat,
    /// `CASE` as an expression: ends with any `END`.
    Expression,
}

/// Which part of the statement is being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The words that say what it is.
    #[default]
    Head,
    /// `BEGIN`, which may be a block (`NOT ATOMIC`) or a transaction.
    Begin,
    /// A procedure or function, before its parameters have ended.
    Name,
    /// A procedure or function, after its parameters.
    Characteristics,
    /// A trigger, before `FOR EACH ROW`.
    Trigger,
    /// An event, before `DO`.
    Event,
    /// A package: no end is known but a delimiter.
    Package,
    /// The body.
    Body,
}

#[derive(Debug, Default)]
pub(crate) struct MySql {
    stage: Stage,
    words: u32,
    blocks: Vec<(Block, usize)>,
    place: Place,
    /// The word before stood at the start of a statement: with a `:` it is a label.
    label: bool,
    next: Next,
    declares: Declares,
    previous: Previous,
}

/// What may come here.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Inside,
    /// A statement may begin.
    Start,
    /// The keyword of the block that `END` has just ended.
    End,
}

/// What the next word is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    #[default]
    Any,
    /// A name and no keyword: it follows `.` or `@`.
    Name,
    /// The name of the trigger beside which this one stands; the body comes after it.
    Beside,
}

/// How much of `DECLARE … HANDLER FOR …` was seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Declares {
    #[default]
    Nothing,
    Something,
    Handler,
    /// The statement of the handler may begin anywhere from here on.
    HandlerFor,
}

/// The word before, where it matters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    Character,
    Each,
}

impl MySql {
    pub(super) fn part(&mut self, part: Part<'_>, spot: Spot) -> bool {
        match (part, std::mem::take(&mut self.next)) {
            (Part::Word(word), Next::Any) => {
                self.words += 1;
                return self.word(word, spot);
            }
            (Part::Word(_) | Part::Quoted, next) => {
                self.label = self.place == Place::Start;
                self.place = if next == Next::Beside { Place::Start } else { Place::Inside };
            }
            (Part::Symbol(byte), _) => self.symbol(byte, spot),
        }
        true
    }

    fn symbol(&mut self, byte: u8, spot: Spot) {
        if matches!(byte, b'.' | b'@') {
            self.next = Next::Name;
        }
        self.place = if byte == b':' && self.label { Place::Start } else { Place::Inside };
        self.label = false;
        if self.stage == Stage::Name && byte == b')' && spot.parens == 0 {
            self.stage = Stage::Characteristics;
        }
    }

    fn word(&mut self, word: &str, spot: Spot) -> bool {
        match self.stage {
            Stage::Head => return self.head(word, spot),
            Stage::Begin if word == "not" => {
                self.enter();
                self.blocks.push((Block::Statement, spot.at));
            }
            Stage::Begin => return false,
            Stage::Characteristics => self.characteristic(word, spot),
            Stage::Trigger if word == "row" && self.previous == Previous::Each => self.enter(),
            Stage::Event if word == "do" && spot.parens == 0 => self.enter(),
            Stage::Name | Stage::Package | Stage::Trigger | Stage::Event => {}
            Stage::Body => self.body(word, spot),
        }
        self.previous = match word {
            "character" | "char" | "charset" | "returns" => Previous::Character,
            "each" => Previous::Each,
            _ => Previous::Other,
        };
        true
    }

    fn head(&mut self, word: &str, spot: Spot) -> bool {
        let is_first = self.words == 1;
        match word {
            "create" | "alter" if is_first => {}
            "begin" if is_first => self.stage = Stage::Begin,
            "if" | "case" | "loop" | "while" | "repeat" | "for" if is_first => {
                self.enter();
                self.body(word, spot);
            }
            _ if is_first => return false,
            "procedure" | "function" => self.stage = Stage::Name,
            "trigger" => self.stage = Stage::Trigger,
            "event" => self.stage = Stage::Event,
            "package" => self.stage = Stage::Package,
            "or" | "replace" | "definer" | "current_user" | "current_role" | "aggregate" => {}
            // A user may have any name: `DEFINER = root@localhost`.
            _ if self.words <= 4 && !is_other_thing(word) => {}
            _ => return false,
        }
        true
    }

    fn enter(&mut self) {
        self.stage = Stage::Body;
        self.place = Place::Start;
    }

    fn characteristic(&mut self, word: &str, spot: Spot) {
        let is_block = matches!(word, "begin" | "if" | "case" | "loop" | "while" | "repeat" | "for");
        let is_type = word == "set" && self.previous == Previous::Character;
        if spot.parens == 0 && !is_type && (is_block || is_statement(word)) {
            self.enter();
            self.body(word, spot);
        }
    }

    fn body(&mut self, word: &str, spot: Spot) {
        let place = std::mem::take(&mut self.place);
        let may_begin = place == Place::Start;
        self.label = may_begin;
        let may_open = may_begin || self.declares == Declares::HandlerFor;
        if place == Place::End && matches!(word, "if" | "case" | "loop" | "while" | "repeat" | "for") {
            return;
        }
        match word {
            "begin" | "loop" if may_open => self.open(Block::Statement, spot, true),
            "repeat" if may_open => self.open(Block::Repeat, spot, true),
            "if" | "case" | "while" if may_open => self.open(Block::Statement, spot, false),
            "for" if may_begin => self.open(Block::Statement, spot, false),
            "for" if self.declares == Declares::Handler => self.declares = Declares::HandlerFor,
            "case" => self.open(Block::Expression, spot, false),
            // `DO` begins a statement of its own, or ends the head of `WHILE`.
            "do" if !may_begin => self.place = Place::Start,
            "then" | "else" if self.top() != Some(Block::Expression) => self.place = Place::Start,
            "declare" if may_begin => self.declares = Declares::Something,
            "handler" if self.declares == Declares::Something => self.declares = Declares::Handler,
            // The trigger that this one stands beside is named before the body.
            "follows" | "precedes" if may_begin => self.next = Next::Beside,
            // `BEGIN NOT ATOMIC`
            "atomic" if self.words == 3 => self.place = Place::Start,
            "end" => self.end(may_begin),
            _ if is_statement(word) => self.declares = Declares::Nothing,
            _ => {}
        }
    }

    fn top(&self) -> Option<Block> {
        self.blocks.last().map(|(block, _)| *block)
    }

    fn open(&mut self, block: Block, spot: Spot, at_start: bool) {
        self.blocks.push((block, spot.at));
        if at_start {
            self.place = Place::Start;
        }
        self.declares = Declares::Nothing;
    }

    fn end(&mut self, at_start: bool) {
        match self.top() {
            Some(Block::Expression) => {
                self.blocks.pop();
            }
            Some(block) if at_start || block == Block::Repeat => {
                self.blocks.pop();
                self.place = Place::End;
            }
            _ => {}
        }
    }

    pub(super) fn semicolon(&mut self) -> bool {
        // No expression spans a `;`.
        while self.top() == Some(Block::Expression) {
            self.blocks.pop();
        }
        self.place = Place::Start;
        self.label = false;
        self.declares = Declares::Nothing;
        self.blocks.is_empty() && self.stage != Stage::Package
    }

    pub(super) fn opening(&self) -> Option<usize> {
        self.blocks.first().map(|(_, at)| *at)
    }
}

/// Whether a word begins an ordinary statement: what follows it are expressions.
fn is_statement(word: &str) -> bool {
    matches!(
        word,
        "set"
            | "select"
            | "insert"
            | "update"
            | "delete"
            | "replace"
            | "return"
            | "call"
            | "with"
            | "do"
            | "values"
            | "truncate"
            | "signal"
            | "resignal"
            | "execute"
            | "create"
            | "alter"
            | "drop"
    )
}

/// Whether a word after `CREATE` or `ALTER` names a thing without a body.
fn is_other_thing(word: &str) -> bool {
    matches!(
        word,
        "table"
            | "temporary"
            | "unique"
            | "index"
            | "fulltext"
            | "spatial"
            | "view"
            | "algorithm"
            | "database"
            | "schema"
            | "user"
            | "role"
            | "server"
            | "sequence"
            | "tablespace"
            | "undo"
            | "logfile"
            | "resource"
            | "online"
            | "offline"
            | "ignore"
            | "sql"
    )
}
