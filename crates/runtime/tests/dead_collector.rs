//! A collector that is not there costs a process nothing but its telemetry. A file of its own, because
//! telemetry is set up once a process.

use std::time::{Duration, Instant};

use runtime::telemetry;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_collector_that_is_dead_or_misspelt_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = Some(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let guard = telemetry::init_with("test", &telemetry::Settings { collector, directives: "error".to_owned() });
    let started_at = Instant::now();
    for _ in 0..10_000 {
        tracing::error_span!("work").in_scope(|| ());
    }
    assert!(started_at.elapsed() < Duration::from_secs(1));
    guard.shutdown().await;
    assert!(started_at.elapsed() < Duration::from_secs(4), "{:?}", started_at.elapsed());

    // Nor does one whose address is no address, nor a filter that is none.
    let settings = telemetry::Settings { collector: Some("not an address".to_owned()), directives: "=,=".to_owned() };
    telemetry::init_with("test", &settings).shutdown().await;
}
