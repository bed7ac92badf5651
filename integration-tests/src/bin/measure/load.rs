//! More load than a teacher can take, from an open loop: goodput, the speed of refusals, memory, and how long
//! one caller waits beside a greedy one.

use std::{sync::Arc, time::Duration};

use clap::Args;
use domain::{ImageBatch, ImageShape};
use integration_tests::{
    Api,
    known::Numbers,
    load::{Report, closed_loop, open_loop, resident_mib},
    trust::{Bar, Models},
};
use proto::raw::deeper::teacher::v1::{ClassifyImagesRequest, teacher_service_client::TeacherServiceClient};
use runtime::{
    call::{Caller, Context},
    channel::{self, Channel},
};
use tonic::Status;

/// Calls under way at once that keep every replica's queue filled and no more.
const CALLERS_A_REPLICA: usize = 24;
/// Offered, in peaks.
const FACTORS: [f64; 3] = [0.5, 2.0, 10.0];
/// The modest caller's part of the peak.
const MODEST_SHARE: f64 = 0.3;
/// Different messages.
const MESSAGE_COUNT: usize = 8;
/// The shape that the teacher was trained on.
const SHAPE: (usize, usize, usize) = (1, 28, 28);

/// Goodput, refusals and fairness of teachers under more load than they can take
#[derive(Args)]
pub(super) struct Options {
    /// Where the teachers are: `http://host:port`, several divided by commas, or `dns:///name:port`
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    teachers: String,
    /// Images a call
    #[arg(long, default_value_t = 125)]
    images: usize,
    /// Seconds of each stretch of load
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Process id of a teacher, for its memory [default: memory is not measured]
    #[arg(long)]
    pid: Option<u32>,
}

pub(super) async fn run(_: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let channel = channel::connect("teacher", &options.teachers);
    let channel = channel.map_err(|error| Status::invalid_argument(error.to_string()))?.without_repeats();
    let caller = Load {
        channel,
        messages: Arc::new(messages(&models.teacher.name, options.images)?),
        duration: Duration::from_secs(options.seconds),
    };
    caller.classify("warm-up", 0).await?;
    let replica_count = options.teachers.split(',').count();
    let alone = caller.clone();
    let call = move |index| alone.clone().owned("a", index);
    let peak = closed_loop(CALLERS_A_REPLICA * replica_count, caller.duration, call).await;
    let peak_rate = peak.goodput();
    println!(
        "{:>8} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "offered", "goodput", "refused", "ok p50", "ok p99", "no p50", "no p99", "MiB"
    );
    let memory = || options.pid.and_then(resident_mib).unwrap_or(f64::NAN);
    let mut bars = Vec::new();
    tell("peak", &peak, memory());
    let mut resident = Vec::new();
    for factor in FACTORS {
        let report = caller.offered("a", factor * peak_rate).await;
        tell(&format!("{factor} ×"), &report, memory());
        resident.push(memory());
        if factor > 1.0 {
            let share = report.goodput() / peak_rate;
            bars.push(Bar::at_least(format!("goodput at {factor} times the peak, in peaks"), share, 0.9));
            bars.push(Bar::at_most(format!("refusals at {factor} times, p99 in ms"), report.refusal_ms(0.99), 10.0));
            bars.push(Bar::at_most(format!("other failures at {factor} times"), report.failed.len() as f64, 0.0));
            bars.push(Bar::at_most(
                format!("refusals at {factor} times that do not say when to come back"),
                report.refused_without_delay as f64,
                0.0,
            ));
        }
    }
    if options.pid.is_some() {
        let growth = resident[resident.len() - 1] - resident[0];
        bars.push(Bar::at_most("memory at the highest load less that at half load, in MiB", growth, 50.0));
    }
    let share = MODEST_SHARE * peak_rate;
    let alone = caller.offered("modest", share).await;
    tell("modest", &alone, memory());
    let (modest, greedy) = tokio::join!(caller.offered("modest", share), caller.offered("greedy", 10.0 * share));
    tell("+ greedy", &modest, memory());
    tell("greedy", &greedy, memory());
    let ratio = modest.success_ms(0.99) / alone.success_ms(0.99);
    bars.push(Bar::at_most("p99 beside ten times one's load, in p99s alone", ratio, 2.0));
    bars.push(Bar::at_most("refusals of the modest caller", modest.refused.len() as f64, 0.0));
    Ok(bars)
}

#[derive(Clone)]
struct Load {
    channel: Channel,
    /// Messages made beforehand: the machine's time is the teacher's.
    messages: Arc<Vec<ClassifyImagesRequest>>,
    duration: Duration,
}

impl Load {
    async fn offered(&self, caller: &'static str, per_second: f64) -> Report {
        let load = self.clone();
        open_loop(per_second, self.duration, move |index| load.clone().owned(caller, index)).await
    }

    async fn owned(self, caller: &'static str, index: u64) -> Result<(), Status> {
        self.classify(caller, index).await
    }

    /// One call for one caller.
    async fn classify(&self, caller: &str, index: u64) -> Result<(), Status> {
        let request = self.messages[index as usize % self.messages.len()].clone();
        let context = Context { caller: Caller::new(caller).map_err(invalid)?, ..Context::default() };
        context.scope(TeacherServiceClient::new(self.channel.clone()).classify_images(request)).await.map(drop)
    }
}

fn messages(teacher: &str, image_count: usize) -> Result<Vec<ClassifyImagesRequest>, Status> {
    let (channels, height, width) = SHAPE;
    let shape = ImageShape::new(channels, height, width).map_err(invalid)?;
    let mut numbers = Numbers::new(1);
    let mut message = || {
        let pixels = (0..image_count * shape.pixel_count()).map(|_| (256.0 * numbers.unit()) as u8).collect();
        let images = ImageBatch::new(shape, pixels).map_err(invalid)?;
        Ok(ClassifyImagesRequest { teacher: teacher.to_owned(), images: Some((&images).into()) })
    };
    (0..MESSAGE_COUNT).map(|_| message()).collect()
}

fn invalid(error: domain::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn tell(what: &str, report: &Report, resident_mib: f64) {
    println!(
        "{what:>8} {:>8.1}/s {:>10} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {resident_mib:>9.1}",
        report.goodput(),
        report.refused.len(),
        report.success_ms(0.5),
        report.success_ms(0.99),
        report.refusal_ms(0.5),
        report.refusal_ms(0.99),
    );
}
