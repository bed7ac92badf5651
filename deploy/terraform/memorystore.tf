# The cache: a replica in another zone, TLS, a password, nothing kept on disk.
resource "google_compute_global_address" "cache" {
  name          = "deeper-cache"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.cache_range)[0]
  prefix_length = tonumber(split("/", var.cache_range)[1])
}

resource "google_service_networking_connection" "cache" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.cache.name]
}

resource "google_redis_instance" "cache" {
  name                    = "deeper"
  region                  = var.region
  tier                    = "STANDARD_HA"
  memory_size_gb          = var.cache_gb
  redis_version           = "REDIS_7_2"
  authorized_network      = google_compute_network.this.id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  reserved_ip_range       = google_compute_global_address.cache.name
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  redis_configs = {
    maxmemory-policy = "allkeys-lru"
  }
  depends_on = [google_service_networking_connection.cache]
}
