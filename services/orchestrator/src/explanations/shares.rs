//! How much one creator may have under way: counted here, and over all replicas where they share a store.

use std::sync::Arc;

use domain::Result;

use super::{Explanations, Live, memory::Seat};
use crate::caller::{Caller, Role};

impl Explanations {
    /// A seat for one more of this caller's explanations. May take some looks at the store: ask for it before
    /// anybody waits. None is asked for where this process alone has too many.
    pub(super) async fn seat_of(&self, caller: &Caller) -> Seat {
        match caller.role {
            Role::Admin => Seat::Uncounted,
            Role::User if self.under_way(&caller.name) >= self.limits.explanations as usize => Seat::None,
            Role::User => self.memory.seat(&caller.name, self.limits.explanations).await,
        }
    }

    /// Whether there is room for one more of this caller's explanations, beside those here and with this seat.
    pub(super) fn check_share(&self, caller: &Caller, seat: &Seat) -> Result<()> {
        let limit = self.limits.explanations;
        caller.check_quota("explanations", self.under_way(&caller.name), limit)?;
        match seat {
            Seat::Taken(_) | Seat::Uncounted => Ok(()),
            Seat::None => Err(caller.over_quota("explanations", limit)),
        }
    }

    /// Explanations that this creator has begun and that run or wait in this process. What is begun again of its
    /// old ones, or of what a replica left that was killed, is done for whoever looks at it.
    fn under_way(&self, creator: &str) -> usize {
        let live = self.lock_live();
        let is_counted = |live: &&Arc<Live>| {
            let current = live.current();
            live.is_counted() && !current.is_done() && current.creator == creator
        };
        live.iter().filter(is_counted).count()
    }
}
