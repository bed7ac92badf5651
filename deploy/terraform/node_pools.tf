# Three pools: one for all that needs no GPU, a small one of GPUs that are never taken away, a large one of Spot GPUs.
locals {
  gpu_pools = {
    gpu      = { spot = false, max = 2 }
    gpu-spot = { spot = true, max = 8 }
  }
}

resource "google_container_node_pool" "cpu" {
  name     = "cpu"
  cluster  = google_container_cluster.this.id
  location = var.region
  autoscaling {
    total_min_node_count = 2
    total_max_node_count = 12
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    machine_type    = var.cpu_machine_type
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }
}

resource "google_container_node_pool" "gpu" {
  for_each       = local.gpu_pools
  name           = each.key
  cluster        = google_container_cluster.this.id
  location       = var.region
  node_locations = var.gpu_zones
  autoscaling {
    # Teacher and VAE have a place on the pool that stays, whatever happens to Spot.
    total_min_node_count = each.value.spot ? 0 : 2
    total_max_node_count = each.value.max
    location_policy      = "ANY"
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    machine_type    = var.gpu_machine_type
    image_type      = "COS_CONTAINERD"
    spot            = each.value.spot
    disk_type       = "pd-balanced"
    disk_size_gb    = 100
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    # Images with CUDA are 4 GB: streamed, a pod starts before all of it is there.
    gcfs_config {
      enabled = true
    }
    guest_accelerator {
      type  = var.gpu_type
      count = 1
      gpu_driver_installation_config {
        gpu_driver_version = "LATEST"
      }
      dynamic "gpu_sharing_config" {
        for_each = var.gpu_sharing == "" ? [] : [var.gpu_sharing]
        content {
          gpu_sharing_strategy       = gpu_sharing_config.value
          max_shared_clients_per_gpu = 4
        }
      }
    }
    # What the compute class of k8s/components/gpu finds its pools by. GKE adds the taint nvidia.com/gpu=present itself.
    labels = {
      "cloud.google.com/compute-class" = "deeper-gpu"
    }
    taint {
      key    = "cloud.google.com/compute-class"
      value  = "deeper-gpu"
      effect = "NO_SCHEDULE"
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }
}
