//! Evaluations: a teacher's logits for every image of a split, so that confusion matrices and lists of
//! examples are reads. A file that is damaged counts as missing: it can be computed again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::{Error, Logits, ResourceName, Result};

use crate::{
    Artifacts,
    store::{Expect, Mark},
};

const MAGIC: &[u8; 8] = b"deeperE1";
/// Evaluations that are kept in memory; one of 60,000 images and ten labels takes 2.4 MB.
const MAX_CACHED: usize = 16;
/// Longest digest or engine name.
const MAX_TEXT_BYTES: usize = 1_000;

/// A teacher's answers to a whole split.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Image by image, label by label.
    pub logits: Vec<f32>,
    /// Labels an image.
    pub label_count: usize,
    /// blake3 of the teacher's weights in hex.
    pub teacher_digest: String,
    /// How it answered: library, type, layout, batch shape.
    pub engine: String,
}

impl Evaluation {
    /// Number of images.
    pub fn example_count(&self) -> usize {
        self.logits.len() / self.label_count
    }

    /// The answer to image `index`, if it is there.
    pub fn get(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.label_count)?;
        self.logits.get(start..start.checked_add(self.label_count)?)
    }

    /// The answer to image `index`, if it is there.
    pub fn logits(&self, index: usize) -> Option<Logits> {
        Logits::new(self.get(index)?.to_vec()).ok()
    }

    fn check(&self) -> Result<()> {
        let texts_fit = self.teacher_digest.len() <= MAX_TEXT_BYTES && self.engine.len() <= MAX_TEXT_BYTES;
        let whole = self.label_count > 0 && self.logits.len().is_multiple_of(self.label_count);
        let finite = self.logits.iter().all(|value| value.is_finite());
        if texts_fit && whole && finite {
            return Ok(());
        }
        Err(Error::invalid("logits", "must be finite, a whole number of images, with short digest and engine"))
    }
}

/// The last evaluations that were read, each with the mark of the file it came from.
#[derive(Debug, Default)]
pub(crate) struct EvaluationCache {
    read: Mutex<HashMap<String, (Mark, Arc<Evaluation>)>>,
}

impl Artifacts {
    /// Stores an evaluation in place of the one before it.
    pub async fn put_evaluation(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
        evaluation: &Evaluation,
    ) -> Result<()> {
        evaluation.check()?;
        let path = path(teacher, dataset, split);
        self.inner.store.put(&path, encode(evaluation), Expect::Anything).await.map(drop)
    }

    /// The evaluation of a teacher on a split, if there is one: from memory while its file is the same.
    pub async fn evaluation(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<Option<Arc<Evaluation>>> {
        let path = path(teacher, dataset, split);
        let Some(mark) = self.inner.store.mark(&path).await? else { return Ok(None) };
        if let Some(known) = self.inner.evaluations.get(&path, &mark) {
            return Ok(Some(known));
        }
        let Some(object) = self.inner.store.get(&path).await? else { return Ok(None) };
        let bytes = object.bytes;
        let decoded = tokio::task::spawn_blocking(move || decode(bytes)).await.map_err(Error::unexpected)?;
        let Some(evaluation) = decoded.map(Arc::new) else {
            tracing::error!(artifact.path = path, "an evaluation is damaged and counts as missing");
            return Ok(None);
        };
        self.inner.evaluations.put(path, object.mark, evaluation.clone());
        Ok(Some(evaluation))
    }
}

impl EvaluationCache {
    fn get(&self, path: &str, mark: &Mark) -> Option<Arc<Evaluation>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(path).filter(|(known, _)| known == mark).map(|(_, evaluation)| evaluation.clone())
    }

    fn put(&self, path: String, mark: Mark, evaluation: Arc<Evaluation>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= MAX_CACHED && !read.contains_key(&path) {
            read.clear();
        }
        read.insert(path, (mark, evaluation));
    }
}

/// magic, blake3 of all that follows, label count (u32), digest, engine (each u32 length and UTF-8),
/// image count (u64), logits (f32); little-endian.
fn encode(evaluation: &Evaluation) -> Bytes {
    let mut body = BytesMut::with_capacity(64 + evaluation.logits.len() * 4);
    body.put_u32_le(evaluation.label_count as u32);
    for text in [&evaluation.teacher_digest, &evaluation.engine] {
        body.put_u32_le(text.len() as u32);
        body.put_slice(text.as_bytes());
    }
    body.put_u64_le(evaluation.example_count() as u64);
    for value in &evaluation.logits {
        body.put_f32_le(*value);
    }
    let mut file = BytesMut::with_capacity(40 + body.len());
    file.put_slice(MAGIC);
    file.put_slice(blake3::hash(&body).as_bytes());
    file.put_slice(&body);
    file.freeze()
}

fn decode(mut file: Bytes) -> Option<Evaluation> {
    if file.len() < 40 || &file[..8] != MAGIC || blake3::hash(&file[40..]).as_bytes() != &file[8..40] {
        return None;
    }
    file.advance(40);
    let label_count = file.try_get_u32_le().ok()? as usize;
    let mut text = || {
        let length = file.try_get_u32_le().ok()? as usize;
        let fits = length <= MAX_TEXT_BYTES && length <= file.remaining();
        fits.then(|| String::from_utf8(file.split_to(length).to_vec()).ok()).flatten()
    };
    let (teacher_digest, engine) = (text()?, text()?);
    let count = usize::try_from(file.try_get_u64_le().ok()?).ok()?;
    if count.checked_mul(label_count)?.checked_mul(4)? != file.remaining() {
        return None;
    }
    let logits = file.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let evaluation = Evaluation { logits, label_count, teacher_digest, engine };
    evaluation.check().ok().map(|()| evaluation)
}

/// All evaluations of a teacher.
pub(crate) fn folder(teacher: &ResourceName) -> String {
    format!("evaluations/{teacher}")
}

fn path(teacher: &ResourceName, dataset: &ResourceName, split: &str) -> String {
    format!("{}/{dataset}/{split}", folder(teacher))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evaluation(logits: Vec<f32>) -> Evaluation {
        Evaluation { logits, label_count: 2, teacher_digest: "ab".into(), engine: "known answers".into() }
    }

    fn names() -> (ResourceName, ResourceName) {
        (
            ResourceName::parse("teachers/t", ResourceName::TEACHER).unwrap(),
            ResourceName::parse("datasets/d", ResourceName::DATASET).unwrap(),
        )
    }

    #[tokio::test]
    async fn an_evaluation_is_read_once_and_again_after_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_folder(folder.path()).unwrap();
        let (teacher, dataset) = names();
        assert!(artifacts.evaluation(&teacher, &dataset, "train").await.unwrap().is_none());
        let first = evaluation(vec![1.0, 2.0, 3.0, -4.5]);
        artifacts.put_evaluation(&teacher, &dataset, "train", &first).await.unwrap();
        let read = artifacts.evaluation(&teacher, &dataset, "train").await.unwrap().unwrap();
        assert_eq!((&*read, read.get(1), read.get(2)), (&first, Some(&[3.0, -4.5][..]), None));
        let again = artifacts.evaluation(&teacher, &dataset, "train").await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&read, &again));
        let second = evaluation(vec![0.0; 2]);
        artifacts.put_evaluation(&teacher, &dataset, "train", &second).await.unwrap();
        assert_eq!(*artifacts.evaluation(&teacher, &dataset, "train").await.unwrap().unwrap(), second);
        artifacts.delete_model(&teacher).await.unwrap();
        assert!(artifacts.evaluation(&teacher, &dataset, "train").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn logits_that_are_not_finite_are_not_stored() {
        let (teacher, dataset) = names();
        let bad = evaluation(vec![f32::NAN, 0.0]);
        assert!(Artifacts::in_memory().put_evaluation(&teacher, &dataset, "train", &bad).await.is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_a_miss(position in 0usize..200, value in any::<u8>(), cut in 0usize..200) {
            let original = evaluation((0..20).map(|i| i as f32).collect());
            let file = encode(&original);
            let mut damaged = file.to_vec();
            let position = position % damaged.len();
            let same = damaged[position] == value;
            damaged[position] = value;
            prop_assert_eq!(decode(Bytes::from(damaged)).is_some(), same);
            let cut = cut % file.len();
            prop_assert!(decode(file.slice(..cut)).is_none());
        }

        #[test]
        fn bytes_with_a_right_checksum_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(blake3::hash(&body).as_bytes());
            file.extend_from_slice(&body);
            let _ = decode(Bytes::from(file));
        }
    }
}
