//! Who asks: the one place that knows. Every call gets a [`Caller`] before its handler runs; what may be
//! done with somebody's resources is decided here. Login, roles and sharing belong here when they come.

mod gateways;
mod keys;
mod layer;

use std::net::IpAddr;

use domain::{Error, Result};
use http::HeaderMap;
use runtime::call;

pub use self::{gateways::Gateway, keys::Keys, layer::identified};

/// The name of those who have not said who they are.
pub const ANONYMOUS: &str = "anonymous";
/// How a trusted gateway says for whom it speaks.
pub const USER_HEADER: &str = "x-deeper-user";
/// Longest name of a user.
const MAX_NAME_LENGTH: usize = 128;
/// Largest limit that is counted over all replicas: one look at the store for each, at worst.
pub const MAX_SHARED_LIMIT: u32 = 64;
/// When to come back for another explanation or training.
const QUOTA_RETRY_MS: u64 = 5_000;

/// Whoever makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The creator of what the call makes.
    pub name: String,
    /// What else it may do.
    pub role: Role,
}

/// What a caller may do beside making things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ends and deletes its own resources.
    User,
    /// Ends and deletes everybody's, without limits.
    Admin,
}

/// How callers are told apart. By default they are not: everybody is `anonymous`, owns everything and has no
/// limits, as in the standalone system.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// Peers whose [`USER_HEADER`] is believed.
    pub gateways: Vec<Gateway>,
    /// Keys of programs and of those who operate the system; `None`: bearer keys are not looked at.
    pub keys: Option<Keys>,
    /// What one creator may have under way.
    pub limits: Limits,
}

/// What one creator may have under way at once. Admins have no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Explanations that run or wait: on all replicas together where they share a store and this is at most
    /// [`MAX_SHARED_LIMIT`]; on each of them otherwise, and while the store does not answer.
    pub explanations: u32,
    /// Trainings that run or wait.
    pub trainings: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { explanations: 16, trainings: 4 }
    }
}

impl Caller {
    /// Somebody without a name. Where nobody has one, anonymous is everybody, and may do everything.
    pub fn anonymous(role: Role) -> Self {
        Self { name: ANONYMOUS.to_owned(), role }
    }

    /// Somebody with this name.
    pub fn user(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::User }
    }

    /// Somebody of ours: what the system does by itself.
    pub fn system() -> Self {
        Self::anonymous(Role::Admin)
    }

    /// Whether this is the creator or an admin; `verb` is what is to be done with `resource`.
    pub fn may_change(&self, creator: &str, resource: &str, verb: &str) -> Result<()> {
        if self.role == Role::Admin || self.name == creator {
            return Ok(());
        }
        Err(Error::PermissionDenied {
            reason: "NOT_THE_CREATOR",
            subject: resource.to_owned(),
            description: format!("{resource} is {creator}'s: only they and admins may {verb} it"),
        })
    }

    /// Whether one more of `what` fits beside the `under_way` of this creator.
    pub fn check_quota(&self, what: &str, under_way: usize, limit: u32) -> Result<()> {
        if self.role == Role::Admin || under_way < limit as usize {
            return Ok(());
        }
        Err(self.over_quota(what, limit))
    }

    /// So many of `what` are under way for this caller, and there may be no more.
    pub fn over_quota(&self, what: &str, limit: u32) -> Error {
        let (creator, what) = (self.name.clone(), what.to_owned());
        Error::QuotaExceeded { creator, what, limit, retry_after_ms: QUOTA_RETRY_MS }
    }

    /// The context of work that is done for a creator and outlives every call: engines take turns between
    /// creators.
    pub fn context_of(creator: &str) -> call::Context {
        call::Context { caller: call::Caller::new(creator).unwrap_or_default(), ..call::Context::default() }
    }

    /// Moves the caller's own to the front; both parts keep their order.
    pub fn own_first<T>(&self, items: &mut [T], creator: impl Fn(&T) -> &str) {
        items.sort_by_key(|item| creator(item) != self.name);
    }
}

impl Callers {
    /// Who asks, by the headers of a call and the address that it came from. A gateway's word goes before a
    /// key, because a gateway may pass on a header that was meant for it.
    pub fn identify(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller> {
        if let Some(user) = headers.get(USER_HEADER) {
            if !peer.is_some_and(|peer| self.gateways.iter().any(|gateway| gateway.contains(peer))) {
                return Err(Error::PermissionDenied {
                    reason: "GATEWAY_NOT_TRUSTED",
                    subject: USER_HEADER.to_owned(),
                    description: format!("{USER_HEADER} is accepted from trusted gateways alone"),
                });
            }
            return user.to_str().ok().filter(|name| is_name(name)).map(Caller::user).ok_or_else(wrong_name);
        }
        match (&self.keys, bearer(headers)) {
            (Some(keys), Some(key)) => keys.find(key).cloned().ok_or(Error::Unauthenticated),
            _ if self.tells_apart() => Ok(Caller::anonymous(Role::User)),
            _ => Ok(Caller::anonymous(Role::Admin)),
        }
    }

    fn tells_apart(&self) -> bool {
        !self.gateways.is_empty() || self.keys.is_some()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Names and addresses: what may stand in a header, in a log line and in a file of keys.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@' | b':');
    (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed)
}

fn wrong_name() -> Error {
    Error::invalid(USER_HEADER, format!("is not 1 to {MAX_NAME_LENGTH} letters, digits and . _ - + @ :"))
}

#[cfg(test)]
mod tests;
