"""Devices come from a driver: `nvml` on real cards, `mock` from YAML. The only door to pynvml."""
