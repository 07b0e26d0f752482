"""Devices come from a driver: `nvml` on real cards, `mock` from YAML. Only here is pynvml imported."""
