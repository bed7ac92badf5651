//! A real Chromium walks the page on a small trained model, as a person would. What is drawn is compared with
//! the API.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod behind;
mod chromium;
mod drawn;
mod failures;
mod hand;
mod hands;
mod own;
mod seen;
mod story;
mod trace;

use integration_tests::small::{SmallSystem, mnist_folder, page_folder};

use self::chromium::Browser;

/// A browser and a system that serves the page; `None`, with a line that says why, where something for it is
/// missing.
async fn browser_and_system() -> Option<(Browser, SmallSystem)> {
    let (mnist, page) = (mnist_folder()?, page_folder()?);
    let browser = Browser::start().await?;
    Some((browser, SmallSystem::start(&mnist, &[("--page-dir", &page.to_string_lossy())]).await))
}
