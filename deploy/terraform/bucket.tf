# The artifact store: all that cannot be computed again. Deleted and overwritten objects stay for 30 days.
resource "google_storage_bucket" "artifacts" {
  name                        = "${var.project}-deeper-artifacts"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }
}

resource "google_artifact_registry_repository" "this" {
  repository_id = "deeper"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the services"
  docker_config {
    # A tag always means the same image.
    immutable_tags = true
  }
  depends_on = [google_project_service.this]
}
