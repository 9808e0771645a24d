//! What a server of the application does in each of its rounds: always the same, whatever shape it speaks. So a run without
//! any migration does the same work, and must end with the same records.
//!
//! Users belong to one server each, so their last value is known. The first three belong to everybody: of what is written
//! there at the same time the greatest value stays, whoever comes first.

/// How many users server `b` has; it signs up nobody after them.
pub const REGULARS: u32 = 40;

/// One of the servers, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Signs up users, changes them, lets them leave, and changes everybody's.
    A,
    /// Changes its forty users again and again, and everybody's.
    B,
    /// As `A`, but leaves everybody's alone: its users have never been anywhere else.
    C,
}

impl Server {
    /// Its name.
    pub fn name(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
            Self::C => 'c',
        }
    }

    /// The number of its `nth` user.
    fn user(self, nth: u32) -> i32 {
        let offset = match self {
            Self::A => 100_000,
            Self::B => 200_000,
            Self::C => 300_000,
        };
        offset + i32::try_from(nth).expect("it does not run for years")
    }
}

/// What is done with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new one.
    SignUp,
    /// Another mail address, another city.
    Change,
    /// Is there what was written last?
    Read,
    /// Gone for good.
    Leave,
}

/// One thing done with one user.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// What is done.
    pub what: What,
    /// With whom.
    pub user: i32,
    /// In which round it is done; for [`What::Read`], in which it was last written.
    pub round: u32,
    /// Who does it.
    pub server: Server,
}

impl Work {
    /// What the user is called.
    pub fn name(&self) -> String {
        match self.user {
            1 => "Ada".to_owned(),
            2 => "Blaise".to_owned(),
            3 => "Grace".to_owned(),
            user => format!("User {user}"),
        }
    }

    /// The mail address of this round; a later round's is greater.
    pub fn email(&self) -> String {
        format!("v{:06}{}.{}@example.org", self.round, self.server.name(), self.user)
    }

    /// The city of this round; a later round's is greater.
    pub fn city(&self) -> String {
        format!("ville {:06}{}", self.round, self.server.name())
    }

    /// Whether a value that was read is the one that was written, or one that somebody wrote later.
    pub fn is_kept(&self, seen: &[Option<String>]) -> bool {
        let wanted = [self.email(), self.city()];
        seen.iter().zip(wanted).all(|(seen, wanted)| seen.as_ref().is_some_and(|seen| *seen >= wanted))
    }
}

/// The work of a round.
pub fn of(server: Server, round: u32) -> Vec<Work> {
    let work = |what, user| Work { what, user, round, server };
    let mut works = Vec::new();
    let is_settled = server == Server::B && round > REGULARS;
    if !is_settled {
        works.push(work(What::SignUp, server.user(round)));
    }
    let nth = if is_settled { round * 7 % REGULARS + 1 } else { round.div_ceil(2) };
    // The second of every five leaves three rounds after it came.
    if server == Server::B || nth % 5 != 2 {
        works.push(work(What::Change, server.user(nth)));
    }
    if server != Server::B && round.is_multiple_of(5) {
        works.push(work(What::Leave, server.user(round - 3)));
    }
    if server != Server::C {
        works.push(work(What::Change, [1, 2, 3][round as usize % 3]));
    }
    works
}
