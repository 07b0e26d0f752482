"""Names on Kubernetes objects: the interface that must stay stable."""

PREFIX = "equipoise.dev/"

# Set by a tenant, immutable once the pod exists.
GPU_FRACTION = PREFIX + "gpu-fraction"
GPU_MEMORY = PREFIX + "gpu-memory"
GPU_COUNT = PREFIX + "gpu-count"
GPU_MODELS = PREFIX + "gpu-models"
PLACEMENT = PREFIX + "placement"
GPU_CONTAINERS = PREFIX + "gpu-containers"
PREEMPTIBLE = PREFIX + "preemptible"
MAX_RUNTIME = PREFIX + "max-runtime"
NVLINK = PREFIX + "nvlink"
GANG = PREFIX + "gang"
GANG_SIZE = PREFIX + "gang-size"
REQUIRED_TOPOLOGY = PREFIX + "required-topology"
PREFERRED_TOPOLOGY = PREFIX + "preferred-topology"

# A label, for its value is what people select by; set by a tenant, or by the webhook.
USER_LABEL = PREFIX + "user"

# Written by Equipoise's webhook on a pod that got its place while it was created: a word for that.
GRANTED = PREFIX + "granted"

# Written by Equipoise, in the Binding itself.
DEVICES = PREFIX + "devices"
ASSIGNMENT = PREFIX + "assignment"

# Set by admins on namespaces and nodes.
TENANT_LABEL = PREFIX + "tenant"
MANAGED_LABEL = PREFIX + "managed"
OWNER_LABEL = PREFIX + "owner"
DEFAULT_TENANT = "default"

CONTRIBUTED = "contributed"
"""Stands in a tenant's guarantee for an amount: what the nodes that it owns come to."""

# Set by admins on Tenants, by `equipoise defrag` mostly.
DEFRAG_UNTIL = PREFIX + "defrag-until"
DEFRAG_MOVES = PREFIX + "defrag-moves"

# Custom resources: `tenants` and `gpunodes`, both cluster-scoped.
GROUP, VERSION = "equipoise.dev", "v1alpha1"

NAMESPACE = "equipoise-system"
"""Where Equipoise itself runs, unless it is told otherwise."""

GATE = PREFIX + "fair-share"
SCHEDULER_NAME = "equipoise"

# Understood as well, so that manifests written for Run:ai and KAI run unchanged.
KAI_FRACTION = "gpu-fraction"
KAI_MEMORY = "gpu-memory"
KAI_DEVICES = "gpu-fraction-num-devices"
NVIDIA_GPU = "nvidia.com/gpu"
