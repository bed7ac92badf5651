//! Calls to the teachers, for one caller or another. What is sent is made beforehand: the machine's time is the
//! teachers'.

use std::{sync::Arc, time::Duration};

use domain::{ImageBatch, ImageShape};
use integration_tests::{
    known::Numbers,
    load::{Report, closed_loop, even, open_loop, random},
};
use proto::raw::deeper::teacher::v1::{ClassifyImagesRequest, teacher_service_client::TeacherServiceClient};
use runtime::{
    call::{Caller, Context},
    channel::{self, Channel},
};
use tonic::Status;

use super::{Arrivals, Options};

/// Different messages.
const MESSAGE_COUNT: usize = 8;
/// The shape that the teacher was trained on.
const SHAPE: (usize, usize, usize) = (1, 28, 28);
/// Nobody waits longer: a queue that is full is worked off in less.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub(super) struct Calls {
    channel: Channel,
    messages: Arc<Vec<ClassifyImagesRequest>>,
    arrivals: Arrivals,
}

impl Calls {
    /// Each call is made once: a repeated one would be load that nobody counts.
    pub(super) fn connect(teachers: &str, teacher: &str, options: &Options) -> Result<Self, Status> {
        let channel = channel::connect("teacher", teachers).map_err(invalid)?.without_repeats();
        Ok(Self { channel, messages: Arc::new(messages(teacher, options.images)?), arrivals: options.arrivals })
    }

    /// As many as so many callers can make who wait for their answers.
    pub(super) async fn at_once(&self, callers: usize, duration: Duration) -> Report {
        let calls = self.clone();
        closed_loop(callers, duration, move |index| calls.clone().classify("a", index)).await
    }

    /// On average so many, whatever becomes of them.
    pub(super) async fn offered(&self, caller: &'static str, per_second: f64, duration: Duration) -> Report {
        let calls = self.clone();
        let call = move |index| calls.clone().classify(caller, index);
        // One caller's moments are not another's.
        let seed = caller.len() as u64;
        match self.arrivals {
            Arrivals::Random => open_loop(random(per_second, duration, seed), duration, call).await,
            Arrivals::Even => open_loop(even(per_second, duration), duration, call).await,
        }
    }

    async fn classify(self, caller: &'static str, index: u64) -> Result<(), Status> {
        let request = self.messages[index as usize % self.messages.len()].clone();
        let context = Context { caller: Caller::new(caller).map_err(invalid)?, ..Context::default() }.within(LIMIT);
        context.scope(TeacherServiceClient::new(self.channel).classify_images(request)).await.map(drop)
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
