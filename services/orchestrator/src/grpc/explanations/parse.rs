//! Requests of `ExplanationService`, read with every wrong field reported at once.

use domain::{Anchoring, Error, NeighborhoodSpec, ResourceName, Result, StudentSpec, Violations};
use proto::{
    explanation::InstanceRequest,
    fields::{nested, required},
    raw::deeper::{explanation::v1 as raw, types::v1 as types},
    specs::AttributionRequest,
};

use crate::{
    explanations::{Interpolation, NewExplanation},
    grpc::fingerprint::fingerprint,
};

/// Longest id of an explanation: its operation's id is twelve longer.
const MAX_ID_LENGTH: usize = 48;
/// Longest display name, in characters.
const MAX_DISPLAY_NAME_LENGTH: usize = 200;
/// Most points in one DecodeLatents call.
const MAX_POINT_COUNT: usize = 256;
/// Most images of one interpolation.
const MAX_STEP_COUNT: u32 = 64;
/// Images of an interpolation that does not say.
const DEFAULT_STEP_COUNT: u32 = 9;

/// Collects fields; `done` ends with every violation or with all values.
#[derive(Default)]
struct Reader(Violations);

impl Reader {
    fn name(&mut self, field: &str, text: &str, collections: &[&str]) -> Option<ResourceName> {
        self.0.take(field, ResourceName::parse(text, collections))
    }

    fn message<R, T: TryFrom<R, Error = Error>>(&mut self, field: &str, value: Option<R>) -> Option<T> {
        let read = required(field, value).and_then(|value| nested(field, value));
        self.0.take("", read)
    }

    fn optional<R, T: TryFrom<R, Error = Error> + Default>(&mut self, field: &str, value: Option<R>) -> Option<T> {
        match value {
            None => Some(T::default()),
            Some(value) => self.0.take("", nested(field, value)),
        }
    }

    /// A UUID in one spelling, so that it is one request however it was written.
    fn request_id(&mut self, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let read = uuid::Uuid::try_parse(text).map_err(|_| Error::invalid("request_id", "is not a UUID"));
        self.0.take("", read).map(|uuid| uuid.hyphenated().to_string())
    }

    /// The name of an explanation that is to be made: the caller's id, the request's, or a new one.
    fn new_name(&mut self, id: &str, request_id: Option<&str>) -> Option<ResourceName> {
        let made = uuid::Uuid::new_v4().to_string();
        let id = Some(id).filter(|id| !id.is_empty()).or(request_id).unwrap_or(&made);
        if id.len() > MAX_ID_LENGTH {
            self.0.add("explanation_id", format!("is longer than {MAX_ID_LENGTH}"));
            return None;
        }
        self.0.take("explanation_id", ResourceName::new(ResourceName::EXPLANATION, &[id]))
    }

    /// A value that its enumeration knows.
    fn known<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        self.0.check(E::try_from(value).is_ok(), field, || format!("{value} is not one of its values"));
    }

    /// All values are there exactly when nothing was noted.
    fn done<T>(self, values: Option<T>) -> Result<T> {
        self.0.finish()?;
        values.ok_or_else(|| Error::unexpected("a field is missing and was not reported"))
    }
}

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

pub(super) fn parent(text: &str) -> Result<ResourceName> {
    let mut reader = Reader::default();
    let name = reader.name("parent", text, ResourceName::EXPLANATION);
    reader.done(name)
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

pub(super) fn new_student(request: raw::CreateStudentRequest) -> Result<(ResourceName, Option<String>, StudentSpec)> {
    let mut reader = Reader::default();
    let parent = reader.name("parent", &request.parent, ResourceName::EXPLANATION);
    let spec: Option<StudentSpec> = reader.optional("spec", request.spec);
    let id = non_empty(request.student_id);
    if let Some(id) = &id {
        reader.0.take("student_id", ResourceName::new(ResourceName::STUDENT, &["x", id]));
    }
    let values = parent.zip(spec).map(|(parent, spec)| (parent, id, spec));
    reader.done(values)
}

pub(super) fn encode(request: raw::EncodeInstanceRequest) -> Result<(ResourceName, ResourceName, InstanceRequest)> {
    let mut reader = Reader::default();
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let autoencoder = reader.name("autoencoder", &request.autoencoder, ResourceName::AUTOENCODER);
    let instance: Option<InstanceRequest> = reader.message("instance", request.instance);
    let values = (|| Some((teacher?, autoencoder?, instance?)))();
    reader.done(values)
}

pub(super) struct Decode {
    pub teacher: ResourceName,
    pub autoencoder: ResourceName,
    pub points: Vec<Vec<f32>>,
    pub anchor: Option<InstanceRequest>,
}

pub(super) fn decode(request: raw::DecodeLatentsRequest) -> Result<Decode> {
    let mut reader = Reader::default();
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let autoencoder = reader.name("autoencoder", &request.autoencoder, ResourceName::AUTOENCODER);
    let count = request.latents.len();
    reader.0.check((1..=MAX_POINT_COUNT).contains(&count), "latents", || {
        format!("{count} points are not 1 to {MAX_POINT_COUNT}")
    });
    for (i, point) in request.latents.iter().enumerate().take(MAX_POINT_COUNT) {
        let within = |z: &f32| z.is_finite() && z.abs() <= NeighborhoodSpec::MAX_COORDINATE;
        reader.0.check(point.coordinates.iter().all(within), &format!("latents[{i}]"), || {
            format!("coordinates must be finite and within ±{}", NeighborhoodSpec::MAX_COORDINATE)
        });
    }
    let anchor = request.anchor.map(|anchor| reader.message("anchor", Some(anchor)));
    let points = request.latents.into_iter().map(|point| point.coordinates).collect();
    let values = (|| {
        let anchor = match anchor {
            None => None,
            Some(anchor) => Some(anchor?),
        };
        Some(Decode { teacher: teacher?, autoencoder: autoencoder?, points, anchor })
    })();
    reader.done(values)
}

pub(super) fn interpolation(request: raw::InterpolateInstancesRequest) -> Result<Interpolation> {
    let mut reader = Reader::default();
    reader.known::<types::Anchoring>("anchoring", request.anchoring);
    let anchoring = Anchoring::from(request.anchoring());
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let autoencoder = reader.name("autoencoder", &request.autoencoder, ResourceName::AUTOENCODER);
    let from = reader.message("from", request.from);
    let to = reader.message("to", request.to);
    let step_count = if request.step_count == 0 { DEFAULT_STEP_COUNT } else { request.step_count };
    reader.0.check((2..=MAX_STEP_COUNT).contains(&step_count), "step_count", || {
        format!("{step_count} is outside 2 to {MAX_STEP_COUNT}")
    });
    let values = (|| {
        Some(Interpolation {
            teacher: teacher?,
            autoencoder: autoencoder?,
            from: from?,
            to: to?,
            step_count,
            anchoring,
        })
    })();
    reader.done(values)
}

pub(super) fn attribution(
    request: raw::AttributeInstanceRequest,
) -> Result<(ResourceName, InstanceRequest, AttributionRequest)> {
    let mut reader = Reader::default();
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let instance: Option<InstanceRequest> = reader.message("instance", request.instance);
    let spec: Option<AttributionRequest> = reader.message("spec", Some(request.spec.unwrap_or_default()));
    let values = (|| Some((teacher?, instance?, spec?)))();
    reader.done(values)
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
