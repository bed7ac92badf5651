//! How much one creator may have under way: counted here, and over all replicas where they share a store.

use std::sync::Arc;

use domain::Result;

use super::{
    Explanations, Live,
    memory::{Held, Seat},
};
use crate::caller::{Caller, Role};

impl Explanations {
    /// A seat for one more of this caller's explanations. May take some looks at the store: ask for it before
    /// anybody waits.
    pub(super) async fn seat_of(&self, caller: &Caller) -> Seat {
        match caller.role {
            Role::Admin => Seat::Uncounted,
            Role::User => self.memory.seat(&caller.name, self.limits.explanations).await,
        }
    }

    /// Room for one more of this caller's explanations, held until its end.
    pub(super) fn check_share(&self, caller: &Caller, seat: Seat) -> Result<Option<Held>> {
        let limit = self.limits.explanations;
        caller.check_quota("explanations", self.under_way(&caller.name), limit)?;
        match seat {
            Seat::Taken(held) => Ok(Some(held)),
            Seat::Uncounted => Ok(None),
            Seat::None => Err(caller.over_quota("explanations", limit)),
        }
    }

    /// Explanations of this creator that run or wait in this process. What others have computed again of its
    /// old ones is theirs.
    fn under_way(&self, creator: &str) -> usize {
        let live = self.lock_live();
        let is_counted = |live: &&Arc<Live>| {
            let current = live.current();
            !current.is_done() && current.creator == creator && !live.is_repetition()
        };
        live.iter().filter(is_counted).count()
    }
}
