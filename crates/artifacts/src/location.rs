//! Where a store is: a folder, or a bucket with a prefix. The credentials of a bucket come from the
//! environment of the process, as the tools of its provider have them.

use std::{fmt, path::PathBuf, str::FromStr};

use domain::{Error, Result};

/// A place that [`crate::Artifacts::open`] opens. As text: a folder, `file:///folder`,
/// `gs://bucket/prefix` or `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local folder, which several processes of one machine may share.
    Folder(PathBuf),
    /// A bucket of Google Cloud Storage: `GOOGLE_*` of the environment, or the machine's own identity.
    Gcs(Bucket),
    /// A bucket of S3 or of what speaks like it: `AWS_*` of the environment (`AWS_ENDPOINT_URL` for
    /// others than Amazon's, `AWS_ALLOW_HTTP=true` for one without TLS), or the machine's own identity.
    S3(Bucket),
}

/// A bucket and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What all paths begin with; empty: nothing.
    pub prefix: String,
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "",
                format!("{text:?} is not a folder, file:///folder, gs://bucket/prefix or s3://bucket/prefix"),
            )
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { Err(wrong()) } else { Ok(Self::Folder(text.into())) };
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self::Folder(rest.into())),
            "gs" => bucket(rest).map(Self::Gcs).ok_or_else(wrong),
            "s3" => bucket(rest).map(Self::S3).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

/// Names of buckets are dotted host names: letters, digits, `-`, `_` and dots.
fn bucket(text: &str) -> Option<Bucket> {
    let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = (3..=222).contains(&name.len()) && name.bytes().all(allowed);
    let prefix = prefix.trim_end_matches('/');
    let is_prefix = prefix.is_empty() || prefix.split('/').all(|part| !part.is_empty() && part.bytes().all(allowed));
    let leaves_no_place = prefix.split('/').all(|part| part != "." && part != "..");
    (is_name && is_prefix && leaves_no_place).then(|| Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Gcs(Bucket { name, prefix }) => write!(f, "gs://{name}/{prefix}"),
            Self::S3(Bucket { name, prefix }) => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str, prefix: &str) -> Bucket {
        Bucket { name: name.to_owned(), prefix: prefix.to_owned() }
    }

    #[test]
    fn folders_and_buckets_are_told_apart() {
        for (text, location) in [
            ("artifacts", Location::Folder("artifacts".into())),
            ("/var/lib/deeper", Location::Folder("/var/lib/deeper".into())),
            ("file:///var/lib/deeper", Location::Folder("/var/lib/deeper".into())),
            ("gs://deeper", Location::Gcs(bucket("deeper", ""))),
            ("gs://deeper/a/b/", Location::Gcs(bucket("deeper", "a/b"))),
            ("s3://deeper.example/team-1", Location::S3(bucket("deeper.example", "team-1"))),
        ] {
            assert_eq!(text.parse(), Ok(location), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "file://relative", "gs://", "s3://ab", "s3://bucket//x", "s3://bucket/../x", "ftp://host/x"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }
}
