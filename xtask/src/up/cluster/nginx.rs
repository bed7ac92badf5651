//! deploy/nginx.conf with its blanks filled in. The cluster's test fills in the same ones.

use std::net::SocketAddr;
use std::path::Path;

/// The configuration for nginx: page and grpc-web at `page`, gRPC at `api`, files of its own in `folder`.
pub(super) fn configuration(
    template: &str,
    page: SocketAddr,
    api: SocketAddr,
    orchestrators: &[SocketAddr],
    folder: &Path,
) -> String {
    let servers: Vec<String> = orchestrators.iter().map(|address| format!("server {address} max_fails=0;")).collect();
    template
        .replace("{page}", &page.to_string())
        .replace("{api}", &api.to_string())
        .replace("{orchestrators}", &servers.join(" "))
        .replace("{folder}", &folder.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;

    #[test]
    fn every_blank_of_the_template_is_filled_in() {
        let template = std::fs::read_to_string(place::root().join("deploy/nginx.conf")).unwrap();
        let [page, api] = ["127.0.0.1:8080", "[::1]:8081"].map(|address| address.parse().unwrap());
        let orchestrators = ["127.0.0.1:8090", "127.0.0.1:8091"].map(|address| address.parse().unwrap());
        let filled = configuration(&template, page, api, &orchestrators, Path::new("/a folder"));
        for line in ["listen 127.0.0.1:8080;", "listen [::1]:8081 http2;", "pid \"/a folder/nginx.pid\";"] {
            assert!(filled.contains(line), "{line} is missing in {filled}");
        }
        let servers = "server 127.0.0.1:8090 max_fails=0; server 127.0.0.1:8091 max_fails=0;";
        assert_eq!(filled.matches(servers).count(), 2 + 1, "both upstreams, and the words of the head");
        for blank in ["{page}", "{api}", "{orchestrators}", "{folder}"] {
            assert!(!filled.contains(blank), "{blank} is left");
        }
    }
}
