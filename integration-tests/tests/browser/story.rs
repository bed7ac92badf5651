//! The story of the page: matrix, cell, image, generate, distill, other radius, other solver, reload, and a digit
//! of one's own.

use fantoccini::Locator;
use integration_tests::{Api, api::fitted, small::TEACHER};
use proto::raw::deeper::{
    catalog::v1::GetConfusionMatrixRequest,
    explanation::v1::{self as raw, instance::Source},
    types::v1::student_spec::Solver,
};
use serde_json::{Value, json};

use crate::{
    browser_and_system,
    chromium::Browser,
    drawn::{CONTRAST, SETTLED, record_steps, rough_students_came_first, what_is_drawn_is_the_student},
    seen::Seen,
};

#[tokio::test]
async fn a_person_walks_from_the_matrix_to_the_reason() {
    let Some((browser, system)) = browser_and_system().await else { return };
    let api = &system.api;
    let mut seen = Seen::default();

    // The matrix shows the counts of the stored evaluation, all 60,000 of them.
    browser.client.goto(&system.program.url()).await.unwrap();
    browser.until("document.querySelector(\"td[data-at='9:9'] span\")").await;
    let counts = counts(api).await;
    let shown = browser
        .value("[...document.querySelectorAll('td.matrix-cell')].map(cell => Number(cell.innerText.replace(/[^0-9]/g, '') || 0))")
        .await;
    assert_eq!(shown, json!(counts));

    // A cell, its sentence and its images.
    let cell = (0..100).filter(|cell| cell / 10 != cell % 10).max_by_key(|&cell| counts[cell]).unwrap();
    let (gold, predicted) = (cell / 10, cell % 10);
    browser.click(&format!("td[data-at='{gold}:{predicted}']")).await;
    let lead = format!("{gold} was taken for {predicted}");
    browser.until(&format!("document.querySelector('.view-teacher .sentence').innerText.startsWith('{lead}')")).await;
    browser.until("document.querySelectorAll('.gallery-item').length > 0").await;
    let images = browser.value("document.querySelectorAll('.gallery-item').length").await.as_u64().unwrap();
    assert!(images <= counts[cell], "{images} images of {}", counts[cell]);

    // The closest calls first: their neighbors are of several classes.
    browser.click(".images-head .toggle button:nth-child(2)").await;
    browser.until("document.querySelector('.images-head .toggle button:nth-child(2)').ariaChecked === 'true'").await;
    browser.until("!document.querySelector('.view-teacher .dim')").await;

    // An image is explained as soon as it is chosen.
    browser.click(".gallery-item").await;
    browser
        .until(&format!("document.querySelector('.view-latent h2').innerText.startsWith('Image ') && {SETTLED}"))
        .await;
    assert_eq!(seen.newest(api).await.labeled_neighbor_count, 1_000);

    // More neighbors: rough students first, then the one of all.
    record_steps(&browser).await;
    let before = browser.value(CONTRAST).await;
    browser.fill("neighbor-count", "4000").await;
    browser.click("#generate").await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    let explanation = seen.newest(api).await;
    assert_eq!(explanation.labeled_neighbor_count, 4_000);
    assert_eq!((explanation.gold_label, fitted(&explanation).predicted_label), (Some(gold as u32), predicted as u32));
    what_is_drawn_is_the_student(&browser, &explanation).await;
    rough_students_came_first(&browser).await;
    browser.screenshot("explained").await;

    // Another radius draws other neighbors and another map.
    let before = browser.value(CONTRAST).await;
    browser.fill("neighbor-count", "500").await;
    browser.fill("radius", "0.75").await;
    browser.click("#generate").await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    let wider = seen.newest(api).await;
    assert_eq!(wider.neighborhood.as_ref().unwrap().radius, Some(0.75));
    what_is_drawn_is_the_student(&browser, &wider).await;

    // Another solver shows the boxes that it reads, and fits the same neighbors.
    let before = browser.value(CONTRAST).await;
    assert_eq!(student_boxes(&browser, "Ridge").await, json!(["temperature", "l2", "instance-weight"]));
    let of_adam = ["temperature", "l2", "instance-weight", "epochs", "batch", "rate", "student-seed"];
    assert_eq!(student_boxes(&browser, "Adam").await, json!(of_adam));
    let of_lbfgs = ["temperature", "l2", "instance-weight", "iterations", "tolerance"];
    assert_eq!(student_boxes(&browser, "L-BFGS").await, json!(of_lbfgs));
    browser.click("#distill").await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    let request = raw::ListStudentsRequest { parent: wider.name.clone(), ..Default::default() };
    let students = api.explanations.clone().list_students(request).await.unwrap().into_inner().students;
    let specs: Vec<_> =
        students.iter().map(|student| student.fitted.as_ref().unwrap().spec.clone().unwrap().solver).collect();
    assert!(matches!(specs[..], [Some(Solver::Ridge(_)), Some(Solver::Lbfgs(_))]), "{specs:?}");

    // The address holds the selection: a reload brings it back, with what the boxes said then, and explains again.
    let title = browser.text(".view-latent h2").await;
    browser.client.refresh().await.unwrap();
    browser.until_said(".view-latent h2", &title).await;
    browser.until_said(".view-teacher .sentence", &lead).await;
    browser.until(SETTLED).await;
    assert_eq!(browser.value("document.querySelector('#radius').value").await, "0.75");
    seen.unseen(api).await;

    // A digit of one's own.
    let file = system.data.path().join("own.png");
    draw_a_one().save(&file).unwrap();
    browser.click(".view-teacher .card-head button").await;
    browser.until("document.querySelector('.own-digit input[type=file]')").await;
    let input = browser.client.find(Locator::Css(".own-digit input[type=file]")).await.unwrap();
    input.send_keys(&file.to_string_lossy()).await.unwrap();
    browser.click(".own-digit button.primary:not(:disabled)").await;
    browser.until(&format!("document.querySelector('.view-latent h2').innerText === 'Your digit' && {SETTLED}")).await;
    let own = seen.newest(api).await;
    let source = own.instance.as_ref().and_then(|instance| instance.source.as_ref());
    assert!(matches!(source, Some(Source::Image(image)) if image.gold_label.is_none()), "{source:?}");
    what_is_drawn_is_the_student(&browser, &own).await;
    browser.screenshot("own-digit").await;

    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "{errors:?}");
    browser.client.clone().close().await.unwrap();
    system.program.stop().await;
}

async fn counts(api: &Api) -> Vec<u64> {
    let request =
        GetConfusionMatrixRequest { teacher: TEACHER.into(), dataset: "datasets/mnist".into(), split: String::new() };
    api.catalog.clone().get_confusion_matrix(request).await.unwrap().into_inner().counts
}

/// Chooses a solver; the boxes that are in sight then.
async fn student_boxes(browser: &Browser, solver: &str) -> Value {
    let choice = browser.client.find(Locator::Id("solver")).await.unwrap();
    choice.select_by_label(solver).await.unwrap();
    browser.until(&format!("document.querySelector('#solver').selectedOptions[0].text === {solver:?}")).await;
    let boxes = "[...document.querySelectorAll('.view-student .field input')].filter(it => it.checkVisibility())";
    browser.value(&format!("{boxes}.map(it => it.id)")).await
}

/// Black ink on white paper, larger than a digit of the data set.
pub(crate) fn draw_a_one() -> image::GrayImage {
    image::GrayImage::from_fn(200, 200, |x, y| {
        let stem = (95..112).contains(&x) && (30..170).contains(&y);
        let flag = (60..100).contains(&x) && (x + y).abs_diff(130) < 12;
        image::Luma([if stem || flag { 0 } else { 255 }])
    })
}
