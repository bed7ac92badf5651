//! What a stretch of load costs the machine: the system's memory and cores, and the generator's own.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tonic::Status;

use super::super::process::Processes;

/// Between two looks at memory.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The processes of the system, where they are known, and this one.
pub(super) struct Machine {
    system: Option<Processes>,
    own: Processes,
}

/// Of one stretch. Not a number where the processes are not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// The most that all processes had together at one look.
    pub(super) resident_mib: f64,
    /// Processor seconds of the system in a second.
    pub(super) system_cores: f64,
    /// Likewise of the generator, which shares the machine.
    pub(super) own_cores: f64,
}

impl Machine {
    pub(super) fn new(system: Option<Processes>) -> Self {
        Self { system, own: Processes::own() }
    }

    /// Does something and tells what it took. Fails when a process of the system has gone.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> Result<(T, Usage), Status> {
        let seconds = |processes: &Processes| processes.sample().map(|sample| sample.processor_seconds);
        let began = Instant::now();
        let own_before = seconds(&self.own)?;
        let before = self.system.as_ref().map(seconds).transpose()?;
        let mut resident_mib = f64::NAN;
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = looks.tick() => {
                    if let Some(system) = &self.system {
                        resident_mib = system.sample()?.resident_mib.max(resident_mib);
                    }
                }
            }
        };
        let after = self.system.as_ref().map(seconds).transpose()?;
        let took = began.elapsed().as_secs_f64();
        let system_cores = before.zip(after).map_or(f64::NAN, |(before, after)| (after - before) / took);
        let own_cores = (seconds(&self.own)? - own_before) / took;
        Ok((done, Usage { resident_mib, system_cores, own_cores }))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_seen_where_it_is_done() {
        let machine = Machine::new(None);
        let ((), usage) = machine.during(tokio::time::sleep(Duration::from_millis(10))).await.unwrap();
        assert!(usage.resident_mib.is_nan() && usage.system_cores.is_nan() && usage.own_cores >= 0.0);
        // The system is this process.
        let machine = Machine::new(Some(Processes::own()));
        let busy = async {
            let end = Instant::now() + Duration::from_millis(300);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        };
        let ((), usage) = machine.during(busy).await.unwrap();
        assert!(usage.system_cores > 0.01 && usage.own_cores > 0.01, "{usage:?}");
    }
}
