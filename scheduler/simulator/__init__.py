"""Worlds without Kubernetes: an embedded cluster, scenarios, replay of traces."""
