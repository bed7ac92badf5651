//! nginx in front of orchestrators as `cargo xtask up --cluster` puts it there: from the same template, as a test's
//! own, ended with the test.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::Child,
    time::{Instant, sleep},
};

use crate::programs::free_address;

/// An idle machine needs a hundredth of a second.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at a port that is not open yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An nginx that runs. Dropping it kills it with its workers.
pub struct Nginx {
    /// The page and grpc-web.
    pub page: SocketAddr,
    /// gRPC.
    pub api: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

/// The program; tests that need it say so and pass when nobody has said where it is.
pub fn program() -> Option<PathBuf> {
    let program = env::var_os("DEEPER_TEST_NGINX").map(PathBuf::from);
    if program.is_none() {
        eprintln!("skipped: DEEPER_TEST_NGINX is not set; `cargo xtask test` sets it");
    }
    program
}

impl Nginx {
    /// In front of these.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(program: &Path, orchestrators: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (page, api) = (free_address(), free_address());
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx.conf");
        let template = fs::read_to_string(template).expect("the template is part of the checkout");
        let servers: Vec<String> =
            orchestrators.iter().map(|address| format!("server {address} max_fails=0;")).collect();
        let configuration = template
            .replace("{page}", &page.to_string())
            .replace("{api}", &api.to_string())
            .replace("{orchestrators}", &servers.join(" "))
            .replace("{folder}", &folder.path().to_string_lossy());
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the folder can be written");
        let mut command = tokio::process::Command::new(program);
        command.args(["-e", "stderr", "-c"]).arg(file).arg("-p").arg(folder.path());
        // Its workers are not its test's children: they are ended as a group.
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut nginx = Self { page, api, child, _folder: folder };
        let give_up_at = Instant::now() + START_LIMIT;
        while TcpStream::connect(api).await.is_err() {
            if let Ok(Some(status)) = nginx.child.try_wait() {
                panic!("nginx ended with {status} before its port was open");
            }
            assert!(Instant::now() < give_up_at, "nginx opened no port in time");
            sleep(LOOK_AGAIN).await;
        }
        nginx
    }

    /// For a browser.
    pub fn url(&self) -> String {
        format!("http://{}", self.page)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            Command::new("kill").args(["-KILL", "--", &format!("-{id}")]).status().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Error;
    use http::{HeaderMap, HeaderName};
    use tonic::Status;

    /// `add_header grpc-message "…";` of the template.
    fn header(line: &str) -> Option<(HeaderName, String)> {
        let (name, value) = line.trim().strip_prefix("add_header ")?.strip_suffix(';')?.split_once(' ')?;
        Some((name.parse().ok()?, value.trim_matches('"').to_owned()))
    }

    #[test]
    fn that_nobody_answers_is_said_in_the_words_of_our_services() {
        let template = include_str!("../../deploy/nginx.conf");
        let headers: HeaderMap =
            template.lines().filter_map(header).map(|(name, value)| (name, value.parse().unwrap())).collect();
        let told = Status::from_header_map(&headers).unwrap();
        let expected = proto::status::from_error(Error::UpstreamUnavailable { service: "orchestrator".into() });
        assert_eq!(told.code(), expected.code());
        // Reason, domain, metadata and the pause; the messages are for people and differ.
        let details = |status: &Status| format!("{:?}", tonic_types::StatusExt::get_error_details(status));
        assert_eq!(details(&told), details(&expected));
    }
}
