//! Buckets as object stores: Google Cloud Storage and S3, with TLS by rustls.

use std::{sync::Arc, time::Duration};

use domain::{Error, Result};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, Result as StoreResult, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    prefix::PrefixStore,
};

use crate::location::Bucket;

/// One request and its answer: 200 MB, a large checkpoint, at 2 MB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A store that is away for longer is told of. Callers that cannot wait so long have their own limit.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_RETRIES: usize = 5;

/// Names and values, as the environment of a process has them.
pub(crate) type Variables = Vec<(String, String)>;

pub(crate) fn gcs(bucket: &Bucket, variables: &Variables) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in settings(variables, &["GOOGLE_", "SERVICE_ACCOUNT"]) {
        if let Ok(key) = name.parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let builder = builder.with_client_options(client(variables, "GOOGLE_ALLOW_HTTP"));
    let builder = builder.with_bucket_name(&bucket.name).with_retry(retries());
    within(bucket, prepared(|| builder.build())?)
}

pub(crate) fn s3(bucket: &Bucket, variables: &Variables) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in settings(variables, &["AWS_"]) {
        if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let builder = builder.with_client_options(client(variables, "AWS_ALLOW_HTTP"));
    let builder = builder.with_bucket_name(&bucket.name).with_retry(retries());
    within(bucket, prepared(|| builder.build())?)
}

/// The variables that a provider's tools read, in the library's spelling.
fn settings<'a>(variables: &'a Variables, prefixes: &'a [&str]) -> impl Iterator<Item = (String, &'a str)> {
    let is_meant = move |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    variables
        .iter()
        .filter(move |(name, _)| is_meant(name))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
}

/// The HTTPS client takes the process's TLS provider; another part of the process may have chosen one.
fn prepared<T>(build: impl FnOnce() -> StoreResult<T>) -> Result<T> {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    build().map_err(|error| Error::FailedPrecondition {
        reason: "ARTIFACT_STORE_MISCONFIGURED",
        subject: "the environment".to_owned(),
        description: format!("the bucket cannot be used: {error}"),
    })
}

fn within(bucket: &Bucket, store: impl ObjectStore) -> Result<Arc<dyn ObjectStore>> {
    Ok(match bucket.prefix.as_str() {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

/// Servers without TLS only where the operator said so.
fn client(variables: &Variables, allow_http: &str) -> ClientOptions {
    let allows = variables.iter().any(|(name, value)| name == allow_http && value == "true");
    ClientOptions::new().with_allow_http(allows).with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT)
}

fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT }
}
