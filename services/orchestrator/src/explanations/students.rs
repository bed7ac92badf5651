//! Further students of an explanation: other settings, the same neighbors, no teacher call.

use std::sync::Arc;

use domain::{Error, NeighborhoodSpec, ResourceName, Result, Student, StudentSpec, explanation::contrast_label};
use futures::{Stream, StreamExt};
use prost::Message;
use proto::raw::deeper::types::v1 as raw;

use super::{Explanations, Live};
use crate::{
    explain::CHUNK_SIZE,
    ports::{DistillationAnswer, DistillationConfig, FitProgress, LabeledChunk},
};

/// Students an explanation may have beside its first.
const MAX_STUDENT_COUNT: usize = 100;

/// What a caller who waits for a student is told.
pub enum StudentUpdate {
    /// It is being fitted.
    Progress(FitProgress),
    /// It is done.
    Student(Arc<Student>),
}

impl Explanations {
    /// Distills another student. Dropping the stream stops the fitting.
    pub async fn create_student(
        &self,
        parent: &ResourceName,
        id: Option<String>,
        spec: StudentSpec,
    ) -> Result<impl Stream<Item = Result<StudentUpdate>> + Send + use<>> {
        let live = self.get(parent).await?;
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let name = parent.child("students", &id)?;
        let students = live.students();
        if students.iter().any(|student| student.name == name)
            || self.documents.get(&document_path(&name)).await?.is_some()
        {
            return Err(Error::AlreadyExists { kind: "STUDENT", resource: name.to_string() });
        }
        if students.len() > MAX_STUDENT_COUNT {
            return Err(Error::FailedPrecondition {
                reason: "TOO_MANY_STUDENTS",
                subject: parent.to_string(),
                description: format!("an explanation has at most {MAX_STUDENT_COUNT} students; create another one"),
            });
        }
        self.documents.put(&document_path(&name), raw::StudentSpec::from(&spec).encode_to_vec()).await?;
        self.distill(live, name, spec).await
    }

    /// A student. One that only its document is left of is fitted again.
    pub async fn student(&self, name: &ResourceName) -> Result<Arc<Student>> {
        let not_found = || Error::NotFound { kind: "STUDENT", resource: name.to_string() };
        let live = self.get(&name.parent().ok_or_else(not_found)?).await?;
        if name.id() == "default" {
            live.finished().await?;
        }
        if let Some(student) = live.students().into_iter().find(|student| student.name == *name) {
            return Ok(student);
        }
        let document = self.documents.get(&document_path(name)).await?.ok_or_else(not_found)?;
        let spec = raw::StudentSpec::decode(document.as_slice()).map_err(Error::unexpected)?;
        let mut updates = Box::pin(self.distill(live, name.clone(), StudentSpec::try_from(spec)?).await?);
        while let Some(update) = updates.next().await {
            if let StudentUpdate::Student(student) = update? {
                return Ok(student);
            }
        }
        Err(Error::unexpected("a distillation ended without a student"))
    }

    async fn distill(
        &self,
        live: Arc<Live>,
        name: ResourceName,
        spec: StudentSpec,
    ) -> Result<impl Stream<Item = Result<StudentUpdate>> + Send + use<>> {
        let (question, snapshot) = live.finished().await?;
        let instance =
            snapshot.instance.ok_or_else(|| Error::unexpected("a finished explanation without an instance"))?;
        let limit = spec.neighbor_limit.unwrap_or(usize::MAX);
        let chunks = snapshot.neighborhood.select(&spec.ranges, limit, CHUNK_SIZE);
        let neighbor_count: usize = chunks.iter().map(|chunk| chunk.logits.len()).sum();
        if neighbor_count < NeighborhoodSpec::MIN_NEIGHBOR_COUNT {
            let message =
                format!("leave {neighbor_count} neighbors; a student needs {}", NeighborhoodSpec::MIN_NEIGHBOR_COUNT);
            return Err(Error::invalid("spec.ranges", message));
        }
        let config = DistillationConfig {
            name,
            spec: StudentSpec { ranges: Vec::new(), neighbor_limit: None, ..spec.clone() },
            instance: question.image.clone(),
            instance_logits: instance.logits.clone(),
            contrast_label: contrast_label(&instance.logits, question.gold_label),
            neighbor_count,
        };
        let distillation = self.models.students.distill(config).await?;
        let sender = distillation.chunks;
        self.tasks.spawn(async move {
            for chunk in chunks {
                let labeled = LabeledChunk { images: chunk.images, logits: chunk.logits, fit: false };
                if sender.send(labeled).await.is_err() {
                    return;
                }
            }
        });
        Ok(distillation.answers.map(move |answer| {
            Ok(match answer? {
                DistillationAnswer::Progress(progress) => StudentUpdate::Progress(progress),
                DistillationAnswer::Student(student) => {
                    // The service saw chosen neighbors; the resource says how they were chosen.
                    let student = Arc::new(Student { spec: spec.clone(), ..*student });
                    live.add_student(Arc::clone(&student));
                    StudentUpdate::Student(student)
                }
            })
        }))
    }

    /// Removes the documents of all students of an explanation.
    pub(super) async fn delete_students(&self, parent: &ResourceName) -> Result<()> {
        for path in self.documents.paths(&format!("students/{}", parent.id())).await? {
            self.documents.delete(&path).await?;
        }
        Ok(())
    }
}

/// Beside the explanations' own folder, so that listing those does not read students.
fn document_path(name: &ResourceName) -> String {
    format!("students/{}/{}", name.first_id(), name.id())
}
