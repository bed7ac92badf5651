//! A user who never rests: explains, cancels, leaves, distills, slides and looks, each action with an end that
//! is checked. Some explanations stay, as users leave them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use integration_tests::{Api, known::Numbers, trust::Models};
use proto::raw::deeper::{
    explanation::v1::{self as raw, State, instance::Source},
    types::v1 as types,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{actions, tally::Tally};

/// An action that takes longer hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);
/// Before a client that was refused comes back.
const PAUSE: Duration = Duration::from_millis(500);

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Explains an image with noise that nobody had before and waits for the end.
    Explain,
    /// Asks for its last explanation once more: the answer must be the same.
    Repeat,
    /// Cancels an explanation that runs.
    Cancel,
    /// Drops its connection while it watches an explanation.
    Leave,
    /// Fits another student; every other time leaves before it is done.
    Distill,
    /// Decodes points as a slider does, and gives up on the last ones.
    Slide,
    /// Reads what a page shows.
    Look,
}

/// How many of a hundred actions are of each kind.
const MIXED: [(Action, u32); 7] = [
    (Action::Explain, 36),
    (Action::Repeat, 8),
    (Action::Cancel, 14),
    (Action::Leave, 12),
    (Action::Distill, 10),
    (Action::Slide, 10),
    (Action::Look, 10),
];

/// What all clients share.
pub(super) struct Shared {
    pub(super) server: String,
    pub(super) models: Models,
    /// Images that are explained.
    pub(super) examples: Vec<String>,
    /// Neighbors of every explanation.
    pub(super) neighbor_count: u32,
    /// Explanations that one client keeps; the oldest goes when one more comes.
    pub(super) kept_count: usize,
    pub(super) tally: Tally,
    /// Set off when all should go.
    pub(super) stop: CancellationToken,
    /// Part of every name and seed, so that no run meets another one's.
    pub(super) run: u64,
}

/// One client on a connection of its own.
pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) api: Api,
    pub(super) numbers: Numbers,
    /// Complete or left alone, the newest last.
    pub(super) kept: VecDeque<String>,
    /// The last explanation that was waited for.
    pub(super) last: Option<(raw::CreateExplanationRequest, types::FittedStudent)>,
    index: usize,
    request_count: u64,
}

impl Client {
    /// A new connection.
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> Result<Self, Status> {
        let api = connect(&shared.server)?;
        let numbers = Numbers::new(shared.run.wrapping_add(index as u64));
        Ok(Self { shared, api, numbers, kept: VecDeque::new(), last: None, index, request_count: 0 })
    }

    /// Explains, one image after the other, or does everything that users do.
    pub(super) async fn work(mut self, is_mixed: bool) {
        while !self.shared.stop.is_cancelled() {
            let action = if is_mixed { self.choose() } else { Action::Explain };
            let doing = tokio::time::timeout(HANGS_AFTER, actions::act(&mut self, action)).await;
            let outcome = doing.unwrap_or_else(|_| Err(Status::deadline_exceeded("it hangs")));
            if self.shared.tally.ended(action, outcome) {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn choose(&mut self) -> Action {
        let sum: u32 = MIXED.iter().map(|(_, share)| share).sum();
        let mut left = (self.numbers.unit() * f64::from(sum)) as u32;
        for (action, share) in MIXED {
            match left.checked_sub(share) {
                Some(rest) => left = rest,
                None => return action,
            }
        }
        Action::Explain
    }

    /// Heads or tails.
    pub(super) fn coin(&mut self) -> bool {
        self.numbers.unit() < 0.5
    }

    /// A cold explanation of any of the images.
    pub(super) fn request(&mut self) -> raw::CreateExplanationRequest {
        let Shared { models, examples, neighbor_count, run, .. } = &*self.shared;
        let example = examples[(self.numbers.unit() * examples.len() as f64) as usize].clone();
        self.request_count += 1;
        let seed = run.wrapping_add((self.index as u64) << 32).wrapping_add(self.request_count);
        raw::CreateExplanationRequest {
            explanation_id: format!("soak-{run}-{}-{}", self.index, self.request_count),
            teacher: models.teacher.name.clone(),
            autoencoder: models.autoencoder.clone(),
            instance: Some(raw::Instance { source: Some(Source::Example(example)) }),
            neighborhood: Some(types::NeighborhoodSpec {
                neighbor_count: Some(*neighbor_count),
                seed: Some(seed),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// The same question under another name.
    pub(super) fn again(&mut self, request: &raw::CreateExplanationRequest) -> raw::CreateExplanationRequest {
        let explanation_id = self.request().explanation_id;
        raw::CreateExplanationRequest { explanation_id, ..request.clone() }
    }

    /// Keeps an explanation and lets the oldest go.
    pub(super) async fn keep(&mut self, name: String) -> Result<(), Status> {
        self.kept.push_back(name);
        if self.kept.len() > self.shared.kept_count
            && let Some(oldest) = self.kept.pop_front()
        {
            return self.forget(oldest).await;
        }
        Ok(())
    }

    /// Deletes an explanation.
    pub(super) async fn forget(&self, name: String) -> Result<(), Status> {
        self.api.explanations.clone().delete_explanation(raw::DeleteExplanationRequest { name }).await.map(drop)
    }
}

/// A connection to the system.
pub(super) fn connect(server: &str) -> Result<Api, Status> {
    let channel = runtime::channel::connect("deeper", server);
    channel.map(Api::over).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What an explanation that was waited for has come to.
pub(super) fn student_of(explanation: &raw::Explanation) -> Result<types::FittedStudent, Status> {
    let student = explanation.student.as_ref().and_then(|student| student.fitted.clone());
    match student {
        Some(student) if explanation.state() == State::Succeeded && student.fidelity.is_some() => Ok(student),
        _ => Err(ended_otherwise(explanation)),
    }
}

/// In the words of the system. A refusal stays one.
pub(super) fn ended_otherwise(explanation: &raw::Explanation) -> Status {
    let state = explanation.state().as_str_name();
    match &explanation.error {
        Some(error) => Status::new(error.code.into(), format!("{}: {}", explanation.name, error.message)),
        None => Status::aborted(format!("{} ended as {state}", explanation.name)),
    }
}
