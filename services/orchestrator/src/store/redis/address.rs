//! Where Redis is and what it is told to let us in.

use std::path::PathBuf;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use domain::{Error, Result};

use crate::store::StoreConfig;

const FLAG: &str = "--cache-url";

/// Where Redis is.
pub(super) struct Address {
    /// With the password of the URL, if any.
    info: ConnectionInfo,
    /// In cluster mode, and the info's node is one of many.
    pub(super) is_cluster: bool,
    password_file: Option<PathBuf>,
    /// Who may sign its certificate; the system's own where there is none.
    pub(super) certificates: Option<TlsCertificates>,
}

/// Whether a URL names a Redis. The error does not repeat it: it may hold a password.
pub(in crate::store) fn check_url(url: &str) -> Result<()> {
    parse(url).map(drop)
}

fn parse(url: &str) -> Result<(ConnectionInfo, bool)> {
    let expected = "is not redis:// or rediss://, optionally with +cluster, and [user:password@]host[:port]";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Error::invalid(FLAG, expected))?;
    let plain = scheme.strip_suffix("+cluster");
    let is_cluster = plain.is_some();
    let scheme = plain.unwrap_or(scheme);
    if !matches!(scheme, "redis" | "rediss") {
        return Err(Error::invalid(FLAG, expected));
    }
    if rest.contains('#') {
        return Err(Error::invalid(FLAG, "has a fragment; certificates are always checked"));
    }
    let info = format!("{scheme}://{rest}").into_connection_info();
    let info = info.map_err(|_| Error::invalid(FLAG, expected))?;
    if is_cluster && info.redis_settings().db() != 0 {
        return Err(Error::invalid(FLAG, "has a database, and a cluster has none to choose"));
    }
    Ok((info, is_cluster))
}

impl Address {
    /// Reads what does not change while the process runs.
    pub(super) fn read(config: &StoreConfig) -> Result<Self> {
        let (info, is_cluster) = parse(config.cache_url.as_deref().unwrap_or_default())?;
        let read = |file: &PathBuf| {
            std::fs::read(file).map_err(|error| Error::invalid("--cache-ca-file", format!("cannot be read: {error}")))
        };
        let authorities = config.cache_ca_file.as_ref().map(read).transpose()?;
        let certificates =
            authorities.map(|authorities| TlsCertificates { client_tls: None, root_cert: Some(authorities) });
        Ok(Self { info, is_cluster, password_file: config.cache_password_file.clone(), certificates })
    }

    /// With the password as it is in its file now: passwords change while processes run.
    pub(super) async fn info(&self) -> std::io::Result<ConnectionInfo> {
        let Some(file) = &self.password_file else { return Ok(self.info.clone()) };
        let password = tokio::fs::read_to_string(file).await?;
        let settings = self.info.redis_settings().clone().set_password(password.trim_end_matches(['\r', '\n']));
        Ok(self.info.clone().set_redis_settings(settings))
    }

    /// Whether the way there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }
}

/// Without user and password.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.addr().fmt(f)
    }
}
