//! Data sets: imported once from IDX files, checked then, kept as packed bytes and read whole. A data
//! set never changes, so what has been read stays in memory.

mod record;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use domain::{Dataset, Error, ImageBatch, ResourceName, Result, Split};
use tokio::sync::OnceCell;

use self::record::{Record, SplitRecord, one_line};
use crate::{Artifacts, idx, store::Expect};

/// Splits that are kept in memory; the two of MNIST take 55 MB.
const MAX_CACHED_SPLITS: usize = 8;

/// All images of a split with their labels: `labels[i]` belongs to image `i`.
#[derive(Debug, PartialEq, Eq)]
pub struct LabeledImages {
    /// Packed pixels.
    pub images: ImageBatch,
    /// One an image, below the number of label names.
    pub labels: Vec<u8>,
}

/// One split as a pair of IDX files, already read.
#[derive(Debug, Clone)]
pub struct IdxSplit {
    /// As the files are called: `train`, `t10k`.
    pub id: String,
    /// The image file.
    pub images: Vec<u8>,
    /// The label file.
    pub labels: Vec<u8>,
}

type SplitCell = Arc<OnceCell<Arc<LabeledImages>>>;

/// What has been read. One cell a split, so that two readers read it once.
#[derive(Debug, Default)]
pub(crate) struct DatasetCache {
    splits: Mutex<HashMap<(String, String), SplitCell>>,
}

impl Artifacts {
    /// Imports the four IDX files of MNIST from a folder, unless that was done before.
    pub async fn import_mnist(&self, folder: &Path) -> Result<Dataset> {
        let name = ResourceName::parse("datasets/mnist", ResourceName::DATASET)?;
        if let Some((dataset, _)) = self.dataset_record(&name).await? {
            return Ok(dataset);
        }
        let folder = folder.to_owned();
        let read = move || -> Result<Vec<IdxSplit>> {
            ["train", "t10k"]
                .into_iter()
                .map(|id| {
                    Ok(IdxSplit {
                        id: id.to_owned(),
                        images: read_file(&folder.join(format!("{id}-images-idx3-ubyte")))?,
                        labels: read_file(&folder.join(format!("{id}-labels-idx1-ubyte")))?,
                    })
                })
                .collect()
        };
        let splits = tokio::task::spawn_blocking(read).await.map_err(Error::unexpected)??;
        let label_names = (0..10).map(|digit| digit.to_string()).collect();
        match self.import_idx(&name, "MNIST", label_names, splits).await {
            // Another process did the same at this moment.
            Err(Error::AlreadyExists { .. }) => self.dataset(&name).await,
            imported => imported,
        }
    }

    /// Checks a data set's files and stores them. Replaces nothing: a data set of this name is an error.
    pub async fn import_idx(
        &self,
        name: &ResourceName,
        display_name: &str,
        label_names: Vec<String>,
        splits: Vec<IdxSplit>,
    ) -> Result<Dataset> {
        if splits.is_empty() || label_names.is_empty() || label_names.len() > 256 {
            return Err(Error::invalid("splits", "a data set has at least one split and 1 to 256 labels"));
        }
        let mut record = Record { display_name: one_line(display_name), label_names, shape: None, splits: Vec::new() };
        for split in splits {
            check_split_id(&split.id)?;
            let images = idx::images(&split.images)?;
            let labels = idx::labels(&split.labels, record.label_names.len())?;
            if images.len() != labels.len() {
                return Err(Error::invalid(
                    "labels",
                    format!("split {} has {} images and {} labels", split.id, images.len(), labels.len()),
                ));
            }
            if let Some(expected) = record.shape.filter(|shape| *shape != images.shape()) {
                return Err(Error::image_shape(images.shape(), expected));
            }
            record.shape = Some(images.shape());
            let pixels = Bytes::copy_from_slice(images.pixels());
            let labels = Bytes::from(labels);
            record.splits.push(SplitRecord {
                split: Split { id: split.id.clone(), example_count: images.len() as u64 },
                images_digest: blake3::hash(&pixels).to_hex().to_string(),
                labels_digest: blake3::hash(&labels).to_hex().to_string(),
            });
            self.inner.store.put(&images_path(name, &split.id), pixels, Expect::Anything).await?;
            self.inner.store.put(&labels_path(name, &split.id), labels, Expect::Anything).await?;
        }
        let text = Bytes::from(record.to_text());
        if !self.inner.store.put(&record_path(name), text, Expect::Absent).await? {
            return Err(Error::AlreadyExists { kind: "DATASET", resource: name.to_string() });
        }
        record.dataset(name.clone())
    }

    /// All data sets, by name.
    pub async fn datasets(&self) -> Result<Vec<Dataset>> {
        let mut datasets = Vec::new();
        for id in self.inner.store.folders("datasets").await? {
            let Ok(name) = ResourceName::new(ResourceName::DATASET, &[&id]) else { continue };
            match self.dataset_record(&name).await {
                Ok(found) => datasets.extend(found.map(|(dataset, _)| dataset)),
                // It is told in the log, and must not keep the others from being found.
                Err(Error::FailedPrecondition { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(datasets)
    }

    /// One data set.
    pub async fn dataset(&self, name: &ResourceName) -> Result<Dataset> {
        self.dataset_record(name).await?.map(|(dataset, _)| dataset).ok_or_else(|| not_found(name))
    }

    /// All labelled images of a split, from memory after the first time.
    pub async fn split(&self, name: &ResourceName, split: &str) -> Result<Arc<LabeledImages>> {
        let cell = self.inner.datasets.cell(name, split);
        cell.get_or_try_init(|| self.read_split(name, split)).await.cloned()
    }

    async fn read_split(&self, name: &ResourceName, split: &str) -> Result<Arc<LabeledImages>> {
        let (dataset, record) = self.dataset_record(name).await?.ok_or_else(|| not_found(name))?;
        let found = record.splits.into_iter().find(|candidate| candidate.split.id == split);
        let expected = found.ok_or_else(|| Error::NotFound { kind: "SPLIT", resource: format!("{name}:{split}") })?;
        let images = self.inner.store.get(&images_path(name, split)).await?;
        let labels = self.inner.store.get(&labels_path(name, split)).await?;
        let (Some(images), Some(labels)) = (images, labels) else {
            return Err(damaged(name));
        };
        let name = name.clone();
        let check = move || {
            let intact = blake3::hash(&images.bytes).to_hex().as_str() == expected.images_digest
                && blake3::hash(&labels.bytes).to_hex().as_str() == expected.labels_digest;
            if !intact {
                return Err(damaged(&name));
            }
            let images = ImageBatch::new(dataset.shape, images.bytes.into())?;
            Ok(Arc::new(LabeledImages { images, labels: labels.bytes.into() }))
        };
        tokio::task::spawn_blocking(check).await.map_err(Error::unexpected)?
    }

    async fn dataset_record(&self, name: &ResourceName) -> Result<Option<(Dataset, Record)>> {
        let Some(object) = self.inner.store.get(&record_path(name)).await? else { return Ok(None) };
        let record = std::str::from_utf8(&object.bytes).ok().and_then(Record::parse);
        let record = record.ok_or_else(|| damaged(name))?;
        Ok(Some((record.dataset(name.clone())?, record)))
    }
}

impl DatasetCache {
    fn cell(&self, name: &ResourceName, split: &str) -> SplitCell {
        let mut splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_string(), split.to_owned());
        if splits.len() >= MAX_CACHED_SPLITS && !splits.contains_key(&key) {
            splits.retain(|_, cell| !cell.initialized());
            if splits.len() >= MAX_CACHED_SPLITS {
                splits.clear();
            }
        }
        splits.entry(key).or_default().clone()
    }
}

/// A split's id becomes part of paths and of example names `{split}-{index}`.
fn check_split_id(id: &str) -> Result<()> {
    ResourceName::new(&["splits"], &[id]).map(drop).map_err(|_| Error::invalid("split", format!("{id:?} is not an id")))
}

fn record_path(name: &ResourceName) -> String {
    format!("datasets/{}/dataset", name.first_id())
}

fn images_path(name: &ResourceName, split: &str) -> String {
    format!("datasets/{}/{split}.images", name.first_id())
}

fn labels_path(name: &ResourceName, split: &str) -> String {
    format!("datasets/{}/{split}.labels", name.first_id())
}

/// For the operator: the files are there again after another import under another name, or a copy.
fn damaged(name: &ResourceName) -> Error {
    tracing::error!(dataset.name = %name, "a data set is damaged");
    Error::FailedPrecondition {
        reason: "DATASET_DAMAGED",
        subject: name.to_string(),
        description: format!("the files of {name} are damaged in the artifact store: restore them"),
    }
}

fn not_found(name: &ResourceName) -> Error {
    Error::NotFound { kind: "DATASET", resource: name.to_string() }
}

/// What an operator pointed to and cannot be read is the operator's to fix, so the path is named.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::FailedPrecondition {
        reason: "DATASET_FILE_UNREADABLE",
        subject: path.display().to_string(),
        description: format!("{} cannot be read: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use domain::ImageShape;

    use super::*;

    fn name() -> ResourceName {
        ResourceName::parse("datasets/tiny", ResourceName::DATASET).unwrap()
    }

    fn split(id: &str, labels: &[u8]) -> IdxSplit {
        let pixels = (0..labels.len() * 4).map(|i| i as u8).collect();
        let images = ImageBatch::new(ImageShape::gray(2, 2), pixels).unwrap();
        IdxSplit { id: id.to_owned(), images: idx::encode_images(&images), labels: idx::encode_labels(labels) }
    }

    async fn import(artifacts: &Artifacts, splits: Vec<IdxSplit>) -> Result<Dataset> {
        artifacts.import_idx(&name(), "Tiny  set", vec!["no".into(), "yes".into()], splits).await
    }

    #[tokio::test]
    async fn an_imported_data_set_is_read_back() {
        let artifacts = Artifacts::in_memory();
        let dataset = import(&artifacts, vec![split("train", &[0, 1, 1]), split("t10k", &[1])]).await.unwrap();
        assert_eq!(dataset.display_name, "Tiny set");
        assert_eq!(artifacts.dataset(&name()).await.unwrap(), dataset);
        assert_eq!(artifacts.datasets().await.unwrap(), [dataset]);
        let train = artifacts.split(&name(), "train").await.unwrap();
        assert_eq!((train.images.len(), &train.labels[..]), (3, &[0u8, 1, 1][..]));
        assert!(Arc::ptr_eq(&train, &artifacts.split(&name(), "train").await.unwrap()), "read once");
        assert!(matches!(artifacts.split(&name(), "dev").await, Err(Error::NotFound { kind: "SPLIT", .. })));
    }

    #[tokio::test]
    async fn unequal_counts_bad_ids_and_repeated_imports_are_refused() {
        let artifacts = Artifacts::in_memory();
        let mut bad = split("train", &[0, 1]);
        bad.labels = idx::encode_labels(&[0]);
        assert!(import(&artifacts, vec![bad]).await.is_err());
        assert!(import(&artifacts, vec![split("../x", &[0])]).await.is_err());
        assert!(import(&artifacts, vec![]).await.is_err());
        import(&artifacts, vec![split("train", &[0])]).await.unwrap();
        let again = import(&artifacts, vec![split("train", &[0])]).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_error_and_not_a_picture() {
        let artifacts = Artifacts::in_memory();
        import(&artifacts, vec![split("train", &[0, 1])]).await.unwrap();
        let path = images_path(&name(), "train");
        artifacts.inner.store.put(&path, Bytes::from_static(&[7; 8]), Expect::Anything).await.unwrap();
        let read = artifacts.split(&name(), "train").await;
        assert!(matches!(read, Err(Error::FailedPrecondition { reason: "DATASET_DAMAGED", .. })));
    }
}
