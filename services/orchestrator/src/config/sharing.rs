//! What an operator decides about many users and several replicas: flags, each with its `DEEPER_*` variable.

use std::{path::PathBuf, time::Duration};

use domain::{Result, Violations};

use crate::{
    caller::{Callers, Gateway, Keys, Limits},
    replicas::Timing,
};

/// How users and replicas share the system. Without gateways and keys nobody is told apart: everybody owns
/// everything, without limits.
#[derive(Debug, Clone, clap::Args)]
pub struct SharingConfig {
    /// Addresses and networks of the gateways whose `x-deeper-user` is believed: `10.8.0.0/14,fd00::1`.
    #[arg(long, env = "DEEPER_TRUSTED_GATEWAYS", value_delimiter = ',')]
    pub trusted_gateways: Vec<Gateway>,
    /// File of API keys for `authorization: Bearer`: lines of a name, `user` or `admin`, and the SHA-256 of the
    /// key in hex. Read at the start.
    #[arg(long, env = "DEEPER_API_KEYS_FILE")]
    pub api_keys_file: Option<PathBuf>,
    /// Explanations that one creator may have under way: on all replicas together where they share a Redis and
    /// this is at most 64, on each of them otherwise and while Redis is away. Admins have no limit.
    #[arg(long, env = "DEEPER_MAX_EXPLANATIONS_PER_CREATOR", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub max_explanations_per_creator: u32,
    /// Trainings that one creator may have under way. Admins have no limit.
    #[arg(long, env = "DEEPER_MAX_TRAININGS_PER_CREATOR", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub max_trainings_per_creator: u32,
    /// Between two heartbeats of a replica that owns trainings, in milliseconds. Others look at the store twice
    /// as often, and take over after four of them without a sign.
    #[arg(long, env = "DEEPER_REPLICA_BEAT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(20..=60_000))]
    pub replica_beat_ms: u32,
}

impl SharingConfig {
    /// How callers are told apart. Every mistake in the file of keys at once.
    pub fn callers(&self) -> Result<Callers> {
        let mut violations = Violations::default();
        let keys = self.api_keys_file.as_ref().map(|file| Keys::read(file));
        let keys = keys.and_then(|read| violations.take("--api-keys-file", read));
        violations.finish()?;
        let limits =
            Limits { explanations: self.max_explanations_per_creator, trainings: self.max_trainings_per_creator };
        Ok(Callers { gateways: self.trusted_gateways.clone(), keys, limits })
    }

    /// How quickly replicas notice each other's doings.
    pub fn timing(&self) -> Timing {
        Timing { beat: Duration::from_millis(self.replica_beat_ms.into()) }
    }
}
