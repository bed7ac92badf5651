//! Further students of an explanation: other settings, the same neighbors, no teacher call.

use std::sync::Arc;

use domain::{Error, ResourceName, Result, Student, StudentSpec};
use futures::{Stream, StreamExt};
use prost::Message;
use proto::{fields::under, raw::deeper::types::v1 as raw};

use super::{Explanations, Live, chosen};
use crate::{
    caller::Caller,
    ports::{DistillationAnswer, FitProgress},
};

/// Students an explanation may have beside its first.
const MAX_STUDENT_COUNT: usize = 100;

/// What a caller who waits for a student is told.
pub enum StudentUpdate {
    /// It is being fitted.
    Progress(FitProgress),
    /// It is done.
    Student(MadeStudent),
}

/// A student and who asked for it.
pub struct MadeStudent {
    /// What it is.
    pub student: Arc<Student>,
    /// Who asked for it.
    pub creator: String,
}

/// What is kept of a student beside its spec, in the same message: fields that the spec does not have.
#[derive(Clone, PartialEq, Message)]
struct Origin {
    #[prost(string, tag = "1000")]
    creator: String,
}

impl Explanations {
    /// Distills another student. Dropping the stream stops the fitting.
    pub async fn create_student(
        &self,
        caller: &Caller,
        parent: &ResourceName,
        id: Option<String>,
        spec: StudentSpec,
    ) -> Result<impl Stream<Item = Result<StudentUpdate>> + Send + use<>> {
        let live = self.get(parent).await?;
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let name = parent.child("students", &id)?;
        let taken = || Error::AlreadyExists { kind: "STUDENT", resource: name.to_string() };
        let reserved = live.reserve(&name).ok_or_else(taken)?;
        let documents = self.documents.paths(&folder(parent)).await?;
        if id == "default" || documents.contains(&document_path(&name)) {
            return Err(taken());
        }
        if documents.len() >= MAX_STUDENT_COUNT {
            return Err(Error::FailedPrecondition {
                reason: "TOO_MANY_STUDENTS",
                subject: parent.to_string(),
                description: format!("an explanation has at most {MAX_STUDENT_COUNT} students; create another one"),
            });
        }
        let origin = Origin { creator: caller.name.clone() };
        let document = [raw::StudentSpec::from(&spec).encode_to_vec(), origin.encode_to_vec()].concat();
        let updates = under("spec", self.distill(live, name.clone(), spec, origin.creator).await)?;
        let store = Arc::clone(&self.documents);
        // Only a student that came about is on record; until then its name is reserved for this call.
        Ok(updates.then(move |update| {
            let (store, name, document) = (Arc::clone(&store), name.clone(), document.clone());
            let _held = &reserved;
            async move {
                let update = update?;
                let is_made = matches!(update, StudentUpdate::Student(_));
                // Another replica may have made one of this name meanwhile.
                if is_made && !store.create(&document_path(&name), document).await? {
                    return Err(Error::AlreadyExists { kind: "STUDENT", resource: name.to_string() });
                }
                Ok(update)
            }
        }))
    }

    /// All students of an explanation, the first one first, the others by name.
    pub async fn students(&self, parent: &ResourceName) -> Result<Vec<MadeStudent>> {
        let live = self.get(parent).await?;
        let creator = live.current().creator.clone();
        let first = live.students().into_iter().take_while(|student| student.name.id() == "default");
        let mut students: Vec<MadeStudent> =
            first.map(|student| MadeStudent { student, creator: creator.clone() }).collect();
        for path in self.documents.paths(&folder(parent)).await? {
            let id = path.rsplit('/').next().unwrap_or_default();
            students.push(self.student(&parent.child("students", id)?).await?);
        }
        Ok(students)
    }

    /// A student. One that only its document is left of is fitted again.
    pub async fn student(&self, name: &ResourceName) -> Result<MadeStudent> {
        let not_found = || Error::NotFound { kind: "STUDENT", resource: name.to_string() };
        let live = self.get(&name.parent().ok_or_else(not_found)?).await?;
        let known = |live: &Live| live.students().into_iter().find(|student| student.name == *name);
        if name.id() == "default" {
            live.finished().await?;
            let creator = live.current().creator.clone();
            return known(&live).map(|student| MadeStudent { student, creator }).ok_or_else(not_found);
        }
        let document = self.documents.get(&document_path(name)).await?.ok_or_else(not_found)?;
        let origin = Origin::decode(document.as_slice()).map_err(Error::unexpected)?;
        let creator = proto::catalog::creator(origin.creator);
        if let Some(student) = known(&live) {
            return Ok(MadeStudent { student, creator });
        }
        let spec = raw::StudentSpec::decode(document.as_slice()).map_err(Error::unexpected)?;
        let mut updates = Box::pin(self.distill(live, name.clone(), StudentSpec::try_from(spec)?, creator).await?);
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
        creator: String,
    ) -> Result<impl Stream<Item = Result<StudentUpdate>> + Send + use<>> {
        let (question, snapshot) = live.finished().await?;
        let instance =
            snapshot.instance.ok_or_else(|| Error::unexpected("a finished explanation without an instance"))?;
        let (config, chunks) = chosen::order(name, &spec, &question, &instance, &snapshot.neighborhood)?;
        let distillation = self.models.students.distill(config).await?;
        let sender = distillation.chunks;
        self.tasks.spawn(async move {
            for chunk in chunks {
                if sender.send(chunk).await.is_err() {
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
                    StudentUpdate::Student(MadeStudent { student, creator: creator.clone() })
                }
            })
        }))
    }

    /// Removes the documents of all students of an explanation.
    pub(super) async fn delete_students(&self, parent: &ResourceName) -> Result<()> {
        for path in self.documents.paths(&folder(parent)).await? {
            self.documents.delete(&path).await?;
        }
        Ok(())
    }
}

/// Beside the explanations' own folder, so that listing those does not read students.
fn document_path(name: &ResourceName) -> String {
    format!("students/{}/{}", name.first_id(), name.id())
}

fn folder(explanation: &ResourceName) -> String {
    format!("students/{}", explanation.id())
}
