//! Explanations and what belongs to them: neighbors, students, codes, attributions.

use std::rc::Rc;

use domain::{
    Anchoring, Attribution, AttributionMethod, Error, Explanation, ExplanationState, Image, Neighbor, NeighborhoodSpec,
    ResourceName, Result, SoftLabels, Student,
};
use proto::{
    explanation::named_student,
    fields::required_from,
    raw::deeper::explanation::v1::{self as raw, create_student_response::Answer},
    specs::AttributionRequest,
};

use super::{Api, Watch, error_of, incomplete, trace};
use crate::{
    route::AttributionChoice,
    state::{
        AttributionKey, Encoding, EncodingKey, ExplanationRequest, StudentRequest,
        neighbors::{NeighborPage, PAGE_SIZE},
        story::Fit,
    },
};

/// One message of [`Api::fit_student`].
#[derive(Debug, Clone, PartialEq)]
pub enum StudentAnswer {
    /// How far the fit is.
    Progress(Fit),
    /// The student: the last message.
    Student(Box<Student>),
}

/// A student in the making. Dropping it stops the fitting.
pub type Fitting = Watch<raw::CreateStudentResponse, StudentAnswer>;

impl Api {
    /// Asks for an explanation and answers its name. One that is there already, or on its way, is used;
    /// one that had failed or was stopped is made anew under another name.
    pub async fn create_explanation(&self, request: &ExplanationRequest) -> Result<ResourceName> {
        let id = request.id();
        let name = ResourceName::new(ResourceName::EXPLANATION, &[&id])?;
        match self.create_explanation_as(&id, request).await {
            Ok(()) => Ok(name),
            Err(Error::AlreadyExists { .. }) => match self.get_explanation(&name).await?.state {
                ExplanationState::Failed(_) | ExplanationState::Cancelled => {
                    self.create_explanation_anew(request).await
                }
                _ => Ok(name),
            },
            Err(error) => Err(error),
        }
    }

    /// Gives an explanation up; one that runs is stopped.
    pub async fn delete_explanation(&self, name: &ResourceName) -> Result<()> {
        let request = raw::DeleteExplanationRequest { name: name.to_string() };
        self.explanations().delete_explanation(self.request(request)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }

    async fn create_explanation_anew(&self, request: &ExplanationRequest) -> Result<ResourceName> {
        let id = format!("{}-{:x}", request.id(), trace::random_bits() >> 32);
        self.create_explanation_as(&id, request).await?;
        ResourceName::new(ResourceName::EXPLANATION, &[&id])
    }

    async fn create_explanation_as(&self, id: &str, request: &ExplanationRequest) -> Result<()> {
        let message = raw::CreateExplanationRequest {
            explanation_id: id.to_owned(),
            teacher: request.teacher.to_string(),
            autoencoder: request.autoencoder.to_string(),
            instance: Some((&request.instance).into()),
            neighborhood: Some((&request.neighborhood).into()),
            student: Some((&request.student).into()),
            display_name: String::new(),
            request_id: trace::uuid4(trace::random_bits),
        };
        self.explanations().create_explanation(self.request(message)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }

    async fn get_explanation(&self, name: &ResourceName) -> Result<Explanation> {
        let request = raw::GetExplanationRequest { name: name.to_string() };
        let answer = self.explanations().get_explanation(self.request(request)).await;
        answer.map_err(|status| error_of(&status))?.into_inner().try_into()
    }

    /// The explanation as it is, then every change, until it is done.
    pub async fn watch_explanation(&self, name: &ResourceName) -> Result<Watch<raw::Explanation, Explanation>> {
        let request = raw::WatchExplanationRequest { name: name.to_string() };
        let answer = self.explanation_streams().watch_explanation(self.request(request)).await;
        Ok(Watch::new(answer.map_err(|status| error_of(&status))?.into_inner(), Explanation::try_from))
    }

    /// One page of neighbors with their pixels, and the token of the next.
    pub async fn list_neighbors(&self, page: &NeighborPage) -> Result<(Vec<Neighbor>, String)> {
        let request = raw::ListNeighborsRequest {
            parent: page.explanation.to_string(),
            page_size: PAGE_SIZE,
            page_token: page.page_token.clone(),
            view: raw::NeighborView::Full.into(),
        };
        let answer = self.explanations().list_neighbors(self.request(request)).await;
        let answer = answer.map_err(|status| error_of(&status))?.into_inner();
        let neighbors = answer.neighbors.into_iter().map(Neighbor::try_from).collect::<Result<_>>()?;
        Ok((neighbors, answer.next_page_token))
    }

    /// Distills another student from the same neighbors.
    pub async fn fit_student(&self, request: &StudentRequest) -> Result<Fitting> {
        let message = raw::CreateStudentRequest {
            parent: request.explanation.to_string(),
            student_id: String::new(),
            spec: Some((&request.spec).into()),
        };
        let answer = self.explanation_streams().create_student(self.request(message)).await;
        Ok(Watch::new(answer.map_err(|status| error_of(&status))?.into_inner(), student_answer))
    }

    /// Where an instance lies, what comes back, and what the teacher says to both.
    pub async fn encode(&self, key: &EncodingKey) -> Result<Encoding> {
        let request = raw::EncodeInstanceRequest {
            teacher: key.teacher.to_string(),
            autoencoder: key.autoencoder.to_string(),
            instance: Some((&key.instance).into()),
        };
        let answer = self.explanations().encode_instance(self.request(request)).await;
        let answer = answer.map_err(|status| error_of(&status))?.into_inner();
        Ok(Encoding {
            image: required_from("image", answer.image)?,
            gold_label: answer.gold_label.map(domain::Label),
            soft_labels: required_from("soft_labels", answer.soft_labels)?,
            latent: required_from("latent", answer.latent)?,
            reconstruction: Rc::new(required_from("reconstruction", answer.reconstruction)?),
        })
    }

    /// The image of one latent point, with the teacher's answer.
    pub async fn decode(
        &self,
        key: &EncodingKey,
        spec: &NeighborhoodSpec,
        point: Vec<f32>,
    ) -> Result<(Image, SoftLabels)> {
        let anchored = spec.anchoring == Anchoring::Residual;
        let request = raw::DecodeLatentsRequest {
            teacher: key.teacher.to_string(),
            autoencoder: key.autoencoder.to_string(),
            latents: vec![point.into()],
            anchor: anchored.then(|| (&key.instance).into()),
        };
        let answer = self.explanations().decode_latents(self.request(request)).await;
        let images = answer.map_err(|status| error_of(&status))?.into_inner().images;
        let decoded = images.into_iter().next().ok_or_else(|| incomplete("image"))?;
        Ok((required_from("image", decoded.image)?, required_from("soft_labels", decoded.soft_labels)?))
    }

    /// Which pixels move the teacher's answer: predicted against gold, where gold is known and was missed.
    pub async fn attribute(&self, key: &AttributionKey) -> Result<Attribution> {
        let method = match key.choice {
            AttributionChoice::Occlusion => AttributionMethod::Occlusion { patch_size: 3, stride: 1 },
            AttributionChoice::Gradient => AttributionMethod::GradientTimesInput,
        };
        let request = raw::AttributeInstanceRequest {
            teacher: key.teacher.to_string(),
            instance: Some((&key.instance).into()),
            spec: Some((&AttributionRequest { method, target: None, baseline: None }).into()),
        };
        let answer = self.explanations().attribute_instance(self.request(request)).await;
        answer.map_err(|status| error_of(&status))?.into_inner().try_into()
    }
}

fn student_answer(message: raw::CreateStudentResponse) -> Result<StudentAnswer> {
    match message.answer.ok_or_else(|| incomplete("answer"))? {
        Answer::Progress(progress) => Ok(StudentAnswer::Progress(Fit {
            iteration: progress.iteration,
            iteration_count: progress.iteration_count,
        })),
        Answer::Student(student) => Ok(StudentAnswer::Student(Box::new(named_student(student)?))),
    }
}
