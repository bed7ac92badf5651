//! The real process, killed without warning in the middle of a training, and started again: it ends with
//! the weights of a training that nobody disturbed. Needs libtorch; one thread.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod bars;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use artifacts::{Artifacts, Slot};
use domain::AutoencoderRecipe;
use proto::raw::deeper::vae::v1 as raw;
use raw::vae_service_client::VaeServiceClient;
use runtime::channel::{self, Channel};
use tonic::Streaming;

use crate::bars::{import, name, recipe};

/// The binary on a port that the system chose.
struct Process {
    child: Child,
    client: VaeServiceClient<Channel>,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vae"));
        command.args(["--listen", "127.0.0.1:0", "--threads", "1", "--artifacts"]).arg(folder);
        let mut child = command.env("OMP_NUM_THREADS", "1").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| address(&line.unwrap())).expect("the log names the address");
        // Someone has to read on, or the process would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let channel = channel::connect("vae", &format!("http://{address}")).unwrap();
        Self { child, client: VaeServiceClient::new(channel) }
    }

    async fn train(&mut self, id: &str, recipe: &AutoencoderRecipe) -> Streaming<raw::TrainAutoencoderResponse> {
        let request = raw::TrainAutoencoderRequest { autoencoder: name(id).to_string(), recipe: Some(recipe.into()) };
        self.client.train_autoencoder(request).await.unwrap().into_inner()
    }
}

impl Drop for Process {
    /// SIGKILL.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn address(line: &str) -> Option<String> {
    let digits = line.split("127.0.0.1:").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?;
    line.contains("listening").then(|| format!("127.0.0.1:{digits}"))
}

async fn trained(mut stream: Streaming<raw::TrainAutoencoderResponse>) -> raw::TrainedAutoencoder {
    loop {
        let message = stream.message().await.unwrap().expect("the last message has the result");
        if let Some(trained) = message.trained {
            return trained;
        }
    }
}

#[tokio::test]
async fn a_killed_training_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_folder(folder.path()).unwrap();
    import(&artifacts).await;
    let recipe = recipe(40);
    let undisturbed = trained(Process::start(folder.path()).train("undisturbed", &recipe).await).await;

    let mut process = Process::start(folder.path());
    let mut stream = process.train("killed", &recipe).await;
    // Past the third epoch, so that a state was kept and work after it is lost.
    while stream.message().await.unwrap().unwrap().progress.unwrap().epoch < 3 {}
    drop(process);
    let kept = artifacts.checkpoint_info(&name("killed"), Slot::Latest).await.unwrap();
    assert!(kept.is_some(), "it was killed before its end");

    let mut process = Process::start(folder.path());
    let mut stream = process.train("killed", &recipe).await;
    let first = loop {
        let progress = stream.message().await.unwrap().unwrap().progress.unwrap();
        if progress.step_count > 0 {
            break progress;
        }
    };
    assert!(first.epoch >= 3, "it goes on from epoch {}", first.epoch);
    assert_eq!(trained(stream).await, undisturbed);
}
