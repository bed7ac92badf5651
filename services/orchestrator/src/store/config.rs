//! Where the shared cache is: flags, each with its `DEEPER_*` variable.

use std::path::PathBuf;

use domain::{Result, Violations};

use super::redis;

/// The shared cache. Everything in it can be lost and is computed again.
#[derive(Clone, Default, clap::Args)]
pub struct StoreConfig {
    /// Redis 7 or Valkey, shared by all replicas: `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS,
    /// `redis+cluster://` or `rediss+cluster://` in cluster mode. Without it each process caches for itself.
    #[arg(long, env = "DEEPER_CACHE_URL", hide_env_values = true)]
    pub cache_url: Option<String>,
    /// File with the cache's password, instead of one in the URL. Read again with every new connection.
    #[arg(long, env = "DEEPER_CACHE_PASSWORD_FILE")]
    pub cache_password_file: Option<PathBuf>,
    /// PEM file with the authorities that may sign the cache's certificate, instead of the system's own.
    #[arg(long, env = "DEEPER_CACHE_CA_FILE")]
    pub cache_ca_file: Option<PathBuf>,
}

impl StoreConfig {
    /// Every mistake at once; fields are the flags' names.
    pub fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        for (flag, file) in
            [("--cache-password-file", &self.cache_password_file), ("--cache-ca-file", &self.cache_ca_file)]
        {
            violations.check(file.as_ref().is_none_or(|file| file.is_file()), flag, || "is not a file".to_owned());
        }
        violations.check(
            self.cache_password_file.is_none() || self.cache_url.is_some(),
            "--cache-password-file",
            || "needs --cache-url".to_owned(),
        );
        let is_encrypted = self.cache_url.as_ref().is_some_and(|url| url.starts_with("rediss"));
        violations.check(self.cache_ca_file.is_none() || is_encrypted, "--cache-ca-file", || {
            "needs a --cache-url of rediss://".to_owned()
        });
        violations.take("", self.cache_url.as_deref().map_or(Ok(()), redis::check_url));
        violations.finish()
    }
}

/// Without the URL, which may hold a password.
impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreConfig")
            .field("cache_url", &self.cache_url.as_ref().map(|_| "…"))
            .field("cache_password_file", &self.cache_password_file)
            .field("cache_ca_file", &self.cache_ca_file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(url: &str) -> Result<()> {
        StoreConfig { cache_url: Some(url.to_owned()), ..Default::default() }.validate()
    }

    #[test]
    fn urls_of_a_redis_are_taken() {
        for url in [
            "redis://cache",
            "redis://user:word@cache:6380/2",
            "rediss://:word@10.0.0.3:6378",
            "redis+cluster://cache:6379",
            "rediss+cluster://cache",
        ] {
            assert_eq!(mistakes(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for url in ["", "cache:6379", "http://cache", "redis://", "unix:///tmp/secret", "rediss://secret/#insecure"] {
            let told = mistakes(url).unwrap_err().to_string();
            assert!(told.contains("--cache-url") && !told.contains("secret"), "{url}: {told}");
        }
    }

    #[test]
    fn files_are_checked_and_need_a_url() {
        let missing = StoreConfig { cache_password_file: Some("/nowhere".into()), ..Default::default() };
        let told = missing.validate().unwrap_err().to_string();
        assert!(told.contains("is not a file") && told.contains("needs --cache-url"), "{told}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = StoreConfig { cache_url: Some("redis://:secret@cache".into()), ..Default::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
