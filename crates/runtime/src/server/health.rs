//! What `grpc.health.v1` is told: one status a service, and "" for the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Mutex;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// Sets what health checks are told. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What was set for each service, by its full name.
    ready: BTreeMap<String, bool>,
    stopped: bool,
}

impl Health {
    /// Says whether a service (`TeacherServiceServer::<()>::NAME`, or its full name) can do its work.
    /// Without effect once the process stops: then nothing is SERVING.
    pub async fn set(&self, service: &str, ready: bool) {
        let mut state = self.state.lock().await;
        state.ready.insert(service.to_owned(), ready);
        if !state.stopped {
            self.reporter.set_service_status(service, status(ready)).await;
        }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Every service that nobody has set is ready.
    pub(super) async fn start(&self, services: BTreeSet<&'static str>) {
        let mut state = self.state.lock().await;
        for service in services {
            let ready = *state.ready.entry(service.to_owned()).or_insert(true);
            self.reporter.set_service_status(service, status(ready)).await;
        }
    }

    pub(super) async fn stop(&self) {
        let mut state = self.state.lock().await;
        state.stopped = true;
        for service in state.ready.keys().map(String::as_str).chain([""]) {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    }
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}
