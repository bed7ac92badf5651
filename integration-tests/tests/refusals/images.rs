//! Images of one's own.

use domain::{Image, ImageShape};
use integration_tests::{
    Failure, Sandbox,
    api::{explain_image, own_image},
    known::random_image,
    world::{IDENTITY, TEACHER},
};
use proto::raw::deeper::{
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};
use tonic::Code;

use crate::{instance, pixels, png};

#[tokio::test]
async fn images_of_the_wrong_shape_size_or_kind_are_refused_by_every_call_that_takes_one() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let large = Image::new(ImageShape::gray(28, 28), vec![0; 784]).unwrap();
    let bad: [(&str, Option<raw::Instance>, &str); 10] = [
        ("nothing", None, "INVALID_FIELDS"),
        ("no source", Some(raw::Instance { source: None }), "INVALID_FIELDS"),
        ("an empty PNG", png(Vec::new()), "INVALID_FIELDS"),
        ("no PNG", png(b"GIF89a".to_vec()), "INVALID_FIELDS"),
        ("a PNG beyond 10 MB", png(vec![0x89; 10_000_001]), "INVALID_FIELDS"),
        ("a blank PNG of the data set's shape", png(blank_png(8)), "INVALID_FIELDS"),
        ("a blank PNG of another shape", png(blank_png(50)), "INVALID_FIELDS"),
        ("too few pixels", pixels(8, 8, vec![0; 63]), "INVALID_FIELDS"),
        ("an impossible shape", pixels(u32::MAX, u32::MAX, vec![0; 64]), "INVALID_FIELDS"),
        ("another shape", Some(own_image(&large)), "IMAGE_SHAPE_MISMATCH"),
    ];
    for (what, instance, reason) in bad {
        let (teacher, autoencoder) = (TEACHER.to_owned(), IDENTITY.to_owned());
        let check = |failure: Failure| {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, reason), "{what}: {failure:?}");
            assert!(!failure.fields.is_empty(), "{what}: {failure:?}");
            let holders = ["instance", "to", "anchor"];
            let named = failure.fields.iter().all(|field| holders.contains(&field.split('.').next().unwrap()));
            assert!(named, "{what}: {failure:?}");
            let is_shape = reason == "IMAGE_SHAPE_MISMATCH";
            assert!(!is_shape || failure.fields[0].ends_with(".image.pixels"), "{what}: {failure:?}");
        };
        let request = raw::CreateExplanationRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            instance: instance.clone(),
            ..Default::default()
        };
        check(refused!(api, create_explanation, request));
        let request = raw::EncodeInstanceRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            instance: instance.clone(),
        };
        check(refused!(api, encode_instance, request));
        let request =
            raw::AttributeInstanceRequest { teacher: teacher.clone(), instance: instance.clone(), spec: None };
        check(refused!(api, attribute_instance, request));
        let request = raw::InterpolateInstancesRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            from: self::instance(),
            to: instance.clone(),
            ..Default::default()
        };
        check(refused!(api, interpolate_instances, request));
        if instance.is_some() {
            let latents = vec![types::LatentPoint { coordinates: vec![0.0; 64] }];
            let request = raw::DecodeLatentsRequest { teacher, autoencoder, latents, anchor: instance };
            check(refused!(api, decode_latents, request));
        }
    }
    // A message that no service reads to its end.
    let failure = refused!(
        api,
        create_explanation,
        raw::CreateExplanationRequest { instance: png(vec![0; 13 << 20]), ..explain_image("x", &random_image(1)) }
    );
    failure.expect(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(failure.message.contains("12582912 bytes"), "{failure:?}");
    assert_eq!(failure.details.error_info().unwrap().metadata["limit_bytes"], "12582912");

    let mut labelled = explain_image("x", &random_image(1));
    if let Some(raw::Instance { source: Some(Source::Image(own)) }) = &mut labelled.instance {
        own.gold_label = Some(3);
    }
    let failure = refused!(api, create_explanation, labelled);
    failure.expect_fields(&["instance.image.gold_label"]);
    // Of another shape and of no class: both are told.
    let mut both = explain_image("x", &large);
    if let Some(raw::Instance { source: Some(Source::Image(own)) }) = &mut both.instance {
        own.gold_label = Some(3);
    }
    let failure = refused!(api, create_explanation, both);
    failure.expect_fields(&["instance.image.pixels", "instance.image.gold_label"]);
}

fn blank_png(side: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(side, side, image::Luma([255])).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
