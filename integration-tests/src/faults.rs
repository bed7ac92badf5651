//! What can happen to a running cluster, and what its users may notice of it: faults in an order that a seed
//! fixes, users who never rest, and what they have seen, held against what is promised.

mod clients;
mod injury;
mod ledger;
mod persistence;
mod schedule;
mod soak;
mod verdict;

use std::fmt;

pub use self::{
    injury::{Injury, inflict},
    ledger::{Failed, Ledger, Seen},
    schedule::Schedule,
    soak::{Line, Outcome, Plan, kinds, soak},
    verdict::Verdict,
};

/// A kind of program of which a cluster has one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Classifies.
    Teacher,
    /// Encodes and decodes.
    Vae,
    /// Distills.
    Student,
    /// Is asked by users.
    Orchestrator,
    /// Redis.
    Cache,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to one of them; its supervisor starts it again.
    Kill(Kind),
    /// SIGKILL to all of them at once.
    KillAll(Kind),
    /// SIGSTOP to one of them, and SIGCONT after a moment.
    Pause(Kind),
    /// All that the cache holds is gone.
    Flush,
    /// The cache takes nothing new for a moment, as a replica of a lost primary.
    ReadOnly,
    /// The cache has no room for a moment, and may not make any.
    Full,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Teacher, Self::Vae, Self::Student, Self::Orchestrator, Self::Cache];

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Vae => "vae",
            Self::Student => "student",
            Self::Orchestrator => "orchestrator",
            Self::Cache => "redis-server",
        }
    }
}

impl Fault {
    /// Everything that can happen to a cluster of these kinds.
    pub fn all(kinds: &[Kind]) -> Vec<Self> {
        let of_each = kinds.iter().flat_map(|kind| [Self::Kill(*kind), Self::Pause(*kind)]);
        let students = kinds.contains(&Kind::Student).then_some(Self::KillAll(Kind::Student));
        let cache = kinds.contains(&Kind::Cache).then_some([Self::Flush, Self::ReadOnly, Self::Full]);
        of_each.chain(students).chain(cache.into_iter().flatten()).collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(kind) => write!(f, "kill one {}", kind.program()),
            Self::KillAll(kind) => write!(f, "kill every {}", kind.program()),
            Self::Pause(kind) => write!(f, "pause one {}", kind.program()),
            Self::Flush => write!(f, "flush the cache"),
            Self::ReadOnly => write!(f, "cache read-only"),
            Self::Full => write!(f, "cache full"),
        }
    }
}
