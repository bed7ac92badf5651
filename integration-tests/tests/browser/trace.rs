//! One trace from a click in a real browser to the last hop: four programs tell a collector what they did, and
//! each of their spans hangs where it belongs, up to the span that the page says the click is.

use std::collections::HashMap;

use integration_tests::{
    collector::{Collector, text},
    programs::{Program, free_address},
    small::{mnist_folder, page_folder, trained_data},
};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};

use crate::{chromium::Browser, drawn::SETTLED};

const CREATE: &str = "deeper.explanation.v1.ExplanationService/CreateExplanation";
const ENCODE: &str = "deeper.vae.v1.VaeService/EncodeImages";
const GENERATE: &str = "deeper.vae.v1.VaeService/GenerateNeighbors";
const CLASSIFY: &str = "deeper.teacher.v1.TeacherService/ClassifyImages";
const DISTILL: &str = "deeper.student.v1.StudentService/DistillStudent";

/// Notes, from now on, where each request goes and which `traceparent` goes with it.
const RECORD: &str = "window.sent = []; const real = window.fetch; \
    window.fetch = (input, init) => { \
      const request = input instanceof Request ? input : new Request(input, init); \
      window.sent.push([new URL(request.url).pathname.slice(1), request.headers.get('traceparent')]); \
      return real(input, init); \
    };";

#[tokio::test]
async fn a_click_in_the_browser_is_one_trace_through_four_programs() {
    let (Some(mnist), Some(page)) = (mnist_folder(), page_folder()) else { return };
    let Some(browser) = Browser::start().await else { return };
    let collector = Collector::start().await;
    let data = trained_data(&mnist).await;
    let artifacts = data.path().join("artifacts");
    let programs = start(&collector.url, &artifacts.to_string_lossy(), &page.to_string_lossy()).await;

    browser.client.goto(&format!("{}/?neighbors=300", programs[3].url())).await.unwrap();
    browser.until("document.querySelectorAll('.gallery-item').length > 0").await;
    browser.client.execute(RECORD, vec![]).await.unwrap();
    browser.click(".gallery-item").await;
    browser
        .until(&format!("document.querySelector('.view-latent h2').innerText.startsWith('Image ') && {SETTLED}"))
        .await;
    let sent = browser.value("window.sent").await;
    browser.client.clone().close().await.unwrap();
    // What they have not sent yet leaves with their end.
    for program in programs.into_iter().rev() {
        program.stop().await;
    }

    let requests: Vec<(String, Option<String>)> = serde_json::from_value(sent).unwrap();
    let mut created = requests.iter().filter(|(method, _)| method == CREATE);
    let (Some((_, Some(traceparent))), None) = (created.next(), created.next()) else { panic!("{requests:?}") };
    let [_, trace, click, _] = traceparent.split('-').collect::<Vec<_>>()[..] else { panic!("{traceparent}") };

    let everything = collector.collected.look();
    let tree = Tree::of(trace, &everything.spans);
    // Who computes, called by whom, up to what the click asked for.
    let explain = [("orchestrator", "explain"), ("orchestrator", "explanation"), ("orchestrator", CREATE)];
    for (service, method, work) in
        [("vae", GENERATE, "engine.run"), ("teacher", CLASSIFY, "engine.run"), ("student", DISTILL, "distillation.fit")]
    {
        let path = [&[(service, work), (service, method), ("orchestrator", method)], &explain[..]].concat();
        tree.has(click, &path);
    }
    // Encoded once, for the explanation or for the sliders, which ask at the same time.
    tree.has(click, &[("vae", "engine.run"), ("vae", ENCODE), ("orchestrator", ENCODE)]);
    tree.is_whole(click);

    // Each of them has sent its log as well.
    for service in ["orchestrator", "teacher", "vae", "student"] {
        let lines = everything.logs.iter().filter(|(of, _, _)| of == service).count();
        assert!(lines > 0, "no log of {service}");
    }
}

/// Teacher, vae, student and orchestrator.
async fn start(collector: &str, artifacts: &str, page: &str) -> [Program; 4] {
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector), ("DEEPER_LOG", "info")];
    let store = ("--artifacts", artifacts);
    let inner = async |name, flags: &[(&str, &str)]| Program::start_in(&environment, free_address(), name, flags).await;
    let of_teacher = [store, ("--threads", "1"), ("--teacher-precision", "f32")];
    let of_vae = [store, ("--threads", "1")];
    let (teacher, vae, student) =
        tokio::join!(inner("teacher", &of_teacher), inner("vae", &of_vae), inner("student", &[]));
    let [teacher_url, vae_url, student_url] = [&teacher, &vae, &student].map(Program::url);
    let flags = [
        store,
        ("--page-dir", page),
        ("--teacher-address", &teacher_url),
        ("--vae-address", &vae_url),
        ("--student-address", &student_url),
    ];
    let orchestrator = inner("orchestrator", &flags).await;
    [teacher, vae, student, orchestrator]
}

/// The spans of one trace.
struct Tree<'a>(HashMap<String, (&'a str, &'a Span)>);

impl<'a> Tree<'a> {
    fn of(trace: &str, spans: &'a [(String, Span)]) -> Self {
        let ours = spans.iter().filter(|(_, span)| hex(&span.trace_id) == trace);
        Self(ours.map(|(service, span)| (hex(&span.span_id), (service.as_str(), span))).collect())
    }

    /// Services and names from a span up to a root, and what the root hangs on.
    fn path(&self, id: &str) -> (Vec<(&str, &str)>, String) {
        let (mut path, mut at) = (Vec::new(), id.to_owned());
        while let Some((service, span)) = self.0.get(&at) {
            path.push((*service, span.name.as_str()));
            at = hex(&span.parent_span_id);
        }
        (path, at)
    }

    /// A path from a span up to the click begins with these services and names.
    fn has(&self, click: &str, expected: &[(&str, &str)]) {
        let paths: Vec<_> = self.0.keys().map(|id| self.path(id)).collect();
        let found = paths.iter().any(|(path, root)| path.starts_with(expected) && root == click);
        assert!(found, "{expected:?} is not among {paths:#?}");
    }

    /// No span has lost its parent, and calls are of the right kinds.
    fn is_whole(&self, click: &str) {
        for (id, (service, span)) in &self.0 {
            let (path, root) = self.path(id);
            assert_eq!(root, click, "{path:?} hangs on nothing");
            if span.name.contains('/') {
                let is_called = self.0.get(&hex(&span.parent_span_id)).is_none_or(|(caller, _)| caller != service);
                assert_eq!(span.kind(), if is_called { SpanKind::Server } else { SpanKind::Client }, "{path:?}");
                assert_eq!(text(&span.attributes, "rpc.method"), Some(span.name.as_str()));
                assert_eq!(text(&span.attributes, "rpc.system.name"), Some("grpc"));
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
