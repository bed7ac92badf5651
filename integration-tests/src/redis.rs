//! Debian's redis-server as a test's own: on a free port, in a folder of its own, ended with the test. And
//! a client of a few lines, so that a test can do to it what no client of ours does.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::programs::free_address;

/// An idle machine needs a tenth of a second.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at a port that is not open yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A Redis that runs. Dropping it kills it.
pub struct Redis {
    /// Where it listens, without TLS unless it was started with TLS alone.
    pub address: SocketAddr,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    child: Child,
}

impl Redis {
    /// An empty one without password.
    ///
    /// # Panics
    /// When it does not come up, and when it is not installed.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`Redis::start`], with further settings, `["--requirepass", "word"]`.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let address = free_address();
        let child = spawn(address, folder.path(), &arguments);
        let mut redis = Self { address, arguments, folder, child };
        redis.open().await;
        redis
    }

    /// For a cache without TLS and password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// What it keeps is here, if it is told to save.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// SIGKILL, and waits for its end.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Begins again after [`Redis::kill`], where it was, with further settings.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub async fn start_again(&mut self, arguments: &[&str]) {
        let arguments: Vec<String> =
            self.arguments.iter().cloned().chain(arguments.iter().map(|&argument| argument.to_owned())).collect();
        self.child = spawn(self.address, self.folder.path(), &arguments);
        self.open().await;
    }

    /// Holds it (`STOP`) or lets it go on (`CONT`).
    ///
    /// # Panics
    /// When it has ended.
    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").arg(format!("-{signal}")).arg(id).status().await;
        assert!(told.expect("kill can be called").success());
    }

    /// Sends one command; the answer's first line without its mark, or the error.
    pub async fn command(&self, words: &[&str]) -> Result<String, String> {
        self.raw(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()).await
    }

    /// As [`Redis::command`], with words that are no text.
    pub async fn raw(&self, words: &[&[u8]]) -> Result<String, String> {
        call(self.address, words).await.map_err(|error| error.to_string())?
    }

    /// As [`Redis::command`], for what must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn tell(&self, words: &[&str]) -> String {
        self.command(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn open(&mut self) {
        let give_up_at = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("redis-server ended with {status} before its port was open");
            }
            assert!(Instant::now() < give_up_at, "redis-server opened no port in time");
            sleep(LOOK_AGAIN).await;
        }
    }
}

fn spawn(address: SocketAddr, folder: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir"]).arg(folder);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| {
        panic!(
            "redis-server does not start ({error}): `cargo xtask test` installs it, or `apt-get install redis-server`"
        )
    })
}

/// Sends one command to a Redis that is not a test's own; the answer's first line without its mark or its text, or
/// the error.
pub async fn command(address: SocketAddr, words: &[&str]) -> Result<String, String> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    call(address, &words).await.map_err(|error| error.to_string())?
}

async fn call(address: SocketAddr, words: &[&[u8]]) -> io::Result<Result<String, String>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("-", error)) => Ok(Err(error.to_owned())),
        Some(("$", length)) => {
            let Ok(length) = length.parse::<usize>() else { return Ok(Ok(String::new())) };
            let mut text = vec![0; length];
            stream.read_exact(&mut text).await?;
            Ok(Ok(String::from_utf8_lossy(&text).into_owned()))
        }
        Some((_, answer)) => Ok(Ok(answer.to_owned())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
