//! Hands on the page: the keyboard finds a cell and an image, the mouse drags a handle and a band, a reset gives
//! them back, and the browser's own buttons lead through what was chosen.

use integration_tests::{Api, api::fitted, small::AUTOENCODER, small::TEACHER};
use proto::raw::deeper::explanation::v1::{DecodeLatentsRequest, Explanation};

use crate::{
    browser_and_system,
    chromium::Browser,
    drawn::{CONTRAST, SETTLED, lines_fill_their_band, what_is_drawn_is_the_student},
    own,
    seen::Seen,
};

const ENTER: char = '\u{e007}';
const RIGHT: char = '\u{e014}';
const DOWN: char = '\u{e015}';

/// The cell that the keyboard walks to: true label and answer.
const CELL: (usize, usize) = (3, 5);
/// The axis whose handle is dragged, and below it the one whose band is.
const HANDLE: usize = 4;
const BAND: usize = 6;

#[tokio::test]
async fn keys_mouse_and_back_button_move_what_is_drawn() {
    let Some((browser, system)) = browser_and_system().await else { return };
    let api = &system.api;
    let mut seen = Seen::default();
    browser.client.goto(&format!("{}/?neighbors=400&order=margin", system.program.url())).await.unwrap();

    let first = keys_choose_an_image(&browser).await;
    let explanation = seen.newest(api).await;
    what_is_drawn_is_the_student(&browser, &explanation).await;
    a_dragged_handle_decodes_live(&browser, api, &explanation).await;
    a_band_is_where_neighbors_are_drawn(&browser, api, &mut seen).await;
    a_reset_gives_handles_and_bands_back(&browser).await;
    back_forward_and_reload_find_the_image(&browser, &first).await;
    seen.unseen(api).await;
    own::a_drawn_and_a_dropped_digit_are_explained(&browser, api, &mut seen).await;

    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "{errors:?}");
    browser.client.clone().close().await.unwrap();
    system.program.stop().await;
}

/// Matrix and gallery are one tab stop each; arrows walk them, Enter chooses. The image's title.
async fn keys_choose_an_image(browser: &Browser) -> String {
    let (gold, predicted) = CELL;
    browser.until("document.querySelector('.gallery-item')").await;
    browser.tab_to("td[data-at='0:0']").await;
    let path = [DOWN].repeat(gold).into_iter().chain([RIGHT].repeat(predicted));
    browser.keys(path.chain([ENTER])).await;
    let cell = format!("document.querySelector(\"td[data-at='{gold}:{predicted}']\")");
    browser.until(&format!("{cell}.matches('.is-selected:focus-visible')")).await;
    let ring = browser.value(&format!("getComputedStyle({cell}).outlineStyle")).await;
    assert_eq!(ring, "solid", "the focus is seen");
    browser.until_said(".view-teacher .sentence", &format!("{gold} was taken for {predicted}")).await;
    browser.until("!document.querySelector('.view-teacher .dim')").await;

    browser.tab_to(".gallery-item").await;
    browser.keys([RIGHT, ENTER]).await;
    browser.until(&format!("document.querySelector('.gallery-item:nth-child(2).is-selected') && {SETTLED}")).await;
    browser.text(".view-latent h2").await
}

/// While the mouse is down the decoded image follows the handle, and it ends as what the API decodes there.
async fn a_dragged_handle_decodes_live(browser: &Browser, api: &Api, explanation: &Explanation) {
    let points = browser.value("document.querySelector('.parallel-own').getAttribute('points')").await;
    let (x, y) = browser.middle_of(&format!("[data-slider='{HANDLE}-handle']")).await;
    record_what_is_seen_while_dragging(browser).await;
    browser.drag(&[(x, y), (x, y - 10.0), (x, y - 25.0), (x, y - 40.0), (x, y - 60.0)]).await;
    let seen = browser.value("window.pictures.size").await.as_u64().unwrap();
    assert!(seen >= 2, "{seen} pictures were drawn while the mouse was down");
    browser.until(&format!("document.querySelector('.parallel-own').getAttribute('points') !== {points}")).await;
    browser.until_said(".preview", "%").await;
    // The address follows when the hand rests.
    browser.until("new URLSearchParams(location.search).has('center')").await;
    let center = browser.value("new URLSearchParams(location.search).get('center').split(',').map(Number)").await;
    let values = center.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
    let request = DecodeLatentsRequest {
        teacher: TEACHER.into(),
        autoencoder: AUTOENCODER.into(),
        latents: vec![proto::raw::deeper::types::v1::LatentPoint { coordinates: values }],
        anchor: explanation.instance.clone(),
    };
    let decoded = api.explanations.clone().decode_latents(request).await.unwrap().into_inner();
    let expected = decoded.images[0].image.clone().unwrap().pixels;
    // The address is rounded to a thousandth: the picture may differ by one shade.
    let script = format!(
        "(() => {{ const canvas = document.querySelector('.preview canvas'); const expected = {expected:?}; \
         const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
         return expected.every((ink, i) => Math.abs(255 - data[4 * i] - ink) <= 2); }})()"
    );
    browser.until(&script).await;
    assert!(
        browser.value("document.querySelector('.parallel-mean') !== null").await == true,
        "the image's own line stays"
    );
}

/// Notes, from now on, each picture of a dragged point that is drawn while the mouse is down.
async fn record_what_is_seen_while_dragging(browser: &Browser) {
    let script = "window.pictures = new Set(); let down = false; \
        addEventListener('pointerdown', () => { down = true; }, true); \
        addEventListener('pointerup', () => { down = false; }, true); \
        const look = () => { \
          const canvas = document.querySelector('.preview canvas'); \
          if (down && canvas) window.pictures.add(canvas.toDataURL()); \
          requestAnimationFrame(look); \
        }; \
        look();";
    browser.client.execute(script, vec![]).await.unwrap();
}

/// Lines of the next neighbors fill the band that was widened, and the place that the handle was dragged to.
async fn a_band_is_where_neighbors_are_drawn(browser: &Browser, api: &Api, seen: &mut Seen) {
    let [_, _, top, bottom] = browser.spread(BAND).await;
    let (x, y) = browser.middle_of(&format!("[data-slider='{BAND}-high']")).await;
    browser.drag(&[(x, y), (x, y - 15.0), (x, y - 30.0)]).await;
    browser.until("document.querySelectorAll('rect.band.is-own').length === 1").await;
    let before = browser.value(CONTRAST).await;
    browser.click("#generate").await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    let drawn = seen.newest(api).await;
    let spec = drawn.neighborhood.as_ref().unwrap();
    assert_eq!(spec.ranges.iter().map(|range| range.dimension).collect::<Vec<_>>(), [BAND as u32]);
    assert!(spec.center.is_some() && !fitted(&drawn).weight_maps.is_empty());
    let [_, _, wider_top, wider_bottom] = browser.spread(BAND).await;
    assert!(wider_bottom - wider_top > bottom - top + 10.0, "the band was widened");
    for axis in [0, HANDLE, BAND] {
        lines_fill_their_band(browser, axis).await;
    }
    what_is_drawn_is_the_student(browser, &drawn).await;
}

async fn a_reset_gives_handles_and_bands_back(browser: &Browser) {
    let moved = browser.value("document.querySelector('.parallel-own').getAttribute('points')").await;
    browser.click(".latent .section-end .link").await;
    browser
        .until(
            "!document.querySelector('.parallel-mean, rect.band.is-own, .preview') \
             && !/center|band/.test(location.search)",
        )
        .await;
    assert_ne!(browser.value("document.querySelector('.parallel-own').getAttribute('points')").await, moved);
}

/// Each image is a step of the history; cell, order and boxes stand in the address with it.
async fn back_forward_and_reload_find_the_image(browser: &Browser, first: &str) {
    let first_ink = browser.ink(".instance-image").await;
    browser.click(".gallery-item:nth-child(3)").await;
    browser.until(&format!("document.querySelector('.view-latent h2').innerText !== {first:?} && {SETTLED}")).await;
    let (second, second_ink) = (browser.text(".view-latent h2").await, browser.ink(".instance-image").await);
    assert_ne!(second_ink, first_ink);

    browser.client.back().await.unwrap();
    browser.until(&format!("document.querySelector('.view-latent h2').innerText === {first:?} && {SETTLED}")).await;
    assert_eq!(browser.ink(".instance-image").await, first_ink);
    browser.until("document.querySelector('.gallery-item:nth-child(2).is-selected')").await;

    browser.client.forward().await.unwrap();
    browser.until(&format!("document.querySelector('.view-latent h2').innerText === {second:?} && {SETTLED}")).await;

    browser.client.refresh().await.unwrap();
    browser.until(&format!("document.querySelector('.view-latent h2').innerText === {second:?} && {SETTLED}")).await;
    assert_eq!(browser.ink(".instance-image").await, second_ink);
    let (gold, predicted) = CELL;
    browser.until(&format!("document.querySelector(\"td[data-at='{gold}:{predicted}'].is-selected\")")).await;
    browser.until("document.querySelector('.gallery-item:nth-child(3).is-selected')").await;
    assert_eq!(browser.value("document.querySelector('#neighbor-count').value").await, "400");
}
