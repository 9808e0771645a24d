//! A schedule: what applications do and how the runs between them end, as a value and as a line of text that can be played
//! again.

use std::fmt;

use dunlin_testkit::fault::When;
use proptest::prelude::*;

use super::Client;
use super::place::{Change, Deed};

/// Ids that applications use: few, so that they meet.
const IDS: i64 = 9;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// An application writes a record, or deletes it.
    Work(Client, Deed, i64),
    /// Every application reads everything.
    Read,
    /// Somebody asks whether the new shape holds what the old one holds.
    Verify,
    Run(Way, Trouble),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Contract,
    Down,
}

/// What befalls a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Nothing,
    /// The process dies before or after a call to a store.
    Kill(usize, When),
    /// Somebody asks it to pause once this many things were reported.
    Pause(usize),
    /// Its hour is over before it moves anything.
    Late,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) change: Change,
    pub(super) acts: Vec<Act>,
}

fn any_client() -> impl Strategy<Value = Client> {
    prop::sample::select(vec![Client::Old, Client::New])
}

fn any_trouble(calls: usize) -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::Nothing),
        6 => (1..=calls, prop::sample::select(When::ALL.to_vec())).prop_map(|(at, when)| Trouble::Kill(at, when)),
        2 => (0..25_usize).prop_map(Trouble::Pause),
        1 => Just(Trouble::Late),
    ]
}

fn any_act(calls: usize) -> impl Strategy<Value = Act> {
    let way = prop_oneof![4 => Just(Way::Up), 3 => Just(Way::Contract), 3 => Just(Way::Down)];
    prop_oneof![
        6 => (any_client(), 0..IDS).prop_map(|(client, id)| Act::Work(client, Deed::Update, id)),
        2 => (any_client(), 0..IDS).prop_map(|(client, id)| Act::Work(client, Deed::Delete, id)),
        1 => Just(Act::Read),
        1 => Just(Act::Verify),
        6 => (way, any_trouble(calls)).prop_map(|(way, trouble)| Act::Run(way, trouble)),
    ]
}

/// Any schedule over stores that are called about so often in a run.
pub(super) fn any_schedule(calls: usize) -> impl Strategy<Value = Schedule> {
    let change = prop::sample::select(vec![Change::Rename, Change::Retype, Change::Transform]);
    let acts = prop::collection::vec(any_act(calls), 6..24);
    (change, acts).prop_map(|(change, acts)| Schedule { change, acts })
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(client, Deed::Delete, id) => write!(f, "{client}-{id}"),
            Self::Work(client, _, id) => write!(f, "{client}={id}"),
            Self::Read => f.write_str("read"),
            Self::Verify => f.write_str("verify"),
            Self::Run(way, trouble) => {
                f.write_str(match way {
                    Way::Up => "up",
                    Way::Contract => "contract",
                    Way::Down => "down",
                })?;
                match trouble {
                    Trouble::Nothing => Ok(()),
                    Trouble::Kill(at, When::Before) => write!(f, "<{at}"),
                    Trouble::Kill(at, When::After) => write!(f, ">{at}"),
                    Trouble::Pause(events) => write!(f, "~{events}"),
                    Trouble::Late => f.write_str("~late"),
                }
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.change)?;
        self.acts.iter().try_for_each(|act| write!(f, " {act}"))
    }
}

impl Schedule {
    /// What [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (change, acts) = text.split_once(':')?;
        let changes = [Change::Rename, Change::Retype, Change::Transform];
        let change = changes.into_iter().find(|known| format!("{known:?}") == change.trim())?;
        let acts = acts.split_whitespace().map(parse_act).collect::<Option<_>>()?;
        Some(Self { change, acts })
    }
}

fn parse_act(word: &str) -> Option<Act> {
    let sign = word.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(word.len());
    let (verb, rest) = word.split_at(sign);
    let number = || rest.get(1..)?.parse::<usize>().ok();
    let client = match verb {
        "read" => return Some(Act::Read),
        "verify" => return Some(Act::Verify),
        "old" => Some(Client::Old),
        "new" => Some(Client::New),
        _ => None,
    };
    if let Some(client) = client {
        let deed = if rest.starts_with('-') { Deed::Delete } else { Deed::Update };
        return Some(Act::Work(client, deed, i64::try_from(number()?).ok()?));
    }
    let way = match verb {
        "up" => Way::Up,
        "contract" => Way::Contract,
        "down" => Way::Down,
        _ => return None,
    };
    let trouble = match rest.chars().next() {
        None => Trouble::Nothing,
        Some('<') => Trouble::Kill(number()?, When::Before),
        Some('>') => Trouble::Kill(number()?, When::After),
        Some(_) if rest == "~late" => Trouble::Late,
        Some(_) => Trouble::Pause(number()?),
    };
    Some(Act::Run(way, trouble))
}

proptest! {
    #[test]
    fn a_schedule_is_read_as_it_is_written(schedule in any_schedule(60)) {
        prop_assert_eq!(Schedule::parse(&schedule.to_string()), Some(schedule));
    }
}
