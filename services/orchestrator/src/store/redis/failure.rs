//! What a failure of a call says about Redis, and what is drawn from it.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::metrics;

/// What a failure says about Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is gone, or cannot answer now.
    Down(&'static str),
    /// It answers, but does not write.
    NotWriting(&'static str),
    /// It does not let us in.
    Refused,
    /// This one key holds something else.
    Key,
}

impl Failure {
    /// The failure behind an error of the library.
    pub(super) fn of(error: &RedisError) -> Self {
        // The library knows of TLS only that it did not come about.
        if error.to_string().contains("invalid peer certificate") {
            return Self::Refused;
        }
        match (error.kind(), error.code().unwrap_or_default()) {
            (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS" | "DENIED") => Self::Refused,
            (_, "OOM") => Self::NotWriting("full"),
            (_, "READONLY") => Self::NotWriting("read_only"),
            (_, "MISCONF" | "NOREPLICAS") => Self::NotWriting("not_writing"),
            (_, "NOPERM") => Self::NotWriting("no_permission"),
            (_, "WRONGTYPE") => Self::Key,
            (_, "LOADING") => Self::Down("loading"),
            (_, "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN") => Self::Down("cluster_down"),
            (ErrorKind::Io | ErrorKind::ClusterConnectionNotFound, _) => Self::Down("io"),
            (ErrorKind::Parse, _) => Self::Down("protocol"),
            (ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::UnexpectedReturnType, _) => Self::Key,
            _ => Self::Down("other"),
        }
    }

    /// In metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Down(name) | Self::NotWriting(name) => name,
            Self::Refused => "refused",
            Self::Key => "wrong_type",
        }
    }

    /// Notes it in the metrics.
    pub(super) fn count(self) -> Self {
        metrics::failed(self.name());
        self
    }
}
