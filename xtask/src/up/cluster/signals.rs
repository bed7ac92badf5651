//! Ctrl-C, SIGTERM and the terminal's end, counted: the first one asks the cluster to stop, a second one to stop at
//! once. And signals to its programs.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How often this process was asked to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// From now on a signal does not end this process any more, but is counted.
    pub(super) fn count_signals() -> Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be waited for")?;
        let interrupts = Self::default();
        let counted = interrupts.clone();
        thread::spawn(move || signals.forever().for_each(|_| counted.add()));
        Ok(interrupts)
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Asks a program to end; one that has ended already is no mistake.
pub(super) fn terminate(pid: u32) {
    kill_process(id(pid), Signal::TERM).ok();
}

/// As [`terminate`], of a program that lets its calls end at SIGQUIT and cuts them at SIGTERM.
pub(super) fn quit(pid: u32) {
    kill_process(id(pid), Signal::QUIT).ok();
}

/// Whether a child has ended that nobody has waited for. Nor does this: until then its number is nobody else's.
pub(super) fn has_ended(child: u32) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(id(child)), look), Ok(Some(_)))
}

/// Ends what is left of a program's process group: nginx's workers outlive a master that was killed, and hold its port.
pub(super) fn kill_group(pid: u32) {
    kill_process_group(id(pid), Signal::KILL).ok();
}

fn id(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the system's process ids are positive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Threads that were there before must not matter: bundling the page leaves a pool of them.
    #[test]
    fn a_signal_is_counted_whichever_thread_it_meets() {
        let before: Vec<_> = (0..4).map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(300)))).collect();
        let interrupts = Interrupts::count_signals().unwrap();
        // Other tests of this process take no notice of it.
        kill_process(id(std::process::id()), Signal::HUP).unwrap();
        before.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(interrupts.count(), 1);
    }
}
