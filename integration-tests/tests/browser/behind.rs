//! The same page on a cluster: through nginx, from two orchestrators of which each dies once.

use std::time::Duration;

use integration_tests::{
    small::page_folder,
    whole::{ORCHESTRATOR, Whole},
};

use crate::{
    chromium::Browser,
    drawn::{CONTRAST, SETTLED, what_is_drawn_is_the_student},
    seen::Seen,
};

#[tokio::test]
async fn the_page_works_unchanged_on_a_cluster_and_outlives_each_orchestrator() {
    let Some(page) = page_folder() else { return };
    let Some(browser) = Browser::start().await else { return };
    let Some(mut whole) = Whole::start(Some(&page)).await else { return };
    browser.client.goto(&whole.nginx.url()).await.unwrap();
    browser.click("td[data-at='4:9']").await;
    browser
        .until("document.querySelectorAll('.gallery-item').length > 3 && !document.querySelector('.view-teacher .dim')")
        .await;
    browser.click(".gallery-item").await;
    browser.until(SETTLED).await;
    let mut seen = Seen::default();
    what_is_drawn_is_the_student(&browser, &seen.newest(&whole.api).await).await;
    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "{errors:?}");

    // Whichever has the watch dies in the middle of it; the page opens it again at the other. What the page shows may
    // come too late for that on a busy machine, so that the API says when it has begun.
    let before = browser.value(CONTRAST).await;
    browser.fill("neighbor-count", "6000").await;
    browser.click("#generate").await;
    while seen.unseen(&whole.api).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for index in [0, 1] {
        whole.cluster.kill(ORCHESTRATOR, index);
        whole.cluster.restart(ORCHESTRATOR, index).await;
    }
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    browser.until("!document.querySelector('.notice.is-bad') && document.querySelector('.topbar .good')").await;
    browser.client.clone().close().await.unwrap();
}
