//! The services as separate programs, several replicas of each, over one store: a cluster on one machine
//! whose members are killed, stopped and started again.

use std::{collections::BTreeMap, path::Path};

use tempfile::TempDir;

use crate::{
    api::Api,
    members::Member,
    programs::{Program, free_address},
    small::trained_data,
};

/// Flags that make computing the same on every machine.
const TEACHER_FLAGS: [(&str, &str); 3] =
    [("--threads", "1"), ("--teacher-precision", "f32"), ("--checkpoint-seconds", "1")];
/// Calls before any other.
const INNER: [&str; 3] = ["teacher", "vae", "student"];

/// A running cluster with small trained models.
pub struct Cluster {
    /// Over all orchestrators.
    pub api: Api,
    members: BTreeMap<&'static str, Vec<Program>>,
    addresses: BTreeMap<&'static str, String>,
    artifacts: String,
    /// More flags for orchestrators.
    public: Vec<(&'static str, String)>,
    _data: TempDir,
}

impl Cluster {
    /// Starts so many replicas of teacher, vae, student and orchestrator.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(mnist: &Path, counts: [usize; 4]) -> Self {
        Self::start_with(mnist, counts, Vec::new()).await
    }

    /// As [`Cluster::start`], with more flags for the orchestrators.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub async fn start_with(mnist: &Path, counts: [usize; 4], public: Vec<(&'static str, String)>) -> Self {
        let data = trained_data(mnist).await;
        let artifacts = data.path().join("artifacts").to_string_lossy().into_owned();
        let mut cluster = Self {
            // Replaced below: there is no channel before there is an address.
            api: Api::over(runtime::channel::in_process("nobody").0),
            members: BTreeMap::new(),
            addresses: BTreeMap::new(),
            artifacts,
            public,
            _data: data,
        };
        let [teachers, vaes, students, orchestrators] = counts;
        let (teachers, vaes, students) = tokio::join!(
            cluster.start_all("teacher", teachers),
            cluster.start_all("vae", vaes),
            cluster.start_all("student", students)
        );
        for (service, programs) in INNER.into_iter().zip([teachers, vaes, students]) {
            cluster.enter(service, programs);
        }
        let orchestrators = cluster.start_all("orchestrator", orchestrators).await;
        cluster.enter("orchestrator", orchestrators);
        let channel = runtime::channel::connect("orchestrator", &cluster.addresses["orchestrator"]);
        cluster.api = Api::over(channel.expect("ports are addresses"));
        cluster
    }

    async fn start_all(&self, service: &'static str, count: usize) -> Vec<Program> {
        let mut programs = Vec::new();
        for _ in 0..count {
            let flags = self.flags(service);
            let flags: Vec<(&str, &str)> = flags.iter().map(|(flag, value)| (*flag, value.as_str())).collect();
            programs.push(Program::start_at(free_address(), service, &flags).await);
        }
        programs
    }

    fn enter(&mut self, service: &'static str, programs: Vec<Program>) {
        let urls: Vec<String> = programs.iter().map(Program::url).collect();
        self.addresses.insert(service, urls.join(","));
        self.members.insert(service, programs);
    }

    fn flags(&self, service: &str) -> Vec<(&'static str, String)> {
        let store = ("--artifacts", self.artifacts.clone());
        let address = |service: &str| self.addresses[service].clone();
        match service {
            "teacher" => {
                let fixed = TEACHER_FLAGS.into_iter().map(|(flag, value)| (flag, value.to_owned()));
                std::iter::once(store).chain(fixed).collect()
            }
            "vae" => vec![store, ("--threads", "1".to_owned())],
            "student" => Vec::new(),
            _ => {
                let asked =
                    [("--teacher-address", "teacher"), ("--vae-address", "vae"), ("--student-address", "student")];
                let asked = asked.map(|(flag, service)| (flag, address(service)));
                [store].into_iter().chain(asked).chain(self.public.iter().cloned()).collect()
            }
        }
    }

    /// A replica.
    ///
    /// # Panics
    /// When there is no such one.
    pub fn member(&self, service: &str, index: usize) -> &Program {
        &self.members[service][index]
    }

    /// SIGKILL to a replica; its port stays free for [`Cluster::restart`].
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(&self, service: &str, index: usize) {
        self.member(service, index).signal("KILL");
    }

    /// Starts a replica anew where it was, once the one before it has ended.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self, service: &'static str, index: usize) {
        let flags = self.flags(service);
        let flags: Vec<(&str, &str)> = flags.iter().map(|(flag, value)| (*flag, value.as_str())).collect();
        let program = &mut self.members.get_mut(service).expect("a service")[index];
        program.ended().await;
        *program = Program::start_at(program.address, service, &flags).await;
    }

    /// Starts every replica anew that has ended, as a supervisor does, and tells who runs now.
    ///
    /// # Panics
    /// When one does not come up again.
    pub async fn revived(&mut self) -> Vec<Member> {
        let mut running = Vec::new();
        for service in ["teacher", "vae", "student", "orchestrator"] {
            for index in 0..self.members[service].len() {
                if self.members.get_mut(service).is_some_and(|programs| programs[index].has_ended()) {
                    self.restart(service, index).await;
                }
                let program = self.member(service, index);
                running.push(Member {
                    name: format!("{service}-{index}"),
                    program: service.to_owned(),
                    address: program.address.to_string(),
                    pid: program.id().expect("it runs"),
                });
            }
        }
        running
    }

    /// SIGTERM to a replica of each of these services at once, and each is started again as soon as it has
    /// ended.
    ///
    /// # Panics
    /// When one does not come up again.
    pub async fn roll(&mut self, services: &[&'static str], index: usize) {
        for service in services {
            self.member(service, index).signal("TERM");
        }
        for service in services {
            self.restart(service, index).await;
        }
    }
}
