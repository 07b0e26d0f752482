"""Equipoise shares the GPUs of a Kubernetes cluster in fractions, fairly between tenants."""
