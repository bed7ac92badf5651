//! What goes wrong in front of a person: a value that does not fit, an image that is not there, a server that
//! dies and comes back. Each is told in words where it happened, and the page goes on.

use crate::{
    browser_and_system,
    drawn::{CONTRAST, SETTLED},
};

#[tokio::test]
async fn every_failure_is_told_in_words_and_the_page_goes_on() {
    let Some((browser, system)) = browser_and_system().await else { return };
    let url = system.program.url();

    // An address that names an image which the data set does not have.
    browser.client.goto(&format!("{url}/?image=train-60000")).await.unwrap();
    browser.until_said(".view-latent .notice.is-bad", "There is no example train-60000. Choose another image.").await;
    browser.click("td[data-at='4:9']").await;
    browser
        .until("document.querySelectorAll('.gallery-item').length > 3 && !document.querySelector('.view-teacher .dim')")
        .await;
    browser.click(".gallery-item").await;
    browser.until(SETTLED).await;
    assert_eq!(browser.value("document.querySelector('.notice.is-bad')").await, serde_json::Value::Null);

    // A value out of range: the box says what fits, the button waits, the reset helps.
    browser.fill("radius", "9").await;
    browser.until_said(".field.is-wrong .field-mistake", "above 0, at most 5").await;
    browser.until_said(".view-latent .act", "Correct the marked box first.").await;
    assert_eq!(browser.value("document.querySelector('#generate').disabled").await, true);
    browser.click(".field.is-wrong .field-reset").await;
    browser.until("!document.querySelector('.field.is-wrong') && !document.querySelector('#generate').disabled").await;

    // The server dies: the page says so and keeps what it shows.
    let matrix = browser.text(".matrix").await;
    let killed = system.kill().await;
    browser.until_said(".notices", "The server does not answer.").await;
    browser.until_said(".topbar", "no server").await;
    assert_eq!(browser.text(".matrix").await, matrix);
    browser.click("td[data-at='7:9']").await;
    browser.until_said(".view-teacher .notice.is-bad", "The server cannot be reached.").await;
    browser.until_said(".view-teacher .notice.is-bad button", "Retry").await;
    browser.click(".gallery-item:nth-child(2)").await;
    browser.until_said(".view-latent .notice.is-bad", "The server cannot be reached.").await;
    browser.screenshot("no-server").await;

    // It comes back: what failed is asked for again without a click.
    let system = killed.start_again().await;
    browser.until("!document.querySelector('.notices .notice') && document.querySelector('.topbar .good')").await;
    browser.until("!document.querySelector('.notice.is-bad') && !document.querySelector('.view-teacher .dim')").await;
    browser.until(SETTLED).await;

    // It dies in the middle of an explanation and comes back: the explanation ends all the same.
    let before = browser.value(CONTRAST).await;
    browser.fill("neighbor-count", "6000").await;
    browser.click("#generate").await;
    browser.until_said(".view-latent .act", "of 6,000 neighbors labeled").await;
    let system = system.kill().await.start_again().await;
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    browser.until("!document.querySelector('.notice.is-bad')").await;

    browser.client.clone().close().await.unwrap();
    system.program.stop().await;
}
