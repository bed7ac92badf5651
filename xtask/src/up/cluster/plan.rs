//! Which programs a cluster on one machine has, and how they find each other. Nothing is started here.

use super::Parts;
use std::borrow::Cow;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// So many of each service. Three teachers, because nearly all of the computing is theirs.
pub(super) const TEACHER_COUNT: usize = 3;
const OTHERS_COUNT: usize = 2;
/// Addresses within the cluster: Redis, teachers, vaes, students, orchestrators.
pub(super) const INNER_COUNT: usize = 1 + TEACHER_COUNT + 3 * OTHERS_COUNT;
/// What Redis may hold; the least recently used goes first. As in deploy/compose.yaml.
const REDIS_MEMORY: &str = "384mb";

/// What a program is. In the order in which they start; they stop in the opposite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Redis,
    Teacher,
    Vae,
    Student,
    Orchestrator,
    Nginx,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Teacher => "teacher",
            Self::Vae => "vae",
            Self::Student => "student",
            Self::Orchestrator => "orchestrator",
            Self::Nginx => "nginx",
        }
    }

    /// Programs of one stage are started and stopped together. Orchestrators ask all others, nginx asks them.
    pub(super) fn stage(self) -> usize {
        match self {
            Self::Redis | Self::Teacher | Self::Vae | Self::Student => 0,
            Self::Orchestrator => 1,
            Self::Nginx => 2,
        }
    }
}

/// The last one of [`Kind::stage`].
pub(super) const LAST_STAGE: usize = 2;

/// A program as it is started, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// `teacher-1`
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) file: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Variables for it, unless the user has set them.
    pub(super) settings: Vec<Setting>,
}

impl Program {
    /// `redis-server`: what the system calls its process.
    pub(super) fn runs(&self) -> Cow<'_, str> {
        self.file.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// All programs, those that are asked before those that ask. `ports` are [`INNER_COUNT`] free ones on 127.0.0.1;
/// `thread_count` is for one computation of one replica.
pub(super) fn programs(parts: &Parts, ports: &[u16], thread_count: usize) -> Vec<Program> {
    let mut ports = ports.iter().map(|&port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut take = |count: usize| -> Vec<SocketAddr> { ports.by_ref().take(count).collect() };
    let redis = take(1);
    let teachers = take(TEACHER_COUNT);
    let [vaes, students, orchestrators] = [(); 3].map(|()| take(OTHERS_COUNT));

    let artifacts = [("--artifacts", parts.data.join("artifacts").into_os_string())];
    let threads = [("DEEPER_THREADS", thread_count.to_string())];
    let asking = [
        ("--teacher-address", urls(&teachers)),
        ("--vae-address", urls(&vaes)),
        ("--student-address", urls(&students)),
        ("--cache-url", format!("redis://{}", redis[0])),
    ];
    let asking = asking.map(|(flag, value)| (flag, value.into()));
    let page = [("--page-dir", parts.page.clone().into()), ("--mnist-dir", parts.mnist.clone().into())];
    let public = [artifacts.as_slice(), &asking, &page].concat();
    // All orchestrators are told the same: whoever claims the fixed request first begins a model, as in Kubernetes.
    let mut bootstrap = vec![("DEEPER_BOOTSTRAP_TEACHER", "resnet50".to_owned())];
    if !parts.listen.ip().is_loopback() {
        // They listen on loopback addresses, but nginx does not: what is said in front holds.
        bootstrap.push(("DEEPER_ALLOWED_HOSTS", "*".to_owned()));
    }

    let mut programs = vec![redis_server(parts, redis[0])];
    programs.extend(replicas(parts, Kind::Teacher, &teachers, &artifacts, &threads));
    programs.extend(replicas(parts, Kind::Vae, &vaes, &artifacts, &threads));
    programs.extend(replicas(parts, Kind::Student, &students, &[], &[]));
    programs.extend(replicas(parts, Kind::Orchestrator, &orchestrators, &public, &bootstrap));
    programs.push(nginx(parts));
    programs
}

/// All replicas of a service, alike but for their addresses.
fn replicas(
    parts: &Parts,
    kind: Kind,
    addresses: &[SocketAddr],
    flags: &[Flag],
    settings: &[Setting],
) -> impl Iterator<Item = Program> {
    addresses.iter().zip(1..).map(move |(&address, number)| {
        let listen = [("--listen", address.to_string().into())];
        Program {
            name: format!("{}-{number}", kind.name()),
            kind,
            address,
            file: parts.programs.join(kind.name()),
            arguments: words(&[listen.as_slice(), flags].concat()),
            settings: settings.to_vec(),
        }
    })
}

type Flag = (&'static str, OsString);
type Setting = (&'static str, String);

fn words(flags: &[Flag]) -> Vec<OsString> {
    flags.iter().flat_map(|(flag, value)| [(*flag).into(), value.clone()]).collect()
}

fn urls(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| format!("http://{address}")).collect::<Vec<_>>().join(",")
}

/// A cache: nothing is written to disk.
fn redis_server(parts: &Parts, address: SocketAddr) -> Program {
    let flags = [
        ("--bind", address.ip().to_string().into()),
        ("--port", address.port().to_string().into()),
        ("--save", "".into()),
        ("--appendonly", "no".into()),
        ("--maxmemory", REDIS_MEMORY.into()),
        ("--maxmemory-policy", "allkeys-lru".into()),
        ("--dir", parts.folder_of(Kind::Redis).into()),
    ];
    Program {
        name: Kind::Redis.name().to_owned(),
        kind: Kind::Redis,
        address,
        file: parts.redis.clone(),
        arguments: words(&flags),
        settings: Vec::new(),
    }
}

fn nginx(parts: &Parts) -> Program {
    let folder = parts.folder_of(Kind::Nginx);
    // Without -e, a user who may not write to /var/log is told so at each start.
    let flags = [("-e", "stderr".into()), ("-c", folder.join("nginx.conf").into()), ("-p", folder.into())];
    Program {
        name: Kind::Nginx.name().to_owned(),
        kind: Kind::Nginx,
        address: parts.listen,
        file: parts.nginx.clone(),
        arguments: words(&flags),
        settings: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
