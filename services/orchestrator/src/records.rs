//! `Records` in the artifact store: each a small document in the wire's own encoding, so that what is
//! kept can be read as long as the API can.

mod board;

use artifacts::{Artifacts, Condition, Presence};
use async_trait::async_trait;
use domain::{Autoencoder, Error, ResourceName, Result, Teacher};
use prost::Message;
use prost_types::Timestamp;
use proto::{
    catalog::{creator, timestamp},
    fields::required_from,
    raw::{
        deeper::{catalog::v1 as catalog, types::v1 as types},
        google::rpc,
    },
    rpc::{error_from_rpc, rpc_from_error},
};

use crate::{
    operations::Operation,
    ports::{Listing, Records, Stamp},
};

const FOLDER: &str = artifacts::CATALOG;

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
    #[prost(string, tag = "8")]
    creator: String,
}

/// Records as documents under `catalog/`, and the replicas' board beside them, so that one listing has all.
pub struct StoredRecords {
    artifacts: Artifacts,
    /// The sign that this replica's process is there, while it has a heartbeat, and the replica's id. Held over
    /// its making.
    presence: tokio::sync::Mutex<Option<(String, Presence)>>,
}

impl StoredRecords {
    /// Uses this store.
    pub fn new(artifacts: Artifacts) -> Self {
        Self { artifacts, presence: tokio::sync::Mutex::default() }
    }

    async fn read<R, T>(&self, name: &ResourceName) -> Result<Option<T>>
    where
        R: Message + Default,
        T: TryFrom<R, Error = Error>,
    {
        let path = path(name);
        let document = match self.artifacts.document(&path).await {
            // The store has told it.
            Err(Error::FailedPrecondition { .. }) => return Ok(None),
            read => read?,
        };
        let Some(document) = document else { return Ok(None) };
        let value = R::decode(document.bytes).map_err(Error::unexpected).and_then(T::try_from);
        Ok(value.inspect_err(|error| tracing::error!(record.path = path, %error, "a record cannot be read")).ok())
    }

    async fn write(&self, name: &ResourceName, record: &impl Message, condition: Condition) -> Result<()> {
        self.artifacts.put_document(&path(name), record.encode_to_vec(), condition).await.map(drop)
    }

    async fn create(&self, kind: &'static str, name: &ResourceName, record: &impl Message) -> Result<()> {
        self.write(name, record, Condition::Absent).await.map_err(|error| match error {
            Error::AlreadyExists { .. } => Error::AlreadyExists { kind, resource: name.to_string() },
            other => other,
        })
    }
}

#[async_trait]
impl Records for StoredRecords {
    async fn listing(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for (path, stamp) in self.artifacts.document_stamps(FOLDER).await? {
            let Some(name) = path.strip_prefix(FOLDER).and_then(|path| path.strip_prefix('/')) else { continue };
            sort_in(&mut listing, name, Stamp(stamp.to_string()));
        }
        Ok(listing)
    }

    async fn teacher(&self, name: &ResourceName) -> Result<Option<Teacher>> {
        self.read::<catalog::Teacher, _>(name).await
    }

    async fn create_teacher(&self, teacher: &Teacher) -> Result<()> {
        self.create("TEACHER", &teacher.name, &catalog::Teacher::from(teacher)).await
    }

    async fn put_teacher(&self, teacher: &Teacher) -> Result<()> {
        self.write(&teacher.name, &catalog::Teacher::from(teacher), Condition::Always).await
    }

    async fn autoencoder(&self, name: &ResourceName) -> Result<Option<Autoencoder>> {
        self.read::<catalog::Autoencoder, _>(name).await
    }

    async fn create_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()> {
        self.create("AUTOENCODER", &autoencoder.name, &catalog::Autoencoder::from(autoencoder)).await
    }

    async fn put_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()> {
        self.write(&autoencoder.name, &catalog::Autoencoder::from(autoencoder), Condition::Always).await
    }

    async fn operation(&self, name: &ResourceName) -> Result<Option<Operation>> {
        self.read::<OperationRecord, _>(name).await
    }

    async fn put_operation(&self, operation: &Operation) -> Result<()> {
        self.write(&operation.name, &OperationRecord::from(operation), Condition::Always).await
    }

    async fn delete(&self, name: &ResourceName) -> Result<()> {
        self.artifacts.delete_document(&path(name)).await
    }
}

/// Notes what lies under `{folder}/{id}`. What is of no use to this version is left alone.
fn sort_in(listing: &mut Listing, path: &str, stamp: Stamp) {
    let Some((folder, id)) = path.split_once('/') else { return };
    let name = |collections| ResourceName::new(collections, &[id]).ok();
    let (names, found) = match folder {
        "teachers" => (&mut listing.teachers, name(ResourceName::TEACHER)),
        "autoencoders" => (&mut listing.autoencoders, name(ResourceName::AUTOENCODER)),
        "operations" => (&mut listing.operations, name(ResourceName::OPERATION)),
        board::CLAIMS => (&mut listing.claims, name(ResourceName::OPERATION)),
        board::REPLICAS => {
            listing.replicas.insert(id.to_owned(), stamp);
            return;
        }
        board::REQUESTS => {
            listing.requests.insert(id.to_owned(), stamp);
            return;
        }
        _ => return,
    };
    names.extend(found.map(|name| (name, stamp)));
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
            creator: operation.creator.clone(),
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
            creator: creator(record.creator),
        })
    }
}

fn target(text: &str) -> Result<ResourceName> {
    let collections = [ResourceName::TEACHER, ResourceName::AUTOENCODER];
    let found = collections.into_iter().find_map(|collection| ResourceName::parse(text, collection).ok());
    found.ok_or_else(|| Error::unexpected(format!("{text:?} is not made by an operation")))
}
