//! `Records` in the artifact store: each a small document in the wire's own encoding, so that what is
//! kept can be read as long as the API can.

use artifacts::{Artifacts, Condition};
use async_trait::async_trait;
use domain::{Autoencoder, Error, ResourceName, Result, Teacher};
use prost::Message;
use prost_types::Timestamp;
use proto::{
    catalog::timestamp,
    fields::required_from,
    raw::{
        deeper::{catalog::v1 as catalog, types::v1 as types},
        google::rpc,
    },
    rpc::{error_from_rpc, rpc_from_error},
};

use crate::{operations::Operation, ports::Records};

const FOLDER: &str = "catalog";

/// An operation as it is kept: what `google.longrunning.Operation` says of it, and what it does not.
#[derive(Clone, PartialEq, Message)]
struct OperationRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    target: String,
    #[prost(string, tag = "3")]
    fingerprint: String,
    #[prost(message, optional, tag = "4")]
    create_time: Option<Timestamp>,
    #[prost(message, optional, tag = "5")]
    end_time: Option<Timestamp>,
    /// Code 0 for an operation that ended well; unset while it runs.
    #[prost(message, optional, tag = "6")]
    outcome: Option<rpc::Status>,
    #[prost(message, optional, tag = "7")]
    progress: Option<types::TrainingProgress>,
}

/// Records as documents under `catalog/`.
pub struct StoredRecords(Artifacts);

impl StoredRecords {
    /// Uses this store.
    pub fn new(artifacts: Artifacts) -> Self {
        Self(artifacts)
    }

    /// Reads all records of a collection. One that cannot be read is left out and told in the log: it
    /// must not keep the others from being found.
    async fn read<R, T>(&self, collection: &str) -> Result<Vec<T>>
    where
        R: Message + Default,
        T: TryFrom<R, Error = Error>,
    {
        let documents = self.0.documents(&format!("{FOLDER}/{collection}")).await?;
        let read = |document: artifacts::Document| {
            let value = R::decode(document.bytes).map_err(Error::unexpected).and_then(T::try_from);
            value
                .inspect_err(|error| tracing::error!(record.path = document.path, %error, "a record cannot be read"))
                .ok()
        };
        Ok(documents.into_iter().filter_map(read).collect())
    }

    async fn write(&self, name: &ResourceName, record: &impl Message) -> Result<()> {
        self.0.put_document(&path(name), record.encode_to_vec(), Condition::Always).await.map(drop)
    }
}

#[async_trait]
impl Records for StoredRecords {
    async fn teachers(&self) -> Result<Vec<Teacher>> {
        self.read::<catalog::Teacher, _>("teachers").await
    }

    async fn put_teacher(&self, teacher: &Teacher) -> Result<()> {
        self.write(&teacher.name, &catalog::Teacher::from(teacher)).await
    }

    async fn autoencoders(&self) -> Result<Vec<Autoencoder>> {
        self.read::<catalog::Autoencoder, _>("autoencoders").await
    }

    async fn put_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()> {
        self.write(&autoencoder.name, &catalog::Autoencoder::from(autoencoder)).await
    }

    async fn operations(&self) -> Result<Vec<Operation>> {
        self.read::<OperationRecord, _>("operations").await
    }

    async fn put_operation(&self, operation: &Operation) -> Result<()> {
        self.write(&operation.name, &OperationRecord::from(operation)).await
    }

    async fn delete(&self, name: &ResourceName) -> Result<()> {
        self.0.delete_document(&path(name)).await
    }
}

fn path(name: &ResourceName) -> String {
    format!("{FOLDER}/{name}")
}

impl From<&Operation> for OperationRecord {
    fn from(operation: &Operation) -> Self {
        Self {
            name: operation.name.to_string(),
            target: operation.target.to_string(),
            fingerprint: operation.fingerprint.clone(),
            create_time: timestamp(operation.create_time),
            end_time: operation.end_time.and_then(timestamp),
            outcome: operation.outcome.clone().map(|outcome| match outcome {
                Ok(()) => rpc::Status::default(),
                Err(error) => rpc_from_error(error),
            }),
            progress: Some((&operation.progress).into()),
        }
    }
}

impl TryFrom<OperationRecord> for Operation {
    type Error = Error;

    fn try_from(record: OperationRecord) -> Result<Self> {
        let outcome = record.outcome.map(|status| if status.code == 0 { Ok(()) } else { Err(error_from_rpc(status)) });
        Ok(Self {
            name: ResourceName::parse(&record.name, ResourceName::OPERATION)?,
            target: target(&record.target)?,
            fingerprint: record.fingerprint,
            create_time: record.create_time.map_or(0, |time| time.seconds),
            end_time: record.end_time.map(|time| time.seconds),
            progress: required_from("progress", record.progress)?,
            outcome,
        })
    }
}

fn target(text: &str) -> Result<ResourceName> {
    let collections = [ResourceName::TEACHER, ResourceName::AUTOENCODER];
    let found = collections.into_iter().find_map(|collection| ResourceName::parse(text, collection).ok());
    found.ok_or_else(|| Error::unexpected(format!("{text:?} is not made by an operation")))
}
