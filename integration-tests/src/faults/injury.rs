//! How a fault is done to a cluster, and how one knows that it is over.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::Status;

use super::{Fault, Kind};
use crate::{
    members::{Member, Members},
    redis::command,
};

/// A supervisor that has not brought a program back by then will not.
const RETURN_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks whether it is back.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A port of this machine opens at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A fault that is over.
#[derive(Debug, Clone)]
pub struct Injury {
    /// What it was.
    pub fault: Fault,
    /// Whom it met.
    pub victims: Vec<String>,
    /// When it was done.
    pub began: Instant,
    /// When all was there again: ports open, signals sent, settings as before.
    pub ended: Instant,
}

/// Does it and waits until it is over. What lasts as long as one likes lasts for `hold`; `choice`, in `[0, 1)`,
/// says which of several is meant. If this is dropped half-way, a program may stay stopped and the cache be left
/// as the fault made it.
pub async fn inflict(members: &Members, fault: Fault, choice: f64, hold: Duration) -> Result<Injury, Status> {
    let victims = match fault {
        Fault::Kill(kind) | Fault::Pause(kind) => vec![one_of(members.running(kind.program())?, choice)],
        Fault::KillAll(kind) => members.running(kind.program())?,
        Fault::Flush | Fault::ReadOnly | Fault::Full => vec![members.running(Kind::Cache.program())?.remove(0)],
    };
    let began = Instant::now();
    match fault {
        Fault::Kill(_) | Fault::KillAll(_) => {
            for victim in &victims {
                victim.signal("KILL")?;
            }
            for victim in &victims {
                returned(members, victim).await?;
            }
        }
        Fault::Pause(_) => {
            victims[0].signal("STOP")?;
            sleep(hold).await;
            victims[0].signal("CONT")?;
        }
        Fault::Flush => tell(victims[0].socket()?, &["FLUSHALL"]).await?,
        Fault::ReadOnly => {
            let cache = victims[0].socket()?;
            // Nobody listens at port 1.
            tell(cache, &["REPLICAOF", "127.0.0.1", "1"]).await?;
            sleep(hold).await;
            tell(cache, &["REPLICAOF", "NO", "ONE"]).await?;
        }
        Fault::Full => fill(victims[0].socket()?, hold).await?,
    }
    let victims = victims.into_iter().map(|victim| victim.name).collect();
    Ok(Injury { fault, victims, began, ended: Instant::now() })
}

fn one_of(mut members: Vec<Member>, choice: f64) -> Member {
    let index = (choice * members.len() as f64) as usize;
    members.swap_remove(index.min(members.len() - 1))
}

/// Waits until the file names another process for it and its port is open.
async fn returned(members: &Members, before: &Member) -> Result<(), Status> {
    let back = async {
        loop {
            // The file may be half written at this moment.
            let now = members.read().unwrap_or_default().into_iter().find(|member| member.name == before.name);
            if let Some(now) = now.filter(|now| now.pid != before.pid)
                && is_open(now.socket()?).await
            {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    let late = |_| Status::aborted(format!("{} was not started again in {RETURN_LIMIT:?}", before.name));
    timeout(RETURN_LIMIT, back).await.map_err(late)?
}

async fn is_open(address: SocketAddr) -> bool {
    timeout(CONNECT_LIMIT, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

/// No room for a moment, with the settings of before after it.
async fn fill(cache: SocketAddr, hold: Duration) -> Result<(), Status> {
    let info = ask(cache, &["INFO", "memory"]).await?;
    let limit = setting(&info, "maxmemory")?;
    let policy = setting(&info, "maxmemory_policy")?;
    tell(cache, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await?;
    tell(cache, &["CONFIG", "SET", "maxmemory", "1"]).await?;
    sleep(hold).await;
    tell(cache, &["CONFIG", "SET", "maxmemory", &limit]).await?;
    tell(cache, &["CONFIG", "SET", "maxmemory-policy", &policy]).await
}

/// A line of Redis's `INFO`: `maxmemory:0`.
fn setting(info: &str, name: &str) -> Result<String, Status> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned()).ok_or_else(|| Status::aborted(format!("redis does not tell {name}")))
}

async fn tell(cache: SocketAddr, words: &[&str]) -> Result<(), Status> {
    ask(cache, words).await.map(drop)
}

async fn ask(cache: SocketAddr, words: &[&str]) -> Result<String, Status> {
    let answered = timeout(RETURN_LIMIT, command(cache, words)).await;
    let failed = |error: String| Status::aborted(format!("redis, {}: {error}", words.join(" ")));
    answered.map_err(|_| failed("no answer".to_owned()))?.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_by_its_whole_name() {
        let info = "# Memory\r\nmaxmemory_human:1K\r\nmaxmemory:1024\r\nmaxmemory_policy:allkeys-lfu\r\n";
        assert_eq!(setting(info, "maxmemory").unwrap(), "1024");
        assert_eq!(setting(info, "maxmemory_policy").unwrap(), "allkeys-lfu");
        assert!(setting(info, "used").is_err());
    }

    #[test]
    fn every_member_can_be_chosen() {
        let member = |name: &str| Member {
            name: name.to_owned(),
            program: "teacher".to_owned(),
            address: String::new(),
            pid: 1,
        };
        let chosen = |choice| one_of(vec![member("a"), member("b"), member("c")], choice).name;
        assert_eq!([0.0, 0.4, 0.99].map(chosen), ["a", "b", "c"]);
    }
}
