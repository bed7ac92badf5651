use super::super::plan::Kind;
use super::*;
use std::fs;
use std::net::TcpListener;
use tempfile::TempDir;

/// A folder for logs, and a port that is open, so that no program has to open one.
struct Place {
    folder: TempDir,
    port: TcpListener,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), port: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    fn shell(&self, name: &str, kind: Kind, script: &str) -> Program {
        Program {
            name: name.to_owned(),
            kind,
            address: self.port.local_addr().unwrap(),
            file: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            settings: Vec::new(),
        }
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.folder.path().join("programs.json"), Interrupts::default())
    }

    fn noted(&self) -> Vec<(String, u64)> {
        let text = fs::read(self.folder.path().join("programs.json")).unwrap();
        let entries: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let entry =
            |entry: &serde_json::Value| (entry["name"].as_str().unwrap().to_owned(), entry["pid"].as_u64().unwrap());
        entries.as_array().unwrap().iter().map(entry).collect()
    }
}

fn until(mut holds: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < give_up_at, "it never held");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_program_that_is_killed_comes_back_and_is_noted_anew() {
    let place = Place::new();
    let mut supervisor = place.supervisor();
    let programs = ["a", "b"].map(|name| place.shell(name, Kind::Teacher, "exec sleep 600"));
    supervisor.start(programs.into(), place.folder.path()).unwrap();
    let before = place.noted();
    let killed = supervisor.members[0].pid().unwrap();
    signals::kill_group(killed);
    until(|| {
        supervisor.look();
        supervisor.members[0].pid().is_some_and(|pid| pid != killed)
    });
    let after = place.noted();
    assert_eq!((after.len(), &after[1]), (2, &before[1]));
    assert_eq!((&*after[0].0, after[0].1), ("a", u64::from(supervisor.members[0].pid().unwrap())));
    supervisor.stop();
    assert!(!place.folder.path().join("programs.json").exists());
}

#[test]
fn a_list_that_cannot_be_written_is_written_later_and_stops_nobody() {
    let place = Place::new();
    let mut supervisor = place.supervisor();
    let program = place.shell("a", Kind::Teacher, "exec sleep 600");
    supervisor.start(vec![program], place.folder.path()).unwrap();
    let before = place.noted();
    let in_the_way = place.folder.path().join("programs.json.new");
    fs::create_dir(&in_the_way).unwrap();
    signals::kill_group(supervisor.members[0].pid().unwrap());
    until(|| {
        supervisor.look();
        !supervisor.is_noted
    });
    assert_eq!(place.noted(), before);
    fs::remove_dir(in_the_way).unwrap();
    supervisor.look();
    assert_eq!(place.noted()[0].1, u64::from(supervisor.members[0].pid().unwrap()));
    supervisor.stop();
}

#[test]
fn a_program_that_has_ended_leaves_no_child_and_has_no_process_id() {
    let place = Place::new();
    let script = "sleep 600 & echo $!; exit 3";
    let mut member = Member::start(place.shell("a", Kind::Vae, script), place.folder.path()).unwrap();
    until(|| member.ended().is_some());
    assert_eq!(member.pid(), None);
    let child = fs::read_to_string(member.log()).unwrap();
    until(|| !is_alive(child.trim()));
}

#[test]
fn a_program_that_always_ends_is_tried_again_after_longer_and_longer_pauses() {
    let place = Place::new();
    let mut member = Member::start(place.shell("a", Kind::Vae, "exit 3"), place.folder.path()).unwrap();
    let mut pauses = Vec::new();
    until(|| {
        if let News::Ended { how, pause } = member.look() {
            assert_eq!(how, "exit status: 3");
            pauses.push(pause.as_millis());
        }
        pauses.len() == 3
    });
    assert_eq!(pauses, [500, 1_000, 2_000]);
}

#[test]
fn what_does_not_start_is_told_with_the_end_of_its_log() {
    let place = Place::new();
    let program = place.shell("vae-1", Kind::Vae, "echo no such model >&2; exit 7");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = place.supervisor().start(vec![Program { address: closed, ..program }], place.folder.path());
    let told = told.unwrap_err().to_string();
    for words in ["vae-1 has ended at its start (exit status: 7)", "vae-1.log", "\n  no such model"] {
        assert!(told.contains(words), "{words} is missing in {told}");
    }
}

#[test]
fn whoever_asks_is_stopped_before_who_is_asked() {
    let place = Place::new();
    let order = place.folder.path().join("order");
    let programs = [Kind::Teacher, Kind::Orchestrator, Kind::Nginx].map(|kind| {
        let (name, file) = (kind.name(), order.display());
        // nginx would cut its calls at SIGTERM.
        let signal = if kind == Kind::Nginx { "QUIT" } else { "TERM" };
        let script = format!("trap 'echo {name} >> {file}; exit' {signal}; echo ready; while :; do sleep 0.02; done");
        place.shell(name, kind, &script)
    });
    let mut supervisor = place.supervisor();
    supervisor.start(programs.into(), place.folder.path()).unwrap();
    until(|| supervisor.members.iter().all(|member| fs::read_to_string(member.log()).unwrap() == "ready\n"));
    supervisor.stop();
    assert_eq!(fs::read_to_string(order).unwrap(), "nginx\norchestrator\nteacher\n");
}

#[test]
fn a_program_that_does_not_listen_to_reason_is_killed_with_all_its_children() {
    let place = Place::new();
    let script = "trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.02; done";
    let program = place.shell("deaf", Kind::Student, script);
    let mut supervisor = Supervisor { grace: Duration::from_millis(100), ..place.supervisor() };
    supervisor.start(vec![program], place.folder.path()).unwrap();
    let child = || fs::read_to_string(supervisor.members[0].log()).unwrap().trim().to_owned();
    until(|| !child().is_empty());
    let child = child();
    supervisor.stop();
    until(|| !is_alive(&child));
}

#[test]
fn an_interrupt_ends_a_start_that_hangs() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Program { address: closed, ..place.shell("slow", Kind::Redis, "exec sleep 600") };
    let mut supervisor = place.supervisor();
    supervisor.interrupts.add();
    assert!(supervisor.start(vec![program], place.folder.path()).is_err());
}
