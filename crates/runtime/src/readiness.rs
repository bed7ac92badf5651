//! Models that must be able to answer before a process says that it is SERVING: which ones an operator named
//! (`DEEPER_SERVE_MODELS`), and how they are waited for.

use std::time::Duration;

use domain::{ResourceName, Result, Violations};
use tokio_util::sync::CancellationToken;

use crate::server::{Connections, Server};

/// How long to wait before asking again for a model that is not there yet.
const WARMING_INTERVAL: Duration = Duration::from_secs(2);
/// The flag of every service that has one, for [`served_models`]'s errors.
const FLAG: &str = "--serve-models";

/// Reads what stands behind `--serve-models`: names of a collection (`ResourceName::TEACHER`). Every wrong
/// one is reported.
pub fn served_models(names: &[String], collection: &[&str]) -> Result<Vec<ResourceName>> {
    let mut violations = Violations::default();
    let parse = |name: &String| violations.take(FLAG, ResourceName::parse(name, collection));
    let models = names.iter().filter_map(parse).collect();
    violations.finish()?;
    Ok(models)
}

/// As [`Server::serve`], but `service` (its full name) is SERVING only once `open` has opened each of
/// `models`, which is tried as often as it takes. All other calls are answered meanwhile.
pub async fn serve_warm<F, Opening>(
    server: Server,
    service: &'static str,
    models: &[ResourceName],
    open: F,
    incoming: impl Connections,
    shutdown: CancellationToken,
) -> Result<()>
where
    F: Fn(ResourceName) -> Opening,
    Opening: Future<Output = Result<()>>,
{
    let health = server.health();
    health.set(service, models.is_empty()).await;
    let warming = async {
        for model in models {
            while let Err(error) = open(model.clone()).await {
                tracing::info!(model.name = %model, %error, "not warm yet");
                tokio::time::sleep(WARMING_INTERVAL).await;
            }
        }
        health.set(service, true).await;
    };
    let serving = server.serve(incoming, shutdown);
    tokio::pin!(serving);
    tokio::select! {
        outcome = &mut serving => outcome,
        () = warming => serving.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_another_collection_is_refused_at_once() {
        let names = ["teachers/a", "autoencoders/b", "c"].map(str::to_owned);
        let error = served_models(&names, ResourceName::TEACHER).unwrap_err().to_string();
        assert!(error.matches("--serve-models: ").count() == 2 && !error.contains("\"teachers/a\""), "{error}");
        let models = served_models(&names[..1], ResourceName::TEACHER).unwrap();
        assert_eq!(models[0].as_str(), "teachers/a");
    }
}
