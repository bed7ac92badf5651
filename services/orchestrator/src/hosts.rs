//! Which names this server answers to. A page of a stranger can have its own name resolve to 127.0.0.1 (DNS
//! rebinding) and would then speak to a server on this machine as if it were its own; the host that the
//! browser names gives it away.

use std::net::{IpAddr, SocketAddr};

use domain::{Error, Result, Violations};
use http::{HeaderMap, Uri, header, uri::Authority};

/// Longest host name (RFC 1035), and so how much of a stranger's one is answered.
const MAX_NAME_LENGTH: usize = 253;
/// Most names that can be configured.
const MAX_NAME_COUNT: usize = 64;
/// Stands for every name.
const ANY: &str = "*";

/// Names a request may be addressed to. Those of the machine itself (localhost, 127.0.0.0/8, `[::1]`, with any
/// port) always are: no stranger can give their pages such a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// `None`: every name. Lower case.
    allowed: Option<Vec<String>>,
}

impl Hosts {
    /// For servers that only trusted programs can reach, such as one over pipes.
    pub fn any() -> Self {
        Self { allowed: None }
    }

    /// What the operator says, or, where nothing is said: on a loopback address, which is meant for this
    /// machine, only this machine's names; on others, which have names that nobody here knows, every name.
    pub fn new(configured: &[String], listening: SocketAddr) -> Self {
        let names: Vec<String> = names(configured).map(str::to_ascii_lowercase).collect();
        let is_open = names.iter().any(|name| name == ANY);
        let is_silent = names.is_empty() && !is_local(listening.ip());
        if is_open || is_silent { Self::any() } else { Self { allowed: Some(names) } }
    }

    /// What is wrong with a configured list.
    pub fn check(configured: &[String]) -> Result<()> {
        let mut violations = Violations::default();
        for name in names(configured) {
            let authority: Option<Authority> = name.parse().ok();
            let is_host = authority.is_some_and(|authority| authority.host() == name);
            violations.check(is_host || name == ANY, "--allowed-hosts", || {
                format!("{name:?} is not a host name or address without a port, nor \"*\"")
            });
        }
        let count = names(configured).count();
        violations
            .check(count <= MAX_NAME_COUNT, "--allowed-hosts", || format!("{count} are more than {MAX_NAME_COUNT}"));
        violations.finish()
    }

    /// Refuses a request that names another host, in its target (`:authority` in HTTP/2) or in its header. One
    /// that names none comes from no browser of today and is refused as well.
    pub fn admit(&self, target: &Uri, headers: &HeaderMap) -> Result<()> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let named: Vec<&[u8]> = target
            .authority()
            .map(|authority| authority.as_str().as_bytes())
            .into_iter()
            .chain(headers.get_all(header::HOST).iter().map(|value| value.as_bytes()))
            .collect();
        let refused = |named: &[u8]| {
            let host = String::from_utf8_lossy(named).chars().take(MAX_NAME_LENGTH).collect();
            Err(Error::HostNotAllowed { host })
        };
        if named.is_empty() {
            return refused(b"");
        }
        let stranger = named.into_iter().find(|named| !is_allowed(named, allowed));
        stranger.map_or(Ok(()), refused)
    }
}

/// A variable that is set to nothing says nothing.
fn names(configured: &[String]) -> impl Iterator<Item = &str> {
    configured.iter().map(|name| name.trim()).filter(|name| !name.is_empty())
}

fn is_allowed(named: &[u8], allowed: &[String]) -> bool {
    let Ok(authority) = Authority::try_from(named) else { return false };
    let host = authority.host().to_ascii_lowercase();
    // A name may be written with the root's dot.
    let host = host.strip_suffix('.').unwrap_or(&host);
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || address.is_some_and(is_local) || allowed.iter().any(|name| name == host)
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn admits(hosts: &Hosts, target: &str, host: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        hosts.admit(&target.parse().unwrap(), &headers).is_ok()
    }

    #[test]
    fn a_server_on_a_loopback_address_answers_to_the_machines_own_names_alone() {
        for listening in ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:8080"] {
            let hosts = Hosts::new(&[], listening.parse().unwrap());
            for own in
                ["localhost", "LOCALHOST:9", "localhost.:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:80"]
            {
                assert!(admits(&hosts, "/", &[own]), "{own}");
                assert!(admits(&hosts, &format!("http://{own}/"), &[]), "{own}");
            }
            for other in [
                "evil.example:8080",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "evil.example#localhost",
                "localhost@evil.example",
                "10.0.0.1",
                "[::2]",
                "0.0.0.0:8080",
                "",
                "a b",
            ] {
                assert!(!admits(&hosts, "/", &[other]), "{other}");
            }
            assert!(!admits(&hosts, "/", &[]), "no host");
            assert!(!admits(&hosts, "http://evil.example/", &["localhost"]), "two that differ");
            assert!(!admits(&hosts, "/", &["localhost", "evil.example"]), "two headers");
        }
    }

    #[test]
    fn a_server_on_another_address_answers_to_every_name_unless_some_are_configured() {
        let listening = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(Hosts::new(&words(&["", " "]), listening), Hosts::any());
        assert_eq!(Hosts::new(&words(&["deeper.lab", "*"]), listening), Hosts::any());
        for listening in ["0.0.0.0:8080", "127.0.0.1:8080"] {
            let hosts = Hosts::new(&words(&["Deeper.Lab", " 10.0.0.7", "[fd00::1]"]), listening.parse().unwrap());
            for own in ["deeper.lab", "DEEPER.lab:443", "10.0.0.7:8080", "[fd00::1]:1", "localhost:8080"] {
                assert!(admits(&hosts, "/", &[own]), "{own}");
            }
            assert!(!admits(&hosts, "/", &["other.lab"]) && !admits(&hosts, "/", &["10.0.0.8"]));
        }
    }

    #[test]
    fn every_configured_name_that_is_none_is_told() {
        assert_eq!(Hosts::check(&words(&["deeper.lab", "10.0.0.7", "[::2]", "*", ""])), Ok(()));
        let wrong = words(&["deeper.lab:8080", "http://deeper.lab", "a b", "fd00::1"]);
        let Err(Error::InvalidFields(violations)) = Hosts::check(&wrong) else { panic!("taken") };
        assert_eq!(violations.iter().count(), 4, "{violations}");
        assert!(Hosts::check(&vec!["a".to_owned(); 65]).is_err());
    }
}
