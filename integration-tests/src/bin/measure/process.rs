//! What the processes of a system hold, as Linux tells: memory, threads, open files, processor time.

use std::{fs, path::Path};

use integration_tests::members::Members;
use tonic::Status;

/// Ticks of a second in `/proc/<pid>/stat`; the same on every Linux that libtorch runs on.
const TICKS_A_SECOND: f64 = 100.0;
/// A socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";
const MIB: f64 = 1_024.0;

/// The processes that are watched: those that were named, and their children at that time (nginx works in one).
#[derive(Debug)]
pub(super) struct Processes(Vec<u32>);

/// What they hold together at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) resident_mib: f64,
    pub(super) thread_count: f64,
    pub(super) open_file_count: f64,
    /// User and system time since they began.
    pub(super) processor_seconds: f64,
}

impl Processes {
    /// Those of a cluster's file; else these; else, if none is named, the one that listens at the address's port on
    /// this machine.
    pub(super) fn find(server: &str, named: &[u32], cluster: Option<&Path>) -> Result<Self, Status> {
        if let Some(file) = cluster {
            return Ok(Self::with_children(Members::at(file).read()?.iter().map(|member| member.pid).collect()));
        }
        if !named.is_empty() {
            return Ok(Self::with_children(named.to_vec()));
        }
        let port = server.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let listener = port.and_then(listening_socket).and_then(|socket| owner(&socket));
        let missing = || {
            let why = "on this machine, that this user may look into: run this beside the system, or name --pid";
            Status::failed_precondition(format!("there is no process that listens at {server} {why}"))
        };
        Ok(Self(vec![listener.ok_or_else(missing)?]))
    }

    fn with_children(parents: Vec<u32>) -> Self {
        let is_child = |pid: &u32| parent(*pid).is_some_and(|parent| parents.contains(&parent));
        let children: Vec<u32> = all().filter(is_child).filter(|pid| !parents.contains(pid)).collect();
        Self([parents, children].concat())
    }

    /// This one.
    pub(super) fn own() -> Self {
        Self(vec![std::process::id()])
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// What they hold now. Fails when one of them has gone.
    pub(super) fn sample(&self) -> Result<Sample, Status> {
        let mut sum = Sample::default();
        for pid in &self.0 {
            let one = sample(*pid).ok_or_else(|| Status::aborted(format!("process {pid} is gone or not ours")))?;
            sum.resident_mib += one.resident_mib;
            sum.thread_count += one.thread_count;
            sum.open_file_count += one.open_file_count;
            sum.processor_seconds += one.processor_seconds;
        }
        Ok(sum)
    }
}

fn sample(pid: u32) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    // The name of the program, in brackets, may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2).map_while(|word| word.parse::<f64>().ok());
    Some(Sample {
        resident_mib: number("VmRSS:")? / MIB,
        thread_count: number("Threads:")?,
        open_file_count: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as f64,
        processor_seconds: ticks.sum::<f64>() / TICKS_A_SECOND,
    })
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Everything that runs on this machine.
fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inode of the socket that listens at a port, in decimal.
fn listening_socket(port: u16) -> Option<String> {
    let ending = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|table| fs::read_to_string(table).ok()).find_map(|table| {
        table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let found = fields.get(1)?.ends_with(&ending) && *fields.get(3)? == LISTENS;
            found.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
        })
    })
}

/// The process that has a socket open.
fn owner(socket: &str) -> Option<u32> {
    let link = format!("socket:[{socket}]");
    let has_it = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&link)))
    };
    all().find(has_it)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_that_listens_is_found_and_looked_into() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let found = Processes::find(&server, &[], None).unwrap();
        assert_eq!(found.0, [std::process::id()]);
        let before = found.sample().unwrap();
        assert!(before.resident_mib > 1.0 && before.thread_count >= 1.0);
        let files: Vec<_> = (0..10).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(found.sample().unwrap().open_file_count >= before.open_file_count + files.len() as f64);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn children_are_watched_with_their_parents() {
        let mut parent = std::process::Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().unwrap();
        let found = || Processes::find("", &[parent.id()], None).unwrap();
        while found().count() < 2 {
            std::thread::yield_now();
        }
        let [_, child] = found().0[..] else { panic!("{:?}", found()) };
        assert!(found().sample().unwrap().thread_count >= 2.0);
        for pid in [child, parent.id()] {
            std::process::Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        parent.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Processes::find("http://127.0.0.1:1", &[u32::MAX], None).unwrap().sample().is_err());
    }
}
