"""Names on Kubernetes objects: the interface that must stay stable."""

PREFIX = "equipoise.dev/"

# Set by a tenant, immutable once the pod exists.
GPU_FRACTION = PREFIX + "gpu-fraction"
GPU_MEMORY = PREFIX + "gpu-memory"
GPU_COUNT = PREFIX + "gpu-count"
GPU_MODELS = PREFIX + "gpu-models"
PLACEMENT = PREFIX + "placement"
PREEMPTIBLE = PREFIX + "preemptible"

# Written by Equipoise, in the Binding itself.
DEVICES = PREFIX + "devices"
ASSIGNMENT = PREFIX + "assignment"

GATE = PREFIX + "fair-share"
SCHEDULER_NAME = "equipoise"

# Understood as well, so that manifests written for Run:ai and KAI run unchanged.
KAI_FRACTION = "gpu-fraction"
KAI_MEMORY = "gpu-memory"
KAI_DEVICES = "gpu-fraction-num-devices"
NVIDIA_GPU = "nvidia.com/gpu"
