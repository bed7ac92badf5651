//! Starts the programs stage by stage, keeps them running as Kubernetes would, and stops them in the opposite order.

use super::member::{Member, News};
use super::plan::{LAST_STAGE, Program};
use super::roster::{self, Entry};
use super::signals::{self, Interrupts};
use anyhow::{Result, bail};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at all programs.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What a program may take to open its port. A machine that is busy compiling loads libtorch slowly.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What the programs of a stage may take to end: calls drain for 10 s, then a training writes its last checkpoint.
const GRACE: Duration = Duration::from_secs(20);
/// A connection on this machine is made at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_millis(200);

/// The programs of a cluster.
pub(super) struct Supervisor {
    members: Vec<Member>,
    roster: PathBuf,
    /// Whether the roster says what runs. A full disk may be in the way for a while.
    is_noted: bool,
    interrupts: Interrupts,
    grace: Duration,
}

impl Supervisor {
    /// Of nothing yet. `roster` is the file that says what runs.
    pub(super) fn new(roster: PathBuf, interrupts: Interrupts) -> Self {
        Self { members: Vec::new(), roster, is_noted: true, interrupts, grace: GRACE }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Starts all programs, each stage when the ports of the one before it are open. Fails with the end of its log
    /// when one does not come up, and when this process is asked to end.
    pub(super) fn start(&mut self, mut programs: Vec<Program>, logs: &Path) -> Result<()> {
        for stage in 0..=LAST_STAGE {
            let first = self.members.len();
            for program in programs.extract_if(.., |program| program.kind.stage() == stage) {
                self.members.push(Member::start(program, logs)?);
            }
            let give_up_at = Instant::now() + START_LIMIT;
            for member in &mut self.members[first..] {
                wait_for(member, give_up_at, &self.interrupts)?;
            }
        }
        self.note()
    }

    /// Starts again what ends, until this process is asked to end.
    pub(super) fn keep(&mut self) {
        while self.interrupts.count() == 0 {
            thread::sleep(LOOK_AGAIN);
            self.look();
        }
    }

    fn look(&mut self) {
        let mut is_changed = false;
        for member in &mut self.members {
            let name = member.program.name.clone();
            match member.look() {
                News::Nothing => {}
                News::Ended { how, pause } => {
                    say(&format!("! {name} has ended ({how}); again in {:.1} s", pause.as_secs_f64()));
                }
                News::Back => {
                    is_changed = true;
                    say(&format!("> {name} runs again, as process {}", member.pid().unwrap_or_default()));
                }
            }
        }
        if is_changed || !self.is_noted {
            let noted = self.note();
            // Said once, tried at every look.
            if let (Err(error), true) = (&noted, self.is_noted) {
                say(&format!("! {error:#}; tried again until it can be"));
            }
            self.is_noted = noted.is_ok();
        }
    }

    /// Ends all programs: those that ask before those that are asked, so that calls can drain. A second interrupt,
    /// or a stage that takes too long, ends it the hard way.
    pub(super) fn stop(mut self) {
        let patience = self.interrupts.count();
        for stage in (0..=LAST_STAGE).rev() {
            let mut ending: Vec<&mut Member> =
                self.members.iter_mut().filter(|member| member.program.kind.stage() == stage).collect();
            ending.iter().for_each(|member| member.ask_to_end());
            let give_up_at = Instant::now() + self.grace;
            while !ending.is_empty() && Instant::now() < give_up_at && self.interrupts.count() <= patience.max(1) {
                ending.retain_mut(|member| member.pid().is_some() && member.ended().is_none());
                thread::sleep(LOOK_AGAIN / 4);
            }
            for member in ending {
                say(&format!("! {} does not end by itself: killed", member.program.name));
                member.pid().into_iter().for_each(signals::kill_group);
            }
        }
        std::fs::remove_file(&self.roster).ok();
    }

    /// One that is down at this moment is back under another number soon, and noted again then.
    fn note(&self) -> Result<()> {
        let mut entries = Vec::new();
        for member in &self.members {
            let Program { name, address, .. } = &member.program;
            let program = member.program.runs();
            entries.extend(member.pid().map(|pid| Entry { name, program, address: *address, pid }));
        }
        roster::write(&self.roster, &entries)
    }
}

/// Waits until a program's port is open.
fn wait_for(member: &mut Member, give_up_at: Instant, interrupts: &Interrupts) -> Result<()> {
    loop {
        if interrupts.count() > 0 {
            bail!("interrupted before all programs had started");
        }
        // Before the port: it could be somebody else's.
        let ended = member.ended();
        let name = &member.program.name;
        if let Some(how) = ended {
            bail!("{name} has ended at its start ({how}); see {}{}", member.log().display(), member.last_words());
        }
        if TcpStream::connect_timeout(&member.program.address, CONNECT_LIMIT).is_ok() {
            return Ok(());
        }
        if Instant::now() >= give_up_at {
            let (address, limit) = (member.program.address, START_LIMIT.as_secs());
            let log = member.log().display();
            bail!("{name} does not listen on {address} after {limit} s; see {log}{}", member.last_words());
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Like println, but a terminal that is gone is no reason to leave the programs alone.
pub(super) fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}

#[cfg(test)]
mod tests;
