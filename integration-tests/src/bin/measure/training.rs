//! One recipe trained with one thread and with two, undisturbed and killed halfway, each in a teacher service
//! of its own. One thread must come to the same weights, two to the same accuracy within 0.3 points: their
//! sums are in another order.

use std::{path::Path, time::Instant};

use artifacts::{Artifacts, Slot};
use clap::Args;
use domain::ResourceName;
use integration_tests::{programs::Program, small::mnist_folder, trust::Bar};
use proto::raw::deeper::{
    teacher::v1::{
        EvaluateTeacherRequest, TrainTeacherRequest, TrainTeacherResponse, teacher_service_client::TeacherServiceClient,
    },
    types::v1::{Architecture, TeacherRecipe, TrainingProgress, teacher_recipe::Source},
};
use runtime::channel::Channel;
use tonic::{Status, Streaming};

const DATASET: &str = "datasets/mnist";
/// What accuracies may differ by: 0.3 points.
const MAX_GAP: f64 = 0.003;

/// Training with one thread and with two, killed and resumed; needs no running system
#[derive(Args)]
pub(super) struct Options {
    /// Train the real ResNet-50, which takes both cores for a quarter of an hour, and not the small network
    #[arg(long)]
    resnet50: bool,
    /// Of the first weights and of the data order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    fn recipe(&self) -> TeacherRecipe {
        let architecture = if self.resnet50 { Architecture::Resnet50 } else { Architecture::SmallCnn };
        TeacherRecipe {
            source: Some(Source::Train(architecture.into())),
            dataset: DATASET.to_owned(),
            training_split: "t10k".to_owned(),
            evaluation_split: "train".to_owned(),
            seed: Some(self.seed),
            ..Default::default()
        }
    }
}

/// One training that came to its end.
struct Outcome {
    digest: String,
    /// Share of the 60,000 images.
    accuracy: f64,
    /// Where it stood when it was killed, and the first step that was seen after; in steps.
    interruption: Option<(u64, u64)>,
    epoch_steps: u64,
    seconds: f64,
}

pub(super) async fn run(options: &Options) -> Result<Vec<Bar>, Status> {
    let mnist = mnist_folder().ok_or_else(|| Status::failed_precondition("there is no MNIST to train on"))?;
    let data = tempfile::tempdir().map_err(failed)?;
    let artifacts = Artifacts::open_folder(data.path()).map_err(failed)?;
    artifacts.import_mnist(&mnist).await.map_err(failed)?;

    println!("{:>7}  {:>14}  {:>9}  {:>7}  digest", "threads", "killed, resumed", "accuracy", "seconds");
    let mut outcomes = Vec::new();
    for (threads, is_killed) in [(1, false), (1, true), (2, false), (2, true)] {
        let service = Service { folder: data.path(), artifacts: &artifacts, threads };
        let name = format!("teachers/threads-{threads}{}", if is_killed { "-killed" } else { "" });
        let outcome = service.train(&name, options.recipe(), is_killed).await?;
        let Outcome { digest, accuracy, interruption, seconds, .. } = &outcome;
        let steps = interruption.map_or_else(|| "-".to_owned(), |(before, after)| format!("{before}, {after}"));
        println!("{threads:>7}  {steps:>14}  {:>8.3}%  {seconds:>7.1}  {}", accuracy * 100.0, &digest[..8]);
        outcomes.push(outcome);
    }
    let [one, one_killed, two, two_killed] = &outcomes[..] else {
        return Err(Status::internal("four trainings have four outcomes"));
    };
    let lost =
        |outcome: &Outcome| outcome.interruption.map_or(f64::NAN, |(before, after)| before as f64 - after as f64);
    let most_lost = lost(one_killed).max(lost(two_killed)) / one.epoch_steps as f64;
    Ok(vec![
        Bar::at_least("one thread: killed and resumed to the same weights", same(one, one_killed), 1.0),
        Bar::at_most("steps lost to a kill, in epochs", most_lost, 1.0),
        Bar::at_most("accuracy, two threads against one", (two.accuracy - one.accuracy).abs(), MAX_GAP),
        Bar::at_most("accuracy, two threads killed against one", (two_killed.accuracy - one.accuracy).abs(), MAX_GAP),
        Bar::at_least("least accuracy", outcomes.iter().fold(1.0, |least, each| each.accuracy.min(least)), 0.96),
    ])
}

fn same(one: &Outcome, other: &Outcome) -> f64 {
    f64::from(u8::from(one.digest == other.digest))
}

/// A teacher service that is started, and started again after it was killed.
struct Service<'a> {
    folder: &'a Path,
    artifacts: &'a Artifacts,
    threads: u16,
}

impl Service<'_> {
    async fn start(&self) -> Result<(Program, TeacherServiceClient<Channel>), Status> {
        let (folder, threads) = (self.folder.to_string_lossy(), self.threads.to_string());
        let program = Program::start("teacher", &[("--artifacts", &folder), ("--threads", &threads)]).await;
        let channel = runtime::channel::connect("teacher", &program.url()).map_err(failed)?;
        Ok((program, TeacherServiceClient::new(channel)))
    }

    async fn train(&self, name: &str, recipe: TeacherRecipe, is_killed: bool) -> Result<Outcome, Status> {
        let begun = Instant::now();
        let ask = TrainTeacherRequest { teacher: name.to_owned(), recipe: Some(recipe) };
        let (mut program, mut client) = self.start().await?;
        let mut updates = client.train_teacher(ask.clone()).await?.into_inner();
        let mut killed_at = None;
        if is_killed {
            killed_at = Some(self.until_halfway(name, &mut updates).await?);
            program.kill().await;
            (program, client) = self.start().await?;
            updates = client.train_teacher(ask).await?.into_inner();
        }
        let mut first_step = None;
        let mut last = TrainingProgress::default();
        let digest = loop {
            let update = next(&mut updates).await?;
            last = update.progress.unwrap_or(last);
            first_step = first_step.or(Some(last.step).filter(|&step| step > 0));
            if let Some(trained) = update.trained {
                break trained.digest;
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let accuracy = evaluate(&mut client, name).await?;
        program.stop().await;
        Ok(Outcome {
            digest,
            accuracy,
            interruption: killed_at.zip(first_step),
            epoch_steps: last.step_count / u64::from(last.epoch_count.max(1)),
            seconds,
        })
    }

    /// Follows a training past its middle, where it has left a checkpoint; answers the step.
    async fn until_halfway(&self, name: &str, updates: &mut Streaming<TrainTeacherResponse>) -> Result<u64, Status> {
        let teacher = ResourceName::parse(name, ResourceName::TEACHER).map_err(failed)?;
        loop {
            let update = next(updates).await?;
            if update.trained.is_some() {
                return Err(Status::internal("the training ended before it could be killed"));
            }
            let Some(progress) = update.progress else { continue };
            let is_kept = self.artifacts.checkpoint_info(&teacher, Slot::Latest).await.map_err(failed)?.is_some();
            if is_kept && 2 * progress.step > progress.step_count {
                return Ok(progress.step);
            }
        }
    }
}

/// Share of the 60,000 images that the trained teacher gives its gold label.
async fn evaluate(client: &mut TeacherServiceClient<Channel>, name: &str) -> Result<f64, Status> {
    let ask =
        EvaluateTeacherRequest { teacher: name.to_owned(), dataset: DATASET.to_owned(), split: "train".to_owned() };
    let mut updates = client.evaluate_teacher(ask).await?.into_inner();
    let mut accuracy = f64::NAN;
    while let Some(update) = updates.message().await? {
        accuracy = update.progress.map_or(accuracy, |progress| progress.accuracy);
    }
    Ok(accuracy)
}

async fn next(updates: &mut Streaming<TrainTeacherResponse>) -> Result<TrainTeacherResponse, Status> {
    updates.message().await?.ok_or_else(|| Status::internal("the training ended without a result"))
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::failed_precondition(error.to_string())
}
