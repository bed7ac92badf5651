//! Who calls: whom a layer in front has recognized; else whom the peer names, where peers are services of
//! ours; else the address that the call comes from.

use domain::Result;
use http::{Extensions, HeaderMap};
use tonic::transport::server::TcpConnectInfo;

use crate::call::Caller;

/// Whom to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callers {
    /// Peers of ours speak for their callers.
    Peers,
    /// Nobody speaks for others.
    Strangers,
}

impl Callers {
    /// The key of a call's queue places. A [`Caller`] among the extensions was put there by our own code.
    pub(super) fn of(self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller> {
        let recognized = extensions.get::<Caller>().filter(|caller| !caller.is_anonymous()).cloned();
        let named = match self {
            Self::Peers if recognized.is_none() => Caller::of_headers(headers)?,
            _ => recognized,
        };
        if let Some(caller) = named {
            return Ok(caller);
        }
        let address = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        let by_address = address.map(|address| Caller::new(&format!("address:{}", address.ip()))).transpose()?;
        Ok(by_address.unwrap_or_default())
    }
}
