//! One program of the cluster: started, looked at, started again when it ended, and stopped.

use super::plan::{Kind, Program};
use super::signals;
use crate::command;
use anyhow::{Context, Result};
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Before the first new start, and at most. Each end that follows soon doubles the pause, as Kubernetes does.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A program that ran for so long was well: its next end counts as the first.
const WELL_AFTER: Duration = Duration::from_secs(30);
/// So many lines of a log are shown when a program does not start.
const SHOWN_LINES: usize = 5;

/// A program and what became of it.
pub(super) struct Member {
    pub(super) program: Program,
    log: PathBuf,
    state: State,
    /// Ends in a row, each soon after its start.
    ends: u32,
}

/// While it counts as running it was not waited for, so that its process id is nobody else's.
enum State {
    Running { child: Child, since: Instant },
    Ended { again_at: Instant },
}

/// What happened at a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    Ended { how: String, pause: Duration },
    Back,
}

impl Member {
    /// Starts it. Its log begins anew.
    pub(super) fn start(program: Program, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{}.log", program.name));
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        let state = State::Running { child: spawn(&program, &log)?, since: Instant::now() };
        Ok(Self { program, log, state, ends: 0 })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Its process, if it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Running { child, .. } => Some(child.id()),
            State::Ended { .. } => None,
        }
    }

    /// Notices its end; starts it again when its pause is over.
    pub(super) fn look(&mut self) -> News {
        match &self.state {
            State::Running { since, .. } => {
                let lived = since.elapsed();
                match self.ended() {
                    Some(how) => self.rest(how, lived),
                    None => News::Nothing,
                }
            }
            State::Ended { again_at } if Instant::now() >= *again_at => match spawn(&self.program, &self.log) {
                Ok(child) => {
                    self.state = State::Running { child, since: Instant::now() };
                    News::Back
                }
                Err(error) => self.rest(format!("{error:#}"), Duration::ZERO),
            },
            State::Ended { .. } => News::Nothing,
        }
    }

    /// How it ended, if it has. Nothing of it is left then, and its process id may be another one's.
    pub(super) fn ended(&mut self) -> Option<String> {
        let State::Running { child, .. } = &mut self.state else { return None };
        if !signals::has_ended(child.id()) {
            return None;
        }
        signals::kill_group(child.id());
        // "signal: 9 (SIGKILL)", "exit status: 1"
        let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        self.state = State::Ended { again_at: Instant::now() };
        Some(how)
    }

    /// Asks it to end once its calls have.
    pub(super) fn ask_to_end(&self) {
        let ask = if self.program.kind == Kind::Nginx { signals::quit } else { signals::terminate };
        self.pid().into_iter().for_each(ask);
    }

    fn rest(&mut self, how: String, lived: Duration) -> News {
        self.ends = if lived >= WELL_AFTER { 0 } else { self.ends.saturating_add(1) };
        let pause = pause(self.ends);
        self.state = State::Ended { again_at: Instant::now() + pause };
        News::Ended { how, pause }
    }

    /// The end of its log, indented, for a message.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// A cluster that fails leaves nothing behind.
impl Drop for Member {
    fn drop(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            signals::kill_group(child.id());
            child.wait().ok();
        }
    }
}

fn pause(ends: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << ends.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

fn spawn(program: &Program, log: &Path) -> Result<Child> {
    let log = OpenOptions::new().append(true).create(true).open(log)?;
    let mut command = Command::new(&program.file);
    command.args(&program.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    for (variable, value) in &program.settings {
        if std::env::var_os(variable).is_none() {
            command.env(variable, value);
        }
    }
    command::forget_own_package(&mut command);
    // A terminal sends Ctrl-C to its whole process group: in one of its own, a program ends in its turn.
    command.process_group(0);
    command.spawn().with_context(|| format!("cannot start {}", program.file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds: Vec<f64> = (1..=7).map(|ends| pause(ends).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
        assert_eq!(pause(0), FIRST_PAUSE);
    }
}
