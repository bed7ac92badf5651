//! Another program that explains and classifies the same images with the same weights, asked in alternation
//! with ours. One line in, one line out; `peers/torch_peer.py` says which.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tonic::Status;

/// For one answer: to load everything and find the best batch, or to explain an image.
const LIMIT: Duration = Duration::from_secs(600);

/// A peer that runs. Dropping it ends it.
pub(super) struct Peer {
    /// blake3 of its weights in hex.
    pub(super) digest: String,
    /// Images of a batch at which it is quickest.
    pub(super) best_batch: usize,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

/// A peer's answers to some images.
pub(super) struct Classified {
    /// What they took.
    pub(super) milliseconds: f64,
    /// Image by image, label by label.
    pub(super) logits: Vec<f32>,
}

impl Peer {
    /// Starts a shell command with two more arguments, the weights' place and name, and waits until the peer
    /// says that it is ready.
    pub(super) async fn start(command: &str, artifacts: &Path, teacher: &str) -> Result<Self, Status> {
        let failed = |what: &str| Status::aborted(format!("the peer {what}: {command}"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command} \"$@\""), "peer", "--teacher", teacher, "--artifacts"]);
        shell.arg(artifacts).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = shell.spawn().map_err(|_| failed("cannot be started"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).ok_or_else(|| failed("has no pipes"))?;
        let mut output = BufReader::new(output).lines();
        let hello = line(&mut output).await?;
        let mut words = hello.split_whitespace();
        let (Some("ready"), Some(digest), Some(Ok(best_batch))) =
            (words.next(), words.next(), words.next().map(str::parse))
        else {
            return Err(failed(&format!("said {hello:?}")));
        };
        Ok(Self { digest: digest.to_owned(), best_batch, input, output, _child: child })
    }

    /// Milliseconds that it took to explain an example, `datasets/mnist/examples/train-123`.
    pub(super) async fn explain(&mut self, example: &str) -> Result<f64, Status> {
        let answer = self.ask(&format!("explain {}", id(example))).await?;
        answer.parse().map_err(|_| misunderstood(&answer))
    }

    /// Its logits of these examples, so many at once.
    pub(super) async fn classify(&mut self, examples: &[String], batch: usize) -> Result<Classified, Status> {
        let ids: Vec<&str> = examples.iter().map(|example| id(example)).collect();
        let answer = self.ask(&format!("classify {batch} {}", ids.join(" "))).await?;
        let mut words = answer.split_whitespace();
        let milliseconds = words.next().and_then(|word| word.parse().ok());
        let logits: Result<Vec<f32>, _> = words.map(str::parse).collect();
        match (milliseconds, logits) {
            (Some(milliseconds), Ok(logits)) => Ok(Classified { milliseconds, logits }),
            _ => Err(misunderstood(&answer)),
        }
    }

    async fn ask(&mut self, question: &str) -> Result<String, Status> {
        let sent = self.input.write_all(format!("{question}\n").as_bytes()).await;
        sent.map_err(|error| Status::aborted(error.to_string()))?;
        line(&mut self.output).await
    }
}

async fn line(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Status> {
    let line = timeout(LIMIT, output.next_line()).await.map_err(|_| Status::aborted("the peer does not answer"))?;
    let line = line.map_err(|error| Status::aborted(error.to_string()))?;
    line.ok_or_else(|| Status::aborted("the peer has ended"))
}

fn id(example: &str) -> &str {
    example.rsplit('/').next().unwrap_or(example)
}

fn misunderstood(answer: &str) -> Status {
    let start: String = answer.chars().take(80).collect();
    Status::aborted(format!("the peer answered {start:?}"))
}
