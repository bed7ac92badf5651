variable "project" {
  description = "Id of the project that everything is made in."
  type        = string
}

variable "region" {
  description = "Region of cluster, bucket, cache and registry. It must have the GPUs."
  type        = string
  default     = "europe-west4"
}

variable "gpu_zones" {
  description = "Zones of the region that have the GPU; node pools are made in these."
  type        = list(string)
  default     = ["europe-west4-a", "europe-west4-b", "europe-west4-c"]
}

variable "host" {
  description = "Host name of the page and the API; its DNS record points to the output `address`."
  type        = string
}

variable "operators" {
  description = "Address ranges that may reach the Kubernetes API: name to CIDR."
  type        = map(string)
}

variable "gpu_type" {
  description = "Accelerator of the GPU pools; k8s/components/gpu selects the same."
  type        = string
  default     = "nvidia-l4"
}

variable "gpu_machine_type" {
  description = "Machine type of the GPU pools."
  type        = string
  default     = "g2-standard-8"
}

variable "gpu_sharing" {
  description = "Empty: one pod a GPU. TIME_SHARING or MPS: four pods a GPU (k8s/components/gpu/time-sharing)."
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "TIME_SHARING", "MPS"], var.gpu_sharing)
    error_message = "Must be empty, TIME_SHARING or MPS."
  }
}

variable "cpu_machine_type" {
  description = "Machine type of the pool for everything that needs no GPU."
  type        = string
  default     = "e2-standard-4"
}

variable "cache_gb" {
  description = "Memory of the cache in GB. A thousand neighbors of 28 x 28 with their labels are about 1 MB."
  type        = number
  default     = 5
}

variable "cache_range" {
  description = "Range that the cache gets its address from; k8s/components/memorystore lets the orchestrator reach it."
  type        = string
  default     = "10.64.0.0/24"
}

variable "deletion_protection" {
  description = "Whether cluster and bucket refuse to be destroyed."
  type        = bool
  default     = true
}
