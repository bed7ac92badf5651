//! A fit's turn at the process's compute: taken before it starts, and given up now and then while it goes
//! on, so that an hour of epochs never keeps a teacher's batch waiting, nor another caller's fit.

use std::time::{Duration, Instant};

use domain::Result;
use runtime::{
    call::Context,
    gate::{Gate, Permit, Priority},
};

/// How long a fit computes before others have their turn; a step that has begun is finished first.
const TURN: Duration = Duration::from_millis(50);
/// How often a fit that waits looks whether anybody still waits for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// The right to compute of one fit, renewed by [`Turn::renew`] and given back by dropping it.
pub(crate) struct Turn<'a> {
    gate: &'a Gate,
    context: &'a Context,
    permit: Option<Permit>,
    since: Instant,
}

impl<'a> Turn<'a> {
    /// Blocks this thread until the fit may compute, or fails because its caller has left.
    pub(crate) fn begin(gate: &'a Gate, context: &'a Context) -> Result<Self> {
        let mut turn = Self { gate, context, permit: None, since: Instant::now() };
        turn.enter()?;
        Ok(turn)
    }

    /// Lets others go first once the turn is over. Fails when the caller has left. Between two steps.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.context.check()?;
        if self.since.elapsed() < TURN {
            return Ok(());
        }
        self.permit = None;
        self.enter()
    }

    fn enter(&mut self) -> Result<()> {
        let waiting = self.gate.enter_for(Priority::Interactive, &self.context.caller);
        while self.permit.is_none() {
            self.context.check()?;
            self.permit = waiting.wait(PATIENCE);
        }
        self.since = Instant::now();
        Ok(())
    }
}
