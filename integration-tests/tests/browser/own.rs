//! A digit of one's own: drawn with the mouse, and a file that is dropped.

use std::io::Cursor;

use integration_tests::Api;
use proto::raw::deeper::explanation::v1::{Explanation, instance::Source, own_image::Data};

use crate::{
    chromium::Browser,
    drawn::{SETTLED, what_is_drawn_is_the_student},
    seen::Seen,
    story::draw_a_one,
};

/// The image as it will be used, before it is.
const PREVIEW: &str = ".own-digit-preview canvas";

/// What the preview shows is what is sent, explained and drawn large.
pub(crate) async fn a_drawn_and_a_dropped_digit_are_explained(browser: &Browser, api: &Api, seen: &mut Seen) {
    browser.click(".view-teacher .card-head button").await;
    let (x, y) = browser.middle_of(".draw-pad canvas").await;
    // A seven: a bar, then down to the left.
    browser
        .drag(&[(x - 40.0, y - 55.0), (x, y - 57.0), (x + 40.0, y - 55.0), (x + 10.0, y), (x - 15.0, y + 60.0)])
        .await;
    let drawn = browser.ink(PREVIEW).await;
    let rows = drawn.chunks(28).filter(|row| row.iter().any(|&ink| ink > 127)).count();
    assert!((18..=20).contains(&rows), "a drawing is fitted into 20 of 28 rows: {rows}");
    explained_as_previewed(browser, api, seen, &drawn).await;

    drop_file(browser, "own.png", "image/png", &png()).await;
    browser.until(&format!("document.querySelector({PREVIEW:?})")).await;
    let before = format!("{drawn:?}");
    browser
        .until(&format!(
            "(() => {{ const canvas = document.querySelector({PREVIEW:?}); const before = {before}; \
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
             return before.some((ink, i) => 255 - data[4 * i] !== ink); }})()"
        ))
        .await;
    let dropped = browser.ink(PREVIEW).await;
    explained_as_previewed(browser, api, seen, &dropped).await;

    // What is no image is refused in words, and the last image stays.
    drop_file(browser, "own.png", "image/png", b"no image at all").await;
    browser.until_said(".own-digit .notice.is-bad", "The file could not be read as an image.").await;
    browser.until_said(".own-digit .notice.is-bad", "Use a PNG of one digit").await;
}

async fn explained_as_previewed(browser: &Browser, api: &Api, seen: &mut Seen, preview: &[u8]) {
    browser.click(".own-digit button.primary:not(:disabled)").await;
    let expected = format!("{preview:?}");
    browser
        .until(&format!(
            "(() => {{ const canvas = document.querySelector('.instance-image'); const expected = {expected}; \
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
             return expected.every((ink, i) => 255 - data[4 * i] === ink); }})() \
             && document.querySelector('.view-latent h2').innerText === 'Your digit' && {SETTLED}"
        ))
        .await;
    let explanation = seen.newest(api).await;
    assert_eq!(pixels(&explanation), preview);
    what_is_drawn_is_the_student(browser, &explanation).await;
}

fn pixels(explanation: &Explanation) -> &[u8] {
    let source = explanation.instance.as_ref().and_then(|instance| instance.source.as_ref());
    let Some(Source::Image(own)) = source else { panic!("not an image of one's own: {source:?}") };
    let Some(Data::Pixels(image)) = &own.data else { panic!("no pixels") };
    &image.pixels
}

/// What the browser tells the page when a file is dropped on it.
async fn drop_file(browser: &Browser, name: &str, kind: &str, content: &[u8]) {
    let script = format!(
        "const transfer = new DataTransfer(); \
         transfer.items.add(new File([new Uint8Array({content:?})], {name:?}, {{ type: {kind:?} }})); \
         const zone = document.querySelector('.drop-zone'); \
         for (const event of ['dragover', 'drop']) \
           zone.dispatchEvent(new DragEvent(event, {{ bubbles: true, cancelable: true, dataTransfer: transfer }}));"
    );
    browser.client.execute(&script, vec![]).await.unwrap();
}

fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    draw_a_one().write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
