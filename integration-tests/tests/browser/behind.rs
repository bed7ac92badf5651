//! The same page on a cluster: through nginx, from two orchestrators of which each dies once.

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
    what_is_drawn_is_the_student(&browser, &Seen::default().newest(&whole.api).await).await;
    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "{errors:?}");

    // Whichever has the watch dies in the middle of it; the page opens it again at the other.
    let before = browser.value(CONTRAST).await;
    browser.fill("neighbor-count", "4000").await;
    browser.click("#generate").await;
    browser.until_said(".view-latent .act", "of 4,000 neighbors labeled").await;
    for index in [0, 1] {
        whole.cluster.kill(ORCHESTRATOR, index);
        whole.cluster.restart(ORCHESTRATOR, index).await;
    }
    browser.until(&format!("{CONTRAST} !== {before} && {SETTLED}")).await;
    browser.until("!document.querySelector('.notice.is-bad') && document.querySelector('.topbar .good')").await;
    browser.client.clone().close().await.unwrap();
}
