//! What a user does who wants something and gets it in the end: asks again under the same request id, watches
//! again, deletes again.

use std::time::{Duration, Instant};

use proto::raw::deeper::{
    explanation::v1::{self as raw, State},
    types::v1 as types,
};
use tonic::{Code, Status};

use super::clients::{CALL_LIMIT, Client, PAUSE, STREAM_LIMIT};

/// An explanation that has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(180);

impl Client {
    /// Asks until it is there. `example` in `[0, 1)` chooses the image.
    pub(super) async fn explained(
        &mut self,
        example: f64,
        seed: u64,
    ) -> Result<(String, types::FittedStudent), Status> {
        let began = Instant::now();
        let request = self.request(example, seed);
        let name = format!("explanations/{}", request.explanation_id);
        let ledger = &self.shared.ledger;
        let student = loop {
            let asked = async {
                // The same request id: whoever heard it the first time answers the same.
                let mut explanations = self.api.explanations.clone();
                explanations.create_explanation(request.clone()).await.map(drop)
            };
            let outcome = match ledger.call("creating", CALL_LIMIT, asked).await {
                Ok(()) => self.watched(&name, began).await,
                Err(status) => Err(status),
            };
            match outcome {
                Ok(student) => break student,
                Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                Err(status) => {
                    ledger.lost(format!("{name}: {}: {}", status.code(), status.message()));
                    return Err(status);
                }
            }
        };
        ledger.explained(began.elapsed());
        Ok((name, student))
    }

    /// Watches to the end, again and again while watches break.
    async fn watched(&self, name: &str, began: Instant) -> Result<types::FittedStudent, Status> {
        loop {
            let watching = async {
                let request = raw::WatchExplanationRequest { name: name.to_owned() };
                let mut states = self.api.explanations.clone().watch_explanation(request).await?.into_inner();
                let mut last = raw::Explanation::default();
                while let Some(state) = states.message().await? {
                    last = state;
                }
                Ok(last)
            };
            match self.shared.ledger.call("watching", STREAM_LIMIT, watching).await {
                Ok(last) => match last.state() {
                    State::Succeeded => return self.whole(last),
                    State::Failed | State::Cancelled => return Err(ended_otherwise(&last)),
                    // A server that drains ends its streams.
                    _ if began.elapsed() < PATIENCE => {}
                    _ => return Err(Status::aborted(format!("{name} is not done"))),
                },
                Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => {}
                Err(status) => return Err(status),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What a complete explanation has come to.
    fn whole(&self, explanation: raw::Explanation) -> Result<types::FittedStudent, Status> {
        let labelled = explanation.labeled_neighbor_count;
        let student = explanation.student.and_then(|student| student.fitted).filter(|it| it.fidelity.is_some());
        let student = student.filter(|_| labelled == self.shared.neighbor_count);
        student.ok_or_else(|| Status::data_loss(format!("{} succeeded with {labelled} neighbors", explanation.name)))
    }

    /// Deletes it; that it is gone already is what a repeated call is told.
    pub(super) async fn forget(&self, name: String) -> Result<(), Status> {
        let began = Instant::now();
        loop {
            let request = raw::DeleteExplanationRequest { name: name.clone() };
            let deleted = async {
                match self.api.explanations.clone().delete_explanation(request).await {
                    Err(status) if status.code() == Code::NotFound => Ok(()),
                    outcome => outcome.map(drop),
                }
            };
            match self.shared.ledger.call("deleting", CALL_LIMIT, deleted).await {
                Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }
}

/// What a moment can mend.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
}

/// It has an end, and not a good one: nobody will compute it again.
fn ended_otherwise(explanation: &raw::Explanation) -> Status {
    let (code, message) = match &explanation.error {
        Some(error) => (error.code.into(), error.message.as_str()),
        None => (Code::Cancelled, "cancelled"),
    };
    Status::aborted(format!("it ended as {code}: {message}"))
}
