//! What this replica does for the trainings of all: takes over those whose owner is gone, ends those that
//! somebody cancelled at another replica, and keeps the board clean. The rules are in `replicas`.

use std::collections::{BTreeSet, HashMap};

use domain::{Error, ModelState, ResourceName, Result};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Catalog, refreshing::Overview, training::Job};

/// What a training was about, as its model's record has it.
struct Unfinished {
    job: Job,
    operation: ResourceName,
    epoch_count: u32,
    create_time: i64,
    creator: String,
}

/// What stays between two looks.
#[derive(Default)]
struct Memory {
    /// Requests that nobody has taken off the board, and since when.
    requests: HashMap<String, Instant>,
    /// Claims on operations that have no record, and since when.
    strays: HashMap<ResourceName, Instant>,
    /// Replicas that are dead but have a heartbeat on the board, and since when.
    dead: HashMap<String, Instant>,
}

impl Catalog {
    /// Looks at the records again and again until `shutdown`. `requests` is told whose work should end, by
    /// the ids of operations, which are also those of explanations.
    pub async fn keep_up(&self, requests: watch::Sender<BTreeSet<String>>, shutdown: CancellationToken) {
        let mut memory = Memory::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.inner.replica.timing().refresh()) => {}
            }
            let looked = tokio::select! {
                () = shutdown.cancelled() => return,
                looked = self.look_after(&requests, &mut memory) => looked,
            };
            if let Err(error) = looked {
                tracing::warn!(%error, "other replicas' doings are not seen now");
            }
        }
    }

    /// Goes on with the trainings that ran when the process before this one ended, as far as nobody else
    /// does, and tells the ends that were on the models' records but not on the operations'.
    pub async fn resume(&self) -> Result<()> {
        let overview = self.refresh().await?;
        self.take_over(&overview).await
    }

    async fn look_after(&self, requests: &watch::Sender<BTreeSet<String>>, memory: &mut Memory) -> Result<()> {
        let overview = self.refresh().await?;
        self.let_go_of_lost(&overview);
        for id in &overview.requests {
            // It may be an explanation's, or another replica's.
            if let Ok(name) = ResourceName::new(ResourceName::OPERATION, &[id])
                && self.inner.operations.owns(&name)
            {
                self.inner.operations.cancel(&name)?;
            }
        }
        requests.send_if_modified(|known| {
            let differs = *known != overview.requests;
            known.clone_from(&overview.requests);
            differs
        });
        self.take_over(&overview).await?;
        self.clean_up(&overview, memory).await
    }

    /// What is somebody else's by now was taken over: this replica was thought dead.
    fn let_go_of_lost(&self, overview: &Overview) {
        for (operation, owner) in &overview.owners {
            if !self.inner.replica.is(owner) && self.inner.operations.owns(operation) {
                tracing::warn!(operation.name = %operation, "another replica has taken this training over");
                self.inner.operations.lose(operation);
            }
        }
    }

    async fn take_over(&self, overview: &Overview) -> Result<()> {
        let unfinished = self.unfinished();
        let known: BTreeSet<ResourceName> = unfinished.iter().map(|it| it.operation.clone()).collect();
        for unfinished in unfinished {
            if self.inner.operations.owns(&unfinished.operation)
                || !self.claim_free(&unfinished.operation, overview).await?
            {
                continue;
            }
            // Its owner may have written something before it ended.
            self.refresh().await?;
            self.resume_one(unfinished).await?;
        }
        for operation in self.inner.operations.unowned() {
            // A training that was not begun when its process ended, before there was a model.
            if !known.contains(&operation)
                && self.claim_free(&operation, overview).await?
                && let Some(handle) = self.inner.operations.resume(&operation)
            {
                handle.finish(Err(interrupted(&operation)));
            }
        }
        Ok(())
    }

    /// Claims an operation that nobody works on; says whether it is ours now.
    async fn claim_free(&self, operation: &ResourceName, overview: &Overview) -> Result<bool> {
        let replica = &self.inner.replica;
        match overview.owners.get(operation) {
            Some(owner) if !replica.is(owner) && !replica.is_dead(owner).await => Ok(false),
            owner => replica.claim(operation, owner.map(String::as_str)).await,
        }
    }

    /// Models whose training has not ended, or whose operation does not know that it has; oldest first.
    fn unfinished(&self) -> Vec<Unfinished> {
        let set = self.models();
        let teachers = set.teachers.values().map(|it| {
            let job = Job::Teacher(it.name.clone());
            (job, &it.state, &it.operation, it.recipe.epoch_count, it.create_time, &it.creator)
        });
        let autoencoders = set.autoencoders.values().map(|it| {
            let job = Job::Autoencoder(it.name.clone());
            (job, &it.state, &it.operation, it.recipe.epoch_count, it.create_time, &it.creator)
        });
        let open: BTreeSet<ResourceName> = self.inner.operations.unowned().into_iter().collect();
        let mut unfinished: Vec<Unfinished> = teachers
            .chain(autoencoders)
            .filter_map(|(job, state, operation, epoch_count, create_time, creator)| {
                let operation = ResourceName::parse(operation, ResourceName::OPERATION).ok()?;
                let is_open = *state == ModelState::Training || open.contains(&operation);
                let creator = creator.clone();
                is_open.then_some(Unfinished { job, operation, epoch_count, create_time, creator })
            })
            .collect();
        unfinished.sort_by_key(|unfinished| unfinished.create_time);
        unfinished
    }

    async fn resume_one(&self, unfinished: Unfinished) -> Result<()> {
        let Unfinished { job, operation, epoch_count, creator, .. } = unfinished;
        // As it is after the last look.
        let state = match &job {
            Job::Teacher(name) => self.known_teacher(name).map(|it| (it.state.clone(), it.operation.clone())),
            Job::Autoencoder(name) => self.known_autoencoder(name).map(|it| (it.state.clone(), it.operation.clone())),
        };
        let state = state.ok().filter(|(_, current)| current == operation.as_str()).map(|(state, _)| state);
        let handle = self.inner.operations.resume(&operation);
        match (state, handle) {
            (Some(ModelState::Training), Some(handle)) => {
                tracing::info!(model.name = %job.name(), operation.name = %operation, "a training is taken up");
                self.start(job, handle).await;
            }
            (Some(ModelState::Training), None) => {
                if self.inner.operations.get(&operation).is_ok_and(|operation| operation.is_done()) {
                    // Its end came before the model's, which nobody will tell any more.
                    self.record_failure(&job, &interrupted(&operation)).await;
                    return Ok(());
                }
                // Its record was not written in time; the name is the same again.
                let handle = self.begin_again(operation, job.name(), epoch_count, creator)?;
                self.start(job, handle).await;
            }
            (Some(ModelState::Ready), Some(handle)) => handle.finish(Ok(())),
            (Some(ModelState::Failed(why)), Some(handle)) => handle.finish(Err(Error::FailedPrecondition {
                reason: "TRAINING_FAILED",
                subject: job.name().to_string(),
                description: why,
            })),
            (None, Some(handle)) => handle.finish(Err(interrupted(&operation))),
            (Some(ModelState::Ready | ModelState::Failed(_)) | None, None) => {}
        }
        Ok(())
    }

    /// Takes off the board what has served: claims on what is done, requests that were heeded, what killed
    /// replicas have left.
    async fn clean_up(&self, overview: &Overview, memory: &mut Memory) -> Result<()> {
        let (replica, operations) = (&self.inner.replica, &self.inner.operations);
        let board = replica.board();
        let is_old = |since: &Instant| since.elapsed() >= replica.timing().dead() * 8;
        let ended = |name: &ResourceName| operations.get(name).ok().map(|operation| operation.is_done());
        memory.strays.retain(|name, _| overview.owners.contains_key(name));
        for (operation, owner) in &overview.owners {
            let is_served = match ended(operation) {
                Some(is_done) => is_done && operations.is_written(operation),
                // It may be about to be written, by us or by somebody who lives.
                None => {
                    let since = memory.strays.entry(operation.clone()).or_insert_with(Instant::now);
                    is_old(since) && (replica.is(owner) || !replica.is_alive(owner))
                }
            };
            if is_served {
                board.release(operation).await?;
            }
        }
        memory.requests.retain(|id, _| overview.requests.contains(id));
        for id in &overview.requests {
            let since = memory.requests.entry(id.clone()).or_insert_with(Instant::now);
            let name = ResourceName::new(ResourceName::OPERATION, &[id]).ok();
            let is_open = name.and_then(|name| ended(&name)) == Some(false);
            // Whoever it is for has looked at the board many times by then.
            if is_old(since) && !is_open {
                board.forget_request(id).await?;
            }
        }
        let is_dead = |id: &String| !replica.is(id) && !replica.is_alive(id);
        memory.dead.retain(|id, _| overview.replicas.contains(id) && is_dead(id));
        for id in overview.replicas.iter().filter(|id| is_dead(id)) {
            if is_old(memory.dead.entry(id.clone()).or_insert_with(Instant::now)) {
                // One that lives after all shows itself again with its next heartbeat.
                board.bury(id).await?;
                board.leave(id).await?;
            }
        }
        Ok(())
    }
}

fn interrupted(operation: &ResourceName) -> Error {
    Error::FailedPrecondition {
        reason: "INTERRUPTED",
        subject: operation.to_string(),
        description: "the process was restarted before this was done: ask again".to_owned(),
    }
}
