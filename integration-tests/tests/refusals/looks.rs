//! Latent points, walks and attributions.

use integration_tests::{
    Sandbox,
    world::{QUARTERS, TEACHER},
};
use proto::raw::deeper::{
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};

use crate::instance;

#[tokio::test]
async fn latents_steps_and_attributions_out_of_range_are_refused() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let decode = |latents: Vec<Vec<f32>>| raw::DecodeLatentsRequest {
        teacher: TEACHER.into(),
        autoencoder: QUARTERS.into(),
        latents: latents.into_iter().map(Into::into).collect(),
        anchor: None,
    };
    refused!(api, decode_latents, decode(vec![])).expect_fields(&["latents"]);
    refused!(api, decode_latents, decode(vec![vec![0.0; 4]; 257])).expect_fields(&["latents"]);
    let strange = decode(vec![vec![0.0; 4], vec![f32::NAN; 4], vec![0.0, 0.0, 0.0, 20.5], vec![0.0; 3], vec![]]);
    let every = ["latents[1]", "latents[2]", "latents[3]", "latents[4]"];
    refused!(api, decode_latents, strange.clone()).expect_fields(&every);
    // Without an autoencoder to ask, everything is told that can be judged without.
    let nowhere = raw::DecodeLatentsRequest { autoencoder: "autoencoders/none".into(), ..strange };
    refused!(api, decode_latents, nowhere).expect_fields(&["latents[1]", "latents[2]"]);
    refused!(api, decode_latents, raw::DecodeLatentsRequest::default()).expect_fields(&[
        "teacher",
        "autoencoder",
        "latents",
    ]);

    let walk = |step_count| raw::InterpolateInstancesRequest {
        teacher: TEACHER.into(),
        autoencoder: QUARTERS.into(),
        from: instance(),
        to: instance(),
        step_count,
        ..Default::default()
    };
    for step_count in [1, 65, u32::MAX] {
        refused!(api, interpolate_instances, walk(step_count)).expect_fields(&["step_count"]);
    }
    let failure = refused!(api, interpolate_instances, raw::InterpolateInstancesRequest { anchoring: 8, ..walk(1) });
    failure.expect_fields(&["anchoring", "step_count"]);
    let told = failure.description("anchoring");
    assert_eq!(told, "8 is not one of ANCHORING_RESIDUAL (1), ANCHORING_NONE (2)");
}

#[tokio::test]
async fn attributions_are_refused_with_every_wrong_field() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let attribute =
        |spec| raw::AttributeInstanceRequest { teacher: TEACHER.into(), instance: instance(), spec: Some(spec) };
    let occlusion = |patch_size, stride| {
        let occlusion = types::Occlusion { patch_size: Some(patch_size), stride: Some(stride) };
        Some(types::attribution_spec::Method::Occlusion(occlusion))
    };
    let (patch, stride) = ("spec.occlusion.patch_size", "spec.occlusion.stride");
    for (patch_size, step, wrong) in [
        (0, 1, vec![patch]),
        (9, 1, vec![patch]),
        (3, 0, vec![stride]),
        (3, 4, vec![stride]),
        (9, 10, vec![stride, patch]),
    ] {
        let spec = types::AttributionSpec { method: occlusion(patch_size, step), ..Default::default() };
        refused!(api, attribute_instance, attribute(spec)).expect_fields(&wrong);
    }
    let (target, baseline) = ("spec.target_label", "spec.baseline_label");
    for (target_label, baseline_label, wrong) in [
        (Some(3), None, vec![target]),
        (Some(0), Some(7), vec![baseline]),
        (Some(1), Some(1), vec![baseline]),
        (Some(8), Some(9), vec![target, baseline]),
    ] {
        let spec = types::AttributionSpec { target_label, baseline_label, ..Default::default() };
        refused!(api, attribute_instance, attribute(spec)).expect_fields(&wrong);
    }
    // Everything at once, with the image's own label.
    let spec = types::AttributionSpec { method: occlusion(99, 0), target_label: Some(8), baseline_label: Some(9) };
    let mut request = attribute(spec);
    if let Some(raw::Instance { source: Some(Source::Image(own)) }) = &mut request.instance {
        own.gold_label = Some(4);
    }
    let every = [stride, patch, "instance.image.gold_label", target, baseline];
    refused!(api, attribute_instance, request.clone()).expect_fields(&every);
    // Without a teacher to ask, everything is told that can be judged without.
    let nowhere = raw::AttributeInstanceRequest { teacher: "nonsense".into(), instance: None, ..request };
    refused!(api, attribute_instance, nowhere).expect_fields(&["teacher", "instance", stride]);

    // The target that is chosen where none is given is the predicted label.
    let chosen = api.clone().attribute_instance(attribute(types::AttributionSpec::default())).await.unwrap();
    let predicted = chosen.into_inner().spec.unwrap().target_label;
    let spec = types::AttributionSpec { baseline_label: predicted, ..Default::default() };
    refused!(api, attribute_instance, attribute(spec)).expect_fields(&[baseline]);
}
