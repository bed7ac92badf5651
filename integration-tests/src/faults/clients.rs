//! A user who never rests and never gives up: explains, asks the same again, distills, slides and looks. What
//! fails for a moment is asked for again, as the page does; what was asked for must come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proto::raw::deeper::{
    catalog::v1 as catalog,
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Ledger;
use crate::{Api, known::Numbers, trust::Models, users::uuid};

/// Deadline of a unary call: many times what it takes on a busy machine.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Deadline of a watch and of a distillation.
pub(super) const STREAM_LIMIT: Duration = Duration::from_secs(120);
/// Before the same is asked for again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Different questions that are asked over and over. The seed of their noise is their number.
const QUESTION_COUNT: u64 = 6;
/// Points of a slider's call.
const POINT_COUNT: usize = 16;

/// What all users share.
pub(super) struct Shared {
    pub(super) models: Models,
    /// Images that are explained.
    pub(super) examples: Vec<String>,
    /// Neighbors of an explanation.
    pub(super) neighbor_count: u32,
    pub(super) ledger: Ledger,
    /// The first answer to each of the questions, which all later ones must be.
    pub(super) answers: Mutex<HashMap<u64, types::FittedStudent>>,
    /// Set off when all should go.
    pub(super) stop: CancellationToken,
    /// Part of every name and seed, so that no run meets another one's.
    pub(super) run: u64,
}

/// One user on a connection of its own.
pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) api: Api,
    pub(super) numbers: Numbers,
    pub(super) index: u64,
    pub(super) request_count: u64,
}

impl Client {
    pub(super) async fn work(mut self) {
        while !self.shared.stop.is_cancelled() {
            let dice = (self.numbers.unit() * 100.0) as u32;
            let outcome = match dice {
                0..40 => self.explain_anew().await,
                40..65 => self.explain_again(false).await,
                65..75 => self.explain_again(true).await,
                75..85 => self.slide().await,
                _ => self.look().await,
            };
            if outcome.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Noise that nobody had before.
    async fn explain_anew(&mut self) -> Result<(), Status> {
        let seed = self.shared.run.wrapping_add(self.index << 32).wrapping_add(self.request_count);
        let example = self.numbers.unit();
        let (name, _) = self.explained(example, seed).await?;
        self.forget(name).await
    }

    /// One of a few questions, whose answer is known once somebody has had it; if so wished, another student of
    /// it as well.
    async fn explain_again(&mut self, is_distilling: bool) -> Result<(), Status> {
        let question = (self.numbers.unit() * QUESTION_COUNT as f64) as u64;
        let (name, student) = self.explained(question as f64 / QUESTION_COUNT as f64, question).await?;
        let expected = {
            let mut answers = self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(question).or_insert_with(|| student.clone()).clone()
        };
        if student != expected {
            self.shared.ledger.wrong(format!("{name} is another answer than before to question {question}"));
        }
        if is_distilling {
            self.distill(&name).await.ok();
        }
        self.forget(name).await
    }

    async fn distill(&self, parent: &str) -> Result<(), Status> {
        let solver =
            types::student_spec::Solver::Lbfgs(types::LbfgsSolver { iteration_count: Some(20), tolerance: None });
        let spec = Some(types::StudentSpec { solver: Some(solver), ..Default::default() });
        let request = raw::CreateStudentRequest { parent: parent.to_owned(), spec, ..Default::default() };
        self.shared.ledger.call("distilling", STREAM_LIMIT, self.api.distill(request)).await.map(drop)
    }

    async fn slide(&mut self) -> Result<(), Status> {
        let example = self.numbers.unit();
        let request = self.request(example, 0);
        let encode = raw::EncodeInstanceRequest {
            teacher: request.teacher.clone(),
            autoencoder: request.autoencoder.clone(),
            instance: request.instance.clone(),
        };
        let (mut explanations, ledger) = (self.api.explanations.clone(), &self.shared.ledger);
        let encoded = ledger.call("encoding", CALL_LIMIT, explanations.encode_instance(encode)).await?.into_inner();
        let mean = encoded.latent.unwrap_or_default().mean;
        let latents = (0..POINT_COUNT).map(|_| types::LatentPoint { coordinates: mean.clone() }).collect();
        let decode = raw::DecodeLatentsRequest {
            teacher: request.teacher,
            autoencoder: request.autoencoder,
            latents,
            anchor: request.instance,
        };
        ledger.call("decoding", CALL_LIMIT, explanations.decode_latents(decode)).await.map(drop)
    }

    async fn look(&self) -> Result<(), Status> {
        let ledger = &self.shared.ledger;
        let mut catalog = self.api.catalog.clone();
        let request = catalog::GetTeacherRequest { name: self.shared.models.teacher.name.clone() };
        ledger.call("reading a teacher", CALL_LIMIT, catalog.get_teacher(request)).await?;
        let mut explanations = self.api.explanations.clone();
        let request = raw::ListExplanationsRequest { page_size: 50, ..Default::default() };
        ledger.call("listing", CALL_LIMIT, explanations.list_explanations(request)).await.map(drop)
    }

    pub(super) fn request(&mut self, example: f64, seed: u64) -> raw::CreateExplanationRequest {
        let Shared { models, examples, neighbor_count, run, .. } = &*self.shared;
        let example = examples[(example * examples.len() as f64) as usize].clone();
        self.request_count += 1;
        raw::CreateExplanationRequest {
            explanation_id: format!("soak-{run}-{}-{}", self.index, self.request_count),
            request_id: uuid(run.wrapping_add(self.index << 40).wrapping_add(self.request_count)),
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
}
