//! Load as users make it, and what became of it. In an open loop calls come when they come, however long earlier
//! ones take, and each is timed from the moment it was due: a system that stands still is not measured less often.

mod arrivals;
mod loops;
mod report;

use std::fs;

pub use self::{
    arrivals::{even, random},
    loops::{closed_loop, open_loop},
    report::Report,
};

/// Memory of a process in MiB, by Linux's own account; `None` elsewhere or if it is gone.
pub fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}
