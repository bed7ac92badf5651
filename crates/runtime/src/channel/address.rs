//! Where a service is: fixed addresses, or a name of which every address is a replica.

use std::net::SocketAddr;

use domain::{Error, Result};
use http::Uri;

/// Most replicas of one service; more are left out.
pub(super) const MAX_PEERS: usize = 64;

/// The addresses of one service, at most 64, divided by commas. Each is `http://host:port`, one replica
/// (its name is resolved with every connection), or `dns:///name:port`, as many replicas as the name has
/// addresses, looked up again every few seconds: a headless Service of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub(super) fixed: Vec<Replica>,
    pub(super) names: Vec<Name>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    /// Where to connect to.
    pub(super) uri: Uri,
    /// What its requests call it, if that is another name than the address.
    pub(super) origin: Option<Uri>,
}

/// A name that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) host: String,
    pub(super) port: u16,
    origin: Uri,
}

impl Addresses {
    /// Reads a list; `field` names it in the error.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        let mut addresses = Self { fixed: Vec::new(), names: Vec::new() };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > MAX_PEERS {
            return Err(Error::invalid(field, format!("{} addresses are more than {MAX_PEERS}", parts.len())));
        }
        for part in parts {
            let wrong = || Error::invalid(field, format!("{part:?} is not http://host:port or dns:///name:port"));
            match part.strip_prefix("dns:///") {
                Some(rest) => addresses.names.push(Name::parse(rest).ok_or_else(wrong)?),
                None => addresses.fixed.push(Replica { uri: parse_uri(part).ok_or_else(wrong)?, origin: None }),
            }
        }
        Ok(addresses)
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let origin = parse_uri(&format!("http://{text}"))?;
        Some(Self { host: origin.host()?.to_owned(), port: origin.port_u16()?, origin })
    }

    /// A replica at one of its addresses.
    pub(super) fn replica(&self, address: SocketAddr) -> Option<Replica> {
        let uri = format!("http://{address}").parse().ok()?;
        Some(Replica { uri, origin: Some(self.origin.clone()) })
    }
}

/// `http://host:port` and nothing after it.
fn parse_uri(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let has_path = uri.path() != "/" || uri.query().is_some();
    let is_whole = uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty());
    (is_whole && !has_path && uri.port_u16().is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_a_list_or_a_name() {
        let parsed = Addresses::parse("teacher", "http://a:1, http://b:2,dns:///teacher.deeper.svc:8081").unwrap();
        let fixed: Vec<String> = parsed.fixed.iter().map(|replica| replica.uri.to_string()).collect();
        assert_eq!(fixed, ["http://a:1/", "http://b:2/"]);
        assert_eq!((parsed.names[0].host.as_str(), parsed.names[0].port), ("teacher.deeper.svc", 8081));
        let replica = parsed.names[0].replica("10.0.0.7:8081".parse().unwrap()).unwrap();
        assert_eq!(replica.uri, "http://10.0.0.7:8081");
        assert_eq!(replica.origin.unwrap(), "http://teacher.deeper.svc:8081");
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_name() {
        let too_many = vec!["http://a:1"; MAX_PEERS + 1].join(",");
        let wrong = ["", "a:1", "https://a:1", "http://a", "http://a:1/path", "dns:///a", "dns://a:1", "http://a:1,,"];
        for text in wrong.into_iter().chain([too_many.as_str()]) {
            let Err(Error::InvalidFields(violations)) = Addresses::parse("--teacher-address", text) else {
                panic!("{text:?} was taken");
            };
            assert_eq!(violations.iter().next().unwrap().field, "--teacher-address");
        }
    }
}
