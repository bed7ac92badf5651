//! The programs of a cluster that somebody else runs (`cargo xtask up --cluster`), from the file in which their
//! supervisor names them. They may be looked at and sent signals; nothing else is ever touched.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::load::resident_mib;

/// More programs than this are no cluster on one machine.
const MAX_MEMBERS: usize = 256;
/// What Linux keeps of a program's name.
const NAME_BYTES: usize = 15;

/// A program, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which one: `teacher-2`. It stays when the program is started again.
    pub name: String,
    /// What it runs: `teacher`, `redis-server`; also as a path.
    pub program: String,
    /// Where it listens: `127.0.0.1:8081`, or the same with `http://`.
    pub address: String,
    /// Its process. Another one after a restart.
    pub pid: u32,
}

/// The file, which is read again whenever one asks: programs come back under other process ids.
#[derive(Debug, Clone)]
pub struct Members(PathBuf);

impl Members {
    /// `{data}/cluster/programs.json` of `cargo xtask up --cluster`.
    pub fn at(file: &Path) -> Self {
        Self(file.to_owned())
    }

    /// All programs that run now.
    pub fn read(&self) -> Result<Vec<Member>, Status> {
        let wrong = |why: String| Status::failed_precondition(format!("{}: {why}", self.0.display()));
        let text = fs::read_to_string(&self.0).map_err(|error| wrong(error.to_string()))?;
        let members: Vec<Member> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if members.len() > MAX_MEMBERS {
            return Err(wrong(format!("{} programs are more than {MAX_MEMBERS}", members.len())));
        }
        Ok(members)
    }

    /// Those that run this program; at least one.
    pub fn running(&self, program: &str) -> Result<Vec<Member>, Status> {
        let found: Vec<Member> = self.read()?.into_iter().filter(|member| member.program_name() == program).collect();
        let none = || Status::failed_precondition(format!("{} names no {program}", self.0.display()));
        if found.is_empty() { Err(none()) } else { Ok(found) }
    }
}

impl Member {
    /// The program's name without folders.
    pub fn program_name(&self) -> &str {
        self.program.rsplit('/').next().unwrap_or(&self.program)
    }

    /// For a channel.
    pub fn url(&self) -> String {
        format!("http://{}", self.plain_address())
    }

    /// Where it listens.
    pub fn socket(&self) -> Result<SocketAddr, Status> {
        let wrong = |_| Status::failed_precondition(format!("{}: {} is no address", self.name, self.address));
        self.plain_address().parse().map_err(wrong)
    }

    fn plain_address(&self) -> &str {
        self.address.rsplit("://").next().unwrap_or(&self.address).trim_end_matches('/')
    }

    /// In MiB; `None` when it is gone, and where Linux does not tell.
    pub fn resident_mib(&self) -> Option<f64> {
        resident_mib(self.pid)
    }

    /// Sends a signal by its name: `KILL`, `STOP`, `CONT`. Never to a process that runs another program: the file
    /// may be old, and the number somebody else's.
    pub fn signal(&self, signal: &str) -> Result<(), Status> {
        let failed = |why: String| Status::aborted(format!("{} (process {}): {why}", self.name, self.pid));
        let running =
            fs::read_to_string(format!("/proc/{}/comm", self.pid)).map_err(|error| failed(error.to_string()))?;
        let expected: String = self.program_name().chars().take(NAME_BYTES).collect();
        if running.trim_end() != expected {
            return Err(failed(format!("it runs {}, not {expected}", running.trim_end())));
        }
        let told = Command::new("kill").arg(format!("-{signal}")).arg(self.pid.to_string()).status();
        match told {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("kill -{signal} ended with {status}"))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Members) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("programs.json");
        fs::write(&path, text).unwrap();
        (folder, Members::at(&path))
    }

    #[test]
    fn programs_are_found_by_what_they_run() {
        let (_folder, members) = file(
            r#"[{"name": "teacher-1", "program": "/opt/bin/teacher", "address": "127.0.0.1:8081", "pid": 7},
                {"name": "redis", "program": "redis-server", "address": "redis://127.0.0.1:6379", "pid": 8}]"#,
        );
        let teacher = members.running("teacher").unwrap().remove(0);
        assert_eq!(
            (teacher.name.as_str(), teacher.pid, teacher.url().as_str()),
            ("teacher-1", 7, "http://127.0.0.1:8081")
        );
        assert_eq!(members.running("redis-server").unwrap()[0].socket().unwrap().port(), 6379);
        assert!(members.running("vae").is_err());
    }

    #[test]
    fn what_is_no_list_of_programs_is_an_error_that_names_the_file() {
        for text in ["", "{}", r#"[{"name": "x"}]"#] {
            let (_folder, members) = file(text);
            assert!(members.read().unwrap_err().message().contains("programs.json"), "{text}");
        }
        assert!(Members::at(Path::new("/nowhere")).read().is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_program_that_is_meant_gets_a_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        // Until the child has become `sleep` it bears our own name.
        let comm = format!("/proc/{pid}/comm");
        while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
            std::thread::yield_now();
        }
        let member =
            |program: &str| Member { name: "it".to_owned(), program: program.to_owned(), address: String::new(), pid };
        assert!(member("teacher").signal("KILL").unwrap_err().message().contains("not teacher"));
        assert!(child.try_wait().unwrap().is_none());
        member("/usr/bin/sleep").signal("KILL").unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
