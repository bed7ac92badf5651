//! What is drawn: pixels of canvases and words of the page, compared with what the API answers.

use integration_tests::api::fitted;
use proto::raw::deeper::explanation::v1 as raw;
use serde_json::Value;

use crate::chromium::Browser;

/// Nothing is being computed, and a student is on the page that is not of an older request.
pub(crate) const SETTLED: &str = "document.querySelector('.view-latent').getAttribute('aria-busy') === 'false' \
     && document.querySelector('.view-student').getAttribute('aria-busy') === 'false' \
     && document.querySelector('.student .trust') && !document.querySelector('.student.dim') \
     && !document.querySelector('.view-latent .dim') && !document.querySelector('#generate').disabled";

/// The contrast map as it is drawn.
pub(crate) const CONTRAST: &str = "document.querySelector('.contrast-map canvas').toDataURL()";

/// Colors of a canvas: one that was never drawn has one.
const COLORS: &str = "(selector) => { const canvas = document.querySelector(selector); \
     const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
     return new Set(new Uint32Array(data.buffer)).size; }";

/// Ink of a canvas that shows an image, 0 (paper) to 255, row-major.
const INK: &str = "(selector) => { const canvas = document.querySelector(selector); \
     const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
     return Array.from({ length: data.length / 4 }, (_, i) => 255 - data[4 * i]); }";

/// Highest and lowest drawn pixel of the neighbors' lines on one axis, then top and bottom of the axis' band.
const SPREAD: &str = "(axis) => { const plot = document.querySelector('.parallel'); \
     const canvas = plot.querySelector('canvas'); const scale = canvas.width / canvas.clientWidth; \
     const x = Number(plot.querySelectorAll('line.axis')[axis].getAttribute('x1')); \
     const data = canvas.getContext('2d').getImageData(Math.floor(x * scale), 0, 1, canvas.height).data; \
     const rows = []; for (let y = 0; y < canvas.height; y++) if (data[4 * y + 3] > 0) rows.push(y / scale); \
     const band = plot.querySelectorAll('rect.band')[axis]; const top = Number(band.getAttribute('y')); \
     return [rows[0], rows.at(-1), top, top + Number(band.getAttribute('height'))]; }";

impl Browser {
    /// Ink of the image in a canvas, once it is there.
    pub(crate) async fn ink(&self, canvas: &str) -> Vec<u8> {
        self.until(&format!("document.querySelector({canvas:?})")).await;
        let ink = self.value(&format!("({INK})({canvas:?})")).await;
        ink.as_array().unwrap().iter().map(|value| value.as_u64().unwrap() as u8).collect()
    }

    /// Top and bottom of the neighbors' lines on an axis, and of its band, in CSS pixels of the plot.
    pub(crate) async fn spread(&self, axis: usize) -> [f64; 4] {
        let spread = self.value(&format!("({SPREAD})({axis})")).await;
        std::array::from_fn(|i| spread[i].as_f64().unwrap())
    }

    /// The text of the first element that a selector finds.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until words stand in a part of the page, where a person can see them.
    pub(crate) async fn until_said(&self, selector: &str, words: &str) {
        self.until(&format!(
            "[...document.querySelectorAll({selector:?})].some(it => it.checkVisibility() && it.innerText.includes({words:?}))"
        ))
        .await;
    }
}

/// The neighbors' lines fill their band and do not leave it: a uniform draw of some hundreds reaches nearly to
/// its ends.
pub(crate) async fn lines_fill_their_band(browser: &Browser, axis: usize) {
    let [top, bottom, band_top, band_bottom] = browser.spread(axis).await;
    // A line is a pixel wide and smoothed.
    assert!(
        top > band_top - 2.0 && bottom < band_bottom + 2.0,
        "z{axis}: {top} to {bottom}, {band_top} to {band_bottom}"
    );
    let share = (bottom - top) / (band_bottom - band_top);
    assert!(share > 0.85, "z{axis}: lines fill {share:.2} of their band");
}

/// Agreement in words, a contrast map, twenty images, lines and neighbors.
pub(crate) async fn what_is_drawn_is_the_student(browser: &Browser, explanation: &raw::Explanation) {
    let agreement = fitted(explanation).fidelity.as_ref().unwrap().top1_agreement;
    let shown = browser.value("parseFloat(document.querySelector('.trust-number b').innerText)").await;
    let shown = shown.as_f64().unwrap();
    assert!((shown - 100.0 * agreement).abs() < 0.06, "{shown} % is shown, it is {agreement}");
    let maps = browser.value("document.querySelectorAll('.class-rows .heatmap canvas').length").await;
    assert_eq!(maps, 20);
    for canvas in [".contrast-map canvas", ".class-rows tbody tr:nth-child(3) canvas", ".parallel canvas"] {
        let colors = browser.value(&format!("({COLORS})({canvas:?})")).await.as_u64().unwrap();
        assert!(colors > 8, "{canvas} has {colors} colors");
    }
    let title = browser.text(".contrast h3").await;
    let student = fitted(explanation);
    for label in [student.predicted_label, student.contrast_label] {
        assert!(title.contains(&label.to_string()), "{title} does not name {label}");
    }
}

/// Notes, from now on, each state in which a student is shown while neighbors are still being labeled.
pub(crate) async fn record_steps(browser: &Browser) {
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

pub(crate) async fn rough_students_came_first(browser: &Browser) {
    let steps = browser.value("window.steps.map(JSON.parse)").await;
    let steps = steps.as_array().unwrap();
    let labeling = |step: &Value| step[0] == true && step[2].as_str().unwrap().contains("neighbors labeled");
    assert!(steps.iter().any(labeling), "no progress was shown: {steps:?}");
    assert!(steps.iter().any(|step| labeling(step) && step[1] == true), "no rough student was shown: {steps:?}");
}
