//! A collector that is not there, seen from outside of a service: it answers as ever, ends as ever, and says once
//! of each signal that it is lost.

use std::{process::Stdio, time::Duration};

use futures::stream;
use integration_tests::programs::{binary, free_address};
use proto::raw::deeper::student::v1::student_service_client::StudentServiceClient;
use tokio::{
    io::AsyncReadExt,
    process::Command,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, transport::Endpoint};

/// Every signal leaves several times within the test, from queues that are soon full.
const OFTEN: [(&str, &str); 8] = [
    ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "2"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "2"),
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
];
const CALL_COUNT: usize = 40;

#[tokio::test]
async fn a_dead_collector_is_told_of_once_and_holds_nothing_up() {
    let (address, nobody) = (free_address(), free_address());
    let mut program = Command::new(binary("student"));
    program.args(["--listen", &address.to_string()]).envs(OFTEN);
    program.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"));
    // Each call writes a line, which leaves for the collector as well.
    program.env("DEEPER_LOG", "info,runtime=debug");
    let mut program = program.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut stderr = program.stderr.take().unwrap();
    let said = tokio::spawn(async move {
        let mut said = String::new();
        stderr.read_to_string(&mut said).await.map(|_| said)
    });

    // Not a channel of ours: instruments are made once a process, and the test beside this one measures them.
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let mut answered = 0;
    let started_at = Instant::now();
    while answered < CALL_COUNT {
        // Refused, because it begins with nothing: an answer all the same.
        let mut client = StudentServiceClient::new(channel.clone());
        let answers = client.distill_student(stream::empty()).await;
        let status = match answers {
            Ok(answers) => answers.into_inner().message().await.unwrap_err(),
            Err(status) => status,
        };
        match status.code() {
            Code::InvalidArgument => answered += 1,
            // It is starting.
            Code::Unavailable => assert!(started_at.elapsed() < Duration::from_secs(30), "{status:?}"),
            _ => panic!("{status:?}"),
        }
        sleep(Duration::from_millis(25)).await;
    }

    let id = program.id().unwrap().to_string();
    assert!(Command::new("kill").arg(id).status().await.unwrap().success());
    // Two seconds are the collector's.
    let ended = timeout(Duration::from_secs(10), program.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "{ended}");
    let said = said.await.unwrap().unwrap();
    assert!(said.matches("call ended").count() >= CALL_COUNT, "{said}");
    for signal in ["traces", "metrics", "logs"] {
        let lost = |line: &&str| line.contains("telemetry is lost") && line.contains(&format!("\"{signal}\""));
        assert_eq!(said.lines().filter(lost).count(), 1, "{signal}: {said}");
    }
    assert!(!said.contains("ExportError"), "{said}");
    // That a queue is full is told at most once as well.
    for dropping in ["SpanDroppingStarted", "LogDroppingStarted"] {
        assert!(said.lines().filter(|line| line.contains(dropping)).count() <= 1, "{said}");
    }
}
