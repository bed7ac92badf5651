//! `cargo xtask up --cluster`: the services as the programs of a cluster, on this machine: Redis, three teachers, two
//! of every other service, nginx in front. Any of them may be killed; it comes back.

mod member;
mod nginx;
mod plan;
mod roster;
mod signals;
mod supervisor;

use self::plan::Kind;
use self::signals::Interrupts;
use self::supervisor::{Supervisor, say};
use super::Options;
use crate::{command, place, setup, web};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

/// Inner ports are looked for among so many after the public ones. With --listen well below 32768 that is not where
/// Linux takes the ports of outgoing connections from; one of those can be in the way of a program that comes back.
const PORTS_LOOKED_AT: usize = 1_000;

/// What the cluster is made of.
#[derive(Debug)]
struct Parts {
    redis: PathBuf,
    nginx: PathBuf,
    /// The folder of the services' programs.
    programs: PathBuf,
    page: PathBuf,
    mnist: PathBuf,
    /// As of the standalone system: what one has trained, the other has.
    data: PathBuf,
    listen: SocketAddr,
}

impl Parts {
    /// What belongs to the cluster alone.
    fn folder(&self) -> PathBuf {
        self.data.join("cluster")
    }

    fn folder_of(&self, kind: Kind) -> PathBuf {
        self.folder().join(kind.name())
    }

    fn logs(&self) -> PathBuf {
        self.folder().join("logs")
    }

    fn roster(&self) -> PathBuf {
        self.folder().join("programs.json")
    }

    /// Where programs call: nginx cannot tell HTTP/2 without TLS from HTTP/1 on one port.
    fn api(&self) -> Result<SocketAddr> {
        let port = self.listen.port().checked_add(1).filter(|&port| port > 1);
        let port = port.with_context(|| format!("--listen {}: name a port from 1 to 65534", self.listen))?;
        Ok(SocketAddr::new(self.listen.ip(), port))
    }
}

/// Returns when the cluster was asked to end and has ended.
pub(super) fn run(options: &Options) -> Result<()> {
    setup::for_building()?;
    let (redis, nginx, mnist) = (setup::redis::ensure()?, setup::nginx::ensure()?, setup::mnist::ensure()?);
    let page = web::build()?;
    let mut cargo = vec!["build", "--release", "--features", "teacher/torch,vae/torch"];
    for service in [Kind::Teacher, Kind::Vae, Kind::Student, Kind::Orchestrator] {
        cargo.extend(["--package", service.name(), "--bin", service.name()]);
    }
    command::run("building the services (some minutes the first time)", &mut command::cargo(cargo))?;
    let data = std::path::absolute(options.data_dir.clone().map_or_else(place::data, Ok)?)?;
    let programs = place::target().join("release");
    let parts = Parts { redis, nginx, programs, page, mnist, data, listen: options.listen };

    let api = parts.api()?;
    let _lock = prepare(&parts)?;
    nothing_is_left(&parts)?;
    let ports = ports(parts.listen, api)?;
    let programs = plan::programs(&parts, &ports, thread_count());
    let template = fs::read_to_string(place::root().join("deploy/nginx.conf"))?;
    let orchestrators: Vec<SocketAddr> =
        programs.iter().filter(|program| program.kind == Kind::Orchestrator).map(|program| program.address).collect();
    let folder = parts.folder_of(Kind::Nginx);
    let configuration = nginx::configuration(&template, parts.listen, api, &orchestrators, &folder);
    fs::write(folder.join("nginx.conf"), configuration)?;

    say(&format!("> starting {} programs", programs.len()));
    let interrupts = Interrupts::count_signals()?;
    let mut supervisor = Supervisor::new(parts.roster(), interrupts.clone());
    let outcome = supervisor.start(programs, &parts.logs()).map(|()| {
        say_table(&supervisor, &parts, api);
        supervisor.keep();
    });
    say("> stopping");
    supervisor.stop();
    // Whoever interrupts a start knows why it did not end well.
    if interrupts.count() > 0 { Ok(()) } else { outcome }
}

/// The cluster's own folders, and a lock: two clusters over one folder would write into each other's logs.
fn prepare(parts: &Parts) -> Result<File> {
    for folder in [parts.logs(), parts.folder_of(Kind::Redis), parts.folder_of(Kind::Nginx)] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let lock = File::create(parts.folder().join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("a cluster runs on {} already; {} lists its programs", parts.data.display(), parts.roster().display())
        }
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the cluster's folder"),
    }
}

/// Ports on 127.0.0.1 for the programs that nobody outside calls: free ones after the two public ones.
fn ports(page: SocketAddr, api: SocketAddr) -> Result<Vec<u16>> {
    for address in [page, api] {
        TcpListener::bind(address).with_context(|| {
            let what = if address == page { "page" } else { "API" };
            format!("cannot listen on {address} for the {what} (choose another address with --listen)")
        })?;
    }
    let ports: Vec<u16> = free_after(api.port()).take(plan::INNER_COUNT).collect();
    ensure!(ports.len() == plan::INNER_COUNT, "too few ports are free after {}; choose another --listen", api.port());
    Ok(ports)
}

/// Nobody holds the lock, but programs of a cluster that was killed may run on; the next list would forget them.
fn nothing_is_left(parts: &Parts) -> Result<()> {
    let left = roster::left(&parts.roster());
    if left.is_empty() {
        return Ok(());
    }
    let (names, pids): (Vec<String>, Vec<String>) = left.into_iter().map(|(name, pid)| (name, pid.to_string())).unzip();
    bail!(
        "the cluster before this one was killed and left {}: end them with `kill {}`, then run this again (if they are \
         somebody else's, remove {})",
        names.join(", "),
        pids.join(" "),
        parts.roster().display()
    )
}

fn free_after(port: u16) -> impl Iterator<Item = u16> {
    let candidates = (port..=u16::MAX).skip(1).take(PORTS_LOOKED_AT);
    candidates.filter(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// Threads of one computation, so that all teachers may compute at once: replicas do not know of each other, and with
/// a thread for each processor in each of them the work would cost several times the CPU time. The same for all
/// replicas, because answers depend on it in the last bit.
fn thread_count() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors / plan::TEACHER_COUNT).max(1)
}

fn say_table(supervisor: &Supervisor, parts: &Parts, api: SocketAddr) {
    say(&format!("\n{:<16}{:>8}  {:<22}log", "program", "pid", "address"));
    for member in supervisor.members() {
        let program = &member.program;
        let pid = member.pid().map(|pid| pid.to_string()).unwrap_or_default();
        let (address, log) = (program.address.to_string(), relative(member.log()));
        say(&format!("{:<16}{pid:>8}  {address:<22}{log}", program.name));
    }
    say(&format!("\nlogs in {}, process ids in {}", parts.folder().display(), parts.roster().display()));
    say(&format!("page and grpc-web: http://{}", parts.listen));
    say(&format!("gRPC for programs: {api}"));
    say("> running (Ctrl-C ends it, once more at once); kill whatever you like");
}

/// `logs/teacher-1.log`
fn relative(log: &Path) -> String {
    log.file_name().map(|name| format!("logs/{}", name.display())).unwrap_or_default()
}

#[cfg(test)]
impl Parts {
    fn for_testing(data: &Path, listen: &str) -> Self {
        Self {
            redis: "redis-server".into(),
            nginx: "nginx".into(),
            programs: "release".into(),
            page: "dist".into(),
            mnist: "mnist".into(),
            data: data.to_owned(),
            listen: listen.parse().expect("an address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let told = ports(address, address).unwrap_err().to_string();
        assert!(told.contains(&address.to_string()) && told.contains("--listen"), "{told}");
    }

    #[test]
    fn ports_within_the_cluster_are_free_ones_after_the_public_ones() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let before = taken.local_addr().unwrap().port() - 1;
        let first = free_after(before).next().unwrap();
        assert!(first > before + 1, "{first} is taken");
        let api = |listen| Parts::for_testing(Path::new("/data"), listen).api();
        assert_eq!(api("127.0.0.1:8080").unwrap().port(), 8_081);
        for wrong in ["127.0.0.1:0", "127.0.0.1:65535"] {
            assert!(api(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_killed_cluster_left_is_named_before_it_is_forgotten() {
        let data = tempfile::tempdir().unwrap();
        let parts = Parts::for_testing(data.path(), "127.0.0.1:8080");
        let _lock = prepare(&parts).unwrap();
        nothing_is_left(&parts).unwrap();
        let program = fs::read_to_string("/proc/self/comm").unwrap();
        let (address, pid) = (parts.listen, std::process::id());
        let entry = roster::Entry { name: "teacher-1", program: program.trim().into(), address, pid };
        roster::write(&parts.roster(), &[entry]).unwrap();
        let told = nothing_is_left(&parts).unwrap_err().to_string();
        assert!(told.contains("teacher-1") && told.contains(&format!("`kill {pid}`")), "{told}");
    }

    #[test]
    fn two_clusters_do_not_share_a_folder() {
        let data = tempfile::tempdir().unwrap();
        let parts = Parts::for_testing(data.path(), "127.0.0.1:8080");
        let lock = prepare(&parts).unwrap();
        let told = prepare(&parts).unwrap_err().to_string();
        assert!(told.contains("already") && told.contains("programs.json"), "{told}");
        drop(lock);
        prepare(&parts).unwrap();
    }
}
