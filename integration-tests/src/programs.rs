//! The system as separate programs: finds the binaries beside the tests, starts them on ports of their own
//! and ends them.

use std::{
    env, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// A debug build opens its store and its port well within this.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What a program may take to end: its calls drain for ten seconds.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a port that is not open yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A program that runs and listens. Dropping it kills it.
pub struct Program {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Program {
    /// Starts `name` from the folder of built programs and waits until its port is open.
    ///
    /// # Panics
    /// When it is not built, ends early or opens no port in time.
    pub async fn start(name: &str, arguments: &[(&str, &str)]) -> Self {
        Self::start_at(free_address(), name, arguments).await
    }

    /// As [`Program::start`], where others expect it.
    ///
    /// # Panics
    /// As [`Program::start`].
    pub async fn start_at(address: SocketAddr, name: &str, arguments: &[(&str, &str)]) -> Self {
        Self::start_in(&[], address, name, arguments).await
    }

    /// As [`Program::start_at`], with these variables in its environment.
    ///
    /// # Panics
    /// As [`Program::start`].
    pub async fn start_in(
        environment: &[(&str, &str)],
        address: SocketAddr,
        name: &str,
        arguments: &[(&str, &str)],
    ) -> Self {
        let binary = binary(name);
        let log = env::var("DEEPER_LOG").unwrap_or_else(|_| "warn".to_owned());
        let mut command = Command::new(&binary);
        command.arg("--listen").arg(address.to_string());
        command.args(arguments.iter().flat_map(|(flag, value)| [flag, value]));
        command.env("DEEPER_LOG", log).envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let mut program = Self { address, child };
        let give_up_at = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = program.child.try_wait() {
                panic!("{name} ended with {status} before its port was open");
            }
            assert!(Instant::now() < give_up_at, "{name} opened no port in time");
            sleep(LOOK_AGAIN).await;
        }
        program
    }

    /// For configurations of other programs.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process; `None` once it has been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended, however.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// When it does not end well, or not in time.
    pub async fn stop(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").arg(id).status().await.expect("kill can be called");
        assert!(told.success());
        let ended = timeout(END_LIMIT, self.child.wait()).await.expect("it ends in time");
        let status = ended.expect("a child can be waited for");
        assert!(status.success(), "it ended with {status}");
    }

    /// Sends a signal by its name: `KILL`, `TERM`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// When it has ended, or the system refuses.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let told = std::process::Command::new("kill").arg(format!("-{name}")).arg(id).status();
        assert!(told.expect("kill can be called").success());
    }

    /// Waits for its end, however it comes.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn ended(&mut self) {
        let ended = timeout(END_LIMIT, self.child.wait()).await.expect("it ends in time");
        ended.expect("a child can be waited for");
    }

    /// SIGKILL: no drain, no last checkpoint.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }
}

/// The path of a built program. Tests lie one folder below the programs, measurements beside them.
///
/// # Panics
/// When it is not built.
pub fn binary(name: &str) -> PathBuf {
    let program = env::current_exe().expect("a running program has a path");
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let mut places = program.ancestors().skip(1).take(2).map(|folder| folder.join(&file));
    let found = places.find(|place| place.is_file());
    found.unwrap_or_else(|| panic!("{file} is missing near {}: `cargo xtask test` builds it", program.display()))
}

/// A port that is free now. Another program could take it before ours does; then ours ends and says so.
///
/// # Panics
/// When no port is free.
pub fn free_address() -> SocketAddr {
    let bound: io::Result<SocketAddr> = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.expect("a port is free")
}
