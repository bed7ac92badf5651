//! Requests for looks at one instance that leave no resource behind.

use domain::{Dataset, NeighborhoodSpec, ResourceName, Result};
use proto::{
    explanation::InstanceRequest,
    raw::deeper::{explanation::v1 as raw, types::v1 as types},
    specs::AttributionRequest,
};

use super::reader::Reader;
use crate::explanations::Interpolation;

/// Most points in one DecodeLatents call.
const MAX_POINT_COUNT: usize = 256;
/// Most images of one interpolation.
const MAX_STEP_COUNT: u32 = 64;
/// Images of an interpolation that does not say.
const DEFAULT_STEP_COUNT: u32 = 9;

pub(in crate::grpc::explanations) fn encode(
    request: raw::EncodeInstanceRequest,
) -> Result<(ResourceName, ResourceName, InstanceRequest)> {
    let mut reader = Reader::default();
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let autoencoder = reader.name("autoencoder", &request.autoencoder, ResourceName::AUTOENCODER);
    let instance: Option<InstanceRequest> = reader.message("instance", request.instance);
    let values = (|| Some((teacher?, autoencoder?, instance?)))();
    reader.done(values)
}

pub(in crate::grpc::explanations) struct Decode {
    pub(in crate::grpc::explanations) teacher: ResourceName,
    pub(in crate::grpc::explanations) autoencoder: ResourceName,
    pub(in crate::grpc::explanations) points: Vec<Vec<f32>>,
    pub(in crate::grpc::explanations) anchor: Option<InstanceRequest>,
}

/// `dimension_count` is the autoencoder's, where that is known.
pub(in crate::grpc::explanations) fn decode(
    request: raw::DecodeLatentsRequest,
    dimension_count: Option<usize>,
) -> Result<Decode> {
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
        let length = point.coordinates.len();
        reader.0.check(dimension_count.is_none_or(|count| length == count), &format!("latents[{i}]"), || {
            format!("{length} coordinates, the autoencoder has {}", dimension_count.unwrap_or_default())
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

pub(in crate::grpc::explanations) fn interpolation(request: raw::InterpolateInstancesRequest) -> Result<Interpolation> {
    let mut reader = Reader::default();
    let anchoring = reader.known("anchoring", request.anchoring, types::Anchoring::as_str_name);
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
            anchoring: anchoring?.into(),
        })
    })();
    reader.done(values)
}

/// `dataset` is the one that the teacher learned from, where that is known.
pub(in crate::grpc::explanations) fn attribution(
    request: raw::AttributeInstanceRequest,
    dataset: Option<&Dataset>,
) -> Result<(ResourceName, InstanceRequest, AttributionRequest)> {
    let mut reader = Reader::default();
    let teacher = reader.name("teacher", &request.teacher, ResourceName::TEACHER);
    let instance: Option<InstanceRequest> = reader.message("instance", request.instance);
    let raw_spec = request.spec.unwrap_or_default();
    let spec: Option<AttributionRequest> = reader.message("spec", Some(raw_spec));
    if let Some(dataset) = dataset {
        check_attribution(&mut reader, &raw_spec, instance.as_ref(), dataset);
    }
    let values = (|| Some((teacher?, instance?, spec?)))();
    reader.done(values)
}

/// What only the data set can tell.
fn check_attribution(
    reader: &mut Reader,
    spec: &types::AttributionSpec,
    instance: Option<&InstanceRequest>,
    dataset: &Dataset,
) {
    if let Some(types::attribution_spec::Method::Occlusion(occlusion)) = &spec.method {
        let side = dataset.shape.height.min(dataset.shape.width);
        let patch_size = occlusion.patch_size.unwrap_or_default() as usize;
        reader.0.check(patch_size <= side, "spec.occlusion.patch_size", || {
            format!("{patch_size} is outside 1 to {side}, the image's smaller side")
        });
    }
    let gold_label = match instance {
        Some(InstanceRequest::Png { gold_label, .. } | InstanceRequest::Pixels { gold_label, .. }) => *gold_label,
        Some(InstanceRequest::Example(_)) | None => None,
    };
    let label_count = dataset.label_names.len();
    for (field, label) in [
        ("instance.image.gold_label", gold_label.map(|label| label.0)),
        ("spec.target_label", spec.target_label),
        ("spec.baseline_label", spec.baseline_label),
    ] {
        let known = label.is_none_or(|label| (label as usize) < label_count);
        reader.0.check(known, field, || format!("{} is not below {label_count}", label.unwrap_or_default()));
    }
    let repeated = spec.target_label.is_some() && spec.target_label == spec.baseline_label;
    reader.0.check(!repeated, "spec.baseline_label", || "is the target itself".to_owned());
}
