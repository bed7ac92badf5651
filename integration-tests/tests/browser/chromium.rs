//! A Chromium of the test's own. Waits inside the page with a MutationObserver: what is there for one frame
//! only is seen, and nothing is polled from outside.

use std::{env, process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator, error::CmdError, wd::WebDriverCompatibleCommand};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Longest wait for one thing on the page: a slow machine computes an explanation meanwhile.
const WAIT: Duration = Duration::from_secs(90);

/// A browser with one window.
pub(crate) struct Browser {
    /// For what has no helper here.
    pub(crate) client: Client,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`, with a line that says why, where nobody has said where the programs are.
    pub(crate) async fn start() -> Option<Self> {
        let (Some(chromium), Some(driver)) = (env::var_os("CHROMIUM"), env::var_os("CHROMEDRIVER")) else {
            eprintln!("skipped: CHROMIUM and CHROMEDRIVER are not set; `cargo xtask test` sets them");
            return None;
        };
        let mut child = Command::new(driver).arg("--port=0").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // "ChromeDriver was started successfully on port 12345."
        let port: u16 = loop {
            let line = lines.next_line().await.unwrap().expect("the driver says its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        // Whoever does not read a pipe stops its writer.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--window-size=1440,900".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium.to_string_lossy(), "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": WAIT.as_millis() as u64 + 5_000 },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        Some(Self { client, _driver: child, _profile: profile })
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return ({expression});"), vec![]).await.unwrap()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[0];
             const holds = () => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }};
             if (holds()) return done(true);
             const observer = new MutationObserver(() => check());
             // Canvases and values change without a mutation.
             const timer = setInterval(() => check(), 250);
             const end = setTimeout(() => finish(false), {});
             function finish(answer) {{ observer.disconnect(); clearInterval(timer); clearTimeout(end); done(answer); }}
             function check() {{ if (holds()) finish(true); }}
             observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});",
            WAIT.as_millis()
        );
        let held = self.client.execute_async(&script, vec![]).await.unwrap();
        if held != json!(true) {
            self.screenshot("failed").await;
            let text = self.value("document.body.innerText").await;
            panic!(
                "never true: {expression}\nconsole: {:?}\npage: {}",
                self.console_errors().await,
                text.as_str().unwrap()
            );
        }
    }

    /// Clicks what a CSS selector finds, once it is there.
    pub(crate) async fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})")).await;
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Types into a box in the place of what it holds.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        let select_all = "\u{e009}a\u{e000}";
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.click().await.unwrap();
        field.send_keys(&format!("{select_all}{text}")).await.unwrap();
    }

    /// Errors that the page or the browser wrote to the console since the last look.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let log: Result<Value, CmdError> = self.client.issue_cmd(BrowserLog).await;
        let entries = log.unwrap().as_array().cloned().unwrap_or_default();
        let is_error = |entry: &&Value| entry["level"] == "SEVERE";
        entries.iter().filter(is_error).map(|entry| entry["message"].to_string()).collect()
    }

    /// Keeps a picture beside the programs, for people.
    pub(crate) async fn screenshot(&self, name: &str) {
        let folder = integration_tests::programs::binary("deeper").parent().unwrap().join("browser-test");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }
}

/// Chromedriver's log, which WebDriver itself does not have.
#[derive(Debug)]
struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}
