# The way in, as far as it is no Kubernetes resource: address, certificate and TLS policy that the gateway of
# k8s/components/tls-gateway names.
resource "google_compute_global_address" "gateway" {
  name       = "deeper"
  depends_on = [google_project_service.this]
}

resource "google_compute_ssl_policy" "gateway" {
  name            = "deeper"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.this]
}

resource "google_certificate_manager_dns_authorization" "gateway" {
  name       = "deeper"
  domain     = var.host
  depends_on = [google_project_service.this]
}

resource "google_certificate_manager_certificate" "gateway" {
  name = "deeper"
  managed {
    domains            = [var.host]
    dns_authorizations = [google_certificate_manager_dns_authorization.gateway.id]
  }
}

resource "google_certificate_manager_certificate_map" "gateway" {
  name       = "deeper"
  depends_on = [google_project_service.this]
}

resource "google_certificate_manager_certificate_map_entry" "gateway" {
  name         = "deeper"
  map          = google_certificate_manager_certificate_map.gateway.name
  certificates = [google_certificate_manager_certificate.gateway.id]
  hostname     = var.host
}
