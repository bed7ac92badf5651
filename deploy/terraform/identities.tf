# Who may do what. Nodes may pull images and write telemetry; services are known by their Kubernetes service account
# (Workload Identity Federation), so that no key exists anywhere.
locals {
  namespace = "deeper"
  principal = join("", [
    "principal://iam.googleapis.com/projects/${data.google_project.this.number}",
    "/locations/global/workloadIdentityPools/${var.project}.svc.id.goog/subject/ns/",
  ])
  # The artifact store: everybody but the student writes something of their own.
  store_users = ["orchestrator", "teacher", "vae", "teacher-training", "vae-training"]
}

resource "google_service_account" "nodes" {
  account_id   = "deeper-nodes"
  display_name = "Nodes of the cluster deeper"
}

resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

resource "google_storage_bucket_iam_member" "store" {
  for_each = toset(local.store_users)
  bucket   = google_storage_bucket.artifacts.name
  role     = "roles/storage.objectUser"
  member   = "${local.principal}${local.namespace}/sa/${each.value}"
}

resource "google_project_iam_member" "collector" {
  for_each = toset(["roles/cloudtrace.agent", "roles/logging.logWriter"])
  project  = var.project
  role     = each.value
  member   = "${local.principal}${local.namespace}/sa/otel-collector"
}

# The adapter through which the autoscaler reads managed Prometheus.
resource "google_project_iam_member" "metrics_adapter" {
  project = var.project
  role    = "roles/monitoring.viewer"
  member  = "${local.principal}custom-metrics/sa/custom-metrics-stackdriver-adapter"
}
