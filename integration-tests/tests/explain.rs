//! Known-answer worlds: what an explanation has to say is known before it is computed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::{ImageShape, Label};
use integration_tests::{
    Failure, Sandbox, World,
    api::{classifier, explain_example, explain_image, fitted, neighbors, own_image},
    known::{PATCH, SHAPE, centered, gray_image, linear_classifier, random_image},
    world::{QUARTERS, TEACHER},
};
use prost::Message;
use proto::raw::deeper::{
    explanation::v1::{self as raw, State},
    types::v1 as types,
};
use tonic::Code;

/// Hardly any penalty: the fit is exact where the teacher is linear.
fn exact() -> Option<types::StudentSpec> {
    Some(types::StudentSpec { l2: Some(1e-6), ..Default::default() })
}

/// Positions of the `count` largest values.
fn strongest(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut first = order[..count].to_vec();
    first.sort_unstable();
    first
}

fn patch_pixels() -> Vec<usize> {
    PATCH.0.flat_map(|row| PATCH.1.map(move |column| row * SHAPE.width + column)).collect()
}

#[tokio::test]
async fn a_linear_teachers_weights_come_back_up_to_a_constant_over_classes() {
    let sandbox = Sandbox::linear().await;
    let request = raw::CreateExplanationRequest { student: exact(), ..explain_image("x", &random_image(1)) };
    let explanation = sandbox.api.explain(request).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded);

    let student = fitted(&explanation);
    let got = centered(classifier(student).weights());
    let want = centered(linear_classifier().weights());
    let errors = got.iter().flatten().zip(want.iter().flatten()).map(|(got, want)| (got - want).abs());
    // Weights are up to 2; logits are rounded to f32.
    let worst = errors.fold(0.0, f64::max);
    assert!(worst < 0.01, "worst error {worst}");

    let fidelity = student.fidelity.as_ref().unwrap();
    assert!(fidelity.top1_agreement > 0.99 && fidelity.mean_kl < 1e-4, "{fidelity:?}");
    assert!(fidelity.majority_baseline < fidelity.top1_agreement);
    assert!(fidelity.instance_held_out.as_ref().unwrap().agrees && fidelity.stability > 0.99, "{fidelity:?}");
}

#[tokio::test]
async fn a_planted_patch_is_found_by_the_student_and_by_occlusion() {
    let sandbox = Sandbox::start(&World::planted().await).await;
    // Slightly above the threshold: class 1, with neighbors on both sides.
    let image = gray_image(131);
    let explanation = sandbox.api.explain(explain_image("x", &image)).await.unwrap();
    let student = fitted(&explanation);
    assert_eq!(student.predicted_label, 1);
    let contrast = &student.contrast_map.as_ref().unwrap().values;
    assert_eq!(strongest(contrast, 4), patch_pixels());

    let request =
        raw::AttributeInstanceRequest { teacher: TEACHER.into(), instance: Some(own_image(&image)), spec: None };
    let attribution = sandbox.api.explanations.clone().attribute_instance(request).await.unwrap().into_inner();
    assert_eq!(strongest(&attribution.heatmap.unwrap().values, 4), patch_pixels());
}

#[tokio::test]
async fn the_first_student_comes_before_the_last_neighbor_is_labelled() {
    let sandbox = Sandbox::linear().await;
    let brake = sandbox.world.brake.clone();
    // The teacher is open already; one batch for the instance, two for the first 250 neighbors.
    brake.hold_after(3);
    let mut client = sandbox.api.explanations.clone();
    client.create_explanation(explain_image("x", &random_image(1))).await.unwrap();
    let name = "explanations/x".to_owned();
    let mut watch = client.watch_explanation(raw::WatchExplanationRequest { name }).await.unwrap().into_inner();
    let rough = loop {
        let snapshot = watch.message().await.unwrap().expect("the explanation is not done");
        if snapshot.student.is_some() {
            break snapshot;
        }
    };
    brake.held().await;
    assert_eq!((rough.state(), rough.stage()), (State::Running, raw::Stage::Labeling));
    assert!(rough.labeled_neighbor_count <= 250, "{}", rough.labeled_neighbor_count);
    assert!(fitted(&rough).fidelity.is_some());

    brake.release();
    let mut last = rough;
    while let Some(snapshot) = watch.message().await.unwrap() {
        assert!(snapshot.labeled_neighbor_count >= last.labeled_neighbor_count);
        assert!(fitted(&snapshot).neighbor_count >= fitted(&last).neighbor_count);
        last = snapshot;
    }
    assert_eq!((last.state(), last.labeled_neighbor_count), (State::Succeeded, 1_000));
    assert_eq!(fitted(&last).neighbor_count, 1_000);
}

#[tokio::test]
async fn the_same_request_gives_the_same_bytes_cold_and_from_the_cache() {
    let (first, second) = tokio::join!(Sandbox::linear(), Sandbox::linear());
    let request = |id: &str| explain_image(id, &random_image(7));
    let a = first.api.explain(request("a")).await.unwrap();
    let cold = second.api.explain(request("b")).await.unwrap();
    let batch_count = first.world.brake.work().batch_count;
    let cached = first.api.explain(request("c")).await.unwrap();
    assert_eq!(first.world.brake.work().batch_count, batch_count, "the teacher was asked again");
    for other in [&cold, &cached] {
        assert_eq!(fitted(&a).encode_to_vec(), fitted(other).encode_to_vec());
        assert_eq!((&a.latent, &a.soft_labels), (&other.latent, &other.soft_labels));
    }
    let images = |neighbors: Vec<raw::Neighbor>| {
        neighbors.into_iter().map(|n| (n.image, n.latent, n.soft_labels)).collect::<Vec<_>>()
    };
    let neighbors = images(first.api.neighbors(&a.name).await.unwrap());
    assert_eq!(neighbors, images(second.api.neighbors(&cold.name).await.unwrap()));
}

#[tokio::test]
async fn a_larger_count_extends_the_same_neighbors_and_labels_only_the_new_ones() {
    let sandbox = Sandbox::linear().await;
    let request = |id: &str, count| raw::CreateExplanationRequest {
        neighborhood: neighbors(count),
        ..explain_image(id, &random_image(3))
    };
    sandbox.api.explain(request("few", 300)).await.unwrap();
    let image_count = sandbox.world.brake.work().image_count;
    sandbox.api.explain(request("more", 700)).await.unwrap();
    assert_eq!(sandbox.world.brake.work().image_count - image_count, 400);

    let few = sandbox.api.neighbors("explanations/few").await.unwrap();
    let more = sandbox.api.neighbors("explanations/more").await.unwrap();
    assert_eq!((few.len(), more.len()), (300, 700));
    for (index, (a, b)) in few.iter().zip(&more).enumerate() {
        assert_eq!((a.index, b.index), (index as u64, index as u64));
        assert_eq!((&a.image, &a.latent, &a.soft_labels), (&b.image, &b.latent, &b.soft_labels));
    }
}

#[tokio::test]
async fn another_seed_draws_other_neighbors_and_finds_the_same_map() {
    let sandbox = Sandbox::linear().await;
    let request = |id: &str, seed| raw::CreateExplanationRequest {
        neighborhood: Some(types::NeighborhoodSpec { seed: Some(seed), ..Default::default() }),
        student: exact(),
        ..explain_image(id, &random_image(3))
    };
    let one = sandbox.api.explain(request("one", 1)).await.unwrap();
    let two = sandbox.api.explain(request("two", 2)).await.unwrap();
    let map = |explanation| domain::Heatmap::try_from(fitted(explanation).contrast_map.clone().unwrap()).unwrap();
    assert_ne!(map(&one), map(&two));
    assert!(map(&one).cosine(&map(&two)) > 0.999);
}

#[tokio::test]
async fn another_student_is_distilled_from_the_same_neighbors_without_asking_the_teacher() {
    let sandbox = Sandbox::linear().await;
    let explanation = sandbox.api.explain(explain_image("x", &random_image(5))).await.unwrap();
    let work = sandbox.world.brake.work();
    let adam = types::AdamSolver { epoch_count: Some(5), ..Default::default() };
    let specs = [
        types::StudentSpec { temperature: Some(5.0), ..Default::default() },
        types::StudentSpec { neighbor_limit: Some(100), ..Default::default() },
        types::StudentSpec { solver: Some(types::student_spec::Solver::Adam(adam)), ..Default::default() },
        types::StudentSpec {
            ranges: vec![types::LatentRange { dimension: 0, low: -20.0, high: 0.0 }],
            ..Default::default()
        },
    ];
    for (i, spec) in specs.into_iter().enumerate() {
        let id = format!("other-{i}");
        let parent = explanation.name.clone();
        let request = raw::CreateStudentRequest { parent, student_id: id.clone(), spec: Some(spec) };
        let student = sandbox.api.distill(request).await.unwrap();
        assert_eq!(student.name, format!("explanations/x/students/{id}"));
        let fitted_again = student.fitted.as_ref().unwrap();
        assert_ne!(fitted_again, fitted(&explanation));
        let name = student.name.clone();
        let request = raw::GetStudentRequest { name };
        let got = sandbox.api.explanations.clone().get_student(request).await.unwrap().into_inner();
        assert_eq!(got, student);
    }
    assert_eq!(sandbox.world.brake.work(), work);

    let request = raw::ListStudentsRequest { parent: "explanations/x".into(), ..Default::default() };
    let listed = sandbox.api.explanations.clone().list_students(request).await.unwrap().into_inner();
    let ids: Vec<&str> = listed.students.iter().map(|student| student.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(ids, ["default", "other-0", "other-1", "other-2", "other-3"]);
    assert_eq!(listed.students[2].fitted.as_ref().unwrap().neighbor_count, 100);
}

#[tokio::test]
async fn anchored_neighbors_are_centered_on_the_instance_and_plain_ones_on_its_reconstruction() {
    let sandbox = Sandbox::linear().await;
    let image = random_image(9);
    let request = |id: &str, anchoring: types::Anchoring| raw::CreateExplanationRequest {
        autoencoder: QUARTERS.into(),
        neighborhood: Some(types::NeighborhoodSpec { anchoring: anchoring.into(), ..Default::default() }),
        ..explain_image(id, &image)
    };
    let anchored = sandbox.api.explain(request("anchored", types::Anchoring::Residual)).await.unwrap();
    let plain = sandbox.api.explain(request("plain", types::Anchoring::None)).await.unwrap();
    let reconstruction = plain.reconstruction.clone().unwrap().image.unwrap().pixels;
    assert_ne!(reconstruction, image.pixels());

    // 1,000 uniform draws of ±0.125 gray: the mean's standard error is 0.6 of 255.
    let off_center = |neighbors: &[raw::Neighbor], center: &[u8]| {
        let mean = |pixel: usize| {
            let sum: f64 = neighbors.iter().map(|n| f64::from(n.image.as_ref().unwrap().pixels[pixel])).sum();
            sum / neighbors.len() as f64
        };
        center.iter().enumerate().map(|(i, &want)| (mean(i) - f64::from(want)).abs()).fold(0.0, f64::max)
    };
    let anchored = sandbox.api.neighbors(&anchored.name).await.unwrap();
    let plain = sandbox.api.neighbors(&plain.name).await.unwrap();
    assert!(off_center(&anchored, image.pixels()) < 4.0);
    assert!(off_center(&plain, &reconstruction) < 4.0);
    assert!(off_center(&plain, image.pixels()) > 15.0);
}

#[tokio::test]
async fn a_neighborhood_without_extent_fails_with_words_that_help() {
    let sandbox = Sandbox::linear().await;
    let still = |dimension| types::LatentRange { dimension, low: 0.5, high: 0.5 };
    let ranges: Vec<types::LatentRange> = (0..4).map(still).collect();
    // An early fit to the first 64 of 1,000 may tell before the check of them all does; of 32 it cannot.
    for (id, neighbor_count) in [("few", 32), ("many", 1_000)] {
        let neighborhood = types::NeighborhoodSpec {
            neighbor_count: Some(neighbor_count),
            ranges: ranges.clone(),
            ..Default::default()
        };
        let request = raw::CreateExplanationRequest {
            autoencoder: QUARTERS.into(),
            neighborhood: Some(neighborhood),
            ..explain_image(id, &random_image(1))
        };
        let explanation = sandbox.api.explain(request).await.unwrap();
        assert_eq!(explanation.state(), State::Failed);
        let failure = Failure::from(explanation.error.unwrap());
        failure.expect(Code::FailedPrecondition, "NEIGHBORHOOD_DEGENERATE");
        assert_eq!(failure.message, domain::Error::neighborhood_degenerate().to_string());
        assert!(failure.message.contains("larger radius"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_png_of_ones_own_is_prepared_and_explained() {
    let sandbox = Sandbox::linear().await;
    // Dark ink on white paper, ten times too large.
    let drawn = image::GrayImage::from_fn(80, 80, |x, y| {
        image::Luma([if (30..50).contains(&x) && (10..70).contains(&y) { 10 } else { 255 }])
    });
    let mut png = Vec::new();
    drawn.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let own = raw::OwnImage { data: Some(raw::own_image::Data::Png(png)), gold_label: None };
    let instance = raw::Instance { source: Some(raw::instance::Source::Image(own)) };
    let request = raw::CreateExplanationRequest { instance: Some(instance), ..explain_image("x", &random_image(1)) };
    let explanation = sandbox.api.explain(request).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    let image = domain::Image::try_from(explanation.image.clone().unwrap()).unwrap();
    assert_eq!(image.shape(), ImageShape::gray(8, 8));
    // Ink in the middle, paper in the corners.
    assert!(image.pixels()[4 * 8 + 4] > 200 && image.pixels()[0] == 0, "{:?}", image.pixels());
}

#[tokio::test]
async fn without_a_gold_label_the_contrast_is_against_the_second_choice() {
    let sandbox = Sandbox::linear().await;
    let image = random_image(11);
    let explanation = sandbox.api.explain(explain_image("x", &image)).await.unwrap();
    assert_eq!(explanation.gold_label, None);
    let probabilities = &explanation.soft_labels.as_ref().unwrap().probabilities;
    let mut order: Vec<u32> = (0..3).collect();
    order.sort_by(|&a, &b| probabilities[b as usize].total_cmp(&probabilities[a as usize]));
    let student = fitted(&explanation);
    assert_eq!((student.predicted_label, student.contrast_label), (order[0], order[1]));

    // Said to be its third choice, it is contrasted with that.
    let mut request = explain_image("y", &image);
    let Some(raw::Instance { source: Some(raw::instance::Source::Image(own)) }) = &mut request.instance else {
        panic!("an own image")
    };
    own.gold_label = Some(order[2]);
    let explanation = sandbox.api.explain(request).await.unwrap();
    assert_eq!(fitted(&explanation).contrast_label, order[2]);
}

#[tokio::test]
async fn a_wrong_example_is_contrasted_with_its_gold_label() {
    let sandbox = Sandbox::linear().await;
    let example = "datasets/tiny/examples/train-4";
    let explanation = sandbox.api.explain(explain_example("x", example)).await.unwrap();
    let gold = Label(explanation.gold_label.unwrap());
    let student = fitted(&explanation);
    assert_eq!(student.contrast_label, gold.0);
    assert_ne!(student.predicted_label, gold.0, "every fifth example is wrong");
    assert_eq!(explanation.display_name, "");
}
