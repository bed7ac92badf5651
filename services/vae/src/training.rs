//! The training loop. Everything random is named by (seed, purpose, epoch or step), so a training that
//! was stopped at any step goes on from its checkpoint to the same weights.

mod session;

use std::time::Instant;

use domain::{AutoencoderRecipe, Error, ImageBatch, Progress, Result, TrainingPhase};
use runtime::long::LongContext;
use tch::Device;
use torch::Checkpoint;

use self::session::{Reached, Session};
use crate::models::Trained;

/// Where a training keeps its state. Blocks; called between steps, outside the gate.
pub trait Keeper {
    /// The last state that was kept, if there is one.
    fn latest(&self) -> Result<Option<Vec<u8>>>;

    /// Replaces the state.
    fn keep(&self, bytes: Vec<u8>) -> Result<()>;

    /// Stores the weights of a training that has ended; the state is no longer needed.
    fn finish(&self, bytes: Vec<u8>) -> Result<()>;
}

/// Trains to the end or until it is cancelled; either way the keeper has what was reached.
pub fn train(
    recipe: &AutoencoderRecipe,
    images: &ImageBatch,
    device: Device,
    keeper: &dyn Keeper,
    context: &LongContext<Progress>,
) -> Result<Trained> {
    if images.is_empty() {
        return Err(Error::invalid("recipe.training_split", "has no images"));
    }
    let mut session = Session::resume(recipe, images, device, keeper.latest()?)?;
    let clock = Clock::start(session.step);
    context.report(clock.progress(&session));
    while session.step < session.step_count() {
        let reached = context.step(|| session.stay(context))?;
        if reached == Reached::EndOfEpoch || context.is_cancelled() {
            keeper.keep(session.checkpoint()?.to_bytes()?)?;
        }
        context.report(clock.progress(&session));
        context.check()?;
    }
    let trained = Trained { digest: session.network.parameters().digest()?, loss: session.last_epoch_loss };
    let weights = Checkpoint::of(session.network.parameters())?;
    let weights = session.network.sizes().note(weights).note("recipe", describe(recipe)).note("loss", trained.loss);
    keeper.finish(weights.to_bytes()?)?;
    context.report(Progress { phase: TrainingPhase::Finished, ..clock.progress(&session) });
    Ok(trained)
}

/// A recipe as one line, equal exactly where recipes are: a checkpoint belongs to one recipe.
pub fn describe(recipe: &AutoencoderRecipe) -> String {
    let AutoencoderRecipe { dataset, training_split, latent_dimension_count, hidden_size, .. } = recipe;
    let AutoencoderRecipe { epoch_count, batch_size, learning_rate, beta, seed, .. } = recipe;
    format!(
        "dataset={dataset} training_split={training_split} latent_dimension_count={latent_dimension_count} \
         hidden_size={hidden_size} epoch_count={epoch_count} batch_size={batch_size} \
         learning_rate={learning_rate} beta={beta} seed={seed}"
    )
}

/// Speed since this process took the training up.
struct Clock {
    started_at: Instant,
    first_step: u64,
}

impl Clock {
    fn start(first_step: u64) -> Self {
        Self { started_at: Instant::now(), first_step }
    }

    fn progress(&self, session: &Session) -> Progress {
        let seconds = self.started_at.elapsed().as_secs_f64();
        let step_count = (session.step - self.first_step) as f64;
        session.progress(if seconds > 0.0 { step_count / seconds } else { 0.0 })
    }
}
