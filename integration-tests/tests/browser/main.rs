//! A real Chromium walks the page on a small trained model, as a person would: matrix, cell, image, generate,
//! distill, other radius, other solver, a digit of one's own. What is drawn is compared with the API.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod chromium;

use std::{collections::HashSet, env, path::PathBuf};

use fantoccini::Locator;
use integration_tests::{
    Api,
    api::fitted,
    small::{SmallSystem, TEACHER, mnist_folder},
};
use proto::raw::deeper::{
    catalog::v1::GetConfusionMatrixRequest,
    explanation::v1::{self as raw, instance::Source},
    types::v1::student_spec::Solver,
};

use self::chromium::Browser;

/// Nothing is being computed, and a student is on the page that is not of an older request.
const SETTLED: &str = "document.querySelector('.view-latent').getAttribute('aria-busy') === 'false' \
     && document.querySelector('.view-student').getAttribute('aria-busy') === 'false' \
     && document.querySelector('.student .trust') && !document.querySelector('.student.dim') \
     && !document.querySelector('#generate').disabled";

/// The contrast map as it is drawn.
const CONTRAST: &str = "document.querySelector('.contrast-map canvas').toDataURL()";

/// Colors of a canvas: one that was never drawn has one.
const COLORS: &str = "(selector) => { const canvas = document.querySelector(selector); \
     const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
     return new Set(new Uint32Array(data.buffer)).size; }";

#[tokio::test]
async fn a_person_walks_from_the_matrix_to_the_reason() {
    let Some(mnist) = mnist_folder() else { return };
    let Some(page) = env::var_os("DEEPER_TEST_PAGE_DIR").map(PathBuf::from) else {
        eprintln!("skipped: DEEPER_TEST_PAGE_DIR is not set; `cargo xtask test` sets it");
        return;
    };
    let Some(browser) = Browser::start().await else { return };
    let system = SmallSystem::start(&mnist, &[("--page-dir", &page.to_string_lossy())]).await;
    let api = &system.api;
    let mut seen = Seen::default();

    // The matrix shows the counts of the stored evaluation, all 60,000 of them.
    browser.client.goto(&system.program.url()).await.unwrap();
    browser.until("document.querySelector(\"td[data-at='9:9'] span\")").await;
    let counts = counts(api).await;
    let shown = browser
        .value("[...document.querySelectorAll('td.matrix-cell')].map(cell => Number(cell.innerText.replace(/[^0-9]/g, '') || 0))")
        .await;
    assert_eq!(shown, serde_json::json!(counts));

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

    // Another solver fits the same neighbors.
    let before = browser.value(CONTRAST).await;
    let solver = browser.client.find(Locator::Id("solver")).await.unwrap();
    solver.select_by_label("L-BFGS").await.unwrap();
    browser.click("#distill").await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    let request = raw::ListStudentsRequest { parent: wider.name.clone(), ..Default::default() };
    let students = api.explanations.clone().list_students(request).await.unwrap().into_inner().students;
    let specs: Vec<_> =
        students.iter().map(|student| student.fitted.as_ref().unwrap().spec.clone().unwrap().solver).collect();
    assert!(matches!(specs[..], [Some(Solver::Ridge(_)), Some(Solver::Lbfgs(_))]), "{specs:?}");

    // The address holds the selection: a reload brings it back.
    let title = browser.value("document.querySelector('.view-latent h2').innerText").await;
    browser.client.refresh().await.unwrap();
    browser.until(&format!("document.querySelector('.view-latent h2').innerText === {title}")).await;
    browser.until(&format!("document.querySelector('.view-teacher .sentence').innerText.startsWith('{lead}')")).await;

    // With what the boxes said then, which is explained again.
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

/// Which explanations the test has seen: times in whole seconds do not tell which one is the newest.
#[derive(Default)]
struct Seen(HashSet<String>);

impl Seen {
    /// Those that were asked for since the last look.
    async fn unseen(&mut self, api: &Api) -> Vec<String> {
        let mut client = api.explanations.clone();
        let listed = client.list_explanations(raw::ListExplanationsRequest::default()).await.unwrap().into_inner();
        let names = listed.explanations.into_iter().map(|explanation| explanation.name);
        names.filter(|name| self.0.insert(name.clone())).collect()
    }

    /// The one that was asked for since the last look.
    async fn newest(&mut self, api: &Api) -> raw::Explanation {
        let new = self.unseen(api).await;
        let [name] = &new[..] else { panic!("not one new explanation: {new:?}") };
        api.explanations
            .clone()
            .get_explanation(raw::GetExplanationRequest { name: name.clone() })
            .await
            .unwrap()
            .into_inner()
    }
}

/// Agreement in words, a contrast map, twenty images, lines and neighbors.
async fn what_is_drawn_is_the_student(browser: &Browser, explanation: &raw::Explanation) {
    let agreement = fitted(explanation).fidelity.as_ref().unwrap().top1_agreement;
    let shown = browser.value("parseFloat(document.querySelector('.trust-number b').innerText)").await;
    let shown = shown.as_f64().unwrap();
    assert!((shown - 100.0 * agreement).abs() < 0.06, "{shown} % is shown, it is {agreement}");
    let maps = browser.value("document.querySelectorAll('.class-rows .heatmap canvas').length").await;
    assert_eq!(maps, 20);
    for canvas in [".contrast-map canvas", ".class-rows tbody tr:nth-child(3) canvas", ".view-latent canvas"] {
        let colors = browser.value(&format!("({COLORS})({canvas:?})")).await.as_u64().unwrap();
        assert!(colors > 8, "{canvas} has {colors} colors");
    }
    let title = browser.value("document.querySelector('.contrast h3').innerText").await;
    let student = fitted(explanation);
    for label in [student.predicted_label, student.contrast_label] {
        assert!(title.as_str().unwrap().contains(&label.to_string()), "{title} does not name {label}");
    }
}

/// Notes, from now on, each state in which a student is shown while neighbors are still being labeled.
async fn record_steps(browser: &Browser) {
    let script = "window.steps = []; \
        new MutationObserver(() => { \
          const student = document.querySelector('.student .trust'); \
          const busy = document.querySelector('.view-latent').getAttribute('aria-busy') === 'true'; \
          const words = document.querySelector('.view-latent .act')?.innerText ?? ''; \
          const step = JSON.stringify([busy, Boolean(student), words]); \
          if (window.steps.at(-1) !== step) window.steps.push(step); \
        }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });";
    browser.client.execute(script, vec![]).await.unwrap();
}

async fn rough_students_came_first(browser: &Browser) {
    let steps = browser.value("window.steps.map(JSON.parse)").await;
    let steps = steps.as_array().unwrap();
    let labeling =
        |step: &serde_json::Value| step[0] == true && step[2].as_str().unwrap().contains("neighbors labeled");
    assert!(steps.iter().any(labeling), "no progress was shown: {steps:?}");
    assert!(steps.iter().any(|step| labeling(step) && step[1] == true), "no rough student was shown: {steps:?}");
}

/// Black ink on white paper, larger than a digit of the data set.
fn draw_a_one() -> image::GrayImage {
    image::GrayImage::from_fn(200, 200, |x, y| {
        let stem = (95..112).contains(&x) && (30..170).contains(&y);
        let flag = (60..100).contains(&x) && (x + y).abs_diff(130) < 12;
        image::Luma([if stem || flag { 0 } else { 255 }])
    })
}
