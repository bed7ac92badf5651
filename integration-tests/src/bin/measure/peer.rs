//! Another program that explains the same images, asked in alternation with ours: one line in, milliseconds out.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tonic::Status;

/// A peer that runs. Dropping it ends it.
pub(super) struct Peer {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Peer {
    /// Starts a shell command and waits until the peer says that it is ready.
    pub(super) async fn start(command: &str) -> Result<Self, Status> {
        let failed = |what: &str| Status::aborted(format!("the peer {what}: {command}"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command}")]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = shell.spawn().map_err(|_| failed("cannot be started"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).ok_or_else(|| failed("has no pipes"))?;
        let mut peer = Self { input, output: BufReader::new(output).lines(), _child: child };
        match peer.line().await?.as_str() {
            "ready" => Ok(peer),
            other => Err(failed(&format!("said {other:?}"))),
        }
    }

    /// Milliseconds that it took to explain an example, `datasets/mnist/examples/train-123`.
    pub(super) async fn explain(&mut self, example: &str) -> Result<f64, Status> {
        let id = example.rsplit('/').next().unwrap_or(example);
        let line = format!("{id}\n");
        self.input.write_all(line.as_bytes()).await.map_err(|error| Status::aborted(error.to_string()))?;
        let answer = self.line().await?;
        answer.trim().parse().map_err(|_| Status::aborted(format!("the peer answered {answer:?}")))
    }

    async fn line(&mut self) -> Result<String, Status> {
        let line = self.output.next_line().await.map_err(|error| Status::aborted(error.to_string()))?;
        line.ok_or_else(|| Status::aborted("the peer has ended"))
    }
}
