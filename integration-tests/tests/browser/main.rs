//! A real Chromium walks the page on a small trained model, as a person would. What is drawn is compared with
//! the API.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod chromium;
mod drawn;
mod failures;
mod hand;
mod hands;
mod own;
mod seen;
mod story;

use std::{env, path::PathBuf};

use integration_tests::small::{SmallSystem, mnist_folder};

use self::chromium::Browser;

/// A browser and a system that serves the page; `None`, with a line that says why, where something for it is
/// missing.
async fn browser_and_system() -> Option<(Browser, SmallSystem)> {
    let mnist = mnist_folder()?;
    let Some(page) = env::var_os("DEEPER_TEST_PAGE_DIR").map(PathBuf::from) else {
        eprintln!("skipped: DEEPER_TEST_PAGE_DIR is not set; `cargo xtask test` sets it");
        return None;
    };
    let browser = Browser::start().await?;
    Some((browser, SmallSystem::start(&mnist, &[("--page-dir", &page.to_string_lossy())]).await))
}
