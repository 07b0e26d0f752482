"""Identifiers, each a type of its own, so that a pod's UID can't pass for a node's name."""

from typing import NewType

PodUID = NewType("PodUID", str)
NodeName = NewType("NodeName", str)
TenantName = NewType("TenantName", str)
DeviceUUID = NewType("DeviceUUID", str)
