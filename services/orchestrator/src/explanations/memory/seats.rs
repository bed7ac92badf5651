//! How many explanations a creator has under way, over all replicas that share a store: a lease for each, so
//! that those of a replica that dies are free again after a moment.

use uuid::Uuid;

use super::{
    Memory,
    turns::{Held, LEASE},
};
use crate::{caller::MAX_SHARED_LIMIT, ports::Acquired, store::value::SCHEMA};

/// The answer to who asks for a seat.
pub enum Seat {
    /// One of `limit`, until it is dropped. Renewed by [`Seat::kept`].
    Taken(Held),
    /// All are taken.
    None,
    /// Nobody counts: no store is shared, it does not answer, or the limit is above [`MAX_SHARED_LIMIT`].
    Uncounted,
}

impl Seat {
    /// Does work for which the seat is kept, if it is one.
    pub async fn kept<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Taken(held) => held.during(Box::pin(work)).await,
            Self::None | Self::Uncounted => work.await,
        }
    }
}

impl Memory {
    /// Takes one of a creator's seats.
    pub async fn seat(&self, creator: &str, limit: u32) -> Seat {
        let store = &self.shared.store;
        if !store.is_shared() || limit > MAX_SHARED_LIMIT {
            return Seat::Uncounted;
        }
        let creator = blake3::hash(creator.as_bytes()).to_hex();
        // From anywhere on, so that the first look mostly finds a free one.
        let first = Uuid::new_v4().as_u128();
        for number in (0..u128::from(limit)).map(|step| (first % u128::from(limit) + step) % u128::from(limit)) {
            match store.acquire(&format!("deeper:{SCHEMA}:seat:{{{creator}}}:{number}"), LEASE).await {
                Acquired::Held(lease) => return Seat::Taken(Held::new(store, lease)),
                Acquired::Unknown => return Seat::Uncounted,
                Acquired::Taken => {}
            }
        }
        Seat::None
    }
}
