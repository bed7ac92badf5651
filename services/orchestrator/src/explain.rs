//! How an explanation is computed: encode, then generate, label and distill in a pipeline, so that a first,
//! rough student is there after the first chunk and better ones follow.

use std::{sync::Arc, time::Instant};

use domain::{
    Error, Image, Label, NeighborhoodSpec, ResourceName, Result, Stage, Student, StudentSpec,
    explanation::contrast_label,
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use proto::fields::under;
use runtime::retry::persist;
use tokio::sync::{mpsc, watch};

use crate::{
    explanations::{
        chosen,
        instance::{EncodedInstance, encode_instance},
        memory::Memory,
        neighborhood::{Chunk, Neighborhood},
    },
    measured::{self, Pieces},
    ports::{DistillationAnswer, DistillationConfig, LabeledChunk, Models, NeighborChunk},
};

/// Neighbors a chunk: the teacher's batch, so that no answer waits for half a batch.
pub const CHUNK_SIZE: usize = 125;

/// Labelling calls under way at once: one computes while the next waits in the engine's queue.
const CALLS_IN_FLIGHT: usize = 2;

/// Sizes of the first chunks; the last one repeats. A map of 64 neighbors is nearly as faithful as one of
/// 1,000, so the first student comes after as many; the next chunk completes the teacher's batch.
const CHUNK_SIZES: [usize; 3] = [64, 61, CHUNK_SIZE];

/// A student is fitted when so many neighbors are labelled, and after the last one.
const FIT_AT: [usize; 4] = [64, 125, 250, 500];

/// All that determines an explanation's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The name the student will have. It does not change the answer: whoever shares it renames.
    pub student_name: ResourceName,
    /// Whose answer is explained.
    pub teacher: ResourceName,
    /// Its weights and engine, so that a name that is used again is another question.
    pub teacher_digest: String,
    /// What generates neighbors.
    pub autoencoder: ResourceName,
    /// Its weights.
    pub autoencoder_digest: String,
    /// The image that is explained.
    pub image: Image,
    /// What it is, where that is known.
    pub gold_label: Option<Label>,
    /// Where neighbors are drawn.
    pub neighborhood: NeighborhoodSpec,
    /// What the student is asked to be.
    pub student_spec: StudentSpec,
}

/// How far an explanation has come. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is being done.
    pub stage: Stage,
    /// The instance and its reconstruction, once known.
    pub instance: Option<Arc<EncodedInstance>>,
    /// What is labelled so far.
    pub neighborhood: Neighborhood,
    /// The best student so far.
    pub student: Option<Arc<Student>>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { stage: Stage::Encoding, instance: None, neighborhood: Neighborhood::default(), student: None }
    }
}

/// Answers a question, reporting each step through `progress`. Neighbors of the same neighborhood that
/// are in `memory` are not labelled again.
pub async fn explain(
    models: &Models,
    memory: &Memory,
    question: &Question,
    progress: &watch::Sender<Snapshot>,
) -> Result<()> {
    let encode = persist(|| encode_instance(models, &question.teacher, &question.autoencoder, &question.image));
    let instance = memory.instance(question.into(), measured::whole(measured::Stage::Encoding, encode)).await?;
    question.neighborhood.validate(Some(instance.latent.dimension_count()))?;
    progress.send_modify(|snapshot| {
        snapshot.stage = Stage::Labeling;
        snapshot.instance = Some(Arc::clone(&instance));
    });

    let known = memory.neighborhood(question).await;
    let wanted = question.neighborhood.neighbor_count;
    if chosen::chooses(&question.student_spec, wanted) {
        label_neighbors(models, question, known, progress, None).await?;
        let distill = distill_chosen(models, question, &instance, progress);
        measured::whole(measured::Stage::Fitting, distill).await?;
    } else {
        let distillation = models.students.distill(distillation_config(question, &instance)).await?;
        let label = label_neighbors(models, question, known, progress, Some(distillation.chunks));
        let label = async { label.await.map(|()| Instant::now()) };
        let distill = follow_students(distillation.answers, question, wanted, progress);
        let (labeled_at, ()) = tokio::try_join!(label, distill)?;
        measured::stage_took(measured::Stage::Fitting, labeled_at.elapsed());
    }

    progress.send_modify(|snapshot| snapshot.stage = Stage::Complete);
    Ok(())
}

fn distillation_config(question: &Question, instance: &EncodedInstance) -> DistillationConfig {
    DistillationConfig {
        name: question.student_name.clone(),
        spec: question.student_spec.clone(),
        instance: question.image.clone(),
        instance_logits: instance.logits.clone(),
        contrast_label: contrast_label(&instance.logits, question.gold_label),
        neighbor_count: question.neighborhood.neighbor_count,
    }
}

/// Fits one student to the neighbors it asks for, once all are labelled.
async fn distill_chosen(
    models: &Models,
    question: &Question,
    instance: &EncodedInstance,
    progress: &watch::Sender<Snapshot>,
) -> Result<()> {
    let neighborhood = progress.borrow().neighborhood.clone();
    let name = question.student_name.clone();
    let ordered = chosen::order(name, &question.student_spec, question, instance, &neighborhood);
    let (config, chunks) = under("student", ordered)?;
    let wanted = config.neighbor_count;
    let distillation = models.students.distill(config).await?;
    let sender = distillation.chunks;
    let feed = async move {
        for chunk in chunks {
            // A student that has gone says why by its answers.
            let _ = sender.send(chunk).await;
        }
        Ok(())
    };
    tokio::try_join!(feed, follow_students(distillation.answers, question, wanted, progress)).map(drop)
}

/// Labels what is not known yet and hands everything to the student, in order.
async fn label_neighbors(
    models: &Models,
    question: &Question,
    known: Neighborhood,
    progress: &watch::Sender<Snapshot>,
    chunks: Option<mpsc::Sender<LabeledChunk>>,
) -> Result<()> {
    let wanted = question.neighborhood.neighbor_count;
    for chunk in known.chunks() {
        accept(chunk.clone(), wanted, progress, &chunks).await;
    }
    if known.len() < wanted {
        let (generating, labeling) = (Pieces::of(measured::Stage::Generating), Pieces::of(measured::Stage::Labeling));
        let unlabeled = generating.time(unlabeled_neighbors(models, question, known.len())).await?;
        let labeled = generating.of_stream(unlabeled).map_ok(|chunk| {
            let labeling = labeling.clone();
            async move { labeling.time(label_chunk(models, &question.teacher, chunk)).await }
        });
        let mut labeled = labeled.try_buffered(CALLS_IN_FLIGHT);
        while let Some(chunk) = labeled.try_next().await? {
            accept(chunk, wanted, progress, &chunks).await;
        }
        generating.passed();
        labeling.passed();
    }
    let (count, degenerate) = {
        let snapshot = progress.borrow();
        (snapshot.neighborhood.len(), snapshot.neighborhood.is_degenerate())
    };
    if degenerate {
        return Err(Error::neighborhood_degenerate());
    }
    if count != wanted {
        return Err(Error::unexpected(format!("the vae service made {count} of {wanted} neighbors")));
    }
    Ok(())
}

async fn unlabeled_neighbors(
    models: &Models,
    question: &Question,
    start_index: usize,
) -> Result<BoxStream<'static, Result<NeighborChunk>>> {
    // What extends known neighbors has no first student to hurry for.
    let sizes: &[usize] = if start_index == 0 { &CHUNK_SIZES } else { &[CHUNK_SIZE] };
    models
        .autoencoders
        .neighbors(&question.autoencoder, &question.image, &question.neighborhood, start_index, sizes)
        .await
}

async fn label_chunk(models: &Models, teacher: &ResourceName, chunk: NeighborChunk) -> Result<Chunk> {
    // Nobody waits for this one call: an explanation outlasts a replica that dies and a queue that is full.
    let logits = persist(|| models.teachers.classify(teacher, &chunk.images)).await?;
    Ok(Chunk { points: chunk.points, images: chunk.images, logits })
}

/// Publishes a labelled chunk and passes it on. A student that has gone says why by its answers, not here.
async fn accept(
    chunk: Chunk,
    wanted: usize,
    progress: &watch::Sender<Snapshot>,
    chunks: &Option<mpsc::Sender<LabeledChunk>>,
) {
    let (images, logits) = (chunk.images.clone(), chunk.logits.clone());
    let before = progress.borrow().neighborhood.len();
    let after = before + logits.len();
    progress.send_modify(|snapshot| {
        snapshot.neighborhood.push(chunk);
        if after >= wanted {
            snapshot.stage = Stage::Distilling;
        }
    });
    let fit = FIT_AT.iter().any(|&count| before < count && count <= after);
    if let Some(chunks) = chunks {
        let _ = chunks.send(LabeledChunk { images, logits, fit }).await;
    }
}

/// Publishes students as they come. Ends with the one that has all `wanted` neighbors.
async fn follow_students(
    mut answers: BoxStream<'static, Result<DistillationAnswer>>,
    question: &Question,
    wanted: usize,
    progress: &watch::Sender<Snapshot>,
) -> Result<()> {
    let mut last_count = 0;
    while let Some(answer) = answers.next().await {
        if let DistillationAnswer::Student(student) = answer? {
            last_count = student.neighbor_count;
            // The service may have seen chosen neighbors; the resource says how they were chosen.
            let student = Arc::new(Student { spec: question.student_spec.clone(), ..*student });
            progress.send_modify(|snapshot| snapshot.student = Some(student));
        }
    }
    if last_count == wanted {
        Ok(())
    } else {
        Err(Error::unexpected(format!("the last student has {last_count} of {wanted} neighbors")))
    }
}
