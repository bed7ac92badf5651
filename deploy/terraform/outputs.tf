output "address" {
  description = "What the DNS record of the host points to."
  value       = google_compute_global_address.gateway.address
}

output "certificate_record" {
  description = "The DNS record that proves the host to be yours."
  value       = google_certificate_manager_dns_authorization.gateway.dns_resource_record
}

output "artifacts" {
  description = "DEEPER_ARTIFACTS of k8s/overlays/gke."
  value       = "gs://${google_storage_bucket.artifacts.name}/v1"
}

output "cache_url" {
  description = "DEEPER_CACHE_URL of k8s/overlays/gke."
  value       = "rediss://${google_redis_instance.cache.host}:${google_redis_instance.cache.port}"
}

output "cache_password" {
  description = "Goes into the secret `cache`."
  value       = google_redis_instance.cache.auth_string
  sensitive   = true
}

output "cache_ca" {
  description = "Goes into the secret `cache`."
  value       = join("\n", google_redis_instance.cache.server_ca_certs[*].cert)
}

output "registry" {
  description = "Where the images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
}
