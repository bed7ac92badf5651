//! Users who keep a system busy while something happens to it, and what they have seen: who explains, and who
//! asks small questions. They do what the page does when a connection breaks: ask again.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proto::raw::deeper::{
    catalog::v1 as catalog,
    explanation::v1::{self as raw, State},
    types::v1 as types,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{
    api::{Api, explain_example},
    failure::Failure,
    known::Numbers,
    small::{AUTOENCODER, TEACHER},
    trust::fresh_id,
};

/// Nothing takes so long, however slow the machine; whatever does, hangs.
pub const HANG_LIMIT: Duration = Duration::from_secs(60);
/// Neighbors of each explanation.
const NEIGHBOR_COUNT: u32 = 250;
/// How long a user goes on to ask for an explanation that it has a name for.
const PERSISTENCE: Duration = Duration::from_secs(15);

/// What a user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// An explanation from its creation to its end.
    Explaining,
    /// One unary call.
    Asking,
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What.
    pub doing: Doing,
    /// When it was begun.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// How it failed, if it did; one without a code hung.
    pub failure: Option<Failure>,
}

/// Users at work. Dropping them ends them.
pub struct Users {
    deeds: Arc<Mutex<Vec<Deed>>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Users {
    /// So many who explain and so many who ask, over these images.
    pub fn start(api: &Api, examples: &[String], explaining: usize, asking: usize) -> Self {
        let mut users = Self { deeds: Arc::default(), stop: CancellationToken::new(), tasks: JoinSet::new() };
        let next = Arc::new(AtomicU64::new(1));
        for index in 0..explaining + asking {
            let (api, examples, next) = (api.clone(), examples.to_vec(), Arc::clone(&next));
            let (deeds, stop) = (Arc::clone(&users.deeds), users.stop.clone());
            let doing = if index < explaining { Doing::Explaining } else { Doing::Asking };
            users.tasks.spawn(async move {
                while !stop.is_cancelled() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let example = &examples[number as usize % examples.len()];
                    let began = Instant::now();
                    let work = async {
                        match doing {
                            Doing::Explaining => explain(&api, example, number).await,
                            Doing::Asking => ask(&api, example, number).await,
                        }
                    };
                    let outcome = tokio::time::timeout(HANG_LIMIT, work).await;
                    let failure = match outcome {
                        Ok(outcome) => outcome.err(),
                        Err(_) => Some(Failure::from(Status::unknown("it hangs"))),
                    };
                    let deed = Deed { doing, began, ended: Instant::now(), failure };
                    deeds.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
                }
            });
        }
        users
    }

    /// What has been done so far.
    pub fn deeds(&self) -> Vec<Deed> {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many more explanations are done.
    pub async fn explained(&self, more: usize) {
        let count = || self.deeds().iter().filter(|deed| deed.doing == Doing::Explaining).count();
        let goal = count() + more;
        while count() < goal {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets everybody end what they have begun.
    ///
    /// # Panics
    /// When a user did.
    pub async fn finish(mut self) -> Vec<Deed> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("users do not panic");
        }
        self.deeds()
    }
}

/// One explanation, to its end. Whoever has asked once asks again under the same request id, and watches again
/// when the watch breaks.
async fn explain(api: &Api, example: &str, number: u64) -> Result<(), Failure> {
    let id = fresh_id();
    let request = raw::CreateExplanationRequest {
        request_id: uuid(number),
        teacher: TEACHER.into(),
        autoencoder: AUTOENCODER.into(),
        neighborhood: Some(types::NeighborhoodSpec {
            neighbor_count: Some(NEIGHBOR_COUNT),
            seed: Some(number),
            ..Default::default()
        }),
        ..explain_example(&id, example)
    };
    let create = || {
        let (mut client, request) = (api.explanations.clone(), request.clone());
        async move { client.create_explanation(request).await.map(drop) }
    };
    persist(create).await?;
    let last = persist(|| watch(api.clone(), format!("explanations/{id}"))).await?;
    match last.error {
        Some(error) => Err(Failure::from(error)),
        None => Ok(()),
    }
}

/// The end of an explanation.
async fn watch(api: Api, name: String) -> Result<raw::Explanation, Status> {
    let mut client = api.explanations;
    let mut watching = client.watch_explanation(raw::WatchExplanationRequest { name }).await?.into_inner();
    let mut last = None;
    while let Some(snapshot) = watching.message().await? {
        last = Some(snapshot);
    }
    let last = last.ok_or_else(|| Status::unavailable("the watch ended without a snapshot"))?;
    let is_done = matches!(last.state(), State::Succeeded | State::Failed | State::Cancelled);
    if is_done { Ok(last) } else { Err(Status::unavailable("the watch ended before the explanation")) }
}

/// A small question: one that only the orchestrator answers, or one that goes through vae and teacher.
async fn ask(api: &Api, example: &str, number: u64) -> Result<(), Failure> {
    let answered = if number.is_multiple_of(2) {
        let request = catalog::GetTeacherRequest { name: TEACHER.into() };
        api.catalog.clone().get_teacher(request).await.map(drop)
    } else {
        let mut numbers = Numbers::new(number);
        let mut point = || types::LatentPoint { coordinates: (0..10).map(|_| numbers.unit() as f32 - 0.5).collect() };
        let request = raw::DecodeLatentsRequest {
            teacher: TEACHER.into(),
            autoencoder: AUTOENCODER.into(),
            latents: vec![point(), point()],
            anchor: Some(raw::Instance { source: Some(raw::instance::Source::Example(example.to_owned())) }),
        };
        api.explanations.clone().decode_latents(request).await.map(drop)
    };
    answered.map_err(Failure::from)
}

/// Asks again while the system says that it is not there.
async fn persist<T, F>(call: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Status>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if status.code() == Code::Unavailable && began.elapsed() < PERSISTENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => return outcome.map_err(Failure::from),
        }
    }
}

/// A version 4 UUID that no other user of this process has.
pub(crate) fn uuid(number: u64) -> String {
    let mut numbers = Numbers::new(number ^ u64::from(std::process::id()) << 32);
    let mut word = || (numbers.unit() * 65_536.0) as u32 & 0xffff;
    let (a, b, c, d, e, f, g, h) = (word(), word(), word(), word(), word(), word(), word(), word());
    format!("{a:04x}{b:04x}-{c:04x}-4{:03x}-8{:03x}-{f:04x}{g:04x}{h:04x}", d & 0xfff, e & 0xfff)
}
