//! Peers that speak for others: addresses and networks.

use std::{net::IpAddr, str::FromStr};

use domain::{Error, Result};
use ipnet::IpNet;

/// An address, or all addresses of a network: `10.0.0.7`, `10.8.0.0/14`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway(IpNet);

impl Gateway {
    /// Whether this peer is one of them. An IPv4 address is the same in IPv6's clothes.
    pub(super) fn contains(&self, peer: IpAddr) -> bool {
        self.0.contains(&peer.to_canonical())
    }
}

impl FromStr for Gateway {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(network.trunc())).map_err(|_| {
            Error::invalid("", format!("{text:?} is neither an address nor a network such as 10.8.0.0/14"))
        })
    }
}
