//! Requests of `ExplanationService`, read with every wrong field reported at once.

mod looks;
mod reader;

use domain::{NeighborhoodSpec, ResourceName, Result, StudentSpec};
use proto::{explanation::InstanceRequest, raw::deeper::explanation::v1 as raw};
use runtime::page::Page;

pub(super) use self::looks::{attribution, decode, encode, interpolation};
use self::reader::Reader;
use crate::{explanations::NewExplanation, grpc::fingerprint::fingerprint};

/// Longest display name, in characters.
const MAX_DISPLAY_NAME_LENGTH: usize = 200;

pub(super) fn explanation_name(text: &str) -> Result<ResourceName> {
    let mut reader = Reader::default();
    let name = reader.name("name", text, ResourceName::EXPLANATION);
    reader.done(name)
}

pub(super) fn student_name(text: &str) -> Result<ResourceName> {
    let mut reader = Reader::default();
    let name = reader.name("name", text, ResourceName::STUDENT);
    reader.done(name)
}

/// Which neighbors of which explanation.
pub(super) struct Neighbors {
    pub(super) parent: ResourceName,
    pub(super) with_images: bool,
    pub(super) page: Page,
}

impl Neighbors {
    /// What binds a page token to this list.
    pub(super) fn arguments(&self) -> [&str; 2] {
        neighbor_arguments(self.parent.as_str(), self.with_images)
    }
}

fn neighbor_arguments(parent: &str, with_images: bool) -> [&str; 2] {
    [parent, if with_images { "full" } else { "basic" }]
}

pub(super) fn neighbors(request: &raw::ListNeighborsRequest) -> Result<Neighbors> {
    let mut reader = Reader::default();
    let parent = reader.name("parent", &request.parent, ResourceName::EXPLANATION);
    let view = reader.known("view", request.view, raw::NeighborView::as_str_name);
    let with_images = view == Some(raw::NeighborView::Full);
    let arguments = neighbor_arguments(&request.parent, with_images);
    let page = reader.page(request.page_size, &request.page_token, &arguments);
    let values = (|| Some(Neighbors { parent: parent?, with_images, page: page? }))();
    reader.done(values)
}

/// What binds a page token to the students of an explanation.
pub(super) fn student_arguments(parent: &str) -> [&str; 2] {
    [parent, "students"]
}

pub(super) fn students(request: &raw::ListStudentsRequest) -> Result<(ResourceName, Page)> {
    let mut reader = Reader::default();
    let parent = reader.name("parent", &request.parent, ResourceName::EXPLANATION);
    let page = reader.page(request.page_size, &request.page_token, &student_arguments(&request.parent));
    reader.done(parent.zip(page))
}

pub(super) fn new_explanation(mut request: raw::CreateExplanationRequest) -> Result<NewExplanation> {
    let mut reader = Reader::default();
    let request_id = reader.request_id(&std::mem::take(&mut request.request_id));
    let fingerprint = fingerprint("CreateExplanation", &request);
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let autoencoder = reader.name("autoencoder", &request.autoencoder, ResourceName::AUTOENCODER);
    let instance: Option<InstanceRequest> = reader.message("instance", request.instance);
    let neighborhood: Option<NeighborhoodSpec> = reader.optional("neighborhood", request.neighborhood);
    let student_spec: Option<StudentSpec> = reader.optional("student", request.student);
    let name = reader.new_name(&request.explanation_id, request_id.as_deref());
    let display_name_fits = request.display_name.chars().count() <= MAX_DISPLAY_NAME_LENGTH;
    reader.0.check(display_name_fits, "display_name", || format!("is longer than {MAX_DISPLAY_NAME_LENGTH}"));
    let values = (|| {
        Some(NewExplanation {
            name: name?,
            display_name: request.display_name,
            teacher: teacher?,
            autoencoder: autoencoder?,
            instance: instance?,
            neighborhood: neighborhood?,
            student_spec: student_spec?,
            request_id,
            fingerprint,
        })
    })();
    reader.done(values)
}

/// `dimension_count` is that of the explanation's latent space, where there is one.
pub(super) fn new_student(
    request: raw::CreateStudentRequest,
    dimension_count: Option<usize>,
) -> Result<(ResourceName, Option<String>, StudentSpec)> {
    let mut reader = Reader::default();
    let parent = reader.name("parent", &request.parent, ResourceName::EXPLANATION);
    let ranges = request.spec.iter().flat_map(|spec| &spec.ranges).take(NeighborhoodSpec::MAX_RANGE_COUNT);
    let dimensions: Vec<u32> = ranges.map(|range| range.dimension).collect();
    let spec: Option<StudentSpec> = reader.optional("spec", request.spec);
    for (i, dimension) in dimensions.into_iter().enumerate() {
        let known = dimension_count.is_none_or(|count| (dimension as usize) < count);
        reader.0.check(known, &format!("spec.ranges[{i}]"), || {
            format!("dimension {dimension} is not below {}", dimension_count.unwrap_or_default())
        });
    }
    let id = non_empty(request.student_id);
    if let Some(id) = &id {
        reader.0.take("student_id", ResourceName::new(ResourceName::STUDENT, &["x", id]));
    }
    let values = parent.zip(spec).map(|(parent, spec)| (parent, id, spec));
    reader.done(values)
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
